# SPDX-License-Identifier: EUPL-1.2
"""Which archive a destination has, as the journal of its imports says: a delta is written where its base was, and nowhere else.

An archive that is written where a later one was would bring back what is no longer true, and remove what came since.
"""

from __future__ import annotations

from collections.abc import Iterator

from vaultctl.errors import CommandError
from vaultctl.port.archive.manifest import Manifest
from vaultctl.port.ground.entry import Item
from vaultctl.port.ground.journal import Journal

_UNFINISHED = "another archive was begun to be imported: finish that first"
_NO_BASE = "it is a delta of an archive that was not imported by this journal: import that first, or name its journal with -journal"
_OTHER = (
    "it does not go on from the archive that was imported last, which may be newer: export one with -since that. "
    "To have this one all the same, name another -journal, and say -replace"
)


class Chain:
    """The archives that one journal brought to a destination."""

    def __init__(self, journal: Journal, manifest: Manifest) -> None:
        """Begin to import an archive. CommandError where the destination is not as its base left it."""
        self._journal, self._digest = journal, manifest.digest
        last, begun = "", ""
        for line in journal.lines:
            begun = str(line.get("importing", begun))
            if "imported" in line:
                last, begun = str(line["imported"]), ""
        if begun not in ("", self._digest):
            raise CommandError(_UNFINISHED)
        if not begun and last not in (self._digest, manifest.base):
            raise CommandError(_OTHER if last else _NO_BASE)
        journal.add({"importing": self._digest}, durable=True)

    def ahead(self, items: Iterator[Item]) -> Iterator[Item]:
        """What was not imported yet. An entry that comes again later is not written over that one when an import goes on."""
        for item in items:
            place, done = item.versions, self._journal.versions(item.name)
            if done[:16] != self._digest[:16] or done < place:
                yield item

    def finish(self) -> None:
        """Say that all of it was imported."""
        self._journal.add({"imported": self._digest}, durable=True)
