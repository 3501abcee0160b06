# SPDX-License-Identifier: EUPL-1.2
"""What one request did, and when: kept while it runs, for those that are traced alone.

Nothing here knows who is told of it, and nothing is kept but fixed names and times: no path, and nothing that was sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextvars import ContextVar
from time import monotonic, perf_counter_ns
from typing import Final, NamedTuple

from vault.values.times import Nanos

MOST_PARTS: Final = 128
"""Parts of one request that are kept; the others are counted."""
MOST_WISHES: Final = 100
"""Requests a second that are traced because their callers, whom a credential shows, wish it; of each process."""
MOST_BEGUN: Final = 1000
"""Requests a second whose parts are kept until it shows whether their callers have a credential."""
LONGEST_PARENT: Final = 256
"""Bytes of a `traceparent` that is looked at."""
PARENT: Final = re.compile(
    rb"(?!ff)[0-9a-f]{2}-((?!0{32})[0-9a-f]{32})-((?!0{16})[0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?"
)
"""A valid `traceparent` (W3C Trace Context, section 3.2): trace, span of the caller, flags."""
_SAMPLED: Final = 1


class Part(NamedTuple):
    """A part of a request: a fixed name, and when it began and ended by `perf_counter_ns`."""

    name: str
    began: int
    ended: int
    failed: bool


class Parent(NamedTuple):
    """The span of the caller."""

    trace_id: int
    span_id: int
    sampled: bool


class Trace:
    """One request that is traced."""

    __slots__ = ("began", "ended", "facts", "left_out", "parent", "parts", "since")

    def __init__(self, began: Nanos, parent: Parent | None) -> None:
        """`began` is the time of the wall clock; everything after it is measured by another that nobody sets."""
        self.began: Final = began
        self.since: Final = perf_counter_ns()
        self.ended = 0
        """When it ended, by `perf_counter_ns`; 0 before that."""
        self.parent: Final = parent
        self.parts: list[Part] = []
        self.left_out = 0
        self.facts: object = None
        """What the request was, for who is told of it."""

    def add(self, name: str, began: int, *, failed: bool = False) -> None:
        """Keep a part that began then and ends now. One that ends after the request is left out."""
        if self.ended or len(self.parts) >= MOST_PARTS:
            self.left_out += 1
        else:
            self.parts.append(Part(name, began, perf_counter_ns(), failed))


CURRENT: Final[ContextVar[Trace | None]] = ContextVar("trace", default=None)
"""The trace of the request that is being worked at; None where it is not traced, and beside requests."""


def parent_of(came: bytes) -> Parent | None:
    """Return whose span a request belongs to, by the header that came; None where it is not valid, or there is none."""
    found = PARENT.fullmatch(came) if came and len(came) <= LONGEST_PARENT else None
    if found is None:
        return None
    return Parent(int(found[1], 16), int(found[2], 16), bool(int(found[3], 16) & _SAMPLED))


class Sampler:
    """Decides which requests are traced: a part of them by chance, and besides those whose callers wish it, up to a rate.

    Nobody is traced less because of what a caller says.
    """

    def __init__(
        self, ratio: float, chance: Callable[[int], bytes], now: Callable[[], float] = monotonic
    ) -> None:
        """`ratio` is from 0 to 1; `chance` returns so many random bytes; `now` counts seconds."""
        self._below: Final = round(ratio * (1 << 16))
        self._chance: Final = chance
        self._drawn: list[int] = []
        self._begun, self._kept = _Rate(MOST_BEGUN, now), _Rate(MOST_WISHES, now)

    def takes(self) -> bool:
        """Whether this one is traced by chance."""
        if not self._drawn:
            drawn = memoryview(self._chance(512)).cast("H")
            self._drawn = list(drawn)
        return self._drawn.pop() < self._below

    def begins(self, parent: Parent | None) -> bool:
        """Whether this one is looked at because its caller wishes it; who that is shows later."""
        return parent is not None and parent.sampled and self._begun.has_room()

    def keeps(self) -> bool:
        """Whether it is traced, now that its caller has shown a good credential."""
        return self._kept.has_room()


class _Rate:
    """So many in each second."""

    def __init__(self, most: int, now: Callable[[], float]) -> None:
        self._most, self._now = most, now
        self._second = self._count = 0

    def has_room(self) -> bool:
        second = int(self._now())
        if second != self._second:
            self._second, self._count = second, 0
        self._count += 1
        return self._count <= self._most
