# SPDX-License-Identifier: EUPL-1.2
"""What the reader proves is verified with nothing but the record, the proof and the public key."""

import asyncio
import gzip
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.unit.log.format.trees import root
from tests.unit.log.reader.reading import Reading
from tests.unit.log.reader.written import LOG, WrittenLog, record
from vault.log.format.proof import check_proof, parse_proof
from vault.log.format.segment import MANIFEST, Manifest, Segment
from vault.log.format.tiles import TILE_BYTES, WIDTH, Tile
from vault.log.format.tree import decode_hash, leaf_hash
from vault.log.format.tree_proof import check_consistency
from vault.log.reader import proofs
from vault.log.reader.follower import FollowedLog
from vault.log.reader.index.store import Index
from vault.log.reader.lines import Lines
from vault.log.reader.messages import (
    LARGEST_ANSWER,
    Consistency,
    ListSegments,
    NewestCheckpoint,
    Proof,
    ReadSegment,
    ReadTile,
    Record,
    RefusalKind,
    Refused,
    SegmentEntry,
    replied,
)

_COUNT = 2 * WIDTH + 30


@pytest.fixture
def written(tmp_path: Path) -> WrittenLog:
    """A log of a closed segment and an open one, with checkpoints, and records behind the last."""
    log = WrittenLog(tmp_path)
    for number in range(_COUNT):
        log.write(record(tenant=f"t-{number % 2}"))
        if number in {99, 299, 499}:
            log.sign()
        if number == 349:
            log.next_segment()
    return log


@pytest.fixture
def reading(tmp_path: Path, written: WrittenLog) -> Iterator[Reading]:
    opened = Reading(tmp_path)
    opened.catch_up()
    yield opened
    opened.close()


def _refused(kind: RefusalKind, call: Callable[..., object], *arguments: object) -> None:
    with pytest.raises(Refused) as refused:
        call(*arguments)
    assert refused.value.refusal.kind == kind


@pytest.mark.parametrize("seq", [0, 255, 256, 349, 350, 499])
def test_a_proof_is_verified_offline(written: WrittenLog, reading: Reading, seq: int) -> None:
    text = proofs.proof(reading.logs[LOG], reading.lines, Proof(log=LOG, seq=seq)).text
    line = proofs.record(reading.logs[LOG], reading.lines, Record(log=LOG, seq=seq)).content
    assert line == written.lines[seq]
    found = check_proof(parse_proof(text.encode()), leaf_hash(line), written.origin, [written.verifier])
    assert found.checkpoint.size == 500


def test_a_proof_may_be_under_a_checkpoint_that_is_given(written: WrittenLog, reading: Reading) -> None:
    note = written.sign().decode()
    log = reading.logs[LOG]
    text = proofs.proof(log, reading.lines, Proof(log=LOG, seq=520, checkpoint=note)).text
    found = check_proof(parse_proof(text.encode()), written.leaves[520], written.origin, [written.verifier])
    assert found.checkpoint.size == _COUNT
    _refused("malformed", proofs.proof, log, reading.lines, Proof(log=LOG, seq=520, checkpoint="no note"))
    forged = WrittenLog(Path())
    for number in range(_COUNT):
        forged.line(record(tenant=f"t-{number % 2}", outcome="denied"))
    forged.folder = written.folder
    _refused(
        "malformed",
        proofs.proof,
        log,
        reading.lines,
        Proof(log=LOG, seq=520, checkpoint=forged.sign().decode()),
    )


def test_what_is_not_under_a_checkpoint_yet_is_told(written: WrittenLog, reading: Reading) -> None:
    log = reading.logs[LOG]
    _refused("uncovered", proofs.proof, log, reading.lines, Proof(log=LOG, seq=500))
    written.write(record())
    note = written.sign().decode()
    _refused("uncovered", proofs.proof, log, reading.lines, Proof(log=LOG, seq=3, checkpoint=note))
    assert proofs.proof(
        log, reading.lines, Proof(log=LOG, seq=3)
    ).text  # under an older one, as far as is indexed


