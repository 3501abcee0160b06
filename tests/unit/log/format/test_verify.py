# SPDX-License-Identifier: EUPL-1.2
"""A copied log folder is verified: what is proven, what is wrong, and what nobody can know."""

import gzip
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from tests.log.written import LOG, ORIGIN, WrittenLog, chained, purge_of, record, written
from tests.unit.log.format.signing import cosignature, ed25519, witness
from vault.log.format.finding import Kind
from vault.log.format.note import format_note, parse_note
from vault.log.format.segment import CLOSED, MANIFEST, MOST_SHORT_LINES, Segment
from vault.log.format.segment_check import MOST_FAULTS
from vault.log.format.tree import leaf_hash
from vault.log.format.trust import Trust
from vault.log.format.verify import MOST_FINDINGS, Report, verify_folder

_UNCOVERED = "covered by no checkpoint that was kept elsewhere; whoever has the files and the key can have rewritten them"
_TRUST = Trust(keys=(ed25519(ORIGIN).verifier,))


def _verify(folder: Path, held: Sequence[bytes] = ()) -> Report:
    return verify_folder(folder, _TRUST, held)


def _words(report: Report) -> list[str]:
    return [str(finding) for finding in report.faults]


def test_a_folder_as_it_was_written_has_no_faults(tmp_path: Path) -> None:
    log = written(tmp_path, 23, starts=(0, 10, 17), signed=(3, 9, 17, 20))
    report = _verify(tmp_path, [log.notes[9]])
    assert report.faults == ()
    [found] = report.logs
    assert (found.log, found.first, found.size, found.covered, found.signed) == (LOG, 0, 23, 9, 20)
    assert found.first_bad is None
    assert [finding.words for finding in report.findings] == [
        "records 0 to 8: covered by a checkpoint that was kept elsewhere",
        f"records 9 to 22: {_UNCOVERED} (the log itself has signed the first 20 records)",
    ]


def test_it_says_when_nothing_is_covered_and_when_everything_is(tmp_path: Path) -> None:
    log = written(tmp_path, 7, signed=(7,))
    assert [finding.words for finding in _verify(tmp_path, [log.notes[7]]).findings] == [
        "records 0 to 6: covered by a checkpoint that was kept elsewhere"
    ]
    assert [finding.words for finding in verify_folder(tmp_path, Trust()).findings] == [
        f"records 0 to 6: {_UNCOVERED}",
        "no key is given: no signature was verified",
    ]


def test_the_first_bad_record_is_named_whatever_is_found_first(tmp_path: Path) -> None:
    log = written(tmp_path, 12, starts=(0, 6), signed=(3, 9))
    log.lines[2] = log.lines[2].replace(b"success", b"refused")
    log.lines[8] = log.lines[8].replace(b"success", b"refused")
    log.write()
    [found] = _verify(tmp_path).logs
    assert found.findings[0].kind == Kind.REWRITTEN
    assert found.first_bad == 2


def test_a_segment_that_is_missing_is_told_with_its_records(tmp_path: Path) -> None:
    log = written(tmp_path, 23, starts=(0, 10, 17))
    for kind in (CLOSED, MANIFEST):
        Segment(log.folder, 10).path(kind).unlink()
    assert _words(_verify(tmp_path)) == [f"{LOG}: records 10 to 16: missing"]


def test_logs_are_told_apart(tmp_path: Path) -> None:
    one = written(tmp_path, 5, signed=(4,))
    other = written(tmp_path, 6, signed=(4,), log="0123abcd-0-2")
    other.lines[3] = other.lines[3].replace(b"success", b"refused")
    other.write()
    report = _verify(tmp_path, [one.notes[4], other.notes[4]])
    assert [(found.log, found.covered) for found in report.logs] == [(LOG, 4), ("0123abcd-0-2", 0)]
    assert {finding.log for finding in report.faults} == {"0123abcd-0-2"}


