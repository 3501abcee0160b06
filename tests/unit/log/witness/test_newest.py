# SPDX-License-Identifier: EUPL-1.2
"""What of a log is stored that witnesses are asked about, and what they have cosigned."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from tests.unit.log.format.signing import cosignature, witness
from tests.unit.log.witness.grown import GrownLog
from vault.log.format.note import Signature, format_note, parse_note
from vault.log.format.segment import CHECKPOINTS, COSIGNED, SEGMENT, Segment
from vault.log.witness.newest import newest_stored

LOG = GrownLog()
KEYS = [witness("w.example/7", 7)[0], witness("w.example/8", 8)[0]]


def line(size: int, *numbers: int, time: int = 1_790_000_000) -> bytes:
    """A line of a file: a checkpoint, cosigned by witnesses of these numbers."""
    note = parse_note(LOG.note(size))
    lines = [cosignature(note.text, f"w.example/{number}", number, time=time) for number in numbers]
    return _encoded(note.text, [*note.signatures, *lines], f"2026-11-28T09:00:{size:02}.000000000Z")


def _encoded(text: str, signatures: Sequence[Signature], time: str) -> bytes:
    return msgspec.json.encode({"time": time, "note": format_note(text, signatures).decode()}) + b"\n"


def write(folder: Path, first: int, kind: str, *lines: bytes) -> None:
    """Write a file of a segment."""
    Segment(folder, first).path(SEGMENT).touch()
    Segment(folder, first).path(kind).write_bytes(b"".join(lines))


def test_a_new_log_has_nothing(tmp_path: Path) -> None:
    found = newest_stored(tmp_path, KEYS, 1)
    assert (found.newest, found.cosigned, found.met) == (None, {}, None)


def test_the_newest_of_each_is_found(tmp_path: Path) -> None:
    write(tmp_path, 0, CHECKPOINTS, line(3), line(5))
    write(tmp_path, 5, CHECKPOINTS, line(9), line(12))
    write(tmp_path, 0, COSIGNED, line(3, 7, 8), line(5, 8))
    write(tmp_path, 5, COSIGNED, line(9, 7, time=1_790_000_009))
    found = newest_stored(tmp_path, KEYS, 2)
    assert found.newest is not None
    assert (found.newest.checkpoint, found.newest.segment, found.newest.note) == (
        LOG.checkpoint(12),
        5,
        LOG.note(12),
    )
    assert {vkey: (one.records, one.time) for vkey, one in found.cosigned.items()} == {
        KEYS[0].vkey: (9, 1_790_000_009), KEYS[1].vkey: (5, 1_790_000_000),
    }  # fmt: skip
    assert found.met is not None
    assert (found.met.records, found.met.time) == (3, "2026-11-28T09:00:03.000000000Z")
    one = newest_stored(tmp_path, KEYS, 1).met
    assert one is not None
    assert one.records == 9


def test_a_cosignature_that_is_not_valid_counts_for_nothing(tmp_path: Path) -> None:
    text = parse_note(LOG.note(9)).text
    forged = cosignature(parse_note(LOG.note(5)).text, "w.example/7", 7)
    write(tmp_path, 0, COSIGNED, line(3, 7), _encoded(text, [forged], "2026-11-28T09:00:00.000000000Z"))
    found = newest_stored(tmp_path, KEYS, 1)
    assert found.met is not None
    assert (found.met.records, [one.records for one in found.cosigned.values()]) == (3, [3])


def test_of_a_witness_that_is_no_longer_configured_nothing_counts(tmp_path: Path) -> None:
    write(tmp_path, 0, COSIGNED, line(3, 7))
    found = newest_stored(tmp_path, KEYS[1:], 1)
    assert (found.cosigned, found.met) == ({}, None)


def test_what_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path, 0, CHECKPOINTS, line(3), b"torn", b"\n", line(5)[:50])
    write(tmp_path, 0, COSIGNED, line(3, 7), b'{"note":"x"}\n', b'{"note":"x\\n\\nx\\n"}\n', line(5, 7)[:50])
    found = newest_stored(tmp_path, KEYS, 1)
    assert found.newest is not None
    assert found.met is not None
    assert (found.newest.checkpoint.size, found.met.records) == (3, 3)


def test_of_a_large_file_the_end_is_read(tmp_path: Path) -> None:
    write(tmp_path, 0, CHECKPOINTS, *(line(size % 30 + 1) for size in range(3000)), line(31))
    found = newest_stored(tmp_path, KEYS, 1)
    assert found.newest is not None
    assert found.newest.checkpoint.size == 31
