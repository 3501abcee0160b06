# SPDX-License-Identifier: EUPL-1.2
"""What the reader proves is verified with nothing but the record, the proof and the public key."""

import gzip
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.unit.log.format.trees import root
from tests.unit.log.reader.reading import Reading
from tests.unit.log.reader.written import LOG, WrittenLog, record
from vault.log.format.proof import check_proof, parse_proof
from vault.log.format.tiles import TILE_BYTES, WIDTH, Tile
from vault.log.format.tree import decode_hash, leaf_hash
from vault.log.format.tree_proof import check_consistency
from vault.log.reader import proofs
from vault.log.reader.messages import (
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
    first, second = proofs.segments(log, ListSegments(log=LOG)).segments
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