def test_a_log_that_is_not_there_is_told_by_its_checkpoint_or_by_its_number(tmp_path: Path) -> None:
    away = written(tmp_path / "away", 5, signed=(4,), log="0123abcd-0-7")
    for epoch in (1, 4):
        written(tmp_path, 2, log=f"0123abcd-0-{epoch}")
    written(tmp_path, 2, log="0123abcd-1-9")
    assert _words(_verify(tmp_path, [away.notes[4]])) == [
        "0123abcd-0-7: a checkpoint of it is held, and the log is not there",
        "0123abcd-0-2: later logs of its worker are there, and it is not",
        "0123abcd-0-3: later logs of its worker are there, and it is not",
    ]


def test_what_is_called_as_a_log_and_is_none_keeps_no_log_from_being_verified(tmp_path: Path) -> None:
    log = written(tmp_path, 5, signed=(4,))
    log.lines[1] = log.lines[1].replace(b"success", b"refused")
    log.write()
    (tmp_path / "0123abcd-1-1").write_text("no folder")
    (tmp_path / "0123abcd-2-1").symlink_to("0123abcd-2-1")
    report = _verify(tmp_path)
    assert [found.first_bad for found in report.logs] == [1]
    assert [str(one) for one in report.others] == [
        "0123abcd-1-1: its folder can't be read: Not a directory",
        "0123abcd-2-1: its folder can't be read: Too many levels of symbolic links",
    ]


def test_a_log_that_is_not_there_is_told_by_the_name_of_a_key(tmp_path: Path) -> None:
    written(tmp_path, 2)
    away = "0123abcd-0-7"
    keys = [ed25519(f"{ORIGIN}/{log}").verifier for log in (LOG, away)]
    assert _words(verify_folder(tmp_path, Trust(keys=(keys[0],)))) == []
    assert _words(verify_folder(tmp_path, Trust(keys=(*keys, *_TRUST.keys)))) == [
        f"{away}: a key that is given is of this log, and the log is not there"
    ]
    held = written(tmp_path / "away", 5, signed=(4,), log=away).notes[4]
    assert _words(verify_folder(tmp_path, Trust(keys=(keys[1],)), [held])) == [
        f"{away}: a checkpoint of it is held, and the log is not there"
    ]


def test_a_held_checkpoint_that_counts_for_nothing_is_told(tmp_path: Path) -> None:
    log = written(tmp_path, 5, signed=(4,))
    edited = log.notes[4].replace(b"\n4\n", b"\n3\n")
    assert _words(_verify(tmp_path, [edited])) == [f"{LOG}: a held checkpoint: invalid signature"]


def test_what_a_quorum_of_witnesses_saw_covers_though_nobody_kept_it(tmp_path: Path) -> None:
    log = written(tmp_path, 9, signed=(4, 7))
    note = parse_note(log.notes[7])
    log.notes[7] = format_note(note.text, [*note.signatures, cosignature(note.text, "w1", 5)])
    log.write()
    trust = Trust(keys=_TRUST.keys, witnesses=(witness("w1", 5)[0],), quorum=1)
    assert [found.covered for found in verify_folder(tmp_path, trust).logs] == [7]
    log.lines = chained(record(seq) for seq in range(9))
    log.notes.pop(4)
    log.write()
    assert _words(verify_folder(tmp_path, trust)) == [
        f"{LOG}: records 0 to 6: something in them was rewritten, a checkpoint that witnesses saw has another root at 7"
    ]


def test_after_a_purge_hash_tiles_stand_for_what_is_gone(tmp_path: Path) -> None:
    log = _purged(tmp_path, first=300)
    report = _verify(tmp_path, [log.notes[20], log.notes[310]])
    assert report.faults == ()
    [found] = report.logs
    assert (found.first, found.size, found.covered, found.signed) == (300, 530, 310, 530)
    assert report.findings[0].words == "records 0 to 299: not there, hash tiles stand for them"
    log.lines[305] = log.lines[305].replace(b"success", b"refused")
    log.write()
    _remove(log, 0)
    assert [finding.kind for finding in _verify(tmp_path, [log.notes[310]]).faults] == [
        Kind.CHANGED, Kind.TENANT, Kind.REWRITTEN, Kind.ABSENT,
    ]  # fmt: skip


