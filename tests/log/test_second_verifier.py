# SPDX-License-Identifier: EUPL-1.2
"""A verifier that is not ours agrees: Go's `sumdb/note` and `sumdb/tlog`, in a small program, read what we write."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.house.tree import ROOT
from tests.log.attacks import edit_record, remove_log
from tests.log.genuine import TRUST, Genuine
from tests.log.go_program import compiled
from tests.log.test_tampering import ROWS, Row
from tests.log.written import LOG, WrittenLog, written
from tests.unit.log.format.signing import ed25519
from vault.log.format.segment import CLOSED, SEGMENT, list_segments
from vault.log.format.tiles import Tile, Tiles
from vault.log.format.tree import encode_hash, leaf_hash
from vault.log.format.tree_proof import consistency_proof, inclusion_proof
from vault.log.format.verify import verify_folder

pytestmark = pytest.mark.xdist_group("go")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The other verifier, compiled."""
    source = ROOT / "tests" / "log" / "go" / "verify.go"
    return compiled(source, tmp_path_factory.mktemp("go") / "verify")


def _ask(
    program: Path,
    folder: Path,
    notes: Sequence[bytes],
    *,
    proofs: Sequence[object] = (),
    tiles: Sequence[Path] = (),
) -> list[str]:
    segments = list_segments(folder)
    files = [each.path(CLOSED if each.closed else SEGMENT) for each in segments]
    asked = {
        "vkey": TRUST.verifiers(LOG)[0].vkey,
        "files": [str(path) for path in files],
        "checkpoints": [note.decode() for note in notes],
        "proofs": proofs,
        "tiles": [str(path) for path in tiles],
    }
    done = subprocess.run(
        [program], input=json.dumps(asked).encode(), capture_output=True, check=True, timeout=60
    )
    found: list[str] = json.loads(done.stdout)
    return found


