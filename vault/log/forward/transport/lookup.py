# SPDX-License-Identifier: EUPL-1.2
"""Finds the addresses of a receiver's name, for no longer than whoever asks has time.

The machine's resolver cannot be told to stop: while a name server is silent, a look-up holds its thread for as long as
the resolver is patient. So it has a thread of its own, which nothing waits for in the end; and there is one at a time:
who asks again meanwhile waits for the same.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from contextlib import suppress

from vault.log.export.kinds import address
from vault.log.forward.transport.failure import SendFailure

Target = tuple[socket.AddressFamily, object]
"""A family of addresses, and an address of it as `socket.connect` takes it."""


class _Lookup:
    """A look-up that has a thread."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.found: Sequence[Target] | None = None
        """Nothing where it failed."""


class NameLookup:
    """Looks up the name of one receiver. One thread asks at a time; `abort` is for any."""

    def __init__(self, host: str, port: int) -> None:
        """Nothing is looked up before it is asked for."""
        self._host, self._port = host, port
        self._running: _Lookup | None = None

    def find(self, seconds: float) -> Sequence[Target]:
        """Return the addresses, the best first; an address is its own. Raises `SendFailure`, after `seconds` at the latest."""
        running = self._running
        if running is None or running.ended.is_set():
            running = self._running = _Lookup()
            self._start(running)
        if not running.ended.wait(seconds):
            raise SendFailure("the receiver's name is not resolved in time")
        if running.found is None:
            raise SendFailure("the receiver's name cannot be resolved")
        return running.found

    def _start(self, running: _Lookup) -> None:
        if address(self._host) is not None:  # which asks nobody
            self._look_up(running)
            return
        try:
            threading.Thread(target=self._look_up, args=(running,), name="log-name", daemon=True).start()
        except RuntimeError:  # the machine has no more threads
            running.ended.set()

    def _look_up(self, running: _Lookup) -> None:
        try:
            with suppress(OSError, UnicodeError):
                found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
                running.found = [(family, target) for family, _, _, _, target in found]
        finally:
            running.ended.set()

    def abort(self) -> None:
        """Wake whoever waits."""
        if self._running is not None:
            self._running.ended.set()
