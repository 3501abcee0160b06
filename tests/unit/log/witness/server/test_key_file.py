# SPDX-License-Identifier: EUPL-1.2
"""The file of a witness's key."""

import stat
from pathlib import Path

import pytest

from vault.log.format.note_key import BadName, Verifier
from vault.log.witness.server.key_file import UnfitKey, WitnessKey, read_key, write_key

GO = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
"""The signing key that the documentation of Go's sumdb/note shows, and below its verifier key."""
GO_PUBLIC = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"


def test_a_key_is_read_as_it_was_written_and_by_nobody_else(tmp_path: Path) -> None:
    key = WitnessKey("w.example/1", b"s" * 32)
    write_key(tmp_path / "key", key)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    read = read_key(tmp_path / "key")
    assert read.verifier.vkey == key.verifier.vkey
    signed = read.cosign("text\n", 1_790_000_000)
    assert key.verifier.verify(b"text\n", signed) == 1_790_000_000


def test_a_key_that_go_made_is_a_key_of_a_witness_too(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{GO}\n")
    file.chmod(0o600)
    read = read_key(file)
    assert read.verifier.public == Verifier.parse(GO_PUBLIC).public
    assert read.written() == f"{GO}\n".encode()


def test_a_key_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    write_key(tmp_path / "key", WitnessKey("w.example/1", b"s" * 32))
    before = (tmp_path / "key").read_bytes()
    with pytest.raises(FileExistsError):
        write_key(tmp_path / "key", WitnessKey("w.example/1", b"t" * 32))
    assert (tmp_path / "key").read_bytes() == before


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    write_key(tmp_path / "key", WitnessKey("w.example/1", b"s" * 32))
    (tmp_path / "key").chmod(0o640)
    with pytest.raises(UnfitKey, match="others may read it"):
        read_key(tmp_path / "key")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "words",
        GO_PUBLIC,
        GO.replace("c74f20a3", "c74f20a4"),
        GO.replace("+AY", "+BY"),
        GO[:-4],
        GO.replace("PRIVATE", "PUBLIC"),
        GO.replace("Peter", "Pet er"),
        GO + "é",
    ],
)
def test_what_is_no_signing_key_is_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    file = tmp_path / "key"
    file.write_text(text)
    file.chmod(0o600)
    with pytest.raises(UnfitKey) as refused:
        read_key(file)
    assert GO[-20:-4] not in str(refused.value)


def test_a_name_that_no_key_can_have_is_refused() -> None:
    with pytest.raises(BadName):
        WitnessKey("w example", b"s" * 32)


def test_a_key_shows_no_secret() -> None:
    assert repr(WitnessKey("w.example/1", b"s" * 32)).startswith("<WitnessKey w.example/1+")
