# SPDX-License-Identifier: EUPL-1.2
"""A backup as OpenBao's clients get it: whole again, and refused where any bit is another."""

import gzip
import hashlib
import io
import tarfile
from contextlib import suppress
from pathlib import Path

import pytest

from tests.storage.copies import make, silent, words
from vault.storage.copies import archive
from vault.storage.copies.archive import unpacked
from vault.storage.copies.backup import back_up
from vault.storage.copies.restore import restore
from vault.storage.protocol import StorageFailure

_MEANINGLESS = 10
"""Bytes of gzip that say when and where it was packed (RFC 1952, section 2.3.1), and bits that fill a byte up."""


@pytest.fixture(scope="module")
def backup(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backup")
    make(folder / "vault.db", "old")
    back_up(folder / "vault.db", folder / "b.db", force=False, progress=silent)
    return folder / "b.db"


def _packed(backup: Path) -> bytes:
    target = io.BytesIO()
    with backup.open("rb") as content:
        found = back_up(backup, backup.with_name("again.db"), force=True, progress=silent)
        sums = archive.write(archive.begun(target), content, backup.stat().st_size, found)
    return target.getvalue() + archive.last_part(f"sealed {sums}".encode())


def _small(backup: Path, members: dict[str, bytes] | None = None, *, order: tuple[str, ...] = ()) -> bytes:
    """An archive of a few bytes in the place of a backup."""
    state = b"state" * 20
    sums = "".join(
        f"{hashlib.sha256(data).hexdigest()}  {name}\n"
        for name, data in (("meta.json", b"{}"), ("state.bin", state))
    )
    whole = {"meta.json": b"{}", "state.bin": state, "SHA256SUMS": sums.encode(), "SHA256SUMS.sealed": b"x"}
    whole |= members or {}
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for name in order or whole:
            member = tarfile.TarInfo(name)
            member.size = len(whole[name])
            tar.addfile(member, io.BytesIO(whole[name]))
    return gzip.compress(plain.getvalue(), mtime=0)


def _read(file: Path, data: bytes) -> bytes:
    file.write_bytes(data)
    with unpacked(file, silent) as plain:
        return plain.read_bytes()


def test_there_and_back(backup: Path, tmp_path: Path) -> None:
    file = tmp_path / "b.snap"
    file.write_bytes(_packed(backup))
    with unpacked(file, silent) as plain:
        assert plain.read_bytes() == backup.read_bytes()
        restore(plain, tmp_path / "v.db", keep=False, progress=silent)
    assert words(tmp_path / "v.db") == {"old"}


def test_any_program_that_knows_tar_reads_it(backup: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(_packed(backup)), mode="r:gz") as tar:
        assert tar.getnames() == ["meta.json", "state.bin", "SHA256SUMS", "SHA256SUMS.sealed"]
        state = tar.extractfile("state.bin")
        assert state is not None
        assert state.read() == backup.read_bytes()


def test_a_file_that_is_none_is_left_as_it_is(backup: Path, tmp_path: Path) -> None:
    with unpacked(backup, silent) as plain:
        assert plain == backup
    with unpacked(tmp_path / "none", silent) as plain:
        assert plain == tmp_path / "none"


def test_a_bit_that_flipped_anywhere_is_refused(backup: Path, tmp_path: Path) -> None:
    whole = _small(backup)
    assert _read(tmp_path / "s", whole) == b"state" * 20
    unseen = 0
    for place in range(2, len(whole)):
        for bit in (1, 3, 7):
            broken = bytearray(whole)
            broken[place] ^= 1 << bit
            with suppress(StorageFailure):
                assert _read(tmp_path / "s", bytes(broken)) == b"state" * 20, "a part that says nothing"
                unseen += 1
    assert unseen < 3 * _MEANINGLESS


def test_what_is_cut_off_anywhere_is_refused(backup: Path, tmp_path: Path) -> None:
    whole = _small(backup)
    for size in range(2, len(whole)):
        with pytest.raises(StorageFailure, match="damaged, or no archive"):
            _read(tmp_path / "s", whole[:size])


def test_a_large_one_that_is_cut_between_its_parts_is_refused(backup: Path, tmp_path: Path) -> None:
    whole = _packed(backup)
    last = whole.rindex(b"\x1f\x8b")
    with pytest.raises(StorageFailure, match="damaged, or no archive"):
        _read(tmp_path / "s", whole[:last])


@pytest.mark.parametrize(
    ("members", "order"),
    [
        ({"SHA256SUMS": b"nonsense"}, ()),
        ({"SHA256SUMS": b""}, ()),
        ({"SHA256SUMS": "ü".encode()}, ()),
        ({"state.bin": b"another"}, ()),
        ({"meta.json": b"[]"}, ()),
        ({"../evil": b"x"}, ()),
        ({"SHA256SUMS.sealed": bytes(70_000)}, ()),
        (None, ("meta.json", "state.bin", "SHA256SUMS")),
        (None, ("meta.json", "state.bin", "state.bin", "SHA256SUMS", "SHA256SUMS.sealed")),
        (None, ("state.bin", "SHA256SUMS", "SHA256SUMS.sealed")),
    ],
)
def test_what_is_not_as_it_was_packed_is_refused(
    backup: Path, tmp_path: Path, members: dict[str, bytes] | None, order: tuple[str, ...]
) -> None:
    with pytest.raises(StorageFailure, match="damaged, or no archive"):
        _read(tmp_path / "s", _small(backup, members, order=order))


def test_a_link_in_it_is_refused(tmp_path: Path) -> None:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        link = tarfile.TarInfo("state.bin")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(StorageFailure, match="damaged, or no archive"):
        _read(tmp_path / "s", gzip.compress(plain.getvalue()))
