# SPDX-License-Identifier: EUPL-1.2
"""What travels: entries, each of a kind and at a path, and what is noted where something does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from vaultctl.port.ground import canonical


@dataclass(frozen=True, slots=True)
class Name:
    """What an entry is, and where: `namespace` is "" for the root, else ends in a slash."""

    kind: str
    namespace: str
    path: str

    @property
    def text(self) -> str:
        """Namespace and path, as people write them."""
        return self.namespace + self.path

    @property
    def leads_out(self) -> bool:
        """Whether a part of it is "." or "..": servers tidy paths, so that a write would go somewhere else."""
        return not {".", ".."}.isdisjoint(self.text.split("/"))

    def digest(self, key: bytes) -> str:
        """The name where nobody may read it."""
        return canonical.digest(key, [self.kind, self.namespace, self.path])[:32]


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry with what it holds, which no message and no `repr` shows."""

    name: Name
    data: Mapping[str, object] = field(repr=False)

    def line(self) -> bytes:
        """The entry as a line of an archive, in canonical form."""
        name = self.name
        return canonical.encode(
            {"kind": name.kind, "namespace": name.namespace, "path": name.path, "data": dict(self.data)}
        )


@dataclass(frozen=True, slots=True)
class Item:
    """An entry that can be had. `mark` changes when the entry does, and is "" where only reading it would tell."""

    name: Name
    mark: str
    load: Callable[[], Entry | None] = field(repr=False)
    """Reads it; None where it is no longer there."""
    versions: str = ""
    """Which versions are alive, for the journal: the next pass need not read them again. Of an archive's, where it stands."""
    whole: Callable[[], Entry | None] | None = field(default=None, repr=False)
    """Reads all of it, where `load` leaves out what the journal says is there already."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an entry: written, unchanged, refused or left (with why).

    `notes` say what of it is not as it was at the source, and `remarks` what is to be known of it all the same.
    """

    word: str
    why: str = ""
    notes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


AGAIN = Outcome("again")
"""What the journal says is there is not: the whole entry is needed."""
WRITTEN, UNCHANGED = Outcome("written"), Outcome("unchanged")
