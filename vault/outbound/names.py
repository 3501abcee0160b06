# SPDX-License-Identifier: EUPL-1.2
"""Names of hosts to addresses, by the machine's resolver: its files, its order, its name servers.

The machine's resolver cannot be told to stop: where a name server is silent, a look-up holds its thread for as long as
the resolver is patient, often half a minute. So each look-up has a thread of its own, which nothing else waits for, not
even the end of the process; how many there are is shared between tenants and their mounts (`Shares`). A name is looked
up once at a time, and one that was not found is not looked up again at once.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final

from vault.cache.follow import BoundedCache
from vault.outbound.shares import Owner, Shares

THREADS: Final = 128
"""Look-ups at one time: 64 of one tenant at most, 32 of one mount."""
SILENT: Final = 5.0
"""Seconds after which a look-up is given up by whoever comes anew; a name server that works answers sooner."""
PAUSE: Final = 2.0
"""Seconds after a failure in which a name is not looked up again."""
_FAILURES: Final = 1024

Lookup = Callable[[str], Sequence[str]]
"""Finds the addresses of a name; it may take its time. Raises `OSError`."""


def machine(host: str) -> Sequence[str]:
    """Ask the machine's resolver."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(slots=True)
class _Lookup:
    """A look-up that has a thread: when it began, by the loop's clock, and what will come of it."""

    since: float
    result: asyncio.Future[Sequence[str]] = field(repr=False)


class NameLookup:
    """Looks names up. All methods belong to one event loop."""

    def __init__(self, lookup: Lookup = machine, threads: int = THREADS) -> None:
        self._lookup = lookup
        self._shares = Shares(threads)
        self._running: dict[str, _Lookup] = {}
        self._failed: BoundedCache[str, float] = BoundedCache(_FAILURES)

    async def find(self, owner: Owner, host: str) -> Sequence[str]:
        """Return the addresses of a name; an address is its own. Raises `OSError`, and waits as long as its caller."""
        try:
            return (str(ip_address(host)),)
        except ValueError:
            pass
        running = self._running.get(host)
        if running is None and not self._lately_failed(host):
            await self._shares.take(owner[:2])
            running = self._running.get(host)
            if running is None and not self._lately_failed(host):
                running = self._start(owner, host)
            else:
                self._shares.give_back(owner[:2])
        if running is None:
            raise OSError
        if asyncio.get_running_loop().time() - running.since > SILENT:
            raise TimeoutError
        return await asyncio.shield(running.result)

    def _lately_failed(self, host: str) -> bool:
        failed = self._failed.get(host)
        return failed is not None and asyncio.get_running_loop().time() - failed < PAUSE

    def _start(self, owner: Owner, host: str) -> _Lookup:
        """Look a name up in a thread of its own, which holds the turn that was taken until it ends."""
        loop = asyncio.get_running_loop()
        running = _Lookup(loop.time(), loop.create_future())

        def end(found: Sequence[str] | None) -> None:
            del self._running[host]
            self._shares.give_back(owner[:2])
            if found is None:
                self._failed.put(host, loop.time())
                running.result.set_exception(OSError())
                running.result.exception()  # it is nobody's failure where nobody waits any more
            else:
                running.result.set_result(found)

        def work() -> None:
            found: Sequence[str] | None = None
            try:
                with suppress(OSError, UnicodeError):
                    found = self._lookup(host)
            finally:
                with suppress(RuntimeError):  # the server has stopped meanwhile
                    loop.call_soon_threadsafe(end, found)

        self._running[host] = running
        try:
            threading.Thread(target=work, name="vault-name", daemon=True).start()
        except RuntimeError:  # the machine has no more threads
            end(None)
        return running
