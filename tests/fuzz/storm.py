# SPDX-License-Identifier: EUPL-1.2
"""Sends noise to a server for a while and keeps account of what came back."""

import contextlib
import http.client
import socket
from collections import Counter
from dataclasses import dataclass, field

from tests.fuzz.noise import Noise, Operation, Request, operations
from tests.fuzz.process import PATIENCE, Answer, Client, VaultProcess

_RENEW_EVERY = 250
MOST = 0.3
"""Seconds of processor time of the event loop that one request may take."""
ENDS_IT = {"/sys/seal", "/auth/token/revoke-self", "/sys/monitor"}
"""Left out: what would end a run, or its token, or has no end itself; `tests/routes` tries it alone."""


@dataclass
class Account:
    """What came back: statuses, requests that tell of a defect, that got no answer, or that held the event loop."""

    statuses: Counter[int] = field(default_factory=Counter)
    defects: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    costly: list[str] = field(default_factory=list)
    connections: int = 0

    @property
    def sent(self) -> int:
        return sum(self.statuses.values()) + len(self.lost) + self.connections


class Storm:
    """One client that sends noise to a server, with the rights of the root policy."""

    def __init__(self, vault: VaultProcess, seed: int, *, marker: str = "") -> None:
        self.account = Account()
        self._vault = vault
        self._root = vault.client()
        self._client = vault.client("")
        self._noise = Noise(described(self._root), seed, marker=marker)
        self._token = ""

    def requests(self, count: int) -> None:
        """Send so many requests of an HTTP client."""
        for number in range(count):
            if number % _RENEW_EVERY == 0:
                self._renew()
            request = self._noise.request(token=self._token)
            began = self._vault.seconds_of_the_loop()
            try:
                answer = self._client.request(
                    request.method, request.target, request.body, headers=request.headers
                )
            except (OSError, http.client.HTTPException) as error:
                self.account.lost.append(f"{request.method} {request.target[:80]}: {type(error).__name__}")
                continue
            self._judge(request, answer)
            seconds = self._vault.seconds_of_the_loop() - began
            if seconds > MOST:
                self.account.costly.append(
                    f"{request.method} {request.target[:80]} took {seconds:.3f} s: "
                    f"{str(request.headers)[:300]} {request.body!r:.300}"
                )

    def _judge(self, request: Request, answer: Answer) -> None:
        self.account.statuses[answer.status] += 1
        if answer.status == 500:
            self.account.defects.append(f"{request.method} {request.target[:80]} {request.body!r:.300}")

    def connections(self, count: int) -> None:
        """Open so many connections and send each some bytes that are hardly requests."""
        for _ in range(count):
            self.account.connections += 1
            with socket.create_connection(("127.0.0.1", self._vault.port), timeout=PATIENCE) as connection:
                with contextlib.suppress(OSError):
                    connection.sendall(self._noise.raw())
                    connection.shutdown(socket.SHUT_WR)
                    self._check(connection)

    def _check(self, connection: socket.socket) -> None:
        answer = b""
        while part := connection.recv(65536):
            answer += part
        if b"HTTP/1.1 500" in answer or b"Traceback" in answer:
            self.account.defects.append(f"bytes answered with {answer[:200]!r}")

    def _renew(self) -> None:
        """Make a token that may be revoked by chance, and mount again what was unmounted by chance."""
        made = self._root.request("POST", "/v1/auth/token/create", {"ttl": "1h"})
        assert made.status == 200, made.body
        self._token = made.json()["auth"]["client_token"]
        for path, version in (("secret", "2"), ("kv", "1")):
            body = {"type": "kv", "options": {"version": version}}
            self._root.request("POST", f"/v1/sys/mounts/{path}", body)

    def close(self) -> None:
        self._root.close()
        self._client.close()


def described(client: Client) -> list[Operation]:
    """The operations of the server's own OpenAPI document."""
    answer = client.request("GET", "/v1/sys/internal/specs/openapi")
    assert answer.status == 200, answer.body
    return [known for known in operations(answer.json()) if known.path not in ENDS_IT]
