# SPDX-License-Identifier: EUPL-1.2
"""Verifies a copied log folder, without a server: what is in it, and what checkpoints that were kept elsewhere say of it.

It reads each log once, from its beginning, and keeps of it what a writer keeps: a hash for each bit of its size, and
the end of each tenant's part. What it can't know it says: records that no checkpoint covers which was kept elsewhere
can have been made anew by whoever has the files and the key.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

import msgspec

from vault.log.format.checkpoint_check import CheckpointCheck
from vault.log.format.finding import RECORD_FAULTS, Finding, Kind, span
from vault.log.format.record_check import AnnouncedPurge, RecordCheck
from vault.log.format.segment import LogId, Segment, list_logs, list_segments
from vault.log.format.segment_check import SegmentCheck
from vault.log.format.tiles import BadTile, kept_subtree
from vault.log.format.tree import CompactRange, MissingHash, SubtreeHash, root_hash
from vault.log.format.trust import HeldCheckpoints, KnownCheckpoint, Opener, Trust

MOST_FINDINGS: Final = 100
"""Faults of one log that are told, besides those of whole segments; of more it is said how many there are."""


class LogReport(msgspec.Struct, frozen=True, kw_only=True):
    """What there is of one log, and how much of it is proven. Records are counted from 0, also those that were purged."""

    log: str
    first: int
    """The first record that is there."""
    size: int
    """How many records the log has."""
    covered: int
    """The first so many are those of a checkpoint that was kept elsewhere, or that witnesses have cosigned."""
    signed: int
    """The first so many are those of a checkpoint that a known key signed."""
    time: str
    """When the last record was appended; "" without records."""
    findings: tuple[Finding, ...]

    @property
    def first_bad(self) -> int | None:
        """The first record that is not as it should be, as far as the records themselves tell; None where none is."""
        bad = [one.first for one in self.findings if one.kind in RECORD_FAULTS and one.first is not None]
        return min(bad, default=None)


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What verification found: of each log, and of what belongs to none that is there."""

    logs: tuple[LogReport, ...]
    others: tuple[Finding, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings."""
        return (*(finding for log in self.logs for finding in log.findings), *self.others)

    @property
    def faults(self) -> tuple[Finding, ...]:
        """Those that say that something is not as it should be."""
        return tuple(finding for finding in self.findings if finding.fault)


def verify_folder(
    folder: Path,
    trust: Trust,
    held: Iterable[bytes] = (),
    progress: Callable[[str, int], None] | None = None,
) -> Report:
    """Verify all logs of a folder; `held` are signed notes of checkpoints that were kept elsewhere.

    `progress` is told a log and how many of its records are verified, after each segment. Raises `OSError` where the folder can't be listed.
    """
    known = HeldCheckpoints(held, trust)
    logs = list_logs(folder)
    checks, unread = list[_LogCheck](), list[Finding]()
    for log in map(str, logs):
        try:
            checks.append(_LogCheck(folder / log, known.by_log.get(log, ()), trust, progress))
        except OSError as failure:
            words = f"its folder can't be read: {failure.strerror}"
            unread.append(Finding(kind=Kind.SEGMENT, log=log, words=words))
    reports = [check.run() for check in checks]
    purged = _announced(checks)
    folders = {str(log) for log in logs}
    there = {report.log for report in reports if report.size} | (purged.keys() & folders)
    absent = known.by_log.keys() - folders
    others = [
        *known.findings,
        *unread,
        *(
            Finding(kind=Kind.ABSENT, log=log, words="a checkpoint of it is held, and the log is not there")
            for log in sorted(absent)
        ),
        *(
            Finding(
                kind=Kind.ABSENT,
                log=log,
                words="a key that is given is of this log, and the log is not there",
            )
            for log in sorted(trust.named_logs - there - absent)
        ),
        *_absent_epochs(logs, there),
        *_taken_away(reports, purged),
    ]
    if not trust.keys:
        others.append(Finding(kind=Kind.COVERAGE, log="", words="no key is given: no signature was verified"))
    return Report(logs=tuple(reports), others=tuple(others))


def _absent_epochs(logs: Sequence[LogId], there: Collection[str]) -> list[Finding]:
    """Return which logs are missing among those of one worker, which are numbered; a folder without records is no log."""
    found = []
    for _, group in groupby(logs, key=lambda log: (log.node, log.worker)):
        epochs = [*group]
        first, end = epochs[0], epochs[-1].epoch
        numbered = (str(LogId(first.node, first.worker, epoch)) for epoch in range(first.epoch, end))
        words = "later logs of its worker are there, and it is not"
        found += [Finding(kind=Kind.ABSENT, log=log, words=words) for log in numbered if log not in there]
    return found


def _announced(checks: Sequence[_LogCheck]) -> dict[str, int]:
    """Return by log the last record that any of the logs says was purged."""
    purged: dict[str, int] = {}
    for one in (announced for check in checks for announced in check.purges):
        purged[one.log] = max(one.last, purged.get(one.log, 0))
    return purged


def _taken_away(reports: Sequence[LogReport], purged: Mapping[str, int]) -> list[Finding]:
    """Return of which logs the oldest records are gone though no log says that they were purged, which a server does first.

    What said so can be purged itself: where that may be, as another log of the node was, nothing is told.
    """
    cut = [report for report in reports if any(one.kind is Kind.PURGED for one in report.findings)]
    known = {report.log for report in cut if purged.get(report.log, -1) >= report.first - 1}
    nodes = {LogId.parse(log).node for log in known}
    return [
        Finding(
            kind=Kind.ABSENT,
            log=report.log,
            words=f"{span(0, report.first - 1)}: gone, and no signed record that is there announces a purge of them",
            first=0,
            last=report.first - 1,
        )
        for report in cut
        if report.log not in known and (report.log in purged or LogId.parse(report.log).node not in nodes)
    ]


class _LogCheck:
    """One log of a folder, read once and from its beginning."""

    def __init__(
        self,
        folder: Path,
        held: Iterable[KnownCheckpoint],
        trust: Trust,
        progress: Callable[[str, int], None] | None,
    ) -> None:
        """`folder` is the log's; `held` are its checkpoints that were kept elsewhere, the smallest first."""
        self._log, self._progress = folder.name, progress
        self._keyed = bool(trust.keys)
        self._findings: list[Finding] = []
        self._faults = self._untold = 0
        self._segments = list_segments(folder)
        self._first = self._segments[0].first if self._segments else 0
        self._subtree = kept_subtree(folder)
        self._records = RecordCheck(self._log, self._report, first=self._first)
        self._checkpoints = CheckpointCheck(self._log, held, Opener(self._log, trust), self._report)

    def run(self) -> LogReport:
        """Check all of it."""
        if self._first:
            self._begin_purged()
        self._checkpoints.compare(self._first, self._root_at)
        for number, segment in enumerate(self._segments, 1):
            self._check_segment(segment, newest=number == len(self._segments))
            if self._progress is not None:
                self._progress(self._log, self._records.seq)
        self._checkpoints.end(self._records.seq)
        if self._untold:
            words = f"{self._untold} faults more, which are not told"
            self._findings.append(Finding(kind=Kind.RECORD, log=self._log, words=words))
        self._findings += _coverage(self._log, self._checkpoints, self._records.seq)
        return LogReport(
            log=self._log,
            first=self._first,
            size=self._records.seq,
            covered=self._checkpoints.covered,
            signed=self._checkpoints.signed,
            time=self._records.time,
            findings=tuple(self._findings),
        )

    @property
    def purges(self) -> list[AnnouncedPurge]:
        """Purges that the log announces, as far as it is signed: a server signs that before it purges."""
        if not self._keyed:
            return self._records.purges
        sure = max(self._checkpoints.covered, self._checkpoints.signed)
        return [one for one in self._records.purges if one.seq < sure]

    def _begin_purged(self) -> None:
        """Begin after records that are not there any more: the hash tiles of the log stand for them."""
        kind, words = Kind.PURGED, f"{span(0, self._first - 1)}: not there, hash tiles stand for them"
        try:
            self._records.continue_from(
                CompactRange.of(self._first, self._subtree), self._subtree(0, self._first - 1)
            )
        except (MissingHash, BadTile, OSError):
            words = f"{span(0, self._first - 1)}: not there, nor hash tiles that stand for them; no checkpoint can be compared"
            kind = Kind.ABSENT
        self._report(Finding(kind=kind, log=self._log, words=words, first=0, last=self._first - 1))

    def _check_segment(self, segment: Segment, *, newest: bool) -> None:
        if segment.first > self._records.seq:
            self._records.miss(segment.first)
        self._checkpoints.begin_segment(segment)
        self._taken()
        SegmentCheck(segment, self._records, self._report, newest=newest).run(self._taken)
        self._checkpoints.end_segment(segment, newest=newest)

    def _taken(self) -> None:
        if self._records.seq >= self._checkpoints.next:
            self._checkpoints.compare(self._records.seq, self._root_at)

    def _root_at(self, size: int) -> bytes | None:
        tree = self._records.tree
        if tree is not None and tree.size == size:
            return tree.root()
        if size > self._first:
            return None
        return _kept_root(size, self._subtree)

    def _report(self, finding: Finding) -> None:
        self._faults += finding.fault
        if finding.fault and self._faults > MOST_FINDINGS and finding.kind is not Kind.SEGMENT:
            self._untold += 1
        else:
            self._findings.append(finding)


def _kept_root(size: int, subtree: SubtreeHash) -> bytes | None:
    try:
        return root_hash(size, subtree)
    except (MissingHash, BadTile, OSError):
        return None


def _coverage(log: str, checkpoints: CheckpointCheck, size: int) -> list[Finding]:
    """Return which records are covered by checkpoints that nobody can have made anew, and which are not."""
    found = []
    covered, signed = checkpoints.covered, checkpoints.signed
    if covered:
        words = f"{span(0, covered - 1)}: covered by a checkpoint that was kept elsewhere"
        found.append(Finding(kind=Kind.COVERAGE, log=log, words=words, first=0, last=covered - 1))
    if covered < size:
        words = (
            f"{span(covered, size - 1)}: covered by no checkpoint that was kept elsewhere;"
            " whoever has the files and the key can have rewritten them"
        )
        if signed > covered:
            words += f" (the log itself has signed the first {signed} records)"
        found.append(Finding(kind=Kind.COVERAGE, log=log, words=words, first=covered, last=size - 1))
    return found
