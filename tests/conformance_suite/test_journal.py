# SPDX-License-Identifier: EUPL-1.2
"""The journal: what is about to be made stands in it before, also when the run is killed."""

from pathlib import Path

import pytest

from esa_conformance.errors import UsageError
from esa_conformance.run.journal import Journal, note_removed, read_journal
from esa_conformance.run.names import ended, new_run, run_of

_NOW = 1_790_000_000.0


def _begun(path: Path) -> Journal:
    return Journal(path, run="6ab0c0de0a0b0c", address="https://vault.example")


def test_what_is_not_gone_is_left_the_newest_first(tmp_path: Path) -> None:
    journal = _begun(tmp_path / "j")
    first = journal.will_make("secret", "esa-6ab0c0de0a0b0c-1", mount="secret")
    second = journal.will_make("policy", "esa-6ab0c0de0a0b0c-2")
    third = journal.will_make("token", "esa-6ab0c0de0a0b0c-3", namespace="team")
    journal.made_token(third, "accessor-3")
    journal.removed(second)
    read = read_journal(tmp_path / "j")
    assert [entry.number for entry in read.entries] == [third, first]
    assert list(read.entries) == journal.left()
    assert (read.entries[0].accessor, read.entries[0].namespace, read.entries[1].mount) == (
        "accessor-3",
        "team",
        "secret",
    )
    assert (read.run, read.address, journal.count) == ("6ab0c0de0a0b0c", "https://vault.example", 3)


def test_a_line_is_on_the_disk_before_the_thing_is_made(tmp_path: Path) -> None:
    journal = _begun(tmp_path / "j")
    journal.will_make("secret", "esa-6ab0c0de0a0b0c-1")
    assert (tmp_path / "j").read_text(encoding="utf-8").count("\n") == 2


def test_a_line_that_was_cut_off_names_nothing_that_is_there(tmp_path: Path) -> None:
    journal = _begun(tmp_path / "j")
    journal.will_make("secret", "esa-6ab0c0de0a0b0c-1")
    with (tmp_path / "j").open("a", encoding="utf-8") as file:
        file.write('{"make": "secret", "number": 2, "na')
    assert [entry.number for entry in read_journal(tmp_path / "j").entries] == [1]


def test_a_journal_is_not_written_over(tmp_path: Path) -> None:
    _begun(tmp_path / "j")
    with pytest.raises(UsageError, match="cannot be begun"):
        _begun(tmp_path / "j")


def _finished(path: Path, *, all_gone: bool) -> None:
    journal = _begun(path)
    number = journal.will_make("secret", "esa-6ab0c0de0a0b0c-1")
    if all_gone:
        journal.removed(number)
    journal.close()


def test_a_journal_that_has_ended_and_has_nothing_left_is_replaced(tmp_path: Path) -> None:
    _finished(tmp_path / "j", all_gone=True)
    _begun(tmp_path / "j").will_make("policy", "esa-6ab0c0de0a0b0c-2")
    assert [entry.kind for entry in read_journal(tmp_path / "j").entries] == ["policy"]


def test_a_journal_with_something_left_is_replaced_when_that_is_gone(tmp_path: Path) -> None:
    _finished(tmp_path / "j", all_gone=False)
    with pytest.raises(UsageError, match="cleanup"):
        _begun(tmp_path / "j")
    note_removed(tmp_path / "j", read_journal(tmp_path / "j").entries)
    _begun(tmp_path / "j")


def test_what_is_removed_after_a_kill_is_noted_behind_the_last_whole_line(tmp_path: Path) -> None:
    _begun(tmp_path / "j").will_make("secret", "esa-6ab0c0de0a0b0c-1")
    with (tmp_path / "j").open("a", encoding="utf-8") as file:
        file.write('{"make": "secret", "number": 2, "na')
    note_removed(tmp_path / "j", read_journal(tmp_path / "j").entries)
    read = read_journal(tmp_path / "j")
    assert (read.entries, read.ended) == ((), True)


def test_another_file_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "j").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError):
        _begun(tmp_path / "j")
    assert (tmp_path / "j").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}\n",
        "nothing\n",
        '{"journal": "esa-journal-1", "run": "r", "address": "a"}\n{"gone": 7}\n',
        '{"journal": "esa-journal-1", "run": "r", "address": "a"}\n[]\n{"gone": 1}\n',
    ],
)
def test_what_is_no_journal_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "j").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError):
        read_journal(tmp_path / "j")


def test_a_name_tells_its_run_and_when_it_may_be_swept() -> None:
    run = new_run(_NOW, 600)
    name = f"esa-{run}-17/folder"
    assert run_of(name) == run_of(f"token-esa-{run}-1") == run
    assert not ended(name, _NOW + 600)
    assert ended(name, _NOW + 601)
    assert new_run(_NOW, 600) != run


@pytest.mark.parametrize(
    "name",
    ["", "team-a", "esa-", "esa-team", "esa-12345678", "x-esa-6ab0c0de0a0b0c-1", "esa-6AB0C0DE0A0B0C-1"],
)
def test_what_no_run_has_made_is_nobodys(name: str) -> None:
    assert run_of(name) == ""
    assert not ended(name, 2**33)