def _proofs(tiles: Tiles, sizes: Sequence[int]) -> list[dict[str, Any]]:
    """Proofs of some records in each signed tree, and of each growth from one to another."""
    made = []
    for new, size in enumerate(sizes):
        records = sorted({0, size // 3, size // 2, size - 1})
        made += [
            _proof("record", inclusion_proof(seq, size, tiles.subtree), seq=seq, new=new) for seq in records
        ]
        made += [
            _proof("tree", consistency_proof(before, size, tiles.subtree), old=old, new=new)
            for old, before in enumerate(sizes[:new])
        ]
    return made


def _proof(kind: str, hashes: Sequence[bytes], **which: int) -> dict[str, Any]:
    return {"kind": kind, "hashes": [encode_hash(each) for each in hashes], **which}


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> tuple[WrittenLog, Tiles]:
    """600 records in three segments, two of them closed, with two full tiles; signed by both kinds of keys."""
    log = written(
        tmp_path_factory.mktemp("large"), 600, starts=(0, 250, 500), signed=(1, 255, 256, 511, 599, 600)
    )
    tiles = Tiles(log.folder)
    for line in log.lines[tiles.size :]:
        tiles.append(leaf_hash(line))
    return log, tiles


def test_it_finds_checkpoints_proofs_and_tiles_right(program: Path, large: tuple[WrittenLog, Tiles]) -> None:
    log, tiles = large
    proofs = _proofs(tiles, sorted(log.notes))
    assert len(proofs) == 36
    paths = [log.folder / Tile(0, index).path for index in (0, 1)]
    assert (
        _ask(program, log.folder, [log.notes[size] for size in sorted(log.notes)], proofs=proofs, tiles=paths)
        == []
    )


def test_it_finds_what_a_server_wrote_and_its_log_reader_closed_right(program: Path, tmp_path: Path) -> None:
    genuine = Genuine(tmp_path / "log", count=530, signed=(1, 8, 257, 530), segment=220)
    folder = genuine.folder / LOG
    assert _ask(program, folder, list(genuine.notes.values())) == []
    genuine.close_segments()
    assert [each.closed for each in genuine.segments] == [True, True, False]
    tiles = [folder / Tile(0, index).path for index in (0, 1)]
    assert _ask(program, folder, list(genuine.notes.values()), tiles=tiles) == []
    report = verify_folder(genuine.folder, TRUST, genuine.notes.values())
    assert (report.faults, report.logs[0].covered) == ((), 530)


def test_it_refuses_proofs_tiles_and_checkpoints_that_are_wrong(
    program: Path, large: tuple[WrittenLog, Tiles], tmp_path: Path
) -> None:
    log, tiles = large
    sizes = sorted(log.notes)
    notes = [log.notes[size] for size in sizes]
    proofs = _proofs(tiles, sizes)
    for each in proofs:
        if each["hashes"]:
            each["hashes"][-1] = encode_hash(leaf_hash(b"another"))
        else:
            each["hashes"] = [encode_hash(leaf_hash(b"another"))]
    found = _ask(program, log.folder, notes, proofs=proofs)
    assert [one.partition(":")[0] for one in found] == [f"proof {number}" for number in range(len(proofs))]

    wrong_tile = tmp_path / "tile" / "0" / "000"
    wrong_tile.parent.mkdir(parents=True)
    wrong_tile.write_bytes(bytes(8192))
    assert _ask(program, log.folder, [], tiles=[wrong_tile]) == [
        "tile 0: it has other hashes than the records"
    ]

    edited = log.notes[255].replace(b"\n255\n", b"\n254\n")
    other = WrittenLog(tmp_path, log.lines)
    other.signers = [ed25519(other.origin, 9)]
    other.sign(255)
    [key] = TRUST.verifiers(LOG)
    assert _ask(program, log.folder, [edited, other.notes[255]]) == [
        f"checkpoint 0: invalid signature for key {key.name}+{key.key_id.hex()}",
        "checkpoint 1: note has no verifiable signatures",
    ]


_BY_THE_TIMES_ALONE = "set the time of record 3 back, chain and sign anew"
_BY_THE_ORDER_ALONE = "show an old checkpoint as the newest"
"""What ours tells and the other cannot: it knows no times, and takes checkpoints in any order."""
_PLAYED = [row for row in ROWS if row.attack is not remove_log]  # of which there is nothing to read


@pytest.fixture(scope="module")
def genuine(tmp_path_factory: pytest.TempPathFactory) -> Genuine:
    return Genuine(tmp_path_factory.mktemp("genuine") / "true", count=7, signed=(4, 7))


@pytest.mark.parametrize("starts", [[0], [0, 3]], ids=["open", "closed"])
@pytest.mark.parametrize("row", _PLAYED, ids=lambda row: row.name)
def test_both_notice_the_same_attacks(
    program: Path, genuine: Genuine, tmp_path: Path, row: Row, starts: list[int]
) -> None:
    stolen = genuine.attacked(tmp_path)
    stolen.starts = starts
    row.attack(stolen)
    held = [genuine.notes[size] for size in row.held]
    own = [stored.note.encode() for each in list_segments(stolen.folder) for stored in each.checkpoints()]
    noticed = bool(row.told)
    assert bool(verify_folder(tmp_path, TRUST, held).faults) is noticed
    alone = row.name in {_BY_THE_TIMES_ALONE, _BY_THE_ORDER_ALONE}
    assert bool(_ask(program, stolen.folder, [*held, *own])) is (noticed and not alone)


def test_both_notice_two_histories(program: Path, genuine: Genuine, tmp_path: Path) -> None:
    other = genuine.attacked(tmp_path)
    edit_record(5, chained_anew=True, signed=True)(other)
    shown = [genuine.notes[7], other.notes[7]]
    for folder in (genuine.folder / LOG, other.folder):
        assert len(_ask(program, folder, shown)) == 1  # of one of the two
