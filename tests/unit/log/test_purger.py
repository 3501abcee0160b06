# SPDX-License-Identifier: EUPL-1.2
"""Old records are purged hour by hour: announced first, by whoever is alone, and never what is held or still written."""

import asyncio
import errno
import fcntl
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from tests.clocks import MovedClock
from tests.unit.log.folders import NOON, draft
from tests.unit.log.reader.serving import Served, asking, eventually, run, serving
from vault.framework.clock import Entropy
from vault.framework.errors import Busy, Unavailable
from vault.framework.telemetry.log import Log
from vault.log import purger
from vault.log.common_log import CommonLog
from vault.log.format.note_key import Verifier
from vault.log.format.segment import list_segments
from vault.log.format.trust import Trust
from vault.log.format.verify import verify_folder
from vault.log.purger import LOCK, Purger
from vault.log.reader.client import LogReader
from vault.log.reader.messages import ListSegments, Refused
from vault.log.recovery import open_log
from vault.log.retention import Hold, Retention
from vault.log.writer import LogLimits
from vault.values.times import DAY, HOUR, Nanos

_SECOND = 1_000_000_000
_KEPT = Retention(least=10 * DAY, most=30 * DAY)


class Site:
    """A log with a segment a day, which is written, read and purged."""

    def __init__(self, folder: Path, served: Served, reader: LogReader) -> None:
        self.folder, self.served, self.reader = folder, served, reader
        self.clock = MovedClock(NOON)
        self.holds: dict[str, Hold] = {}
        self.refuses = False
        self.said = StringIO()
        self.log = Log(stream=self.said, clock=self.clock)
        self.common = self.another()
        self.purger = self.purges()

    def another(self) -> CommonLog:
        """The log of one process more."""
        opened = open_log(
            self.folder, LogLimits(), Entropy(), nanos=self.clock.nanos, monotonic=self.clock.monotonic()
        )
        made = CommonLog(opened, origin="test", clock=self.clock, entropy=Entropy(), log=self.log, status={})
        made.checkpoints.use(bytes(32))
        return made

    def purges(self, kept: Retention = _KEPT, common: CommonLog | None = None) -> Purger:
        async def holds() -> Mapping[str, Hold]:
            return self.holds

        return Purger(
            common or self.common,
            self.reader,
            self if common is None else _Own(common),
            holds,
            kept,
            self.clock,
            self.log,
            segment_age=float(DAY),
        )

    def notice(self, event: str, said: Mapping[str, object], outcome: str = "success") -> bool:
        """Write a notice, as the broker does."""
        if not self.refuses:
            self.common.write(self.common.notice(event, said, outcome), self.clock.monotonic())
        return not self.refuses

    async def live(self, days: int, common: CommonLog | None = None) -> None:
        """Write ten records a day, and have all that ended closed."""
        written = common or self.common
        for _ in range(days):
            for _ in range(10):
                written.write(written.writer.chain.append(draft()), self.clock.monotonic())
            await written.checkpoints.sign()
            self.clock.sleep(DAY)
        await self.closed()

    async def closed(self) -> None:
        """Wait until everything that ended is closed."""
        await eventually(
            lambda: all(
                segment.closed and not segment.path(".jsonl").exists()
                for log in self.logs()
                for segment in list_segments(self.folder / log)[:-1]
            )
        )

    def logs(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir() if path.is_dir())

    def firsts(self, log: str = "") -> list[int]:
        """The first records of a log's segments."""
        return [segment.first for segment in list_segments(self.folder / (log or self.common.id))]

    def notices(self) -> list[Any]:
        """What the notices of purges say."""
        lines = [
            json.loads(line)
            for segment in list_segments(self.folder / self.common.id)
            for line in segment.lines()
        ]
        return [line["fields"] for line in lines if line["event_name"] == "esa.log.purge"]

    def faults(self) -> list[str]:
        keys = [Verifier.parse(self.common.checkpoints.key_of(log)) for log in self.logs()]
        held = [
            stored.note.encode()
            for segment in list_segments(self.folder / self.common.id)
            for stored in segment.checkpoints()
        ]
        return [*map(str, verify_folder(self.folder, Trust(keys=tuple(keys)), held).faults)]


class _Own:
    """Writes notices to the log of another process."""

    def __init__(self, common: CommonLog) -> None:
        self._common = common

    def notice(self, event: str, said: Mapping[str, object], outcome: str = "success") -> bool:
        self._common.write(self._common.notice(event, said, outcome), 0.0)
        return True


@asynccontextmanager
async def _site(folder: Path) -> AsyncIterator[Site]:
    async with serving(folder) as served, asking(folder) as reader:
        site = Site(folder, served, reader)
        yield site
        site.common.close()