def test_a_record_of_another_tenant_is_as_if_it_were_not(reading: Reading) -> None:
    log = reading.logs[LOG]
    assert proofs.record(log, reading.lines, Record(log=LOG, seq=2, tenants=("t-0",))).content
    texts = set()
    for seq in (3, 100_000):
        with pytest.raises(Refused) as refused:
            proofs.record(log, reading.lines, Record(log=LOG, seq=seq, tenants=("t-0",)))
        texts.add((refused.value.refusal.kind, str(refused.value)))
        _refused("missing", proofs.proof, log, reading.lines, Proof(log=LOG, seq=seq, tenants=("t-0",)))
    assert len(texts) == 1
    _refused("missing", proofs.record, log, reading.lines, Record(log=LOG, seq=_COUNT))


@pytest.mark.parametrize(("old", "new"), [(0, 5), (5, 5), (1, _COUNT), (256, 512), (300, 500)])
def test_a_log_only_grew(written: WrittenLog, reading: Reading, old: int, new: int) -> None:
    found = proofs.consistency(reading.logs[LOG], Consistency(log=LOG, old=old, new=new))
    hashes = [decode_hash(text) for text in found.hashes]
    check_consistency(old, new, hashes, root(written.leaves[:old]), root(written.leaves[:new]))


def test_sizes_that_are_none_are_told(reading: Reading) -> None:
    log = reading.logs[LOG]
    _refused("malformed", proofs.consistency, log, Consistency(log=LOG, old=5, new=4))
    with pytest.raises(Refused, match="from must not be larger than to"):
        proofs.consistency(log, Consistency(log=LOG, old=_COUNT + 2, new=_COUNT + 1))
    _refused("uncovered", proofs.consistency, log, Consistency(log=LOG, old=5, new=_COUNT + 1))


def test_tiles_are_given_whole_and_in_part(written: WrittenLog, reading: Reading) -> None:
    log = reading.logs[LOG]
    full = proofs.tile(log, ReadTile(log=LOG, path=Tile(0, 1).path))
    assert (full.content, full.size) == (b"".join(written.leaves[WIDTH : 2 * WIDTH]), TILE_BYTES)
    part = proofs.tile(log, ReadTile(log=LOG, path=Tile(0, 2, 30).path))
    assert part.content == b"".join(written.leaves[2 * WIDTH :])
    assert len(proofs.tile(log, ReadTile(log=LOG, path=Tile(1, 0, 2).path)).content) == 64
    _refused("missing", proofs.tile, log, ReadTile(log=LOG, path=Tile(0, 2, 31).path))
    _refused("missing", proofs.tile, log, ReadTile(log=LOG, path=Tile(0, 3).path))
    _refused("malformed", proofs.tile, log, ReadTile(log=LOG, path="tile/0/../../node"))


def test_the_newest_checkpoint_is_given(written: WrittenLog, reading: Reading) -> None:
    log = reading.logs[LOG]
    assert proofs.checkpoint(log, NewestCheckpoint(log=LOG)).text.split("\n")[1] == "500"
    note = written.sign()
    assert proofs.checkpoint(log, NewestCheckpoint(log=LOG)).text.encode() == note


def test_segments_and_their_files_are_given(written: WrittenLog, reading: Reading) -> None:
    log = reading.logs[LOG]
    first, second = asyncio.run(proofs.segments(log, ListSegments(log=LOG))).segments
    assert (first.first, first.last, first.closed, first.sha256) == (0, 349, True, written.digest(0, 350))
    assert first.checkpoint.split("\n")[1] == "300"
    assert second == SegmentEntry(first=350, closed=False)
    whole = proofs.segment(log, ReadSegment(log=LOG, first=0))
    assert hashlib.sha256(gzip.decompress(whole.content)).hexdigest() == first.sha256
    parts = b"".join(
        proofs.segment(log, ReadSegment(log=LOG, first=0, offset=offset, length=1000)).content
        for offset in range(0, whole.size + 5000, 1000)
    )
    assert parts == whole.content
    manifest = proofs.segment(log, ReadSegment(log=LOG, first=0, file="manifest"))
    assert manifest.content == (written.folder / f"{0:020}.manifest").read_bytes()
    assert proofs.segment(log, ReadSegment(log=LOG, first=0, file="checkpoints")).size > 0
    _refused("missing", proofs.segment, log, ReadSegment(log=LOG, first=350))
    _refused("missing", proofs.segment, log, ReadSegment(log=LOG, first=5))


