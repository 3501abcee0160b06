# SPDX-License-Identifier: EUPL-1.2
"""What each thing that a repeated read keeps is worth: processor time of a KV v2 read through the real connection, with one
of them off at a time. Run as `python -m tests.perf.repeats`; prints the table of `docs/repeated-reads.md`.
"""

import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

from uvicorn.server import ServerState

from tests.routes.driver import Application
from tests.unit.server.http.test_protocol import Wire
from vault.repeated.head_cache import HeadCache
from vault.repeated.plans import Plans
from vault.server.config.settings import Listener
from vault.server.http.listeners import _uvicorn
from vault.server.http.protocol import Connection
from vault.storage.sqlite.row_cache import Rows
from vault.storage.sqlite.storage import SqliteStorage

READS, ROUNDS, TOGETHER = 2000, 9, 16
_REQUEST = b"GET /v1/secret/data/x HTTP/1.1\r\nhost: x\r\nx-vault-token: root\r\n\r\n"


class Many:
    """Some connections, each of which asks the same once all have been answered."""

    def __init__(self, application: Application) -> None:
        listener = Listener(kind="tcp")
        loop = asyncio.get_running_loop()
        config = _uvicorn(application.vault.at(listener), listener)
        self._wires = [Wire() for _ in range(TOGETHER)]
        self._connections = [Connection(config, ServerState(), listener, loop) for _ in self._wires]
        for connection, wire in zip(self._connections, self._wires, strict=True):
            connection.connection_made(wire)

    async def read(self) -> None:
        """Ask once on each connection."""
        for wire in self._wires:
            wire.written = b""
        loop = asyncio.get_running_loop()
        for connection in self._connections:
            loop.call_soon(connection.data_received, _REQUEST)
        while not all(wire.written for wire in self._wires):  # noqa: ASYNC110 - wires tell nobody
            await asyncio.sleep(0)
        assert all(wire.written.startswith(b"HTTP/1.1 200") for wire in self._wires)


async def _cost(application: Application) -> float:
    """Microseconds of this thread for one read."""
    many = Many(application)
    for _ in range(50):
        await many.read()
    began = time.thread_time()
    for _ in range(READS // TOGETHER):
        await many.read()
    return (time.thread_time() - began) / READS * 1e6


def _off(owner: type, name: str, otherwise: Callable[..., Any]) -> Any:
    return patch.object(owner, name, otherwise)


CASES: dict[str, Callable[[Application], Any]] = {
    "all": lambda _: contextlib.nullcontext(),
    "without the head cache": lambda _: _off(HeadCache, "find", lambda *_: None),
    "without plans, so without heads": lambda _: _off(Plans, "holds", lambda *_: False),
    "without rows in memory": lambda _: _off(Rows, "find", lambda *_: None),
    "without one write for many records": lambda application: patch.object(
        application.vault.controls.audit, "_batch", None
    ),
}


def main() -> int:
    """Measure in turn, and print the least of each."""
    least: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        application = Application(SqliteStorage.open(Path(folder) / "vault.db"))
        for _ in range(ROUNDS):
            for name, off in CASES.items():
                with off(application):
                    found = application.run(_cost(application))
                least[name] = min(found, least.get(name, found))
        application.close()
    print("| a read | us | more |\n|---|---|---|")
    for name, found in least.items():
        print(f"| {name} | {found:.1f} | {found / least['all'] - 1:+.0%} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
