# SPDX-License-Identifier: EUPL-1.2
"""The tampering table: whoever has the files and the key of a log changes it, and this is what verification says.

The log has seven records, 0 to 6, written by the real writer and signed at 4 and at 7. A row says what is done to a
copy of its files, which checkpoints a reader elsewhere has kept, and each fault that is told, word by word. Where
nothing is told, nothing can be known: so it must be said what is not covered.
"""

import gzip
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.log.attacks import (
    Attack,
    chain_anew,
    change_tenant,
    cut,
    drop_anew,
    edit,
    edit_record,
    note_of_another_log,
    remove_checkpoints,
    remove_log,
    reorder,
    set_time_back,
    show_notes,
    sign_anew,
    sign_by_another_key,
    spell,
)
from tests.log.genuine import TRUST, Genuine
from tests.log.written import LOG, WrittenLog, chained, record
from vault.log.format.finding import Kind
from vault.log.format.note import parse_note, verify_note
from vault.log.format.segment import CHECKPOINTS, CLOSED, MANIFEST, SEGMENT, BadSegment, Segment
from vault.log.format.verify import Report, verify_folder

HELD_4 = "a held checkpoint has another root at 4"
HELD_7 = "a held checkpoint has another root at 7"
FRAUD = "and a key of the log has signed both: proof of fraud"


class Row(NamedTuple):
    """What is done, by `attack`; which checkpoints are `held`; what is `told` of it."""

    name: str
    attack: Attack
    held: Sequence[int]
    told: Sequence[str]