def test_tiles_that_were_made_anew_do_not_fit_what_is_held(tmp_path: Path) -> None:
    log = _purged(tmp_path, first=300)
    tile = log.folder / "tile" / "0" / "000"
    tile.write_bytes(leaf_hash(b"another") + tile.read_bytes()[32:])
    assert _words(_verify(tmp_path, [log.notes[20]])) == [
        f"{LOG}: records 0 to 19: something in them was rewritten, a held checkpoint has another root at 20",
        _taken(299),
    ]


def test_without_tiles_nothing_of_a_purged_log_is_compared(tmp_path: Path) -> None:
    log = _purged(tmp_path, first=300)
    for name in ("000", "001"):
        (log.folder / "tile" / "0" / name).unlink()
    report = _verify(tmp_path, [log.notes[20], log.notes[310]])
    assert _words(report) == [
        f"{LOG}: records 0 to 299: not there, nor hash tiles that stand for them; no checkpoint can be compared"
    ]
    assert report.logs[0].covered == 0


def _taken(last: int) -> str:
    return f"{LOG}: records 0 to {last}: gone, and no signed record that is there announces a purge of them"


def test_oldest_records_that_are_gone_without_an_announcement_were_taken_away(tmp_path: Path) -> None:
    log = written(tmp_path, 530, starts=(0, 300), signed=(20, 310, 530))
    _remove(log, 0)
    assert _words(_verify(tmp_path, [log.notes[20], log.notes[530]])) == [_taken(299)]
    assert _words(verify_folder(tmp_path, Trust())) == [_taken(299)]


def test_more_than_was_announced_may_not_be_gone(tmp_path: Path) -> None:
    log = _purged(tmp_path, first=400, announced=299)
    written(tmp_path, 3, log="0123abcd-1-1")
    assert _words(_verify(tmp_path, [log.notes[20]])) == [_taken(399)]
    log = _purged(tmp_path, first=300, announced=399)  # it was ended half-way
    assert _words(_verify(tmp_path, [log.notes[20]])) == []


def test_an_announcement_counts_that_is_signed_whichever_log_has_it(tmp_path: Path) -> None:
    log = written(tmp_path, 530, starts=(0, 300), signed=(310, 530))
    _remove(log, 0)
    other = WrittenLog(
        tmp_path,
        chained(
            [
                *(record(seq, log="0123abcd-1-1") for seq in range(3)),
                purge_of(LOG, 299, 3, own="0123abcd-1-1"),
            ]
        ),
        log="0123abcd-1-1",
    )
    for signed, told in (((3,), [_taken(299)]), ((3, 4), [])):
        other.notes.clear()
        other.sign(*signed)
        other.write()
        assert _words(_verify(tmp_path)) == told
    for fields in ({"log": LOG}, {"log": 5, "last": 299}, {"log": LOG, "last": "299"}, 7):
        other.lines = chained(
            [
                *(record(seq, log=other.log) for seq in range(3)),
                {**purge_of(LOG, 299, 3, own=other.log), "fields": fields},
            ]
        )
        other.sign(3, 4)
        other.write()
        assert _words(_verify(tmp_path)) == [_taken(299)]


def test_what_announced_a_purge_may_be_purged_itself(tmp_path: Path) -> None:
    written(tmp_path, 530, starts=(0, 300), signed=(530,), log="0123abcd-1-1")
    _remove(WrittenLog(tmp_path, [], log="0123abcd-1-1"), 0)
    _purged(tmp_path, first=300)
    assert _words(_verify(tmp_path)) == []
    strange = written(tmp_path, 530, starts=(0, 300), signed=(530,), log="ffff0000-0-1")
    _remove(strange, 0)
    assert [finding.log for finding in _verify(tmp_path).faults] == [strange.log]


def test_a_folder_without_records_does_not_stand_for_a_log(tmp_path: Path) -> None:
    log = written(tmp_path, 9, signed=(9,), log="0123abcd-0-1")
    written(tmp_path, 4, log="0123abcd-0-2")
    key = ed25519(log.origin).verifier
    _remove(log, 0)
    assert _words(verify_folder(tmp_path, Trust(keys=(key,)))) == [
        f"{log.log}: a key that is given is of this log, and the log is not there",
        f"{log.log}: later logs of its worker are there, and it is not",
    ]
    other = WrittenLog(tmp_path, chained([purge_of(log.log, 8, 0, own="0123abcd-0-2")]), log="0123abcd-0-2")
    other.sign(1)
    other.write()
    assert _words(verify_folder(tmp_path, Trust(keys=(key,)))) == []
    (tmp_path / "0123abcd-0-3").mkdir()  # it is about to begin
    assert _words(verify_folder(tmp_path, Trust(keys=(key,)))) == []


