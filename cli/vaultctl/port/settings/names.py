# SPDX-License-Identifier: EUPL-1.2
"""What there is of a kind at a place: by it the destination is rid of what this move brought and the source has no longer."""

from __future__ import annotations

from collections.abc import Iterable

from vaultctl.port.ground.entry import Entry, Item, Name

KIND = "names"


def item(of: Name, found: Iterable[str], *, at: str = "") -> Item:
    """The entry that names all of a kind whose paths begin with that of `of`; where that is empty, it is listed `at` a path."""
    data = {"kind": of.kind, "base": of.path, "names": sorted(found)}
    entry = Entry(Name(KIND, of.namespace, of.path or at), data)
    return Item(entry.name, "", lambda: entry)
