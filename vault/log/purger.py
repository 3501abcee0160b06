# SPDX-License-Identifier: EUPL-1.2
"""Purges what is older than the retention: every hour, and when it is asked for.

1. Find the segments that are to go; the log reader makes sure that hash tiles stand for them.
2. Say so in the log of this process, and have that on the disk.
3. Have the log reader remove them.

Ended between any two of these it is done again from the beginning: the log may announce a purge twice, and nothing is
ever gone unannounced. One process of a server purges at a time, the logs of all.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from vault.framework.clock import Clock, parse_rfc3339_whole
from vault.framework.concurrency.offload import Pool
from vault.framework.errors import Busy, Unavailable
from vault.framework.telemetry.log import Log
from vault.log.common_log import CommonLog, Notices
from vault.log.format.segment import BadSegment, LogId, Segment
from vault.log.reader.client import LogReader, LogReaderAway
from vault.log.reader.messages import MOST_SEGMENTS, ListSegments, Purge, Refused, SegmentEntry
from vault.log.recovery import end_idle_segments
from vault.log.retention import Hold, Retention, plan
from vault.values.times import HOUR, Nanos, nanos_after, nanos_of

LOCK: Final = "purge.lock"
SEGMENTS: Final = MOST_SEGMENTS
"""Segments of a log that are looked at together: a notice for those of them that go."""
_SECONDS: Final = 20.0
"""How long background work waits for a purge; what is left is done the next time."""
_OWN: Final = ("", "")
"""Whose work it is: the server's own."""
_LONGEST_NOTE: Final = 16_384
"""Characters of the longest checkpoint that a record repeats."""

Holds = Callable[[], Awaitable[Mapping[str, Hold]]]
"""Reads all holds. Raises `BarrierSealed`."""


class PurgedPart(msgspec.Struct, frozen=True, kw_only=True):
    """What was purged of one log: the records from `first` to `last`."""

    log: str
    first: int
    last: int
    segments: int


class HeldPart(msgspec.Struct, frozen=True, kw_only=True):
    """The first record of a log that a purge would have taken but for these holds."""

    log: str
    first: int
    holds: Sequence[str]