def _listed(folder: Path, count: int, members: int = 1, note: str = "") -> FollowedLog:
    """A log of so many closed segments of ten records, of which there is nothing but the manifests."""
    place = folder / LOG
    place.mkdir()
    for first in range(0, 10 * count, 10):
        manifest = Manifest(
            first=first, last=first + 9, sha256="", root="", checkpoint=note, size=9, tenants={}, begins="", ends="",
            members=((first, 0, 0), *((first, at, at) for at in range(1, members))),
        )  # fmt: skip
        Segment(place, first).path(MANIFEST).write_bytes(manifest.encode())
    return FollowedLog(LOG, folder, Lines(folder), Index(folder), lambda _: None)


@pytest.mark.parametrize("limit", [1, 2, 5, 6, 7])
def test_segments_are_listed_by_pages(tmp_path: Path, limit: int) -> None:
    log, pages = _listed(tmp_path, 6), list[list[int]]()
    begin: int | None = 0
    while begin is not None:
        listed = asyncio.run(proofs.segments(log, ListSegments(log=LOG, first=begin, limit=limit)))
        pages.append([one.first for one in listed.segments])
        begin = listed.next
    assert pages == [[*range(0, 60, 10)][at : at + limit] for at in range(0, 6, limit)]
    assert asyncio.run(proofs.segments(log, ListSegments(log=LOG, first=51))).segments == ()


def test_a_page_of_segments_is_no_larger_than_an_answer_may_be(tmp_path: Path) -> None:
    log = _listed(tmp_path, 300, note="\n" * 100_000)
    listed = asyncio.run(proofs.segments(log, ListSegments(log=LOG)))
    assert 2 <= len(listed.segments) < 100
    assert listed.next == 10 * len(listed.segments)
    assert sum(map(len, replied(1, listed))) < LARGEST_ANSWER // 2
    (tmp_path / LOG).rename(tmp_path / "away")
    huge = _listed(tmp_path, 4, note="\n" * 3_000_000)
    listed = asyncio.run(proofs.segments(huge, ListSegments(log=LOG)))
    assert (len(listed.segments), listed.next) == (
        2,
        20,
    )  # whoever goes on with the last one of a page comes on


def test_others_have_a_turn_while_segments_are_listed(tmp_path: Path) -> None:
    log, turns = _listed(tmp_path, 100, members=4000), 0

    async def scenario() -> None:
        nonlocal turns
        listing = asyncio.get_running_loop().create_task(proofs.segments(log, ListSegments(log=LOG)))
        while not listing.done():
            await asyncio.sleep(0)
            turns += 1

    asyncio.run(scenario())
    assert turns > 10


def test_after_a_purge_the_rest_is_proved(written: WrittenLog, reading: Reading) -> None:
    for kind in (".jsonl.gz", ".manifest"):
        (written.folder / f"{0:020}{kind}").unlink()
    reading.catch_up()
    log = reading.logs[LOG]
    text = proofs.proof(log, reading.lines, Proof(log=LOG, seq=400)).text
    check_proof(parse_proof(text.encode()), written.leaves[400], written.origin, [written.verifier])
    assert proofs.consistency(log, Consistency(log=LOG, old=100, new=500)).hashes
    with pytest.raises(Refused) as refused:
        proofs.record(log, reading.lines, Record(log=LOG, seq=7))
    assert (refused.value.refusal.kind, refused.value.refusal.first) == ("purged", 350)


def test_a_lost_tree_is_told(tmp_path: Path, written: WrittenLog, reading: Reading) -> None:
    log = reading.logs[LOG]
    for path in (written.folder / "tile").rglob("*"):
        if path.is_file():
            path.unlink()
    again = reading.again()
    log = again.logs[LOG]
    assert not log.tree.whole
    _refused("damaged", proofs.proof, log, again.lines, Proof(log=LOG, seq=400))
    _refused("damaged", proofs.consistency, log, Consistency(log=LOG, old=5, new=500))
    again.close()
