# SPDX-License-Identifier: EUPL-1.2
"""Tells whether what clients saw of a counter, each over a while, can have happened at one moment each: linearisability.

Wing and Gong's search, with what it has seen remembered: of all that may have happened next, each is tried. What a
client never heard the outcome of may have happened at any moment since, or never.
"""

from collections.abc import Iterator, Sequence
from typing import Final, Literal, NamedTuple

Outcome = Literal["read", "raised", "refused", "unknown"]
NEVER: Final = float("inf")


class Seen(NamedTuple):
    """What one client did from `began` to `ended`.

    It read that the counter was at `value`, raised it from there by check-and-set, was refused that, or never heard.
    """

    began: float
    ended: float
    outcome: Outcome
    value: int


def linearizable(history: Sequence[Seen], start: int = 0) -> bool:
    """Whether there is an order of all that was seen, true to time, in which a counter that begins at `start` shows it."""
    waiting = sorted(seen._replace(ended=NEVER) if seen.outcome == "unknown" else seen for seen in history)
    owed = sum(1 << number for number, seen in enumerate(waiting) if seen.outcome != "unknown")
    known = {(0, start)}
    open_ends = [(0, start)]
    while open_ends:
        done, value = open_ends.pop()
        if done & owed == owed:
            return True
        for after, counter in _steps(waiting, done, value):
            step = _without_lost(waiting, after, counter), counter
            if step not in known:
                known.add(step)
                open_ends.append(step)
    return False


def _steps(waiting: Sequence[Seen], done: int, value: int) -> Iterator[tuple[int, int]]:
    """Yield what may be so after one more of those has happened that began before any other had ended."""
    first_end = NEVER
    number = _first_open(done)
    while number < len(waiting) and waiting[number].began <= first_end:
        if not done >> number & 1:
            seen = waiting[number]
            first_end = min(first_end, seen.ended)
            after = _after(seen, value)
            if after is not None:
                yield done | 1 << number, after
        number += 1


def _first_open(done: int) -> int:
    return (~done & (done + 1)).bit_length() - 1


def _without_lost(waiting: Sequence[Seen], done: int, value: int) -> int:
    """Count what comes first as done where nobody heard of it and it never happens any more: the counter is past it.

    Otherwise each later step would look at all that came after it.
    """
    number = _first_open(done)
    while number < len(waiting) and waiting[number].outcome == "unknown" and waiting[number].value < value:
        done |= 1 << number
        number = _first_open(done)
    return done


def _after(seen: Seen, value: int) -> int | None:
    """Return what the counter is at after something that happened at `value`; None where it cannot have."""
    fits = seen.value == value
    if seen.outcome == "refused":
        return None if fits else value
    if not fits:
        return None
    return value if seen.outcome == "read" else value + 1