def test_of_many_faults_so_many_are_told_and_the_rest_counted(tmp_path: Path) -> None:
    log = written(tmp_path, 2 * MOST_FINDINGS)
    log.lines = [line.replace(b'"success"', b'"success","x":1') for line in log.lines]
    log.write()
    found = _verify(tmp_path).faults
    assert len(found) == MOST_FINDINGS + 1
    assert found[-1].words == f"{MOST_FINDINGS} faults more, which are not told"


def test_progress_is_told_after_each_segment(tmp_path: Path) -> None:
    written(tmp_path, 23, starts=(0, 10, 17))
    told: list[tuple[str, int]] = []
    verify_folder(tmp_path, _TRUST, progress=lambda log, size: told.append((log, size)))
    assert told == [(LOG, 10), (LOG, 17), (LOG, 23)]


@pytest.mark.parametrize("count", [0, 1])
def test_a_log_with_hardly_a_record_is_verified(tmp_path: Path, count: int) -> None:
    log = written(tmp_path, count, signed=(count,))
    report = _verify(tmp_path, [log.notes[count]])
    assert report.faults == ()
    assert (report.logs[0].size, report.logs[0].covered) == (count, count)


def _purged(folder: Path, *, first: int, announced: int | None = None) -> WrittenLog:
    """A log whose segment before `first` is gone, but for its hash tiles; of record `announced` it says that it goes, as all before."""
    log = written(folder, 530, starts=(0, first), signed=(20, 310))
    last = first - 1 if announced is None else announced
    lines = [record(seq, tenant=("root", "ns1", "ns2")[seq % 3]) for seq in range(529)]
    log.lines = chained([*lines, purge_of(LOG, last, 529)])
    log.sign(20, 310, 530)
    log.write()
    _remove(log, 0)
    return log


def _remove(log: WrittenLog, first: int) -> None:
    for path in log.folder.glob(f"{first:020}.*"):
        path.unlink()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"\n", "segment 10 has too many lines that are too short for a record"),
        (
            b'{"a":"%b"}\n' % bytes([120] * 100),
            f"segment 10 has more than {MOST_FAULTS} faults, and what follows is not read",
        ),
    ],
    ids=["short", "long"],
)
def test_a_segment_that_unpacks_to_millions_of_lines_is_not_read_to_its_end(
    tmp_path: Path, line: bytes, told: str
) -> None:
    log = written(tmp_path, 23, starts=(0, 10, 17))
    Segment(log.folder, 10).path(CLOSED).write_bytes(gzip.compress(line * 200_000, compresslevel=1))
    read: list[int] = []
    report = verify_folder(tmp_path, _TRUST, progress=lambda _, size: read.append(size))
    assert f"{LOG}: {told}" in _words(report)
    assert read[1] <= 10 + max(MOST_FAULTS, MOST_SHORT_LINES) + 1
    assert report.logs[0].first_bad == 10


def test_a_manifest_by_which_each_record_can_be_read_alone_keeps_no_record_in_memory(tmp_path: Path) -> None:
    log = written(tmp_path, 23, starts=(0, 10, 17))
    segment = Segment(log.folder, 10)
    long = b'{"b":"%b","a":0}\n' % bytes(
        [120] * 60_000
    )  # no record, and taken as one: its place is looked for
    segment.path(CLOSED).write_bytes(gzip.compress(long * 500, compresslevel=1))
    members = [(10 + at, 0, at * len(long)) for at in range(500)]
    manifest = msgspec.structs.replace(segment.manifest(), members=tuple(members))
    segment.path(MANIFEST).write_bytes(manifest.encode())
    tracemalloc.start()
    _verify(tmp_path)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 100 * len(long)
