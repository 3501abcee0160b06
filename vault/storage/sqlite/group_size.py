# SPDX-License-Identifier: EUPL-1.2
"""How many writers a commit should have: all who are about, or half of them.

In halves one half may write while the other is committed. But each commit costs the processor as much as four or five
writes, and the thread that commits gets the interpreter only when the one that writes lets go of it: so hardly anything is
done at the same time, and two commits are waited for where one would do (measured, docs/repeated-reads.md). Only where a
commit lasts very long, as on a machine whose processors are wanted by others, halves are faster: whoever works all the
time keeps the processor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_LONG: Final = 24
"""Writes that take as long as a commit that all still wait for."""
_TRY_EVERY: Final = 16
"""Commits after which halves try one together: only then it is seen how long the disk alone takes."""
_WEIGHT: Final = 8
"""Measurements that count about alike. One that was more than twice as long as usual counts as twice."""


class GroupSize:
    """Measures commits, and what lies between them. Times are in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` only ever grows."""
        self._clock = clock
        self._commit = self._write = 0.0
        """How long a commit usually takes, and one write before it; 0 while that is not known."""
        self._begun, self._ended = 0.0, clock()
        self._commits = 0

    def begin(self) -> None:
        """Note that a commit begins."""
        self._begun = self._clock()

    def end(self, size: int, others: int) -> int:
        """Note that a commit of `size` writers has ended while `others` wrote; return how many the next one should have.

        Only what nobody else wrote beside is measured: else the commit has waited for the processor too.
        """
        now = self._clock()
        if not others and self._begun >= self._ended:  # else it failed before it began
            self._commit = _usual(self._commit, now - self._begun)
            self._write = _usual(self._write, (self._begun - self._ended) / size)
        self._ended = now
        self._commits += 1
        about = size + others
        if self._commit < _LONG * self._write or self._commits % _TRY_EVERY == 0:
            return about
        return (about + 1) // 2


def _usual(usual: float, measured: float) -> float:
    """Return what is usual once one more was measured."""
    return usual + (min(measured, 2 * usual) - usual) / _WEIGHT if usual else measured
