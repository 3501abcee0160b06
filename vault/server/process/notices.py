# SPDX-License-Identifier: EUPL-1.2
"""What whoever started this process is told of it, by the protocol of sd_notify(3): a datagram for each thing, no answer.

systemd waits for it before it starts what comes after, and ends and starts anew a process that has not been heard of for
longer than its unit says (`WatchdogSec=`).
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio

_LONGEST_NAME: Final = 107
"""Bytes of a Unix socket's name, `sun_path` without its end."""


class Notices:
    """Tells it; nobody, where nobody asked. A socket that is gone or full is not waited for."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """`NOTIFY_SOCKET` is where to, a path, or with `@` an abstract name; `WATCHDOG_USEC` how long may pass in silence."""
        name = environment.get("NOTIFY_SOCKET", "")
        known = name[:1] in {"/", "@"} and len(os.fsencode(name)) <= _LONGEST_NAME
        self._address = name.replace("@", "\0", 1) if known else ""
        self.beat = _half(environment) if known else 0.0
        """Seconds between two times that it is to be heard of; 0 where nobody waits for that."""

    def ready(self) -> None:
        """Clients can come; after `reloading`, it is over."""
        self._tell("READY=1")

    def reloading(self) -> None:
        """The configuration is being read anew."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The end has begun."""
        self._tell("STOPPING=1")

    def alive(self) -> None:
        """The process does its work; nothing where nobody waits for that."""
        if self.beat:
            self._tell("WATCHDOG=1")

    def keep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Say again and again that this loop goes on, as long as it does."""
        if self.beat:
            self.alive()
            loop.call_later(self.beat, self.keep, loop)

    def _tell(self, text: str) -> None:
        if self._address:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
                line.sendto(text.encode(), socket.MSG_DONTWAIT, self._address)


def _half(environment: Mapping[str, str]) -> float:
    """Return half of the time after which this process is taken for dead, in seconds; 0 where there is none."""
    limit, whose = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not limit.isascii() or not limit.isdigit() or len(limit) > 18 or whose not in {"", str(os.getpid())}:
        return 0.0
    return int(limit) / 2_000_000
