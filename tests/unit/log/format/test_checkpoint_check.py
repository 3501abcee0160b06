# SPDX-License-Identifier: EUPL-1.2
"""The tree of a log is compared with each checkpoint at its size, and what differs is told with its interval."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from tests.log.written import LOG, ORIGIN, WrittenLog, chained, record, root_of, written
from tests.unit.log.format.signing import cosignature, ed25519, witness
from vault.log.format.checkpoint_check import CheckpointCheck
from vault.log.format.finding import Finding, Kind
from vault.log.format.note import format_note, parse_note
from vault.log.format.segment import CHECKPOINTS, COSIGNED, Segment
from vault.log.format.trust import HeldCheckpoints, Opener, Trust

_TRUST = Trust(keys=(ed25519(ORIGIN).verifier,))
_LINES = chained(record(seq) for seq in range(10))
_OTHERS = chained(record(seq) for seq in range(100, 110))
"""A history that is another one from its first record on."""


def _log(folder: Path, lines: Sequence[bytes], *signed: int) -> WrittenLog:
    log = WrittenLog(folder, lines)
    log.sign(*signed)
    log.write()
    return log


def _check(
    log: WrittenLog, held: Sequence[bytes] = (), *, trust: Trust = _TRUST, known: bool = True
) -> tuple[CheckpointCheck, list[Finding]]:
    found: list[Finding] = []
    of_log = HeldCheckpoints(held, trust).by_log.get(LOG, [])
    check = CheckpointCheck(LOG, of_log, Opener(LOG, trust), found.append)
    check.begin_segment(Segment(log.folder, 0))
    for size in range(len(log.lines) + 1):
        if size >= check.next:
            check.compare(size, lambda at: root_of(log.lines[:at]) if known else None)
    check.end_segment(Segment(log.folder, 0), newest=True)
    check.end(len(log.lines))
    return check, found


def _words(found: Sequence[Finding]) -> list[str]:
    return [finding.words for finding in found]


def test_checkpoints_that_fit_cover_what_they_are_of(tmp_path: Path) -> None:
    log = _log(tmp_path, _LINES, 4, 7, 9)
    check, found = _check(log, [log.notes[7], log.notes[4]])
    assert (check.covered, check.signed, found) == (7, 9, [])
    assert check.next > 1 << 63
    check, found = _check(log)
    assert (check.covered, check.signed, found) == (0, 9, [])
    check, found = _check(log, [log.notes[7]], trust=Trust())
    assert (check.covered, check.signed, found) == (7, 0, [])


def _cosign(log: WrittenLog, size: int, note: bytes) -> None:
    """Store a checkpoint with the cosignature of a witness beside the others."""
    read = parse_note(note)
    cosigned = format_note(read.text, [*read.signatures, cosignature(read.text, "w.example/7", 7)])
    line = msgspec.json.encode({"time": "", "note": cosigned.decode()}) + b"\n"
    with Segment(log.folder, 0).path(COSIGNED).open("ab") as file:
        file.write(line)


_WITNESSED = msgspec.structs.replace(_TRUST, witnesses=(witness("w.example/7", 7)[0],), quorum=1)


def test_what_witnesses_cosigned_is_as_good_as_what_was_kept_elsewhere(tmp_path: Path) -> None:
    log = _log(tmp_path, _LINES, 4, 7, 9)
    for size in (4, 7):
        _cosign(log, size, log.notes[size])
    check, found = _check(log, trust=_WITNESSED)
    assert (check.covered, check.signed, found) == (7, 9, [])
    check, found = _check(log)
    assert (check.covered, check.signed, found) == (0, 9, [])


def test_a_log_that_was_made_anew_since_witnesses_saw_it_is_convicted(tmp_path: Path) -> None:
    log = _log(tmp_path / "log", _LINES, 4, 7)
    other = _log(tmp_path / "other", [*_LINES[:5], *_OTHERS[5:]], 4, 9)
    for size in (4, 7):
        _cosign(other, size, log.notes[size])
    check, found = _check(other, trust=_WITNESSED)
    assert check.covered == 4
    assert [finding.kind for finding in found] == [Kind.REWRITTEN, Kind.FRAUD]
    assert (
        found[0].words
        == "records 4 to 6: something in them was rewritten, a checkpoint that witnesses saw has another root at 7"
    )
    assert found[1].notes[1] == other.notes[9].decode()


def test_cosigned_checkpoints_are_in_the_order_of_their_sizes_too(tmp_path: Path) -> None:
    log = _log(tmp_path, _LINES, 4, 7)
    for size in (7, 4):
        _cosign(log, size, log.notes[size])
    _, found = _check(log, trust=_WITNESSED)
    assert _words(found) == ["a checkpoint of 4 records follows one of 7"]


def test_what_was_rewritten_lies_after_the_last_held_one_that_fits(tmp_path: Path) -> None:
    true = _log(tmp_path / "true", _LINES, 4, 7)
    log = _log(tmp_path / "false", [*_LINES[:5], *_OTHERS[5:]])
    check, found = _check(log, [true.notes[4], true.notes[7]])
    assert _words(found) == [
        "records 4 to 6: something in them was rewritten, a held checkpoint has another root at 7"
    ]
    assert (found[0].kind, found[0].first, found[0].last, check.covered) == (Kind.REWRITTEN, 4, 6, 4)


def test_only_the_first_one_that_does_not_fit_is_told(tmp_path: Path) -> None:
    true = _log(tmp_path / "true", _LINES, 4, 7)
    log = _log(tmp_path / "false", _OTHERS)
    check, found = _check(log, [true.notes[4], true.notes[7]])
    assert _words(found) == [
        "records 0 to 3: something in them was rewritten, a held checkpoint has another root at 4"
    ]
    assert check.covered == 0


def test_the_logs_own_one_that_does_not_fit_is_told_as_such(tmp_path: Path) -> None:
    log = _log(tmp_path, _LINES, 4, 7)
    log.lines[5:] = _OTHERS[5:]
    log.write()
    check, found = _check(log)
    assert _words(found) == [
        "records 4 to 6: something in them was rewritten, or the log's own checkpoint of 7 was"
    ]
    assert (check.covered, check.signed) == (0, 4)


def test_a_log_that_was_signed_anew_convicts_its_key(tmp_path: Path) -> None:
    true = _log(tmp_path / "true", _LINES, 4, 7)
    log = _log(tmp_path / "false", _OTHERS, 4, 7)
    _, found = _check(log, [true.notes[4]])
    assert [finding.kind for finding in found] == [Kind.REWRITTEN, Kind.FRAUD]
    assert found[1].words == (
        "two checkpoints of 4 records disagree, and a key of the log has signed both: proof of fraud"
    )
    assert [note.encode() for note in found[1].notes] == [true.notes[4], log.notes[4]]


def test_a_larger_one_of_another_history_convicts_it_too(tmp_path: Path) -> None:
    true = _log(tmp_path / "true", _LINES, 4)
    log = _log(tmp_path / "false", _OTHERS, 7, 9)
    _, found = _check(log, [true.notes[4]])
    assert found[1].words == (
        "the log of the checkpoint of 7 records does not begin with that of 4, "
        "and a key of the log has signed both: proof of fraud"
    )
    assert [note.encode() for note in found[1].notes] == [true.notes[4], log.notes[7]]
    assert len(found) == 2


def test_two_that_disagree_convict_it_whatever_the_records_are(tmp_path: Path) -> None:
    true = _log(tmp_path / "true", _LINES, 7)
    log = _log(tmp_path / "false", _OTHERS, 7)
    log.lines = chained(record(seq) for seq in range(200, 210))
    log.write()
    assert Kind.FRAUD in {finding.kind for finding in _check(log, [true.notes[7]])[1]}


def test_without_a_known_key_nobody_is_convicted(tmp_path: Path) -> None:
    true = _log(tmp_path / "true", _LINES, 4)
    log = _log(tmp_path / "false", _OTHERS, 4, 7)
    assert [finding.kind for finding in _check(log, [true.notes[4]], trust=Trust())[1]] == [Kind.REWRITTEN]


def test_a_log_that_is_shorter_than_a_checkpoint_was_cut(tmp_path: Path) -> None:
    true = _log(tmp_path / "true", _LINES, 4, 7, 8)
    log = _log(tmp_path / "false", _LINES[:5], 4)
    _, found = _check(log, [true.notes[7], true.notes[8]])
    assert _words(found) == ["records 5 to 7: missing, a held checkpoint is of 8 records and the log has 5"]
    assert (found[0].kind, found[0].first, found[0].last) == (Kind.CUT, 5, 7)
    assert _check(log, [true.notes[4]])[1] == []
    path = Segment(log.folder, 0).path(CHECKPOINTS)
    path.write_bytes(path.read_bytes() + Segment(true.folder, 0).path(CHECKPOINTS).read_bytes())
    assert _words(_check(log)[1]) == [
        "records 5 to 7: missing, the log's own checkpoint is of 8 records and the log has 5"
    ]


def test_an_own_one_that_does_not_count_is_told(tmp_path: Path) -> None:
    log = _log(tmp_path, _LINES, 4, 7)
    path = Segment(log.folder, 0).path(CHECKPOINTS)
    four, seven = path.read_bytes().splitlines(keepends=True)
    edited = msgspec.json.encode({"note": log.notes[4].decode().replace("\n4\n", "\n5\n")}) + b"\n"
    other = WrittenLog(tmp_path, _LINES)
    other.signers = [ed25519(other.origin, 9)]
    other.sign(6)
    unknown = msgspec.json.encode({"note": other.notes[6].decode()}) + b"\n"
    path.write_bytes(b"".join([four, edited, unknown, seven, four]))
    check, found = _check(log)
    assert _words(found) == [
        "a checkpoint of segment 0: invalid signature",
        "a checkpoint of segment 0: no known signature",
        "a checkpoint of 4 records follows one of 7",
    ]
    assert {finding.kind for finding in found} == {Kind.CHECKPOINT}
    assert check.signed == 7


def test_one_beside_a_segment_that_ends_before_is_told(tmp_path: Path) -> None:
    log = written(tmp_path, 10, starts=(0, 5), signed=(4, 7))
    first, second = (Segment(log.folder, first).path(CHECKPOINTS) for first in (0, 5))
    first.write_bytes(first.read_bytes() + second.read_bytes())
    found: list[Finding] = []
    check = CheckpointCheck(LOG, [], Opener(LOG, _TRUST), found.append)
    check.begin_segment(Segment(log.folder, 0))
    check.compare(4, lambda at: root_of(log.lines[:at]))
    check.end_segment(Segment(log.folder, 0), newest=False)
    assert _words(found) == ["a checkpoint of 7 records is beside segment 0, which ends before"]
    second.write_bytes(first.read_bytes())
    check.begin_segment(Segment(log.folder, 5))
    assert _words(found)[1:] == ["a checkpoint of 4 records follows one of 7"]


def test_where_the_tree_is_unknown_nothing_is_compared(tmp_path: Path) -> None:
    true = _log(tmp_path / "true", _LINES, 4, 7)
    log = _log(tmp_path / "false", _OTHERS, 4)
    check, found = _check(log, [true.notes[7]], known=False)
    assert (check.covered, check.signed, found) == (0, 0, [])


def test_checkpoints_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    log = _log(tmp_path, _LINES)
    Segment(log.folder, 0).path(CHECKPOINTS).mkdir()
    assert _words(_check(log)[1]) == ["the checkpoints of segment 0 can't be read: Is a directory"]


@pytest.mark.parametrize("size", [0, 10])
def test_the_empty_log_and_the_whole_one_are_compared_too(tmp_path: Path, size: int) -> None:
    true = _log(tmp_path / "true", _LINES, size)
    assert _check(true, [true.notes[size]])[0].covered == size
