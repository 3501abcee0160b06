# SPDX-License-Identifier: EUPL-1.2
"""The oldest segments are purged: what stays is proven as before, and whatever ends it half-way, it can be done again."""

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from tests.unit.log.format.trees import root
from tests.unit.log.reader.reading import FOREVER, Reading
from tests.unit.log.reader.serving import asking, run, serving, through
from tests.unit.log.reader.written import BEGAN, LOG, SECOND, WrittenLog, record
from vault.log.format.proof import check_proof, parse_proof
from vault.log.format.segment import CLOSED, COSIGNED, MANIFEST, STATE, Segment
from vault.log.format.tiles import TILE_BYTES, WIDTH, write_tile
from vault.log.format.tree import decode_hash
from vault.log.format.tree_proof import check_consistency
from vault.log.format.trust import Trust
from vault.log.format.verify import verify_folder
from vault.log.reader import proofs
from vault.log.reader.counts import count
from vault.log.reader.folder import LogFolder
from vault.log.reader.follower import FollowedLog
from vault.log.reader.index.store import Index
from vault.log.reader.messages import Consistency, Count, Filters, Follow, Proof, Purge, Refused, Search
from vault.log.reader.purging import (
    leaves_to_keep,
    oldest_closed,
    purge_segments,
    remove_remains,
    require_tiles,
)
from vault.values.times import Nanos

_SIZES = (100, 350, 600)
"""Where segments end: none at the end of a full tile."""


@pytest.fixture
def written(tmp_path: Path) -> WrittenLog:
    """A log of three segments that ended, signed at the end of each, and an open one."""
    log = WrittenLog(tmp_path)
    for size in _SIZES:
        while log.seq < size:
            log.write(record(tenant=f"t-{log.seq % 2}"))
        log.sign()
        log.next_segment()
    log.write(*[record()] * 9)
    return log


@pytest.fixture
def reading(tmp_path: Path, written: WrittenLog) -> Iterator[Reading]:
    """What has read all of it, and closed what is to be closed."""
    reading = Reading(tmp_path)
    reading.catch_up()
    yield reading
    reading.close()


def _purge(reading: Reading, through: int) -> None:
    log = reading.logs[LOG]
    segments = oldest_closed(log.folder, through)
    purge_segments(log.folder, segments, leaves_to_keep(log.tree, segments[-1]))


def _announce(written: WrittenLog, last: int) -> bytes:
    """Say that the records up to this one go, as a server does before, and return the checkpoint after it."""
    written.write(record(event_name="esa.log.purge", fields={"last": last, "log": LOG}))
    return written.sign()


def _faults(folder: Path, written: WrittenLog, *held: bytes) -> list[str]:
    report = verify_folder(folder, Trust(keys=(written.verifier,)), held)
    return [str(fault) for fault in report.faults]


def _files(written: WrittenLog) -> set[tuple[int, str]]:
    names = [path.name for path in written.folder.iterdir() if path.is_file()]
    return {(int(name[:20]), name[20:]) for name in names}


def test_whole_segments_are_chosen_and_never_the_newest(written: WrittenLog, reading: Reading) -> None:
    folder = reading.logs[LOG].folder
    for last, firsts in ((98, []), (99, [0]), (348, [0]), (349, [0, 100]), (10_000, [0, 100, 350])):
        assert [segment.first for segment in oldest_closed(folder, last)] == firsts
    Segment(folder, 600).path(".jsonl").unlink()
    assert [segment.first for segment in oldest_closed(folder, 10_000)] == [0, 100]


@pytest.mark.parametrize("size", _SIZES)
def test_what_stays_is_proven_and_what_was_is_told(tmp_path: Path, written: WrittenLog, size: int) -> None:
    note = _announce(written, size - 1)
    reading = Reading(tmp_path)
    reading.catch_up()
    _purge(reading, size - 1)
    reading.catch_up()
    for _ in range(2):  # while it runs, and after another start without an index
        log = reading.logs[LOG]
        assert (log.first, log.damage, log.tree.whole) == (size, "", True)
        assert log.tree.root(written.seq) == root(written.leaves)
        old = size - 50
        hashes = [decode_hash(one) for one in _consistency(reading, old, written.seq)]
        check_consistency(old, written.seq, hashes, root(written.leaves[:old]), root(written.leaves))
        for seq in (size, written.seq - 1):
            text = _proof(reading, seq, note)
            check_proof(parse_proof(text), written.leaves[seq], written.origin, [written.verifier])
        report = verify_folder(tmp_path, Trust(keys=(written.verifier,)), [note])
        assert not report.faults
        assert (report.logs[0].first, report.logs[0].covered) == (size, written.seq)
        told = "\n".join(map(str, report.findings))
        assert f"records 0 to {size - 1}: not there, hash tiles stand for them" in told
        reading.close()
        Index.remove(tmp_path)
        reading = Reading(tmp_path)
        reading.catch_up()
    assert reading.all() == written.lines[size:]
    reading.close()


