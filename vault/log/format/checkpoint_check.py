# SPDX-License-Identifier: EUPL-1.2
"""Compares the tree of a log with checkpoints of it: those that were kept elsewhere, and those beside its segments.

The latter prove nothing against whoever has the files and the key, who can sign others. But where they and one that
was kept elsewhere can't both be true, they convict that key.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from vault.log.format.checkpoint import BadCheckpoint
from vault.log.format.finding import Finding, Kind, span
from vault.log.format.note import BadNote, UnknownSigner
from vault.log.format.note_key import BadSignature
from vault.log.format.record_check import Report
from vault.log.format.segment import CHECKPOINTS, COSIGNED, BadSegment, Segment
from vault.log.format.trust import KnownCheckpoint, Opener, fraud

_NEVER: Final = 1 << 64
"""A size that no log has."""

RootAt = Callable[[int], bytes | None]
"""Returns the root of the first so many records; None where that is unknown."""


class CheckpointCheck:
    """The checkpoints of one log, in the order of their sizes."""

    def __init__(self, log: str, held: Iterable[KnownCheckpoint], opener: Opener, report: Report) -> None:
        """`held` were kept elsewhere, the smallest first; `opener` reads those beside segments."""
        self._log, self._opener, self._report = log, opener, report
        self._held = deque(held)
        self._own: Iterator[KnownCheckpoint] = iter(())
        self._next_own: KnownCheckpoint | None = None
        self._own_sizes = dict.fromkeys((CHECKPOINTS, COSIGNED), 0)
        """By kind of file the size of the last one beside segments."""
        self._missing_size = 0
        """The largest size of which the log itself says that it had it, and has not."""
        self.covered = 0
        """The first so many records are those of a checkpoint that was kept elsewhere or cosigned by witnesses."""
        self.signed = 0
        """The first so many are those of a checkpoint that a known key signed."""
        self._unfit: KnownCheckpoint | None = None
        """The first trusted one that the records do not fit."""
        self._own_unfit = self._told_fraud = False
        self.next = self._smallest()
        """How many records there are to be before there is something to compare."""

    def begin_segment(self, segment: Segment) -> None:
        """Go on with the checkpoints beside a segment, and the one in its manifest."""
        kinds = [self._read(segment, kind) for kind in (CHECKPOINTS, COSIGNED)]
        self._own = heapq.merge(*kinds, self._read_manifest(segment), key=lambda one: one.size)
        self._next_own = next(self._own, None)
        self.next = self._smallest()

    def compare(self, size: int, root_at: RootAt) -> None:
        """Compare what is of `size` records and fewer with the roots that these have."""
        while self._held and self._held[0].size <= size:
            one = self._held.popleft()
            self._judge(one, root_at(one.size))
        while self._next_own is not None and self._next_own.size <= size:
            self._judge(self._next_own, root_at(self._next_own.size))
            self._next_own = next(self._own, None)
        self.next = self._smallest()

    def end_segment(self, segment: Segment, *, newest: bool) -> None:
        """Tell of checkpoints beside a segment that are of more records than there are."""
        left = [one.size for one in (self._next_own, *self._own) if one is not None]
        self._next_own = None
        if left and newest:
            self._missing_size = max(left)
        elif left:
            self._tell(
                Kind.CHECKPOINT,
                f"a checkpoint of {max(left)} records is beside segment {segment.first}, which ends before",
            )

    def end(self, size: int) -> None:
        """Tell which checkpoints are of more records than the log has."""
        held, told = max((one.size for one in self._held), default=0), size
        for whose, most in (("a held checkpoint", held), ("the log's own checkpoint", self._missing_size)):
            if most > told:
                words = (
                    f"{span(told, most - 1)}: missing, {whose} is of {most} records and the log has {size}"
                )
                self._tell(Kind.CUT, words, told, most - 1)
                told = most

    def _judge(self, one: KnownCheckpoint, root: bytes | None) -> None:
        if root is None:
            return
        if one.root == root:
            self.covered = one.size if one.trusted else self.covered
            self.signed = one.size if one.signed else self.signed
        elif one.trusted:
            self._tell_unfit(one)
        elif self._unfit is None and not self._own_unfit:
            self._own_unfit = True
            first = min(max(self.covered, self.signed), one.size - 1)
            words = f"{span(first, one.size - 1)}: something in them was rewritten, or the log's own checkpoint of {one.size} was"
            self._tell(Kind.REWRITTEN, words, first, one.size - 1)
        self._convict(one, fits=one.root == root)

    def _tell_unfit(self, one: KnownCheckpoint) -> None:
        if self._unfit is None:
            self._unfit = one
            first = min(self.covered, one.size - 1)
            whose = "a held checkpoint" if one.held else "a checkpoint that witnesses saw"
            words = f"{span(first, one.size - 1)}: something in them was rewritten, {whose} has another root at {one.size}"
            self._tell(Kind.REWRITTEN, words, first, one.size - 1)

    def _convict(self, one: KnownCheckpoint, *, fits: bool) -> None:
        """Tell of two checkpoints that can't both be of one log: of one size, or one fits the records and one does not."""
        other = self._unfit
        if other is None or self._told_fraud or not (one.signed and other.signed):
            return
        if fits or (one.size == other.size and one.root != other.root):
            self._told_fraud = True
            self._report(fraud(self._log, other, one))

    def _read_manifest(self, segment: Segment) -> Iterator[KnownCheckpoint]:
        """Yield the checkpoint that a segment's manifest repeats, or tell why it does not count."""
        try:
            note = segment.manifest().checkpoint if segment.closed else ""
            if note:
                yield self._opener.open(note.encode(), held=False)
        except BadSegment:
            return  # who reads the manifest for what else it says tells of it
        except (BadNote, BadCheckpoint, BadSignature, UnknownSigner) as problem:
            self._tell(
                Kind.CHECKPOINT, f"the checkpoint in the manifest of segment {segment.first}: {problem}"
            )

    def _read(self, segment: Segment, kind: str) -> Iterator[KnownCheckpoint]:
        """Yield the checkpoints of one file beside a segment that count, and tell of others."""
        try:
            for stored in segment.checkpoints(kind):
                try:
                    one = self._opener.open(stored.note.encode(), held=False)
                except (BadNote, BadCheckpoint, BadSignature, UnknownSigner) as problem:
                    self._tell(Kind.CHECKPOINT, f"a checkpoint of segment {segment.first}: {problem}")
                    continue
                before = max(self._own_sizes[kind], segment.first)
                if one.size < before:
                    self._tell(Kind.CHECKPOINT, f"a checkpoint of {one.size} records follows one of {before}")
                    continue
                self._own_sizes[kind] = one.size
                yield one
        except BadSegment as failure:
            self._tell(Kind.CHECKPOINT, str(failure))

    def _smallest(self) -> int:
        held = self._held[0].size if self._held else _NEVER
        return min(held, _NEVER if self._next_own is None else self._next_own.size)

    def _tell(self, kind: Kind, words: str, first: int | None = None, last: int | None = None) -> None:
        self._report(Finding(kind=kind, log=self._log, words=words, first=first, last=last))