class Purger:
    """Purges the logs of this server's node."""

    def __init__(
        self,
        common: CommonLog,
        reader: LogReader,
        notices: Notices,
        holds: Holds,
        retention: Retention,
        clock: Clock,
        log: Log,
        *,
        segment_age: float,
    ) -> None:
        """`segment_age` is in seconds: after that the newest segment of a log ends, whoever wrote it."""
        self._common, self._reader, self._notices = common, reader, notices
        self.holds: Final = holds
        self.retention: Final = retention
        self._clock, self._log = clock, log
        self._segment_age = segment_age
        self._folder: Final = common.writer.folder.parent
        self._turn = asyncio.Lock()
        self._pool = Pool(threads=1, name="retention")
        self._done = Nanos(0)
        """When all that was due was purged last."""

    async def work(self) -> None:
        """Purge what is too old, unless that was done within the last hour. Raises `BarrierSealed`."""
        now = self._clock.nanos()
        if not self.retention.most or self._done <= now < nanos_after(self._done, HOUR):
            return
        try:
            async with asyncio.timeout(_SECONDS):
                await self._end_old_segments(now)
                await self.purge(self.retention.expired(now))
        except (LogReaderAway, Refused, Unavailable, OSError, TimeoutError) as failure:
            said = getattr(failure, "strerror", None) or str(failure) or type(failure).__name__
            self._log.failure("audit", "the log was not purged; it will be tried again", error=said)
        except Busy:
            pass  # another process does it
        else:
            self._done = now

    async def purge(self, before: Nanos) -> tuple[list[PurgedPart], list[HeldPart]]:
        """Purge all segments of records of before a time, and tell what went and what was held.

        A log of which nothing can be purged stops no other; why it cannot is raised once all were tried, and names it.
        Raises `LogReaderAway`, `Refused`, `Busy` while another process does it, `Unavailable` where the log does not take
        the notice, `OSError`, `BarrierSealed`.
        """
        node = LogId.parse(self._common.id).node
        purged: list[PurgedPart] = []
        held: list[HeldPart] = []
        failures: list[_Failure] = []
        async with self._turn:
            with _alone(self._folder):
                for log in [one.log for one in (await self._reader.status()).logs]:
                    if LogId.parse(log).node == node:
                        try:
                            while await self._purge_some(log, before, purged, held):
                                pass
                        except (Refused, OSError) as failure:
                            failures.append(_Failure(log, failure))
        if failures:
            raise failures[0].told(sum(part.segments for part in purged), len(failures) - 1)
        return purged, held

    async def _purge_some(
        self, log: str, before: Nanos, purged: list[PurgedPart], held: list[HeldPart]
    ) -> bool:
        """Purge some of the oldest segments of a log. Return whether the next ones are to be looked at too."""
        page = await self._reader.segments(ListSegments(log=log, limit=SEGMENTS))
        segments, gone = page.segments, 0
        cut = plan(segments, before, await self.holds())
        if cut.segments:
            # 1.
            first, last = cut.segments[0].first, cut.segments[-1].last
            await self._reader.purge(Purge(log=log, through=last, rehearse=True))
            # 2.
            await self._announce(log, cut.segments)
            # 3.
            gone = (await self._reader.purge(Purge(log=log, through=last))).segments
            purged.append(PurgedPart(log=log, first=first, last=last, segments=len(cut.segments)))
        if cut.holds:
            held.append(HeldPart(log=log, first=segments[len(cut.segments)].first, holds=cut.holds))
        return page.next is not None and gone == len(segments) - 1

    async def _announce(self, log: str, segments: Sequence[SegmentEntry]) -> None:
        """Have it in the log, on the disk and under a checkpoint, that segments go. Raises `Unavailable`, `OSError`."""
        last, checkpoints = segments[-1], self._common.checkpoints
        said = {
            "checkpoint": last.checkpoint if len(last.checkpoint) <= _LONGEST_NOTE else "",
            "first": segments[0].first,
            "last": last.last,
            "log": log,
            "root": last.root,
        }
        taken = self._notices.notice("esa.log.purge", said)
        size = self._common.writer.chain.written
        if taken:
            await checkpoints.sign()
        if not taken or checkpoints.signed < size:
            raise Unavailable("nothing is purged: the log does not take the notice of it")

    async def _end_old_segments(self, now: Nanos) -> None:
        """Have every newest segment end that began too long ago: only what ended is purged."""
        writer = self._common.writer
        before = Nanos(now - nanos_of(self._segment_age))
        if _began(writer.folder, writer.segment) < before:
            # Records are on the disk, and under a checkpoint beside them, before there is a segment behind them.
            await self._common.checkpoints.sign()
            writer.end_segment(self._clock.monotonic())
            # Nothing more may be written for long, and it is not closed before it is stored where the next one begins.
            await self._pool.run(_OWN, writer.sync, owed=True)
        work = partial(end_idle_segments, self._folder, self._common.id, before, self._clock.nanos)
        await self._pool.run(_OWN, work, owed=True)


class _Failure:
    """Why a log could not be purged."""

    def __init__(self, log: str, failure: Refused | OSError) -> None:
        self._log, self._failure = log, failure

    def told(self, purged: int, others: int) -> Refused | OSError:
        """Return what to raise: it names the log, how many segments were purged, and how many other logs could not be."""
        failure = self._failure
        why = failure.refusal.text if isinstance(failure, Refused) else failure.strerror
        further = f"; {others} other logs could not be purged either" if others else ""
        done = f"; {purged} segments were purged all the same, as the log says" if purged else ""
        text = f"{self._log}: {why or type(failure).__name__}{further}{done}"
        return (
            Refused(failure.refusal.kind, text)
            if isinstance(failure, Refused)
            else OSError(failure.errno, text)
        )


def _began(folder: Path, first: int) -> Nanos:
    """Return when the first record of a segment was made; never, where it has none."""
    try:
        line = next(Segment(folder, first).lines(), b"")
        return parse_rfc3339_whole(msgspec.json.decode(line, type=_Record).observed_timestamp)
    except (BadSegment, msgspec.MsgspecError, ValueError):
        return Nanos(1 << 62)


class _Record(msgspec.Struct):
    observed_timestamp: str


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Be the only process that purges the logs of a folder. Raises `Busy`, `OSError`."""
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise Busy("another process of this server purges the log now; try again") from None
    finally:
        os.close(lock)
