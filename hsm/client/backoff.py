# SPDX-License-Identifier: EUPL-1.2
"""How often an agent may be started: a few times a minute, then ever more slowly while it does not help."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from hsm.errors import SlotUnavailable

STARTS_PER_MINUTE: Final = 6
"""The first start and five more."""
LONGEST_WAIT: Final = 60.0
"""Seconds between two tries at most."""

_WINDOW: Final = 60.0


class BackOff:
    """Admits starts; thread-safe. `now` counts seconds; `chance` gives numbers from 0 up to 1, so that many servers do not
    knock on one device at the same moment.
    """

    def __init__(self, *, now: Callable[[], float], chance: Callable[[], float]) -> None:
        self._now = now
        self._chance = chance
        self._lock = threading.Lock()
        self._starts: deque[float] = deque()
        self._openings = 0
        self._until: float | None = None

    @property
    def open(self) -> bool:
        """Whether a start would be refused now."""
        until = self._until
        return until is not None and self._now() < until

    def admit(self) -> None:
        """Count a start. Raises `SlotUnavailable` when it is too early for another."""
        with self._lock:
            self._admit(self._now())

    def _admit(self, now: float) -> None:
        while self._starts and self._starts[0] <= now - _WINDOW:
            self._starts.popleft()
        if self._until is None and len(self._starts) >= STARTS_PER_MINUTE:
            self._open(now)
        if self._until is not None and now < self._until:
            raise SlotUnavailable(f"next try in {self._until - now:.1f} s")
        self._starts.append(now)
        if self._until is not None:
            self._open(now)

    def succeeded(self) -> None:
        """An operation worked: starts are admitted again as before."""
        with self._lock:
            self._until = None
            if len(self._starts) < STARTS_PER_MINUTE:
                self._openings = 0

    def _open(self, now: float) -> None:
        """Refuse starts for a while, twice as long as the last time; then one is admitted to try."""
        wait = min(LONGEST_WAIT, 2.0**self._openings)
        self._openings = min(self._openings + 1, 10)
        self._until = now + max(1.0, wait * (0.5 + self._chance() / 2))