ROWS = [
    Row("nothing", WrittenLog.write, [4, 7], []),
    Row(
        "edit record 2", edit_record(2), [4, 7],
        [
            "record 2: the next one names another hash",
            f"records 0 to 3: something in them was rewritten, {HELD_4}",
            "record 5: it does not follow record 0 of its tenant",
        ],
    ),
    Row(
        "edit record 2, nothing held", edit_record(2), [],
        [
            "record 2: the next one names another hash",
            "records 0 to 3: something in them was rewritten, or the log's own checkpoint of 4 was",
            "record 5: it does not follow record 0 of its tenant",
        ],
    ),
    Row(
        "edit the last record", edit_record(6), [4, 7],
        [f"records 4 to 6: something in them was rewritten, {HELD_7}"],
    ),
    Row(
        "edit the last record, nothing held", edit_record(6), [],
        ["records 4 to 6: something in them was rewritten, or the log's own checkpoint of 7 was"],
    ),
    Row("edit the last record and sign anew, only 4 held", edit_record(6, signed=True), [4], []),
    Row("edit the last record and sign anew, nothing held", edit_record(6, signed=True), [], []),
    Row("drop record 3", reorder([0, 1, 2, 4, 5, 6]), [4, 7], ["record 3: record 4 stands in its place"]),
    Row(
        "swap records 3 and 4", reorder([0, 1, 2, 4, 3, 5, 6]), [4, 7],
        ["record 3: record 4 stands in its place", "record 5: record 3 stands in its place"],
    ),
    Row("repeat record 3", reorder([0, 1, 2, 3, 3, 4, 5, 6]), [4, 7], ["record 4: record 3 stands in its place"]),
    Row(
        "drop record 3 and chain and sign anew", drop_anew, [4, 7],
        [
            f"records 0 to 3: something in them was rewritten, {HELD_4}",
            f"two checkpoints of 4 records disagree, {FRAUD}",
            "record 6: missing, a held checkpoint is of 7 records and the log has 6",
        ],
    ),
    Row(
        "add white space to record 4", spell(4, b'"seq":', b'"seq": '), [4, 7],
        [
            "record 4: it is not in canonical form",
            "record 4: the next one names another hash",
            f"records 4 to 6: something in them was rewritten, {HELD_7}",
        ],
    ),
    Row(
        "write a member of record 4 twice", spell(4, b'"seq":4', b'"seq":4,"seq":4'), [4, 7],
        [
            "record 4: it is not in canonical form",
            "record 4: the next one names another hash",
            f"records 4 to 6: something in them was rewritten, {HELD_7}",
        ],
    ),
    Row(
        "tear the last line", cut(6, torn=b'{"event_name":'), [4, 7],
        ["record 6: missing, a held checkpoint is of 7 records and the log has 6"],
    ),
    Row("tear the last line, only 4 held", cut(6, torn=b'{"event_name":'), [4], []),
    Row(
        "cut after 5 records", cut(5), [4, 7],
        ["records 5 to 6: missing, a held checkpoint is of 7 records and the log has 5"],
    ),
    Row("cut after 5 records, only 4 held", cut(5), [4], []),
    Row(
        "cut after 5 records and leave the checkpoint, only 4 held", cut(5, forget=False), [4],
        ["records 5 to 6: missing, the log's own checkpoint is of 7 records and the log has 5"],
    ),
    Row(
        "cut after 3 records and leave the checkpoints, only 4 held", cut(3, forget=False), [4],
        [
            "record 3: missing, a held checkpoint is of 4 records and the log has 3",
            "records 4 to 6: missing, the log's own checkpoint is of 7 records and the log has 3",
        ],
    ),
    Row(
        "rewrite from 2 and chain anew", edit_record(2, chained_anew=True), [4, 7],
        [f"records 0 to 3: something in them was rewritten, {HELD_4}"],
    ),
    Row(
        "rewrite from 2, chain and sign anew", edit_record(2, chained_anew=True, signed=True), [4, 7],
        [
            f"records 0 to 3: something in them was rewritten, {HELD_4}",
            f"two checkpoints of 4 records disagree, {FRAUD}",
        ],
    ),
    Row(
        "rewrite from 5 and chain anew", edit_record(5, chained_anew=True), [4, 7],
        [f"records 4 to 6: something in them was rewritten, {HELD_7}"],
    ),
    Row(
        "rewrite from 5, chain and sign anew", edit_record(5, chained_anew=True, signed=True), [4, 7],
        [
            f"records 4 to 6: something in them was rewritten, {HELD_7}",
            f"two checkpoints of 7 records disagree, {FRAUD}",
        ],
    ),
    Row("rewrite from 5, chain and sign anew, only 4 held", edit_record(5, chained_anew=True, signed=True), [4], []),
    Row("rewrite from 2, chain and sign anew, nothing held", edit_record(2, chained_anew=True, signed=True), [], []),
    Row(
        "show an old checkpoint as the newest", show_notes(lambda log: log.notes[4], lambda log: log.notes[7], lambda log: log.notes[4]), [],
        ["a checkpoint of 4 records follows one of 7"],
    ),
    Row(
        "show the log and checkpoint of before, 7 held", cut(4), [7],
        ["records 4 to 6: missing, a held checkpoint is of 7 records and the log has 4"],
    ),
    Row("show the log and checkpoint of before, only 4 held", cut(4), [4], []),
    Row(
        "show a checkpoint of another log", show_notes(note_of_another_log), [4],
        ["a checkpoint of segment 0: it is another log's"],
    ),
    Row(
        "edit a checkpoint", show_notes(lambda log: log.notes[7].replace(b"\n7\n", b"\n6\n")), [4],
        ["a checkpoint of segment 0: invalid signature"],
    ),
    Row(
        "sign with another key", sign_by_another_key, [4],
        ["a checkpoint of segment 0: no known signature", "a checkpoint of segment 0: no known signature"],
    ),
    Row("remove all checkpoints", remove_checkpoints, [4, 7], []),
    Row(
        "set the time of record 3 back, chain and sign anew", set_time_back, [],
        ["record 3: its time is before that of the record before it"],
    ),
    Row(
        "give record 5 to another tenant", change_tenant, [],
        [
            "record 5: it is said not to be the first of its tenant",
            "record 5: the next one names another hash",
            "records 4 to 6: something in them was rewritten, or the log's own checkpoint of 7 was",
        ],
    ),
    Row("remove the log", remove_log, [7], ["a checkpoint of it is held, and the log is not there"]),
    Row("remove the log, nothing held", remove_log, [], []),
]  # fmt: skip


@pytest.fixture(scope="module")
def genuine(tmp_path_factory: pytest.TempPathFactory) -> Genuine:
    return Genuine(tmp_path_factory.mktemp("tampering") / "true", count=7, signed=(4, 7))


def _words(report: Report) -> list[str]:
    return sorted(finding.words for finding in report.faults)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_of_each_attack_it_is_told_what_can_be_known(genuine: Genuine, tmp_path: Path, row: Row) -> None:
    row.attack(genuine.attacked(tmp_path))
    report = verify_folder(tmp_path, TRUST, [genuine.notes[size] for size in row.held])
    assert _words(report) == sorted(row.told)
    for log in report.logs:
        uncovered = [finding for finding in log.findings if "covered by no checkpoint" in finding.words]
        assert [finding.last for finding in uncovered] == ([log.size - 1] if log.covered < log.size else [])


