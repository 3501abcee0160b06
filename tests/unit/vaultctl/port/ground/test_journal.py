# SPDX-License-Identifier: EUPL-1.2
"""A journal says what is done, to nobody else, and survives the end of its process at any byte."""

import os
from pathlib import Path

import pytest

from vaultctl.errors import CommandError
from vaultctl.port.ground.entry import Name
from vaultctl.port.ground.journal import Journal

_ENDS = {"source": "one", "destination": "other"}
_NAME = Name("kv2", "team/", "secret/app/password")


def _with_one(file: Path) -> bytes:
    journal = Journal(file, _ENDS)
    journal.note(_NAME, "mark")
    journal.close()
    return file.read_bytes()


def test_what_is_done_is_known_the_next_time_and_another_mark_is_not(tmp_path: Path) -> None:
    _with_one(tmp_path / "j")
    journal = Journal(tmp_path / "j", _ENDS)
    assert journal.is_done(_NAME, "mark")
    assert not journal.is_done(_NAME, "other")
    assert not journal.is_done(_NAME, "")
    assert not journal.is_done(Name("kv2", "", "secret/app/password"), "mark")
    journal.forget(_NAME)
    journal.close()
    assert not Journal(tmp_path / "j", _ENDS).is_done(_NAME, "mark")


def test_what_was_written_is_ours_and_what_was_there_already_is_not(tmp_path: Path) -> None:
    _with_one(tmp_path / "j")
    journal = Journal(tmp_path / "j", _ENDS)
    assert not journal.holds(_NAME)
    journal.own(_NAME)
    journal.close()
    journal = Journal(tmp_path / "j", _ENDS)
    assert journal.holds(_NAME)
    assert not journal.holds(Name("kv2", "", "secret/app/password"))
    assert journal.lines == []
    journal.forget(_NAME)
    assert not journal.holds(_NAME)
    journal.close()
    assert not Journal(tmp_path / "j", _ENDS).holds(_NAME)


def test_no_name_stands_in_it_and_nobody_else_reads_it(tmp_path: Path) -> None:
    content = _with_one(tmp_path / "j")
    assert b"app" not in content
    assert b"secret" not in content
    assert (tmp_path / "j").stat().st_mode & 0o077 == 0


def test_a_line_that_was_not_finished_counts_for_nothing(tmp_path: Path) -> None:
    content = _with_one(tmp_path / "j")
    head = content.index(b"\n") + 1
    for size in range(head, len(content)):
        (tmp_path / "j").write_bytes(content[:size])
        journal = Journal(tmp_path / "j", _ENDS)
        assert not journal.is_done(_NAME, "mark")
        journal.note(_NAME, "again")
        journal.close()
        journal = Journal(tmp_path / "j", _ENDS)
        assert journal.is_done(_NAME, "again")
        journal.close()


def test_a_journal_of_other_ends_or_of_another_process_is_refused(tmp_path: Path) -> None:
    _with_one(tmp_path / "j")
    with pytest.raises(CommandError, match="something else"):
        Journal(tmp_path / "j", {"source": "third"})
    journal = Journal(tmp_path / "other", _ENDS)
    with pytest.raises(CommandError, match="another process"):
        Journal(tmp_path / "other", _ENDS)
    journal.close()
    (tmp_path / "text").write_text("no journal\n")
    with pytest.raises(CommandError, match="no journal"):
        Journal(tmp_path / "text", _ENDS)


def test_a_later_journal_begins_with_what_an_earlier_one_did(tmp_path: Path) -> None:
    ends = {"kind": "export", "source": "one", "base": "digest"}
    journal = Journal(tmp_path / "j", {**ends, "base": ""})
    journal.note(_NAME, "mark")
    journal.close()
    with pytest.raises(CommandError, match="not the journal of the archive"):
        Journal.copy_marks(tmp_path / "j", tmp_path / "k", ends)
    journal = Journal(tmp_path / "j", {**ends, "base": ""})
    journal.add({"complete": "digest"})
    journal.close()
    with pytest.raises(CommandError, match="another source"):
        Journal.copy_marks(tmp_path / "j", tmp_path / "k", {**ends, "source": "other"})
    Journal.copy_marks(tmp_path / "j", tmp_path / "k", ends)
    journal = Journal(tmp_path / "k", ends)
    assert journal.is_done(_NAME, "mark")
    assert journal.lines == []
    with pytest.raises(CommandError, match="earlier export"):
        Journal.copy_marks(tmp_path / "none", tmp_path / "l", ends)


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_journal_that_others_may_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    _with_one(tmp_path / "j")
    (tmp_path / "j").chmod(mode)
    with pytest.raises(CommandError, match="others may write to it"):
        Journal(tmp_path / "j", _ENDS)
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(CommandError, match="others may write to it"):
        Journal(tmp_path / "pipe", _ENDS)


def test_what_is_doubted_is_ours_still_and_not_done(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j", _ENDS)
    journal.own(_NAME)
    journal.note(_NAME, "mark", "1@now")
    journal.doubt()
    journal.close()
    journal = Journal(tmp_path / "j", _ENDS)
    assert journal.holds(_NAME)
    assert not journal.is_done(_NAME, "mark")
    assert journal.versions(_NAME) == ""


def test_a_journal_that_is_not_there_is_not_begun_where_it_is_needed(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="No such file"):
        Journal(tmp_path / "j", _ENDS, begin=False)
    assert not (tmp_path / "j").exists()
    (tmp_path / "j").touch()
    with pytest.raises(CommandError, match="something else"):
        Journal(tmp_path / "j", _ENDS, begin=False)
    assert (tmp_path / "j").read_bytes() == b""
    _with_one(tmp_path / "k")
    Journal(tmp_path / "k", {"source": "one"}, begin=False).close()
    with pytest.raises(CommandError, match="another source"):
        Journal(tmp_path / "k", {"source": "third"}, begin=False)
