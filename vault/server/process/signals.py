# SPDX-License-Identifier: EUPL-1.2
"""Signals, from the first moment of a server to its last: nobody who sends one knows how far it is.

One handler stays for all of that time. As process 1 of a container a process without one gets no SIGTERM at all, and
an event loop that is closed leaves none.
"""

from __future__ import annotations

import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Protocol

    class Loop(Protocol):
        """What signals are acted on in: an event loop, or what does as much of it."""

        def is_closed(self) -> bool: ...

        def call_soon_threadsafe(self, act: Callable[[int], None], number: int, /) -> object: ...

    class Heard(Protocol):
        """Signals that come, and have come."""

        def pass_on(self, loop: Loop, act: Callable[[int], None]) -> None: ...


_ENDING = (signal.SIGTERM, signal.SIGINT)
_LASTING = (signal.SIGHUP, signal.SIGUSR2)


class Signals:
    """Acts on signals as far as the server is: ends it, keeps them for later, or passes them on.

    What the server starts does not inherit this: it is a handler, not `SIG_IGN`.
    """

    def __init__(self) -> None:
        self._loop: Loop | None = None
        self._act: Callable[[int], None] | None = None
        self._came: set[int] = set()

    def __call__(self, number: int, _: FrameType | None) -> None:
        """Take a signal. Raises `SystemExit` for one that ends the server before it is there: 128 and its number."""
        if self._loop is not None and self._act is not None:
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._act, number)
        elif number in _ENDING:
            raise SystemExit(128 + number)
        else:
            self._came.add(number)

    def pass_on(self, loop: Loop, act: Callable[[int], None]) -> None:
        """Let `act` have the signals from now on, within `loop`; first SIGHUP and SIGUSR2 that came before."""
        self._loop, self._act = loop, act
        while self._came:
            act(self._came.pop())

    def renew(self) -> None:
        """Be as at the beginning, in a process that was made of this one."""
        self._loop, self._act = None, None

    def ignore(self) -> None:
        """Take no more of them: what is left to be done is the end, and its exit code stands."""
        for number in (*_ENDING, *_LASTING):
            signal.signal(number, signal.SIG_IGN)


def hold() -> Signals:
    """Take all signals of this process; called again, return what takes them already."""
    known = signal.getsignal(signal.SIGTERM)
    if isinstance(known, Signals):
        return known
    signals = Signals()
    for number in (*_ENDING, *_LASTING):
        signal.signal(number, signals)
    return signals