def _consistency(reading: Reading, old: int, new: int) -> tuple[str, ...]:
    return proofs.consistency(reading.logs[LOG], Consistency(log=LOG, old=old, new=new)).hashes


def _proof(reading: Reading, seq: int, note: bytes) -> bytes:
    ask = Proof(log=LOG, seq=seq, checkpoint=note.decode())
    return proofs.proof(reading.logs[LOG], reading.lines, ask).text.encode()


class _Ended(Exception):
    """The process was ended."""


@pytest.fixture
def ended_at(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many files are removed or renamed before the process is ended; none is while the list is empty."""
    left: list[int] = []

    def counted(name: str) -> None:
        real = getattr(os, name)

        def act(*args: object, **more: object) -> object:
            if left and not left[0]:
                raise _Ended
            if left:
                left[0] -= 1
            return real(*args, **more)

        monkeypatch.setattr(os, name, act)

    for name in ("unlink", "replace", "fsync"):
        counted(name)
    yield left
    left.clear()


def test_wherever_it_is_ended_nothing_is_amiss_and_it_is_finished_by_the_next(
    tmp_path: Path, written: WrittenLog, reading: Reading, ended_at: list[int]
) -> None:
    note = _announce(written, 349)
    for steps in range(40):
        ended_at[:] = [steps]
        try:
            _purge(reading, 349)
        except _Ended:
            pass
        else:
            break
        ended_at.clear()
        assert _faults(tmp_path, written, note) == []
        Index.remove(tmp_path)
        fresh = Reading(tmp_path)
        fresh.catch_up()
        assert fresh.logs[LOG].tree.whole
        assert fresh.all() == written.lines[fresh.logs[LOG].first :]
        fresh.close()
        if not oldest_closed(written.folder, 349):
            break
    assert steps > 6
    ended_at.clear()
    remove_remains(written.folder)
    assert {first for first, _ in _files(written)} == {350, 600}
    assert _faults(tmp_path, written, note) == []


def test_what_a_purge_left_is_removed_and_nothing_else(written: WrittenLog, reading: Reading) -> None:
    before = _files(written)
    remove_remains(written.folder)
    assert _files(written) == before
    Segment(written.folder, 0).path(MANIFEST).unlink()
    for kind in (CLOSED, MANIFEST, STATE):
        Segment(written.folder, 0).path(f"{kind}.new").touch()
    Segment(written.folder, 0).path(COSIGNED).touch()
    remove_remains(written.folder)
    assert _files(written) == {(first, kind) for first, kind in before if first}


def test_what_witnesses_signed_goes_with_its_segment(written: WrittenLog, reading: Reading) -> None:
    for first in (0, 350):
        Segment(written.folder, first).path(COSIGNED).touch()
    _purge(reading, 99)
    assert {first for first, kind in _files(written) if kind == COSIGNED} == {350}


def test_where_a_segment_was_begun_is_forgotten_once_it_is_closed(
    written: WrittenLog, reading: Reading
) -> None:
    assert {first for first, kind in _files(written) if kind == ".state"} == {600}
    assert _files(written) >= {(0, ".manifest"), (100, ".manifest"), (350, ".manifest"), (600, ".jsonl")}


def test_records_that_are_others_than_the_tree_has_are_not_purged(
    written: WrittenLog, reading: Reading
) -> None:
    tile = written.folder / "tile/0/000"
    content = tile.read_bytes()
    tile.write_bytes(content[:32][::-1] + content[32:])
    fresh = reading.again()
    with pytest.raises(Refused) as refused:
        leaves_to_keep(fresh.logs[LOG].tree, oldest_closed(written.folder, 349)[-1])
    assert refused.value.refusal.kind == "damaged"
    fresh.close()


@pytest.mark.parametrize("content", [None, b"", bytes(8191)], ids=["lost", "empty", "cut"])
@pytest.mark.parametrize("restarted", [False, True])
def test_nothing_is_purged_whose_hash_tiles_are_not_there(
    tmp_path: Path, written: WrittenLog, reading: Reading, content: bytes | None, *, restarted: bool
) -> None:
    tile, note = written.folder / "tile/0/000", _announce(written, 349)
    kept = tile.read_bytes()

    def spoil() -> None:
        if content is None:
            tile.unlink()
        else:
            tile.write_bytes(content)

    async def scenario() -> None:
        if restarted:
            spoil()
        async with serving(tmp_path) as served, asking(tmp_path) as client:
            await through(served, LOG, written.seq - 1)
            if not restarted:
                spoil()
            before = _files(written)
            for rehearse in (True, False):
                with pytest.raises(Refused, match="hash tiles do not stand for these records") as refused:
                    await client.purge(Purge(log=LOG, through=349, rehearse=rehearse))
                assert refused.value.refusal.kind == "damaged"
            assert _files(written) == before
        tile.write_bytes(kept)
        async with serving(tmp_path) as served, asking(tmp_path) as client:
            await through(served, LOG, written.seq - 1)
            assert (await client.purge(Purge(log=LOG, through=349))).segments == 2
        assert _faults(tmp_path, written, note) == []

    run(scenario())


def test_hash_tiles_of_every_level_are_to_be_there(tmp_path: Path) -> None:
    most, whole = 2 * WIDTH * WIDTH, bytes(TILE_BYTES)
    for level, end in ((0, 2 * WIDTH), (1, 2)):
        for index in range(end):
            write_tile(tmp_path, level, index, whole)
    require_tiles(tmp_path, 0, most + 99)
    write_tile(tmp_path, 1, 1, whole[1:])
    require_tiles(tmp_path, 0, most - 2)
    with pytest.raises(Refused, match=r"tile/1/001"):
        require_tiles(tmp_path, 0, most - 1)
    (tmp_path / "tile/0/003").unlink()
    for first, last in ((0, 4 * WIDTH - 1), (4 * WIDTH - 1, 4 * WIDTH)):
        with pytest.raises(Refused, match=r"tile/0/003"):
            require_tiles(tmp_path, first, last)
    require_tiles(tmp_path, 4 * WIDTH, most - 2)
    require_tiles(tmp_path, 0, 4 * WIDTH - 2)


def test_a_search_and_a_count_that_are_under_way_go_on_without_what_is_purged(
    written: WrittenLog, reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = reading.logs[LOG]
    pieces = [log.blocks_within(begins=Nanos(0), ends=FOREVER)]
    _purge(reading, 349)
    reading.catch_up()
    assert [block.first for block, _ in pieces[0]] == [0, 100, 350, 600]

    monkeypatch.setattr(log, "blocks_within", lambda **_: pieces[0])
    orders: tuple[Literal["asc", "desc"], ...] = ("asc", "desc")
    success: Filters = {"outcome": ("success",)}
    for order in orders:
        ask = Search(begins=Nanos(0), ends=FOREVER, limit=1000, order=order, filters=success)
        assert sorted(reading.page(ask).lines) == sorted(written.lines[350:])
    asked = Count(begins=Nanos(BEGAN), ends=Nanos(BEGAN + 20 * SECOND), buckets=1)
    found = asyncio.run(count([log], reading.lines, asked, time.monotonic, time.monotonic() + 60))
    assert found.counts == ({"success": written.seq - 350},)


def test_a_reader_purges_while_it_is_searched_and_followed(tmp_path: Path, written: WrittenLog) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as served, asking(tmp_path) as client:
            await through(served, LOG, written.seq - 1)
            await served.settled(lambda _: Segment(written.folder, 350).closed)
            search = Search(begins=Nanos(0), ends=FOREVER, limit=1000, order="asc")
            count = Count(begins=Nanos(BEGAN), ends=Nanos(BEGAN + 20 * SECOND), buckets=3)
            tail = asyncio.create_task(client.follow(Follow(log=LOG, after=written.seq - 1, wait=30)))
            others = asyncio.gather(
                *(client.search(search) for _ in range(20)),
                *(client.count(count) for _ in range(20)),
                *(client.follow(Follow(log=LOG, after=400)) for _ in range(20)),
            )
            assert (await client.purge(Purge(log=LOG, through=349, rehearse=True))).segments == 2
            assert Segment(written.folder, 0).closed
            assert (await client.purge(Purge(log=LOG, through=349))).segments == 2
            await others
            assert (await client.search(search)).lines == written.lines[350:]
            with pytest.raises(Refused) as refused:
                await client.follow(Follow(log=LOG, after=7))
            assert (refused.value.refusal.kind, refused.value.refusal.first) == ("purged", 350)
            written.write(record())
            assert (await tail).lines == written.lines[-1:]
            assert (await client.purge(Purge(log=LOG, through=349))).segments == 0
            status = await client.status()
            assert (status.rebuilds, status.logs[0].first, status.logs[0].damage) == (0, 350, "")
            assert status.logs[0].proofs

    run(scenario())


def test_what_is_not_indexed_is_not_purged(tmp_path: Path, written: WrittenLog, reading: Reading) -> None:
    async def scenario() -> None:
        Index.remove(tmp_path)
        folder = LogFolder(tmp_path, time.monotonic)
        fresh = Reading(tmp_path)
        log = FollowedLog(LOG, tmp_path, fresh.lines, fresh.index, fresh.ended.append)
        with pytest.raises(Refused) as refused:
            await folder.purge(log, Purge(log=LOG, through=349))
        assert refused.value.refusal.kind == "busy"
        assert Segment(written.folder, 0).closed
        fresh.close()
        await folder.close()

    run(scenario())
