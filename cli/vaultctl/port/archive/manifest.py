# SPDX-License-Identifier: EUPL-1.2
"""The manifest: which parts an archive has, with their digests and counts. It says nothing of what is in them."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vaultctl.errors import CommandError
from vaultctl.port.ground import canonical
from vaultctl.text.json import as_list, as_map

FORMAT = "european-secrets-archive/1"
NAME = "manifest.json"
_LONGEST = 16 << 20
_LONGEST_PART = 256 << 20
LONGEST_ENTRY = _LONGEST_PART - (1 << 20)
"""Bytes of an entry that a part holds for sure, with what its encryption adds."""


@dataclass(frozen=True, slots=True)
class Part:
    """One file of entries: its name, size, SHA-256, and how many entries of which kind are in it."""

    file: str
    size: int
    sha256: str
    counts: Mapping[str, int]

    def written(self) -> dict[str, object]:
        """As it stands in the manifest."""
        return {"file": self.file, "bytes": self.size, "sha256": self.sha256, "counts": dict(self.counts)}


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is written and signed."""

    source: Mapping[str, object]
    made: str
    encryption: str
    base: str
    parts: tuple[Part, ...] = field(repr=False)

    @property
    def counts(self) -> dict[str, int]:
        """How many entries of each kind there are."""
        found: dict[str, int] = {}
        for part in self.parts:
            for kind, number in part.counts.items():
                found[kind] = found.get(kind, 0) + number
        return found

    @property
    def digest(self) -> str:
        """The SHA-256 of its one spelling: which archive this is."""
        return hashlib.sha256(self.encode()).hexdigest()

    def encode(self) -> bytes:
        """The manifest's one spelling (RFC 8785)."""
        return canonical.encode(
            {
                "format": FORMAT,
                "source": dict(self.source),
                "made": self.made,
                "encryption": self.encryption,
                "base": self.base,
                "counts": self.counts,
                "parts": [part.written() for part in self.parts],
            }
        )


def part_of(value: object) -> Part:
    """Return a part as it stands in a manifest or a journal. CommandError where it is none."""
    about = as_map(value)
    file, size, sha256 = about.get("file"), about.get("bytes"), about.get("sha256")
    counts = as_map(about.get("counts"))
    if not (
        isinstance(file, str)
        and isinstance(size, int)
        and isinstance(sha256, str)
        and file == Path(file).name
        and file.startswith("part-")
        and all(isinstance(number, int) for number in counts.values())
    ):
        raise CommandError("the manifest names a part that is none")
    return Part(
        file, size, sha256, {kind: number for kind, number in counts.items() if isinstance(number, int)}
    )


def manifest_bytes(folder: Path) -> bytes:
    """What an archive's manifest says, to be read once: whoever checks a signature uses what it checked."""
    return read_bounded(folder / NAME, _LONGEST)


def manifest_of(content: bytes, folder: Path) -> Manifest:
    """The manifest that these bytes are. CommandError where they are none, or not in canonical form."""
    value = canonical.decode(content)
    if value.get("format") != FORMAT:
        raise CommandError(f"{folder}: its manifest is not of the form {FORMAT}")
    manifest = Manifest(
        as_map(value.get("source")),
        str(value.get("made")),
        str(value.get("encryption")),
        str(value.get("base")),
        tuple(map(part_of, as_list(value.get("parts")))),
    )
    if manifest.encode() != content:
        raise CommandError(f"{folder}: the manifest says more than a manifest does, or counts otherwise")
    return manifest


def read_part(folder: Path, part: Part) -> bytes:
    """Read a part's bytes. CommandError where they are not those that the manifest names."""
    content = read_bounded(folder / part.file, _LONGEST_PART)
    if len(content) != part.size or hashlib.sha256(content).hexdigest() != part.sha256:
        raise CommandError(f"{folder / part.file}: it is not what the manifest says; the archive is damaged")
    return content


def write_file(file: Path, content: bytes) -> None:
    """Write a file that is whole once it has its name, and on the disk. CommandError where that fails."""
    partial = file.with_name(f"{file.name}.partial")
    try:
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as target:
            target.write(content)
            target.flush()
            os.fsync(target.fileno())
        partial.replace(file)
        folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}") from None


def read_bounded(file: Path, longest: int) -> bytes:
    """A file's bytes. CommandError where it has more, is a link, or is none that has bytes: what others made may be a pipe."""
    try:
        handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as source:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise CommandError(f"{file}: it is no file")
            content = source.read(longest + 1)
    except OSError as error:
        why = "it is a link, which leads out of the archive" if error.errno == errno.ELOOP else error.strerror
        raise CommandError(f"{file}: {why}") from None
    if len(content) > longest:
        raise CommandError(f"{file}: it has more than {longest} bytes")
    return content
