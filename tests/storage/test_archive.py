# SPDX-License-Identifier: EUPL-1.2
"""A backup as OpenBao's clients get it: whole again, and refused where any bit is another."""

import gzip
import hashlib
import io
import tarfile
import tracemalloc
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


_META = b'{"Size":100}'


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
        for name, data in (("meta.json", _META), ("state.bin", state))
    )
    whole = {"meta.json": _META, "state.bin": state, "SHA256SUMS": sums.encode(), "SHA256SUMS.sealed": b"x"}
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
        ({"meta.json": b'{"Size":100,"Term":1}'}, ()),
        ({"meta.json": b'{"Size":99}'}, ()),
        ({"meta.json": b'{"Size":"100"}'}, ()),
        ({"../evil": b"x"}, ()),
        ({"SHA256SUMS.sealed": bytes(70_000)}, ()),
        (None, ("meta.json", "state.bin", "SHA256SUMS")),
        (None, ("meta.json", "state.bin", "state.bin", "SHA256SUMS", "SHA256SUMS.sealed")),
        (None, ("state.bin", "SHA256SUMS", "SHA256SUMS.sealed")),
        (None, ("state.bin", "meta.json", "SHA256SUMS", "SHA256SUMS.sealed")),
        (None, ("meta.json", "state.bin", "SHA256SUMS", "SHA256SUMS.sealed", "SHA256SUMS.sealed")),
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


_LONG = 1 << 26
"""Bytes that take 64 KiB once packed, and nobody may have in memory."""


def _block(name: str, kind: bytes, size: int) -> bytes:
    """The head of a member, as the library writes it."""
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, size
    return member.tobuf(tarfile.GNU_FORMAT, "ascii", "strict")


def _state(size: int) -> bytes:
    """An archive of a backup of so many bytes, up to where that begins."""
    meta = b'{"Size":%d}' % size
    return (
        _block("meta.json", tarfile.REGTYPE, len(meta))
        + meta.ljust(tarfile.BLOCKSIZE, b"\0")
        + _block("state.bin", tarfile.REGTYPE, size)
    )


@pytest.mark.parametrize("kind", [b"x", b"g", b"L", b"K", b"S", b"7", b"X", b"5"])
def test_what_would_say_more_of_another_member_is_not_looked_at(kind: bytes, tmp_path: Path) -> None:
    with (tmp_path / "s").open("wb") as file, gzip.GzipFile(fileobj=file, mode="wb", mtime=0) as packed:
        packed.write(_block("meta.json", kind, _LONG))
        for _ in range(_LONG >> 20):
            packed.write(bytes(1 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(StorageFailure, match="damaged, or no archive"), unpacked(tmp_path / "s", silent):
            pass
        assert tracemalloc.get_traced_memory()[1] < _LONG / 16
    finally:
        tracemalloc.stop()


def test_what_has_no_room_is_not_begun_and_told_with_figures(tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(gzip.compress(_state(1 << 41)))
    with (
        pytest.raises(StorageFailure, match=r"\d+ MiB are free, and 2306\d+ MiB are needed"),
        unpacked(tmp_path / "s", silent),
    ):
        pass


def test_what_is_larger_than_any_database_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageFailure, match="damaged, or no archive"):
        _read(tmp_path / "s", gzip.compress(_state(1 << 43)))


def test_one_whose_size_needs_more_than_eleven_digits_is_written_with_one_head() -> None:
    """A head of another kind before it would be refused."""
    member = archive._member("state.bin", 1 << 36)
    (head,) = [member.tobuf(archive._FORMAT, "ascii", "strict")]
    assert len(head) == tarfile.BLOCKSIZE
    assert tarfile.TarInfo.frombuf(head, "ascii", "strict").size == 1 << 36
