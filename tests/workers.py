# SPDX-License-Identifier: EUPL-1.2
"""A server of two workers, as a real process, and ways to ask each of them."""

import contextlib
import http.client
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.fuzz.process import Client, VaultProcess, wait_until

PATIENCE = 90.0
"""Seconds: one that is started after several others that died early comes half a minute later."""
CLIENT_ERRORS = (OSError, http.client.HTTPException)
"""What a client meets whose worker has ended."""
_IN_FLIGHT = re.compile(r'^vault_core_in_flight_requests\{worker="(\d+)"\} 1\.0$', re.MULTILINE)


class Hasty(VaultProcess):
    """Its supervisor waits no longer than two seconds for a worker that does not answer."""

    program = "tests.integration.hasty_server"


class Pair:
    """A server of two workers, and a way to ask each of them."""

    def __init__(self, server: VaultProcess) -> None:
        self.server = server

    def pids(self) -> list[int]:
        """The workers, the one that was started first before the others."""
        children = Path(f"/proc/{self.server.pid}/task/{self.server.pid}/children")
        return [int(pid) for pid in children.read_text(encoding="ascii").split()]

    def log(self) -> str:
        return self.server.log.read_text(encoding="utf-8", errors="replace")

    @contextlib.contextmanager
    def both(self) -> Iterator[tuple[Client, Client]]:
        """A client of the first worker, and one of the other: a connection stays with whom accepted it."""
        found: dict[int, Client] = {}
        with contextlib.ExitStack() as clients:

            def enough() -> bool:
                client = clients.enter_context(self.server.client())
                found.setdefault(self.whose(client), client)
                return len(found) == 2

            wait_until(enough, self.log, PATIENCE)
            first, other = sorted(found)
            yield found[first], found[other]

    def whose(self, client: Client) -> int:
        """The number of the worker that has a client's connection: it alone has a request in flight now."""
        shown = client.request("GET", "/v1/sys/metrics?format=prometheus").body.decode()
        (number,) = _IN_FLIGHT.findall(shown)
        return int(number)

    def settled(self) -> None:
        """Wait until two workers serve that are open."""

        def two() -> bool:
            with self.server.client() as client:
                shown = client.request("GET", "/v1/sys/metrics?format=prometheus").body.decode()
            return len(re.findall(r"^vault_core_unsealed\{.*\} 1\.0$", shown, re.MULTILINE)) == 2

        wait_until(lambda: _tried(two), self.log, PATIENCE)


@contextlib.contextmanager
def served_by_two(server: VaultProcess) -> Iterator[Pair]:
    """Start a server of two workers, which ends well in the end."""
    try:
        server.start()
        server.initialise()
        yield Pair(server)
    finally:
        code = server.stop()
    log = server.log.read_text(encoding="utf-8")
    assert code == 0, log
    assert "Traceback" not in log


def _tried(step: Callable[[], bool]) -> bool:
    try:
        return step()
    except CLIENT_ERRORS:
        return False


def do(client: Client, method: str, path: str, body: object = None) -> Any:
    answer = client.request(method, f"/v1/{path}", body)
    assert answer.status < 300, (path, answer.status, answer.body)
    return answer.json() if answer.body else {}
