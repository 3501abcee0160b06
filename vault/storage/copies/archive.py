# SPDX-License-Identifier: EUPL-1.2
"""A backup in the form in which OpenBao's API has a snapshot: a tar in gzip, with sums, that its command line takes.

`meta.json` and `state.bin`, which is the backup, have their SHA-256 in `SHA256SUMS`; `SHA256SUMS.sealed` is that, sealed by the
vault whose backup it is. The sealed sums come last and are a part of gzip of their own (RFC 1952, section 2.2), for another
process makes them.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from gzip import BadGzipFile, GzipFile
from pathlib import Path
from typing import BinaryIO, Final, cast

import msgspec
from isal import igzip, isal_zlib

from vault.storage.copies.snapshot import Content, Progress
from vault.storage.copies.workplace import FOR_COPY, passing_place, require_room
from vault.storage.protocol import StorageFailure

_META: Final = "meta.json"
_STATE: Final = "state.bin"
_SUMS: Final = "SHA256SUMS"
_SEALED: Final = "SHA256SUMS.sealed"
_HEAD: Final = b"\x1f\x8b"
"""How gzip begins (RFC 1952, section 2.3.1)."""
_FORMAT: Final = tarfile.GNU_FORMAT
"""Writes the size of a large file in its own head: POSIX' form has another head before it."""
_LEVEL: Final = 0
"""How hard isal tries: sealed values do not get smaller."""
_LARGEST: Final = 1 << 16
"""Bytes of a member that is not the backup."""
_LARGEST_STATE: Final = 1 << 42
"""Bytes of the backup: more than any database here."""
_CHUNK: Final = 1 << 20


def begun(target: BinaryIO) -> GzipFile:
    """Begin an archive: what is written to it is packed."""
    made = cast("type[GzipFile]", igzip.IGzipFile)  # as the standard library's, and faster; it ships no types
    return made(filename="", fileobj=target, mode="wb", compresslevel=_LEVEL, mtime=0)


def write(packed: GzipFile, backup: BinaryIO, size: int, found: Content) -> str:
    """Write a backup of `size` bytes and its sums, and end the part; return the sums."""
    meta = msgspec.json.encode(
        {"Version": 1, "ID": "coffre-snapshot", "Index": found.epoch, "Term": found.schema, "Size": size}
    )
    tar = tarfile.open(fileobj=packed, mode="w", format=_FORMAT)  # noqa: SIM115 - its end comes with the sealed sums
    tar.addfile(_member(_META, len(meta)), io.BytesIO(meta))
    hashed = _ReadDigest(backup)
    tar.addfile(_member(_STATE, size), hashed)
    sums = f"{hashlib.sha256(meta).hexdigest()}  {_META}\n{hashed.digest.hexdigest()}  {_STATE}\n"
    tar.addfile(_member(_SUMS, len(sums)), io.BytesIO(sums.encode()))
    packed.close()
    return sums


def last_part(sealed: bytes) -> bytes:
    """Return what comes behind all that: the sealed sums, and the end."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=_FORMAT) as tar:
        tar.addfile(_member(_SEALED, len(sealed)), io.BytesIO(sealed))
    return isal_zlib.compress(plain.getvalue(), _LEVEL, isal_zlib.MAX_WBITS + 16)


def _member(name: str, size: int) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.size, made.mode = size, 0o600
    return made


class _ReadDigest:
    """Reads a file, and hashes what it reads."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest: Final = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.digest.update(data)
        return data


class _Meta(msgspec.Struct, frozen=True, rename={"size": "Size"}):
    """What `meta.json` says that is held to."""

    size: int


@contextmanager
def unpacked(file: Path, progress: Progress) -> Iterator[Path]:
    """Have the backup that is in a file until the end of the block: itself, or what is in the archive. Raises `StorageFailure`.

    The sums are compared. The sealed ones are the vault's: nobody who has no vault open can tell whether they are its.
    """
    if not file.is_file() or not _is_packed(file):
        yield file
        return
    with passing_place() as folder:
        plain = folder / file.name
        try:
            with file.open("rb") as packed, plain.open("xb") as target:
                _unpack(packed, target, file.stat().st_size, progress)
        except (
            tarfile.TarError,
            BadGzipFile,
            zlib.error,
            EOFError,
            UnicodeError,
            msgspec.MsgspecError,
            _Unfit,
        ):
            raise StorageFailure(
                f"backup {file}: it is damaged, or no archive of a backup; take another one"
            ) from None
        yield plain


def _is_packed(file: Path) -> bool:
    with file.open("rb") as content:
        return content.read(len(_HEAD)) == _HEAD


class _Unfit(Exception):
    """The archive holds something else than it should."""


def _unpack(packed: BinaryIO, target: BinaryIO, size: int, progress: Progress) -> None:
    """Read what `write` and `last_part` have written, in that order and nothing else."""
    with GzipFile(fileobj=packed) as inner:
        meta = _short(inner, _META)
        whole = msgspec.json.decode(meta, type=_Meta).size
        if _member_of(inner, _STATE, _LARGEST_STATE) != whole:
            raise _Unfit
        require_room(Path(target.name).parent, {FOR_COPY: whole})
        state = _copied(inner, whole, target, packed, size, progress)
        _skip_zeros(inner, -whole % tarfile.BLOCKSIZE)
        sums = _short(inner, _SUMS)
        _short(inner, _SEALED)
        _skip_zeros(inner, 2 * tarfile.RECORDSIZE, ended=True)
    if _read_sums(sums) != {_META: hashlib.sha256(meta).hexdigest(), _STATE: state}:
        raise _Unfit


def _member_of(inner: GzipFile, name: str, largest: int) -> int:
    """Read the head of a member, which is a plain file of this name; return its size.

    Heads of other kinds say more about the next one, as long as they like, or that a file has holes: none is written here.
    """
    head = tarfile.TarInfo.frombuf(_exactly(inner, tarfile.BLOCKSIZE), "ascii", "strict")
    if (
        head.name != name
        or head.type not in (tarfile.REGTYPE, tarfile.AREGTYPE)
        or not 0 <= head.size <= largest
    ):
        raise _Unfit
    return head.size


def _short(inner: GzipFile, name: str) -> bytes:
    """Read a member that is short."""
    data = _exactly(inner, _member_of(inner, name, _LARGEST))
    _skip_zeros(inner, -len(data) % tarfile.BLOCKSIZE)
    return data


def _exactly(inner: GzipFile, size: int) -> bytes:
    data = inner.read(size)
    if len(data) != size:
        raise EOFError
    return data


def _skip_zeros(inner: GzipFile, most: int, *, ended: bool = False) -> None:
    """Read so many zeros, or at most as many until it has `ended`."""
    data = inner.read(most)
    if data.strip(b"\0") or (inner.read(1) if ended else len(data) != most):
        raise _Unfit


def _copied(
    inner: GzipFile, whole: int, target: BinaryIO, packed: BinaryIO, size: int, progress: Progress
) -> str:
    digest = hashlib.sha256()
    left = whole
    while left:
        data = _exactly(inner, min(left, _CHUNK))
        left -= len(data)
        digest.update(data)
        target.write(data)
        progress("unpacking", min(99, packed.tell() * 100 // max(1, size)))
    progress("unpacking", 100)
    return digest.hexdigest()


def _read_sums(text: bytes) -> Mapping[str, str]:
    lines = [line.split("  ", 1) for line in text.decode("ascii").splitlines()]
    return {line[-1]: line[0] for line in lines}
