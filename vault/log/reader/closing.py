# SPDX-License-Identifier: EUPL-1.2
"""Closes a segment: compresses it, says what it has, and removes the plain file.

Each file is written beside its name, synced and renamed, and the manifest last: with it the segment is closed. So
whatever ends this half-way, the plain file is there or the manifest is, and it is done again or finished.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

import msgspec
from isal import isal_zlib

from vault.log.format.files import sync_folder
from vault.log.format.segment import CLOSED, MANIFEST, SEGMENT, STATE, BadSegment, Manifest, Segment
from vault.log.format.tiles import WIDTH, Tile
from vault.log.reader.lines import LONGEST_LINE, SegmentGone, newest_notes, read_manifest

MEMBER_RECORDS: Final = 32
"""Records that are compressed together. Of 256, which the format allows, one costs six times as much to read alone."""
_LEVEL: Final = 2
"""How hard isal tries: a fifth of the time that zlib takes for a file of the same size."""
_GZIP: Final = 31


class EndedSegment(msgspec.Struct, frozen=True, kw_only=True):
    """A segment that another one follows: what the follower knows of it."""

    log: str
    first: int
    last: int
    size: int
    root: str
    """Of the tree that ends with it, in base64."""
    tenants: Mapping[str, tuple[int, str]]
    begins: str
    ends: str


def can_close(folder: Path, following: int) -> bool:
    """Whether nobody needs a plain segment any more: where the following one begins is stored, or that is closed itself."""
    segment = Segment(folder, following)
    return segment.closed or segment.path(STATE).exists()


def close_segment(folder: Path, ended: EndedSegment) -> Manifest:
    """Close a segment of the log in `folder`, and return its manifest. It blocks: call it in a thread.

    Raises `SegmentGone`, `BadSegment` where files are not what the follower read and wrote, and `OSError`.
    """
    if Segment(folder, ended.first).closed:  # by whoever was ended before the plain file was removed
        finish_closing(folder, ended.first)
        return read_manifest(folder, ended.first)
    packed = Segment(folder, ended.first).path(CLOSED)
    fresh = packed.with_name(f"{packed.name}.new")
    try:
        with Segment(folder, ended.first).path(SEGMENT).open("rb") as plain, _created(fresh) as file:
            digest, members = _compress(plain, file, ended.first)
            _sync(file)
            records, size = members.pop()[0] - ended.first, plain.tell()
    except FileNotFoundError:
        raise SegmentGone(f"segment {ended.first} is gone") from None
    if (records, size) != (ended.last - ended.first + 1, ended.size):
        fresh.unlink()
        raise BadSegment(f"segment {ended.first} is not what was read of it")
    fresh.replace(packed)
    manifest = Manifest(
        first=ended.first, last=ended.last, sha256=digest, root=ended.root, size=size, members=tuple(members),
        checkpoint=next(newest_notes(folder, ended.first), ""), tenants=dict(ended.tenants), begins=ended.begins, ends=ended.ends,
    )  # fmt: skip
    _sync_tiles(folder, ended)
    _write_manifest(folder, manifest)
    finish_closing(folder, ended.first)
    return manifest


def finish_closing(folder: Path, first: int) -> None:
    """Remove the plain file of a segment that has its manifest, and where the writer stood. Raises `OSError`."""
    for kind in (SEGMENT, STATE):
        Segment(folder, first).path(kind).unlink(missing_ok=True)
    sync_folder(folder)


def _compress(plain: BinaryIO, packed: BinaryIO, first: int) -> tuple[str, list[tuple[int, int, int]]]:
    """Return the checksum of a plain file, and its members with one more for its end."""
    digest, members, seq, begin = sha256(), [], first, 0
    for lines in _parts(plain):
        members.append((seq, packed.tell(), begin))
        text = b"".join(lines)
        digest.update(text)
        packed.write(isal_zlib.compress(text, _LEVEL, _GZIP))
        seq, begin = seq + len(lines), begin + len(text)
    members.append((seq, packed.tell(), begin))
    return digest.hexdigest(), members


def _parts(plain: BinaryIO) -> Iterator[list[bytes]]:
    """Yield the lines of a file, a member's at a time. Raises `BadSegment` for one that does not end."""
    while lines := list(islice(iter(lambda: plain.readline(LONGEST_LINE), b""), MEMBER_RECORDS)):
        if any(not line.endswith(b"\n") for line in lines):
            raise BadSegment("a line has no end")
        yield lines


def _write_manifest(folder: Path, manifest: Manifest) -> None:
    path = Segment(folder, manifest.first).path(MANIFEST)
    fresh = path.with_name(f"{path.name}.new")
    with _created(fresh) as file:
        file.write(manifest.encode())
        _sync(file)
    sync_folder(folder)  # the compressed file has its name before there is a manifest that speaks of it
    fresh.replace(path)
    sync_folder(folder)


def _sync_tiles(folder: Path, ended: EndedSegment) -> None:
    """Have the tiles on disk that became full with this segment: once it is purged, nobody can make them again."""
    folders: set[Path] = set()
    level, first, end = 0, ended.first, ended.last + 1
    while end:
        first, end = first // WIDTH, end // WIDTH
        for index in range(first, end):
            path = folder / Tile(level, index).path
            try:
                with path.open("rb") as file:
                    os.fsync(file.fileno())
            except FileNotFoundError:
                raise BadSegment(
                    f"segment {ended.first} is not closed: hashes of the tree are lost"
                ) from None
            folders.update(parent for parent in path.parents if parent.is_relative_to(folder))
        level += 1
    for parent in folders:
        sync_folder(parent)


def _created(path: Path) -> BinaryIO:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    return os.fdopen(file, "wb")


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
