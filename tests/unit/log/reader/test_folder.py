# SPDX-License-Identifier: EUPL-1.2
"""All logs of a folder are followed, whenever they come, and their ended segments closed."""

import asyncio
import os
import sqlite3
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from tests.unit.log.reader.serving import eventually, following, run, through
from tests.unit.log.reader.written import LOG, WrittenLog, record
from vault.log.reader import folder as folder_module
from vault.log.reader.folder import LogFolder
from vault.log.reader.index.store import FILE
from vault.log.reader.messages import Follow, ReaderStatus, Search
from vault.log.reader.search import Page
from vault.log.reader.tail import follow
from vault.values.times import Nanos

_OTHER = "01234567-1-1"


def _closed(log: WrittenLog, *firsts: int) -> Callable[[ReaderStatus], bool]:
    def so(_: ReaderStatus) -> bool:
        return all(
            (log.folder / f"{first:020}.manifest").exists()
            and not (log.folder / f"{first:020}.jsonl").exists()
            for first in firsts
        )

    return so


def _ended(folder: Path, count: int, records: int) -> WrittenLog:
    """Write a log of some segments that have ended, with some records each."""
    log = WrittenLog(folder)
    for _ in range(count):
        log.write(*[record()] * records)
        log.next_segment()
    return log


def _purge_first(log: WrittenLog) -> None:
    for kind in (".jsonl.gz", ".manifest"):
        (log.folder / f"{0:020}{kind}").unlink()


@asynccontextmanager
async def _gathering(tmp_path: Path) -> AsyncIterator[tuple[WrittenLog, LogFolder]]:
    """Follow a log that has one record, and takes no more unless somebody asks."""
    log = WrittenLog(tmp_path, LOG)
    log.write(record())
    folder = LogFolder(tmp_path, time.monotonic, gather=3600.0)
    following = asyncio.get_running_loop().create_task(folder.run())
    try:
        await eventually(lambda: [one.next for one in folder.logs.values()] == [1])
        yield log, folder
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await folder.close()


def test_a_question_waits_until_what_was_written_is_indexed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with _gathering(tmp_path) as (log, folder):
            await eventually(lambda: folder._looked > 0)
            log.write(*[record()] * 5)
            await asyncio.sleep(0.2)
            assert folder.logs[LOG].next == 1
            await folder.catch_up()
            assert folder.logs[LOG].next == 6
            before = folder._looked
            await folder.catch_up()  # at once: nobody has been waiting for longer
            assert folder._looked == before

    run(scenario())


def test_a_question_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_module, "CATCHING_UP_SECONDS", 0.2)

    async def scenario() -> None:
        WrittenLog(tmp_path).write(record())
        folder = LogFolder(tmp_path, time.monotonic)  # which nobody runs
        await folder.catch_up()
        assert not folder.logs
        await folder.close()

    run(scenario())