@pytest.mark.parametrize(
    ("attack", "record"),
    [
        (edit_record(2), 2),
        (reorder([0, 1, 2, 4, 5, 6]), 3),
        (reorder([0, 1, 2, 4, 3, 5, 6]), 3),
        (reorder([0, 1, 2, 3, 3, 4, 5, 6]), 4),
        (spell(4, b'"seq":', b'"seq": '), 4),
        (edit_record(6), None),
        (edit_record(2, chained_anew=True), None),
    ],
)
def test_the_first_bad_record_is_named_where_the_chain_was_not_made_anew(
    genuine: Genuine, tmp_path: Path, attack: Attack, record: int | None
) -> None:
    attack(genuine.attacked(tmp_path))
    [found] = verify_folder(tmp_path, TRUST, [genuine.notes[7]]).logs
    assert found.first_bad == record


def test_two_readers_who_were_shown_two_histories_have_proof_for_everybody(
    genuine: Genuine, tmp_path: Path
) -> None:
    other = genuine.attacked(tmp_path / "other")
    edit_record(5, chained_anew=True, signed=True)(other)
    genuine.attacked(tmp_path / "shown").write()
    for shown in ("shown", "other"):
        report = verify_folder(tmp_path / shown, TRUST, [genuine.notes[7], other.notes[7]])
        frauds = [finding for finding in report.faults if finding.kind == Kind.FRAUD]
        assert {finding.words for finding in frauds} == {f"two checkpoints of 7 records disagree, {FRAUD}"}
        one, two = (parse_note(note.encode()) for note in frauds[0].notes)
        key = TRUST.verifiers(LOG)
        assert verify_note(one, key)
        assert verify_note(two, key)
        assert (one.text != two.text, one.text.split("\n")[:2]) == (True, two.text.split("\n")[:2])


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Genuine:
    """A log of thirty records in three segments, of which the real log reader has closed two."""
    made = Genuine(tmp_path_factory.mktemp("closed") / "true", count=30, signed=(4, 29), segment=10)
    made.close_segments()
    return made


def _remove_segment(segment: Segment) -> None:
    for kind in (CLOSED, MANIFEST, CHECKPOINTS):
        segment.path(kind).unlink(missing_ok=True)


def _edit_closed(segment: Segment) -> None:
    lines = list(segment.lines())
    lines[1] = edit(lines[1][:-1], event_name="esa.kv.list") + b"\n"
    segment.path(CLOSED).write_bytes(gzip.compress(b"".join(lines)))


def _truncate(segment: Segment) -> None:
    path = segment.path(CLOSED)
    path.write_bytes(path.read_bytes()[:-12])


def _open_and_add(segment: Segment) -> None:
    following = Segment(segment.folder, segment.first + 10)
    segment.path(SEGMENT).write_bytes(b"".join([*segment.lines(), next(following.lines())]))
    for kind in (CLOSED, MANIFEST):
        segment.path(kind).unlink()


_NOT_COMPARED = "no checkpoint can be compared"


def _swap_files(segment: Segment) -> None:
    first, second = segment.path(CLOSED), Segment(segment.folder, segment.first - 10).path(CLOSED)
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)


def _make_pipe(segment: Segment) -> None:
    segment.path(CLOSED).unlink()
    os.mkfifo(segment.path(CLOSED))


def _link_to_device(segment: Segment) -> None:
    segment.path(MANIFEST).unlink()
    segment.path(MANIFEST).symlink_to("/dev/zero")


def _write_note(segment: Segment) -> None:
    said = json.loads(segment.path(MANIFEST).read_bytes())
    note = json.loads(Segment(segment.folder, 0).path(MANIFEST).read_bytes())["checkpoint"]
    segment.path(MANIFEST).write_text(json.dumps({**said, "checkpoint": note.replace("\n4\n", "\n14\n")}))


def _remove_oldest(segment: Segment) -> None:
    for first in (0, segment.first):
        _remove_segment(Segment(segment.folder, first))


