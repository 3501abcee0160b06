# SPDX-License-Identifier: EUPL-1.2
"""All logs of a folder: finds them, lets each take its records in turn, and has their ended segments closed.

Everything happens on one event loop in slices of a millisecond or two, so that no search, tail or log waits for another
for longer, and no two threads ever see half of something. What blocks for longer than that, compressing and syncing,
is done in one thread beside it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

from vault.log.format.segment import SEGMENT, STATE, BadSegment, Segment, list_logs
from vault.log.reader.closing import EndedSegment, can_close, close_segment, finish_closing
from vault.log.reader.follower import FollowedLog
from vault.log.reader.index.store import Index, IndexDamaged, IndexFull
from vault.log.reader.lines import Lines, SegmentGone
from vault.log.reader.messages import Follow, LogStatus, Purge, PurgeResult, ReaderStatus, Refused
from vault.log.reader.purging import (
    leaves_to_keep,
    oldest_closed,
    purge_segments,
    remove_remains,
    require_tiles,
)
from vault.log.reader.tail import wakes

_SCAN_SECONDS: Final = 1.0
"""How often new logs, and segments that were purged, are looked for."""
_BUSY_SECONDS: Final = 0.02
"""How soon records are looked for again while somebody waits for them."""
_ASKED_SECONDS: Final = 0.1
"""How soon while somebody asks now and then."""
_LATELY: Final = 10.0
"""Seconds for which that counts."""
CATCHING_UP_SECONDS: Final = 0.5
"""How long a question waits for what is written, and not yet indexed."""
GATHER_SECONDS: Final = 1.0
"""How soon while nobody asks: as often as the server signs. Looking for few costs more than taking them: caches are cold."""
_CLOSING_SECONDS: Final = 0.1
"""How soon it is looked again whether a segment can be closed."""
_UNCOPIED_BLOCKS: Final = 64
"""Blocks after which the index is copied back: about 16 MiB."""
_TROUBLED_SECONDS: Final = 1.0
"""How soon it is tried again what failed, as on a full disk."""


class LogFolder:
    """The logs of one folder, as they are indexed."""

    def __init__(self, folder: Path, now: Callable[[], float], gather: float = GATHER_SECONDS) -> None:
        """Open the index, or make it anew where it cannot be used. `now` counts seconds. Raises `OSError`, `IndexFull`.

        Records are taken after so many seconds of gathering, unless somebody asks.
        """
        self.folder: Final = folder
        self.lines: Final = Lines(folder)
        self._logs: dict[str, FollowedLog] = {}
        self._gather = gather
        self._asked, self._asked_at = asyncio.Event(), float("-inf")
        self._looked, self._looking = float("-inf"), asyncio.Event()
        """When a look at all logs began that found nothing more to do, and what the end of the next one sets."""
        self.rebuilds = 0
        self._trouble = ""
        self._troubles: dict[str, str] = {}
        """By log why it is left alone until it is looked at again."""
        self._now = now
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="closing")
        self._copier = ThreadPoolExecutor(max_workers=1, thread_name_prefix="copying")
        self._chores: set[asyncio.Task[None]] = set()
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self._woken: dict[str, int] = {}
        self._live: set[str] = set()
        """Logs that may have more: of each worker the newest, and those that were not read to their end."""
        self._newest: set[str] = set()
        self._seen: dict[str, tuple[int, int, bool]] = {}
        """By log when files came or went, the size of its newest segment, and whether it is looked at once more."""
        self._scanned = float("-inf")
        self._caught_up = False
        self._copying = False
        try:
            self._index = Index(folder)
        except IndexDamaged:
            Index.remove(folder)
            self._index = Index(folder)
            self.rebuilds = 1

    @property
    def logs(self) -> Mapping[str, FollowedLog]:
        """The logs as they are indexed, by name."""
        return self._logs

    async def run(self) -> None:
        """Follow all logs until it is cancelled."""
        while True:
            began = self._now()
            try:
                busy = await self._round()
                if not busy:
                    self._looked = began
                    self._looking.set()
                    self._looking = asyncio.Event()
                self._caught_up = self._caught_up or not busy
                self._trouble = ""
            except IndexDamaged:
                self.rebuild()
            except (OSError, IndexFull) as error:
                self._trouble = _told(error)
                await asyncio.sleep(_TROUBLED_SECONDS)
            else:
                await self._rest(busy=busy)

    async def catch_up(self) -> None:
        """Return once what was written a tenth of a second ago is indexed, or after a moment: answers say how far they reach."""
        due = self._now() - _ASKED_SECONDS
        self.wake()
        with suppress(TimeoutError):
            async with asyncio.timeout(CATCHING_UP_SECONDS):
                while self._looked < due:
                    self._asked.set()
                    await self._looking.wait()

    def wake(self) -> None:
        """Have new records looked for at once, and often for a while: somebody asks."""
        self._asked_at = self._now()
        self._asked.set()

    async def _rest(self, *, busy: bool) -> None:
        """Let records gather, for as long as nobody would miss them."""
        if busy:
            await asyncio.sleep(0)
        elif self._waiting:
            await asyncio.sleep(_BUSY_SECONDS)
        elif self._now() - self._asked_at < _LATELY:
            await asyncio.sleep(_ASKED_SECONDS)
        else:
            self._asked.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._gather):
                    await self._asked.wait()

    async def close(self) -> None:
        """End the thread, once it is through with the segment that it closes, and close the files."""
        for chore in self._chores:
            chore.cancel()
        self._thread.shutdown(cancel_futures=True)
        self._copier.shutdown(cancel_futures=True)
        self._index.close()
        self.lines.close()

    def rebuild(self) -> None:
        """Throw the index away, and begin again with the segments."""
        self._index.close()
        Index.remove(self.folder)
        self._index = Index(self.folder)
        self._logs.clear()
        self._seen.clear()
        self._scanned = float("-inf")
        self._caught_up = False
        self.rebuilds += 1

    async def wait(self, ask: Follow) -> None:
        """Return when a tail is to be answered: when it has what it waits for, or its time is over."""
        loop = asyncio.get_running_loop()
        until = self._now() + ask.wait
        self.wake()
        while (left := until - self._now()) > 0:
            log = self._logs.get(ask.log)
            if log is not None and wakes(log, ask):
                return
            future = loop.create_future()
            self._waiting.setdefault(ask.log, set()).add(future)
            try:
                with suppress(TimeoutError):
                    async with asyncio.timeout(left):
                        await future
            finally:
                self._waiting[ask.log].discard(future)
                if not self._waiting[ask.log]:
                    del self._waiting[ask.log]

    async def purge(self, log: FollowedLog, ask: Purge) -> PurgeResult:
        """Remove the oldest segments of a log, up to a record, and forget them. Raises `Refused`, `OSError`, `IndexFull`."""
        loop = asyncio.get_running_loop()
        segments = await loop.run_in_executor(self._thread, partial(oldest_closed, log.folder, ask.through))
        if not segments:
            return PurgeResult(segments=0)
        if segments[-1].last >= log.next:
            if log.damage:  # which is indexed no further, however often it is asked
                raise Refused("damaged", f"nothing is purged from record {log.next} on: {log.damage}")
            raise Refused("busy", "these records are not indexed yet; ask again")
        first, last = segments[0].first, segments[-1].last
        await loop.run_in_executor(self._thread, partial(require_tiles, log.folder, first, last))
        leaves = leaves_to_keep(log.tree, segments[-1])
        if ask.rehearse:
            return PurgeResult(segments=len(segments))
        await loop.run_in_executor(self._thread, partial(purge_segments, log.folder, segments, leaves))
        await self._look(log.name)
        self._copy_back()
        return PurgeResult(segments=len(segments))

    @property
    def trouble(self) -> str:
        """What keeps it from going on at present; empty where nothing does."""
        troubles = (
            [self._trouble] if self._trouble else [f"{name}: {why}" for name, why in self._troubles.items()]
        )
        return f"the log reader cannot go on: {'; '.join(troubles)}" if troubles else ""

    def status(self) -> ReaderStatus:
        """Return how it is."""
        logs = tuple(_status(log) for _, log in sorted(self._logs.items()))
        done = sum(log.indexed_through + 1 - log.first for log in logs)
        return ReaderStatus(
            logs=logs,
            index_bytes=self._index.size,
            rebuilding=not self._caught_up,
            done=done,
            total=done + sum(log.behind for log in logs),
            rebuilds=self.rebuilds,
            trouble=self.trouble,
        )

    async def _round(self) -> bool:
        """Let each log that may have more take some records. Return whether there is more to do at once."""
        if self._now() - self._scanned >= _SCAN_SECONDS:
            self._scanned = self._now()
            self._troubles.clear()
            for name in self._scan():
                with self._noting(name):
                    await self._look(name)
            if self._index.uncopied >= _UNCOPIED_BLOCKS:
                self._copy_back()
        busy = False
        for name in [*self._live - self._troubles.keys()]:
            log = self._logs.get(name)
            if log is None:
                continue
            with self._noting(name):
                if log.step():
                    busy = True
                    await asyncio.sleep(0)
                elif name not in self._newest:
                    self._live.discard(name)
            self._wake(log)
        return busy

    @contextmanager
    def _noting(self, name: str) -> Iterator[None]:
        """Leave a log alone for a while whose files cannot be read or written: others go on."""
        try:
            yield
        except OSError as error:
            self._troubles[name] = error.strerror or type(error).__name__
            self._seen.pop(name, None)

    def _scan(self) -> list[str]:
        """Return the logs that are to be looked at: those that are new, and those in which files came or went.

        These are looked at a second time: what came in the same tick of the file system's clock shows in no time.
        """
        ids = list_logs(self.folder)
        self._newest = {str(id) for id in {(id.node, id.worker): id for id in ids}.values()}
        self._live |= self._newest
        for name in self._logs.keys() - {str(id) for id in ids}:
            del self._logs[name]
            self._live.discard(name)
            self._seen.pop(name, None)
        found = []
        for name in map(str, ids):
            changed, size, again = self._seen.get(name, (-1, -1, False))
            changed_now, size_now = self._state_of(name)
            if size_now != size:
                self._live.add(name)
            if changed_now != changed or again:
                found.append(name)
            self._seen[name] = changed_now, size_now, changed_now != changed
        return found

    def _state_of(self, name: str) -> tuple[int, int]:
        """Return when files of a log came or went last, and the size of its newest segment."""
        folder = self.folder / name
        newest = next(reversed(self._logs[name].segments), 0) if name in self._logs else 0
        changed = size = 0
        with suppress(FileNotFoundError):
            changed = folder.stat().st_mtime_ns
            size = Segment(folder, newest).path(SEGMENT).stat().st_size
        return changed, size

    async def _look(self, name: str) -> None:
        log = self._logs.get(name)
        if log is None:
            log = FollowedLog(name, self.folder, self.lines, self._index, self._close_segment)
            self._logs[name] = log
            self._finish_closing(log)
            remove_remains(log.folder)
        else:
            log.look_again()
        self._live.add(name)
        await asyncio.sleep(0)

    def _wake(self, log: FollowedLog) -> None:
        if log.waking != self._woken.get(log.name) or log.damage:
            self._woken[log.name] = log.waking
            for future in self._waiting.get(log.name, ()):
                if not future.done():
                    future.set_result(None)

    # ------------------------------------------------------------------------------------------ in the thread
    def _close_segment(self, ended: EndedSegment) -> None:
        self._begin(self._closing(ended))

    async def _closing(self, ended: EndedSegment) -> None:
        """Have a segment closed, as soon as that can be done."""
        loop = asyncio.get_running_loop()
        while True:
            if not can_close(self.folder / ended.log, ended.last + 1):
                await asyncio.sleep(_CLOSING_SECONDS)
                continue
            try:
                manifest = await loop.run_in_executor(
                    self._thread, partial(close_segment, self.folder / ended.log, ended)
                )
                break
            except SegmentGone:
                return  # it was purged
            except BadSegment as error:
                if ended.log in self._logs:
                    self._logs[ended.log].unclosed = str(error)
                return
            except OSError as error:
                self._troubles[f"closing a segment of {ended.log}"] = _told(error)
                await asyncio.sleep(_TROUBLED_SECONDS)
        log = self._logs.get(ended.log)
        if log is not None:
            with suppress(IndexFull, IndexDamaged):  # the next step meets it as well
                log.closed(ended.first, manifest.sha256)
        self._copy_back()

    def _copy_back(self) -> None:
        """Have what was written to the index copied into its file, unless that is under way."""
        if not self._copying:
            self._copying = True
            self._index.uncopied = 0
            self._begin(self._copying_back())

    async def _copying_back(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            with suppress(IndexFull, IndexDamaged):  # whoever uses the index meets it as well
                await loop.run_in_executor(self._copier, partial(Index.copy_back, self.folder))
        finally:
            self._copying = False

    def _finish_closing(self, log: FollowedLog) -> None:
        """Remove what is left of segments that were closed when somebody ended this process."""
        for first, closed in log.segments.items():
            left = (Segment(log.folder, first).path(kind) for kind in (SEGMENT, STATE))
            if closed and any(path.exists() for path in left):
                finish_closing(log.folder, first)

    def _begin(self, chore: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(chore)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)


def _status(log: FollowedLog) -> LogStatus:
    return LogStatus(
        log=log.name,
        first=log.first,
        indexed_through=log.next - 1,
        segments=len(log.segments),
        behind=log.behind,
        behind_bytes=log.behind_bytes,
        observed=log.observed,
        proofs=log.tree.whole,
        bytes=log.stored_bytes,
        damage=log.damage or log.unclosed,
    )


def _told(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
