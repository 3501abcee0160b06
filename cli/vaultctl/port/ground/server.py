# SPDX-License-Identifier: EUPL-1.2
"""One of the two servers: reads, lists and writes by its API, in any namespace, from several threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from vaultctl.errors import ApiError, CommandError
from vaultctl.http.client import Client
from vaultctl.port.ground import canonical, clock
from vaultctl.text.json import as_list, as_map

PAGE = 1000
_APART = 30.0
"""Seconds by which clocks may differ."""
_PATIENCE = 60.0
"""Seconds that a server which is over its limits is given."""
_LONGEST_REASON = 300
_PAUSE = 0.05
_BEGINS = "Upgrading from non-versioned to versioned data"
"""What OpenBao answers for a moment after a mount of version 2 was made, or was moved."""


class Server:
    """A server and the token that reads or writes it."""

    def __init__(self, connect: Callable[[], Client]) -> None:
        """`connect` makes a client; each thread has one of its own."""
        self._connect = connect
        self._local = threading.local()
        self._clients: list[Client] = []
        self._about: Mapping[str, object] | None = None
        self._ahead = 0.0

    @property
    def client(self) -> Client:
        """This thread's client."""
        client: Client | None = getattr(self._local, "client", None)
        if client is None:
            client = self._local.client = self._connect()
            self._clients.append(client)
        return client

    def close(self) -> None:
        """Close all connections."""
        for client in self._clients:
            client.close()

    @property
    def about(self) -> Mapping[str, object]:
        """What the server says of itself: `version`, `cluster_id` and `cluster_name`."""
        if self._about is None:
            response = self.client.send("GET", "sys/seal-status", with_token=False, preliminary=True)
            self._ahead = clock.ahead(response.header("Date"), clock.now())
            answer = response.json()
            if answer.get("sealed"):
                raise CommandError(f"{self.client.address}: the server is sealed")
            self._about = answer
        return self._about

    def check_clock(self) -> None:
        """CommandError where its clock is another than this machine's: versions that end would be taken for deleted, or not."""
        _ = self.about
        if abs(self._ahead) > _APART:
            raise CommandError(
                f"{self.client.address}: its clock and this machine's are {abs(self._ahead):.0f} s apart, and whether a version is "
                "deleted by now would be misread: set them"
            )

    @property
    def namespace(self) -> str:
        """The namespace that all paths are relative to; empty for the root."""
        return self.client.namespace

    @property
    def label(self) -> str:
        """The server as reports name it."""
        return (
            f"{self.client.address}{'/' * bool(self.namespace)}{self.namespace} ({self.about.get('version')})"
        )

    @property
    def identity(self) -> str:
        """What stays the same when its address changes."""
        return f"{self.about.get('cluster_id') or self.client.address}{'/' * bool(self.namespace)}{self.namespace}"

    @property
    def place(self) -> str:
        """Where all of its paths are: what begins with that of another server is within it, or is the same."""
        inner = self.namespace.strip("/")
        return f"{self.about.get('cluster_id') or self.client.address}/{inner}{'/' * bool(inner)}"

    def read(self, path: str, query: Mapping[str, str | list[str]] | None = None) -> dict[str, object] | None:
        """The `data` of a GET; None where nothing is."""
        answer = self._send("GET", path, query=query, accept_missing=True)
        return None if answer is None else as_map(answer.get("data"))

    def require(self, path: str, *, why: str = "there is no such namespace") -> dict[str, object]:
        """The `data` of a GET of what has to be there. ApiError where it is not: nothing is read there, and nothing is gone."""
        found = self.read(path)
        if found is None:
            raise ApiError("GET", path, path, status=404, errors=[why], raw="")
        return found

    def require_listed(self, path: str) -> dict[str, object]:
        """The `data` of a GET of what a list names. ApiError where it is not told: it does not move, and that has to be said."""
        return self.require(path, why="it is listed, and was not there when it was read")

    @contextmanager
    def before_write(self, tell: Callable[[], None], undo: Callable[[], None]) -> Iterator[None]:
        """Within the block `tell` is called before this thread's first write, and `undo` where that one was refused."""
        self._local.tell, self._local.undo = tell, undo
        try:
            yield
        finally:
            self._local.tell = None

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Around each write. One that a server refuses by its rules did nothing; of others that is not known."""
        tell: Callable[[], None] | None = getattr(self._local, "tell", None)
        if tell is None:
            yield
            return
        self._local.tell = None
        tell()
        try:
            yield
        except ApiError as error:
            if 400 <= error.status < 500:
                self._local.undo()
                self._local.tell = tell
            raise

    def write(self, path: str, body: object, *, method: str = "POST") -> dict[str, object]:
        """The `data` of what a write answers."""
        with self._told():
            return as_map((self._send(method, path, body=body) or {}).get("data"))

    def ask(self, path: str, body: object) -> dict[str, object]:
        """The `data` of what a POST answers that changes nothing."""
        return as_map((self._send("POST", path, body=body) or {}).get("data"))

    @contextmanager
    def token(self, namespace: str, *, policy: str, ttl: str) -> Iterator[str]:
        """A token with one policy, until the end of the block."""
        body = {"policies": [policy], "no_default_policy": True, "ttl": ttl}
        answer = self._send("POST", f"{namespace}auth/token/create", body=body)
        token = str(as_map((answer or {}).get("auth")).get("client_token"))
        try:
            yield token
        finally:
            self._send("POST", f"{namespace}auth/token/revoke", body={"token": token})

    def delete(self, path: str) -> None:
        """Delete; nothing happens where nothing is."""
        with self._told():
            self._send("DELETE", path, accept_missing=True)

    def names(self, path: str) -> Iterator[str]:
        """The names below a path, in order, page by page where the server has pages."""
        for name, _ in self.listing(path):
            yield name

    def listing(self, path: str) -> Iterator[tuple[str, object]]:
        """Each name below a path, with its `key_info` where the server has one."""
        after = ""
        while True:
            query: dict[str, str | list[str]] = {"limit": str(PAGE), **({"after": after} if after else {})}
            answer = self._send("LIST", path, query=query, accept_missing=True)
            data = as_map((answer or {}).get("data"))
            names = [str(name) for name in as_list(data.get("keys"))]
            about = as_map(data.get("key_info"))
            for name in names:
                if name > after or not after:
                    yield name, about.get(name)
            if len(names) != PAGE or names[-1] <= after:  # fewer: the end. More: it has no pages
                return
            after = names[-1]

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | list[str]] | None = None,
        body: object = None,
        accept_missing: bool = False,
    ) -> dict[str, object] | None:
        """The answer; None where nothing is there. What passes by itself is waited for. ApiError for every refusal."""
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                response = self.client.send(
                    method, path, query=query, body=body, accept_missing=accept_missing
                )
            except ApiError as error:
                passing = error.status == 429 or (error.status == 400 and _BEGINS in " ".join(error.errors))
                if not passing or time.monotonic() > until:
                    raise
                time.sleep(1 if error.status == 429 else _PAUSE)
            else:
                return None if response.status == 404 else canonical.bounded(response.json())


def reason(error: ApiError) -> str:
    """Why a server refused, on one line: its status and its own words, which hold no secret."""
    words = "; ".join(" ".join(text.split()) for text in error.errors)[:_LONGEST_REASON]
    return f"status {error.status}" + (f": {words}" if words else "")