def test_records_gather_until_somebody_asks(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with _gathering(tmp_path) as (log, folder):
            await asyncio.sleep(0.1)
            log.write(record())
            await asyncio.sleep(0.3)
            assert folder.logs[LOG].next == 1
            assert folder.status().logs[0].indexed_through == 0  # who looks at it asks for nothing newer
            await asyncio.sleep(0.3)
            assert folder.logs[LOG].next == 1
            folder.wake()
            await eventually(lambda: folder.logs[LOG].next == 2)

    run(scenario())


def test_who_waits_for_a_record_asks_too(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with _gathering(tmp_path) as (log, folder):
            await asyncio.sleep(0.1)
            log.write(record())
            await folder.wait(Follow(log=LOG, after=0, wait=60.0, limit=1))
            assert folder.logs[LOG].next == 2

    run(scenario())


def test_logs_are_found_when_they_come(tmp_path: Path) -> None:
    async def scenario() -> None:
        first, second = WrittenLog(tmp_path, LOG), WrittenLog(tmp_path, _OTHER)
        first.write(*[record()] * 5)
        (tmp_path / "node").write_text("01234567\n")
        (tmp_path / "elsewhere").mkdir()
        async with following(tmp_path) as served:
            await through(served, LOG, 4)
            second.write(record())
            first.write(record())
            await through(served, _OTHER, 0)
            await through(served, LOG, 5)
            status = served.folder.status()
            assert [(log.log, log.segments, log.proofs, log.damage) for log in status.logs] == [
                (LOG, 1, True, ""),
                (_OTHER, 1, True, ""),
            ]
            assert (status.done, status.total, status.trouble) == (7, 7, "")

    run(scenario())


def test_ended_segments_are_closed_and_the_index_is_copied_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        log = _ended(tmp_path, 3, 50)
        async with following(tmp_path) as served:
            await served.settled(_closed(log, 0, 50, 100))
            await served.settled(lambda _: (tmp_path / FILE).stat().st_size > 20_000)
        async with following(tmp_path) as served:
            await through(served, LOG, 149)
            assert [*served.folder.logs[LOG].segments.values()] == [True, True, True, False]

    run(scenario())


def test_a_segment_is_closed_once_it_is_stored_where_the_next_one_begins(tmp_path: Path) -> None:
    async def scenario() -> None:
        log, other = WrittenLog(tmp_path), WrittenLog(tmp_path, _OTHER)
        for one in (log, other):
            one.write(*[record()] * 50)
            one.next_segment()
        state = log.path.with_suffix(".state").rename(tmp_path / "state")
        async with following(tmp_path) as served:
            await through(served, LOG, 49)
            await served.settled(_closed(other, 0))
            assert not (log.folder / f"{0:020}.manifest").exists()
            state.rename(log.path.with_suffix(".state"))
            await served.settled(_closed(log, 0))

    run(scenario())


def test_a_plain_file_that_was_left_beside_its_manifest_is_removed(tmp_path: Path) -> None:
    async def scenario() -> None:
        log = WrittenLog(tmp_path)
        log.write(*[record()] * 50)
        plain = log.path
        content = plain.read_bytes()
        log.next_segment()
        async with following(tmp_path) as served:
            await served.settled(_closed(log, 0))
        plain.write_bytes(content)
        async with following(tmp_path) as served:
            await served.settled(_closed(log, 0))
            await through(served, LOG, 49)

    run(scenario())


def test_a_damaged_index_is_made_anew_while_it_runs(tmp_path: Path) -> None:
    async def scenario() -> None:
        log = _ended(tmp_path, 2, 50)
        async with following(tmp_path) as served:
            await through(served, LOG, 99)
            served.folder._index._db.execute("DROP TABLE block")
            log.write(*[record()] * 5000)
            await served.settled(lambda status: status.rebuilds == 1 and not status.rebuilding)
            await through(served, LOG, 5099)
            assert served.folder.status().logs[0].first == 0

    run(scenario())


def test_an_index_that_is_made_anew_tells_how_far_it_is(tmp_path: Path) -> None:
    async def scenario() -> None:
        _ended(tmp_path, 20, 500)
        async with following(tmp_path) as served:
            await through(served, LOG, 9_999)
        (tmp_path / FILE).unlink()
        told: list[tuple[int, int]] = []
        async with following(tmp_path) as served:
            while (status := served.folder.status()).rebuilding:
                told.append((status.done, status.total))
                await asyncio.sleep(0)
            assert (status.done, status.total) == (10_000, 10_000)
        assert told == sorted(told)
        assert len({done for done, total in told if 0 < done < total == 10_000}) > 2

    run(scenario())


def test_the_index_of_a_release_that_knew_no_rules_that_refuse_is_made_anew(tmp_path: Path) -> None:
    async def scenario() -> None:
        log = WrittenLog(tmp_path)
        log.write(record(), record(outcome="denied", policy={"by": [{"policy": "app", "rule": "kv/*"}]}))
        log.next_segment()
        async with following(tmp_path) as served:
            await served.settled(_closed(log, 0))
        with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as index:
            index.execute("UPDATE meta SET version = ?", (f"2 {sys.byteorder}",))
        async with following(tmp_path) as served:
            await through(served, LOG, 1)
            assert served.folder.status().rebuilds == 1
            ask = Search(filters={"policy": ("app",)}, begins=Nanos(0), ends=Nanos(1 << 61))
            page = Page(served.folder.logs.values(), served.folder.lines, ask)
            assert (await page.read(time.monotonic, time.monotonic() + 60)).lines == log.lines[1:]
        async with following(tmp_path) as served:
            await through(served, LOG, 1)
            assert served.folder.status().rebuilds == 0

    run(scenario())


@pytest.mark.parametrize("content", [b"", b"x" * 10_000])
def test_a_file_that_is_no_index_is_replaced(tmp_path: Path, content: bytes) -> None:
    async def scenario() -> None:
        (tmp_path / FILE).write_bytes(content)
        log = WrittenLog(tmp_path)
        log.write(record())
        async with following(tmp_path) as served:
            await through(served, LOG, 0)
            assert served.folder.rebuilds == bool(content)

    run(scenario())


def test_what_keeps_it_from_going_on_is_told_until_it_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        log = WrittenLog(tmp_path)
        log.write(record())
        async with following(tmp_path) as served:
            await through(served, LOG, 0)
            with monkeypatch.context() as patch:
                patch.setattr(os, "listdir", _broken)
                await served.settled(lambda status: "no space" in status.trouble)
            await served.settled(lambda status: not status.trouble)

    def _broken(*_: object) -> list[str]:
        raise OSError(28, "no space left")

    run(scenario())


def test_a_log_that_cannot_be_read_keeps_no_other_waiting(tmp_path: Path) -> None:
    async def scenario() -> None:
        broken, other = WrittenLog(tmp_path, LOG), WrittenLog(tmp_path, _OTHER)
        broken.write(record())
        other.write(record())
        async with following(tmp_path) as served:
            await through(served, LOG, 0)
            tile = broken.folder / "tile"
            tile.write_bytes(b"no folder")
            broken.write(*[record()] * 300)
            await served.settled(lambda status: f"{LOG}: " in status.trouble)
            other.write(record())
            await through(served, _OTHER, 1)
            tile.unlink()
            await served.settled(lambda status: not status.trouble)
            broken.write(*[record()] * 300)
            await through(served, LOG, 600)
            assert served.folder.logs[LOG].tree.whole

    run(scenario())


def test_a_log_whose_folder_is_gone_is_forgotten(tmp_path: Path) -> None:
    async def scenario() -> None:
        log, other = WrittenLog(tmp_path, LOG), WrittenLog(tmp_path, _OTHER)
        log.write(record())
        other.write(record())
        async with following(tmp_path) as served:
            await through(served, _OTHER, 0)
            other.folder.rename(tmp_path / "away")
            await served.settled(lambda status: [one.log for one in status.logs] == [LOG])

    run(scenario())


def test_a_tail_waits_for_a_record_that_is_none_of_reading(tmp_path: Path) -> None:
    async def scenario() -> None:
        log = WrittenLog(tmp_path)
        log.write(record())
        async with following(tmp_path) as served:
            await through(served, LOG, 0)
            ask = Follow(log=LOG, after=0, wait=30)
            waiting = asyncio.get_running_loop().create_task(served.folder.wait(ask))
            log.write(record(event_name="esa.log.query"))
            await through(served, LOG, 1)
            await asyncio.sleep(0.05)
            assert not waiting.done()
            log.write(record())
            async with asyncio.timeout(10):
                await waiting
            page = await follow(served.folder.logs[LOG], served.folder.lines, ask)
            assert page.lines == log.lines[1:]
            began = time.monotonic()
            await served.folder.wait(Follow(log=LOG, after=2, wait=0.2))
            assert time.monotonic() - began >= 0.2
            assert served.folder._waiting == {}

    run(scenario())


def test_a_tail_of_a_log_that_is_not_there_waits_for_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with following(tmp_path) as served:
            waiting = asyncio.get_running_loop().create_task(served.folder.wait(Follow(log=LOG, wait=30)))
            await asyncio.sleep(0.05)
            WrittenLog(tmp_path).write(record())
            async with asyncio.timeout(10):
                await waiting

    run(scenario())


def test_an_older_epoch_is_read_to_its_end_and_beyond(tmp_path: Path) -> None:
    async def scenario() -> None:
        old, new = WrittenLog(tmp_path, "01234567-0-1"), WrittenLog(tmp_path, "01234567-0-2")
        old.write(record())
        async with following(tmp_path) as served:
            await through(served, old.name, 0)
            new.write(record())
            await through(served, new.name, 0)
            old.write(record())
            await through(served, old.name, 1)

    run(scenario())


def test_a_segment_that_cannot_be_closed_is_told_and_left(tmp_path: Path) -> None:
    async def scenario() -> None:
        log = WrittenLog(tmp_path)
        log.write(*[record()] * 5)
        first = log.path
        async with following(tmp_path) as served:
            await through(served, LOG, 4)
            closing = served.folder._thread.submit(threading.Event().wait, 1)
            log.next_segment()
            await eventually(lambda: 5 in served.folder.logs[LOG].segments and bool(served.folder._chores))
            with first.open("ab") as file:
                file.write(b"more\n")
            closing.result()
            status = await served.settled(lambda status: bool(status.logs[0].damage))
            assert status.logs[0].damage == "segment 0 is not what was read of it"
            log.write(record())
            await through(served, LOG, 5)
            assert first.exists()

    run(scenario())


def test_it_is_told_how_large_a_log_is(tmp_path: Path) -> None:
    async def scenario() -> None:
        log = _ended(tmp_path, 1, 50)
        log.write(record())
        async with following(tmp_path) as served:
            await served.settled(_closed(log, 0))
            await through(served, LOG, 50)
            sizes = [path.stat().st_size for path in log.folder.glob("*.jsonl*")]
            assert len(sizes) == 2
            await served.settled(lambda status: status.logs[0].bytes == sum(sizes))

    run(scenario())


def test_a_purge_is_noticed(tmp_path: Path) -> None:
    async def scenario() -> None:
        log = _ended(tmp_path, 3, 5)
        async with following(tmp_path) as served:
            await served.settled(_closed(log, 0, 5, 10))
            _purge_first(log)
            await served.settled(lambda status: status.logs[0].first == 5)

    run(scenario())


def test_a_purge_in_the_same_tick_as_another_change_is_noticed(tmp_path: Path) -> None:
    async def scenario() -> None:
        log = _ended(tmp_path, 3, 5)
        async with following(tmp_path) as served:
            await served.settled(_closed(log, 0, 5, 10))
            await eventually(lambda: not served.folder._seen[LOG][2])
            (log.folder / "other").touch()
            await eventually(lambda: served.folder._seen[LOG][2])
            before = log.folder.stat()
            _purge_first(log)
            os.utime(log.folder, ns=(before.st_atime_ns, before.st_mtime_ns))
            await served.settled(lambda status: status.logs[0].first == 5)

    run(scenario())


def test_an_older_epoch_with_much_to_read_is_read_at_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        old, new = WrittenLog(tmp_path, "01234567-0-1"), WrittenLog(tmp_path, "01234567-0-2")
        old.write(*[record()] * 5000)
        new.write(record())
        async with following(tmp_path) as served, asyncio.timeout(20):
            await through(served, old.name, 4999)

    run(scenario())


def test_it_opens_and_closes(tmp_path: Path) -> None:
    folder = LogFolder(tmp_path, time.monotonic)
    asyncio.run(folder.close())