@pytest.mark.parametrize(
    ("attack", "told"),
    [
        (lambda _: None, []),
        (_make_pipe, ["segment 10 can't be read: it is no file", "records 10 to 19: missing"]),
        (_link_to_device, ["00000000000000000010.manifest can't be read: it is no file"]),
        (_write_note, ["the checkpoint in the manifest of segment 10: invalid signature"]),
        (_remove_oldest, [f"records 0 to 19: not there, nor hash tiles that stand for them; {_NOT_COMPARED}"]),
        (_remove_segment, ["records 10 to 19: missing"]),
        (
            _edit_closed,
            [
                "record 11: the next one names another hash",
                "record 14: it does not follow record 3 of its tenant",
                "the manifest of segment 10 says another digest, root",
                "records 4 to 28: something in them was rewritten, a held checkpoint has another root at 29",
            ],
        ),
        (
            _truncate,
            ["segment 10 can't be read: Compressed file ended before the end-of-stream marker was reached", "…"],
        ),
        (
            _open_and_add,
            ["record 21: record 20 stands in its place", "…"],
        ),
        (_swap_files, ["record 0: record 10 stands in its place", "…"]),
    ],
    ids=["nothing", "make it a pipe", "link its manifest to a device", "change its manifest's checkpoint", "remove it and all before", "remove it", "edit it and not its manifest", "cut it", "open it and add the next one's record", "swap it with another"],
)  # fmt: skip
def test_a_segment_that_the_reader_closed_is_tampered_with(
    closed: Genuine, tmp_path: Path, attack: Callable[[Segment], None], told: Sequence[str]
) -> None:
    assert [each.closed for each in closed.segments] == [True, True, False]
    attack(Segment(closed.stolen(tmp_path), 10))
    report = verify_folder(tmp_path, TRUST, [closed.notes[4], closed.notes[29]])
    found = [finding.words for finding in report.faults]
    if told[-1:] == ["…"]:  # and what follows from it
        assert found[: len(told) - 1] == told[:-1]
    else:
        assert sorted(found) == sorted(told)


@given(st.data())
def test_whatever_byte_is_changed_under_a_held_checkpoint_it_is_noticed(
    closed: Genuine, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("changed")
    segment = Segment(closed.stolen(folder), data.draw(st.sampled_from([0, 10])))
    path = segment.path(CLOSED)
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    report = verify_folder(folder, TRUST, [closed.notes[29]])
    try:
        found = list(segment.lines())
    except BadSegment:
        found = []
    same = found == [line + b"\n" for line in closed.lines[segment.first : segment.first + 10]]
    kinds = {finding.kind for finding in report.faults}
    # A reader may do without what was changed of the compression; that the manifest tells another place is a fault still.
    assert bool(kinds) is not same or kinds == {Kind.MANIFEST}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Genuine:
    return Genuine(tmp_path_factory.mktemp("small") / "true", count=10, signed=(4, 9))


_CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["edit", "drop", "swap", "repeat", "insert", "chain", "sign"]),
        st.integers(0, 9),
    ),
    min_size=1,
    max_size=4,
)


@given(changes=_CHANGES, held=st.sets(st.sampled_from([4, 9])), data=st.data())
def test_whatever_is_done_covered_records_are_as_they_were_or_it_is_told(
    small: Genuine,
    tmp_path_factory: pytest.TempPathFactory,
    changes: list[tuple[str, int]],
    held: set[int],
    data: st.DataObject,
) -> None:
    stolen = small.attacked(tmp_path_factory.mktemp("anything"))
    for what, place in changes:
        _change(stolen, what, place % len(stolen.lines))
    stolen.starts = sorted({0, *data.draw(st.sets(st.integers(1, len(stolen.lines) - 1), max_size=3))})
    stolen.write()
    report = verify_folder(stolen.folder.parent, TRUST, [small.notes[size] for size in held])
    covered = max(held, default=0)
    if not report.faults:
        assert stolen.lines[:covered] == small.lines[:covered]
        assert report.logs[0].covered == covered
    elif stolen.lines == small.lines and stolen.notes == small.notes:
        pytest.fail(f"{report.faults[0]}, and nothing was changed")


def _change(log: WrittenLog, what: str, place: int) -> None:
    lines = log.lines
    match what:
        case "edit":
            lines[place] = edit(lines[place], event_name="esa.kv.list")
        case "drop" if len(lines) > 2:
            del lines[place]
        case "swap":
            lines[place - 1], lines[place] = lines[place], lines[place - 1]
        case "repeat":
            lines.insert(place, lines[place])
        case "insert":
            lines.insert(place, chained([record(99)])[0])
        case "chain":
            chain_anew(log)
        case "sign":
            sign_anew(log)
