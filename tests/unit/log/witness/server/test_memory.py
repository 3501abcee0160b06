# SPDX-License-Identifier: EUPL-1.2
"""What a witness has seen, in files."""

from pathlib import Path

import pytest

from tests.unit.log.format.signing import cosignature
from tests.unit.log.witness.grown import ORIGIN, GrownLog
from vault.log.format.note import format_note, parse_note
from vault.log.witness.server.key_file import WitnessKey
from vault.log.witness.server.memory import Memory, TooManyLogs, UnfitMemory, name_of, open_memory

KEY = WitnessKey("w.example/1", b"\x07" * 32)
ANOTHER = WitnessKey("w.example/1", b"\x08" * 32)


def cosigned(size: int, log: GrownLog | None = None) -> bytes:
    """A checkpoint with the cosignature of the witness."""
    note = parse_note((log or GrownLog()).note(size))
    return format_note(note.text, [*note.signatures, cosignature(note.text, "w.example/1", 7)])


def kept(folder: Path, *sizes: int) -> Memory:
    """The memory of a new witness that cosigned these sizes."""
    opened = open_memory(folder, KEY.verifier, fresh=True)
    for size in sizes:
        opened.keep(GrownLog().checkpoint(size), cosigned(size))
    return opened


def test_what_was_kept_is_there_after_the_next_start(tmp_path: Path) -> None:
    kept(tmp_path, 3, 9).close()
    opened = open_memory(tmp_path, KEY.verifier, fresh=False)
    assert opened.seen(ORIGIN) == GrownLog().checkpoint(9)
    assert opened.note(name_of(ORIGIN)) == cosigned(9)
    assert opened.sizes == {ORIGIN: 9}
    assert (opened.seen("another"), opened.note(name_of("another"))) == (None, None)
    opened.close()


def test_a_key_whose_views_are_gone_signs_nothing_more(tmp_path: Path) -> None:
    with pytest.raises(UnfitMemory, match="has not what this witness has seen"):
        open_memory(tmp_path / "gone", KEY.verifier, fresh=False)
    assert not (tmp_path / "gone").exists()


def test_the_views_of_another_key_are_no_views(tmp_path: Path) -> None:
    kept(tmp_path, 3).close()
    with pytest.raises(UnfitMemory, match="what another witness has seen"):
        open_memory(tmp_path, ANOTHER.verifier, fresh=False)


def test_a_new_key_does_not_begin_where_views_are(tmp_path: Path) -> None:
    kept(tmp_path, 3).close()
    with pytest.raises(UnfitMemory, match="give a new key a folder of its own"):
        open_memory(tmp_path, ANOTHER.verifier, fresh=True)


def test_a_new_key_begins_anew_where_a_start_was_cut_off(tmp_path: Path) -> None:
    kept(tmp_path).close()
    open_memory(tmp_path, ANOTHER.verifier, fresh=True).close()
    open_memory(tmp_path, ANOTHER.verifier, fresh=False).close()


def test_two_processes_do_not_have_the_same_views(tmp_path: Path) -> None:
    first = kept(tmp_path, 3)
    with pytest.raises(UnfitMemory, match="another process"):
        open_memory(tmp_path, KEY.verifier, fresh=False)
    first.close()
    open_memory(tmp_path, KEY.verifier, fresh=False).close()


def test_a_view_that_is_not_what_was_written_keeps_the_witness_from_starting(tmp_path: Path) -> None:
    kept(tmp_path, 3).close()
    path = tmp_path / f"{name_of(ORIGIN)}.checkpoint"
    written = path.read_bytes()
    for changed in (b"", written[:-30], GrownLog().note(3), written.replace(b"\n3\n", b"\n2\n")):
        path.write_bytes(changed)
        with pytest.raises(UnfitMemory, match="is not what this witness has written"):
            open_memory(tmp_path, KEY.verifier, fresh=False)
    path.rename(tmp_path / f"{name_of('another')}.checkpoint").write_bytes(written)
    with pytest.raises(UnfitMemory, match="is of another log"):
        open_memory(tmp_path, KEY.verifier, fresh=False)


def test_what_cannot_be_written_is_not_remembered(tmp_path: Path) -> None:
    opened = kept(tmp_path / "memory", 3)
    (tmp_path / "memory" / f"{name_of(ORIGIN)}.checkpoint.new").mkdir()
    with pytest.raises(OSError, match="Is a directory"):
        opened.keep(GrownLog().checkpoint(9), cosigned(9))
    assert opened.sizes == {ORIGIN: 3}
    opened.close()


def test_there_is_room_for_so_many_logs_and_no_more(tmp_path: Path) -> None:
    opened = open_memory(tmp_path, KEY.verifier, fresh=True, most=2)
    opened.keep(GrownLog().checkpoint(3), cosigned(3))
    for number in (1, 2):
        log = GrownLog(origin=f"log.example/{number}")
        if number == 1:
            opened.keep(log.checkpoint(3), cosigned(3, log))
        else:
            with pytest.raises(TooManyLogs):
                opened.keep(log.checkpoint(3), cosigned(3, log))
    opened.keep(GrownLog().checkpoint(9), cosigned(9))
    assert opened.sizes == {ORIGIN: 9, "log.example/1": 3}
    opened.close()


def test_the_first_proof_of_fraud_is_the_one_that_is_kept(tmp_path: Path) -> None:
    opened = kept(tmp_path, 3)
    opened.keep_fraud(ORIGIN, b"first")
    opened.keep_fraud(ORIGIN, b"second")
    assert (tmp_path / f"{name_of(ORIGIN)}.fraud").read_bytes() == b"first"
    opened.close()