def test_what_is_older_than_the_retention_is_gone_within_the_hour_and_the_log_says_so(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with _site(tmp_path) as site:
            await site.live(34)
            root = (await _segments(site))[4].root
            await site.purger.work()
            assert site.firsts()[0] == 50
            (said,) = site.notices()
            assert {**said, "checkpoint": ""} == {
                "checkpoint": "", "first": 0, "last": 49, "log": site.common.id, "root": root,
            }  # fmt: skip
            assert said["checkpoint"].split("\n")[1:3] == ["50", root]
            assert site.faults() == []
            site.clock.sleep(HOUR // 2)
            await site.purger.work()
            assert len(site.notices()) == 1
            site.clock.sleep(DAY)
            await site.purger.work()
            assert site.firsts()[0] == 60
            assert site.faults() == []

    run(scenario())


async def _segments(site: Site) -> Any:
    return (await site.reader.segments(ListSegments(log=site.common.id))).segments


def test_a_log_of_many_segments_is_purged_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purger, "SEGMENTS", 5)

    async def scenario() -> None:
        async with _site(tmp_path) as site:
            await site.live(40)
            purged, held = await site.purger.purge(Nanos(NOON + 11 * DAY * _SECOND))
            assert [(one.first, one.last, one.segments) for one in purged] == [
                *((0, 39, 4), (40, 79, 4), (80, 109, 3))
            ]
            assert ([said["last"] for said in site.notices()], held) == ([39, 79, 109], [])
            site.holds["h"] = Hold(
                made=Nanos(0), begins=Nanos(NOON + 16 * DAY * _SECOND), ends=Nanos(0), reason=""
            )
            purged, held = await site.purger.purge(Nanos(NOON + 20 * DAY * _SECOND))
            assert [(one.first, one.last) for one in purged] == [(110, 149), (150, 159)]
            assert [(one.first, one.holds) for one in held] == [(160, ["h"])]
            assert site.faults() == []

    run(scenario())


def test_without_an_upper_bound_nothing_goes(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with _site(tmp_path) as site:
            await site.live(5)
            site.clock.sleep(1000 * DAY)
            await site.purges(Retention(least=5)).work()
            assert site.firsts() == [0, 10, 20, 30, 40]

    run(scenario())


def test_a_hold_beats_the_retention_until_it_ends(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with _site(tmp_path) as site:
            await site.live(40)
            began = Nanos(NOON + 2 * DAY * _SECOND)
            site.holds["case-7"] = Hold(made=NOON, begins=began, ends=Nanos(began + _SECOND))
            await site.purger.work()
            assert site.firsts()[0] == 20
            purged, held = await site.purger.purge(Nanos(NOON + 20 * DAY * _SECOND))
            assert (purged, held[0].first, held[0].holds) == ([], 20, ["case-7"])
            site.holds.clear()
            purged, held = await site.purger.purge(Nanos(NOON + 20 * DAY * _SECOND))
            assert [(one.first, one.last, one.segments) for one in purged] == [(20, 199, 18)]
            assert held == []
            assert site.faults() == []

    run(scenario())


def test_nothing_is_purged_that_the_log_does_not_say(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with _site(tmp_path) as site:
            await site.live(5)
            site.refuses = True
            with pytest.raises(Unavailable):
                await site.purger.purge(site.clock.nanos())
            site.refuses = False
            site.common.checkpoints.use(None)  # it is sealed
            with pytest.raises(Unavailable):
                await site.purger.purge(site.clock.nanos())
            assert site.firsts()[0] == 0

    run(scenario())


def test_what_failed_is_told_and_tried_again_before_the_hour_is_over(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with _site(tmp_path) as site:
            await site.live(40)
            site.refuses = True
            await site.purger.work()
            assert "it will be tried again" in site.said.getvalue()
            site.refuses = False
            await site.purger.work()
            assert site.firsts()[0] == 110

    run(scenario())


def test_nothing_goes_that_no_hash_tiles_stand_for_and_the_server_log_says_why(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with _site(tmp_path) as site:
            await site.live(60)
            tile = tmp_path / site.common.id / "tile/0/000"
            content = tile.read_bytes()
            tile.unlink()
            await site.purger.work()
            assert "hash tiles do not stand for these records: tile/0/000 is lost" in site.said.getvalue()
            assert (site.firsts()[0], site.notices()) == (0, [])
            tile.write_bytes(content)
            await site.purger.work()
            assert site.firsts()[0] == 310
            assert site.faults() == []

    run(scenario())


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ("tile/0/000", "nothing is purged, as hash tiles do not stand for these records: tile/0/000 is lost"),
        (f"{10:020}.jsonl.gz", "nothing is purged from record 10 on: record 10: "),
    ],
)
def test_a_log_that_cannot_be_purged_is_named_and_stops_no_other(
    tmp_path: Path, broken: str, why: str
) -> None:
    async def scenario() -> None:
        async with _site(tmp_path) as site:
            other = site.another()
            for common in (site.common, other):
                await site.live(40, common)
            first, last = site.logs()
            (tmp_path / first / broken).write_bytes(b"junk")
            if "tile" not in broken:  # one that is lost is made anew with the index
                site.served.folder.rebuild()
                await site.served.settled(
                    lambda status: len(status.logs) == 2 and bool(status.logs[0].damage)
                )
                await site.served.settled(lambda status: not status.logs[1].behind)
            with pytest.raises(Refused) as refused:
                await site.purger.purge(Nanos(site.clock.nanos() - 10 * DAY * _SECOND))
            assert refused.value.refusal.kind == "damaged"
            assert refused.value.refusal.text.startswith(f"{first}: {why}")
            assert " segments were purged all the same, as the log says" in refused.value.refusal.text
            assert (site.firsts(first)[0], site.firsts(last)[0] >= 300) == (0, True)
            other.close()

    run(scenario())


def test_one_process_purges_at_a_time(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with _site(tmp_path) as site:
            await site.live(40)
            lock = os.open(tmp_path / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX)
            with pytest.raises(Busy):
                await site.purger.purge(site.clock.nanos())
            await site.purger.work()
            assert (site.firsts()[0], site.said.getvalue()) == (0, "")
            os.close(lock)
            before = Nanos(NOON + 20 * DAY * _SECOND)
            answers = await asyncio.gather(*(site.purger.purge(before) for _ in range(3)))
            assert [len(purged) for purged, _ in answers] == [1, 0, 0]
            assert len(site.notices()) == 1

    run(scenario())


def test_logs_that_nobody_writes_any_more_are_purged_too(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with _site(tmp_path) as site:
            other = site.another()
            await site.live(3, other)
            other.close()
            assert site.firsts(other.id) == [0, 10, 20]
            await site.live(40)
            await site.purger.work()
            assert site.firsts(other.id) in ([20, 30], [30])  # the reader may have closed it in time
            await site.closed()
            site.clock.sleep(HOUR)
            await site.purger.work()
            assert site.firsts(other.id) == [30]
            assert site.faults() == []
            again = site.another()
            assert (again.id, again.lost) == (other.id, "")
            await site.live(2, again)
            assert site.faults() == []
            again.close()

    run(scenario())


def test_a_segment_that_is_written_for_too_long_ends(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with _site(tmp_path) as site:
            await site.live(1)
            for _ in range(
                3
            ):  # a server that is started again twice a day begins no segment by its own clock
                site.common.close()
                site.common = site.another()
                site.purger = site.purges()
                site.common.write(site.common.writer.chain.append(draft()), 0.0)
                site.clock.sleep(DAY // 2)
            assert site.firsts() == [0]
            await site.purger.work()
            site.common.write(site.common.writer.chain.append(draft()), 0.0)
            assert site.firsts() == [0, 13]

    run(scenario())


def test_of_a_server_that_lives_and_is_asked_nothing_nothing_stays_beyond_the_retention(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        async with _site(tmp_path) as site:
            other = site.another()
            for common in (site.common, other):
                await site.live(3, common)
            purgers = [site.purger, site.purges(common=other)]
            site.clock.sleep(40 * DAY)
            for _ in range(2):  # the log reader closes what ended before one of these comes
                for purger in purgers:
                    await purger.work()
                await site.closed()
                site.clock.sleep(HOUR)
            assert (site.firsts()[0], site.firsts(other.id)[0]) == (30, 30)
            assert site.said.getvalue() == ""
            assert site.faults() == []
            await site.live(2, other)
            assert site.firsts(other.id)[0] == 30
            assert site.faults() == []
            other.close()
            again = site.another()
            assert (again.id, again.lost) == (other.id, "")
            again.close()

    run(scenario())


def test_what_is_not_signed_yet_is_signed_before_its_segment_ends(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with _site(tmp_path) as site:
            for _ in range(10):
                site.common.write(site.common.writer.chain.append(draft()), 0.0)
            site.clock.sleep(2 * DAY)
            await site.purger.work()
            await site.closed()
            (ended, _) = list_segments(tmp_path / site.common.id)
            assert [stored.note.splitlines()[1] for stored in ended.checkpoints()] == ["10"]
            assert ended.manifest().checkpoint.splitlines()[1] == "10"
            await site.common.checkpoints.sign()
            assert site.faults() == []

    run(scenario())


def test_a_segment_that_cannot_begin_on_a_full_disk_does_so_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def full(path: Path | str, flags: int, mode: int = 0o777) -> int:
        if str(path).endswith(f"{10:020}.jsonl") and flags & os.O_CREAT:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(path, flags, mode)

    async def scenario() -> None:
        async with _site(tmp_path) as site:
            await site.live(1)
            site.clock.sleep(DAY)
            with monkeypatch.context() as patched:
                patched.setattr(os, "open", full)
                await site.purger.work()
            assert "it will be tried again" in site.said.getvalue()
            assert "No space left" in site.said.getvalue()
            site.common.write(site.common.writer.chain.append(draft()), site.clock.monotonic())
            await site.common.checkpoints.sign()
            assert site.firsts() == [0, 10]
            assert site.faults() == []

    run(scenario())


def test_the_log_of_another_node_is_left_alone(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with _site(tmp_path) as site:
            await site.live(40)
            node = tmp_path / "node"
            node.write_text("00000000\n" if site.common.id[:8] != "00000000" else "00000001\n")
            other = site.another()
            await site.live(3, other)
            other.close()
            await site.purger.work()
            assert site.firsts(other.id)[0] == 0
            purged, _ = await site.purger.purge(site.clock.nanos())
            assert [one.log for one in purged] == [site.common.id] * bool(purged)
            assert site.firsts(other.id)[0] == 0

    run(scenario())
