# SPDX-License-Identifier: EUPL-1.2
"""An archive as it is read: the manifest first, then each part, checked before anything of it is looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from vaultctl.errors import CommandError
from vaultctl.port.archive.manifest import Part, manifest_of, read_part
from vaultctl.port.archive.sealing import unseal
from vaultctl.port.ground import canonical
from vaultctl.port.ground.entry import Entry, Item, Name


class ArchiveReader:
    """An archive whose manifest is known to be whole."""

    def __init__(self, folder: Path, manifest: bytes, identities: Sequence[object]) -> None:
        """`manifest` is what was read of it, and checked. CommandError where identities are given for one in plain."""
        self._folder, self._identities = folder, identities
        self.manifest = manifest_of(manifest, folder)
        if identities and self.manifest.encryption != "age":
            raise CommandError(f"{folder}: it is not encrypted; leave -identity out")

    @property
    def opens(self) -> bool:
        """Whether what is in it can be read."""
        return self.manifest.encryption != "age" or bool(self._identities)

    def check(self) -> None:
        """Compare every part with the manifest, which needs no key. CommandError for the first that differs."""
        for part in self.manifest.parts:
            read_part(self._folder, part)

    def items(self) -> Iterator[Item]:
        """Every entry in its order. CommandError for what the manifest does not say."""
        if not self.opens:
            raise CommandError(f"{self._folder}: it is encrypted; give the private key's file with -identity")
        archive = self.manifest.digest[:16]
        for place, part in enumerate(self.manifest.parts):
            entries = list(self._entries(part))
            if Counter(entry.name.kind for entry in entries) != Counter(part.counts):
                raise CommandError(f"{self._folder / part.file}: it has other entries than the manifest says")
            for number, entry in enumerate(entries):
                yield Item(
                    entry.name,
                    f"{part.sha256}:{number}",
                    partial(_same, entry),
                    versions=f"{archive}:{place:08d}:{number:08d}",
                )

    def _entries(self, part: Part) -> Iterator[Entry]:
        content = read_part(self._folder, part)
        if self.manifest.encryption == "age":
            content = unseal(content, self._identities)
        for line in content.splitlines():
            value = canonical.decode(line)
            yield _entry(value, self._folder / part.file)


def _entry(value: dict[str, object], file: Path) -> Entry:
    """The entry that a line says. CommandError where it says none, or leads out of its place."""
    kind, namespace, path, data = (value.get(member) for member in ("kind", "namespace", "path", "data"))
    if not (
        isinstance(kind, str)
        and isinstance(namespace, str)
        and isinstance(path, str)
        and isinstance(data, dict)
        and not Name(kind, namespace, path).leads_out
    ):
        raise CommandError(f"{file}: a line is no entry")
    return Entry(Name(kind, namespace, path), data)


def _same(entry: Entry) -> Entry:
    return entry
