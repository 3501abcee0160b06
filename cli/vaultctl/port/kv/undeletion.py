# SPDX-License-Identifier: EUPL-1.2
"""Versions that are undeleted for the time of a read. What was ended meanwhile is deleted again before anything else."""

from __future__ import annotations

from vaultctl.port.ground.entry import Name
from vaultctl.port.ground.journal import Journal
from vaultctl.text.json import as_list


class Undeletion:
    """Writes down, on the disk, what is about to be undeleted, and that it is deleted again."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._left: dict[str, list[int]] = {}
        for line in journal.lines:
            if "undeleted" in line:
                versions = [version for version in as_list(line.get("versions")) if isinstance(version, int)]
                self._left[str(line["undeleted"])] = versions

    def begin(self, name: Name, versions: list[int]) -> None:
        """Say that these versions are undeleted from now on."""
        self._journal.add({"undeleted": name.digest(self._journal.key), "versions": versions}, durable=True)

    def end(self, name: Name) -> None:
        """Say that they are deleted again."""
        digest = name.digest(self._journal.key)
        self._journal.add({"undeleted": digest, "versions": []})
        self._left.pop(digest, None)

    def left(self, name: Name) -> list[int]:
        """The versions of a secret that a run which was ended may have left undeleted."""
        return self._left.get(name.digest(self._journal.key), []) if self._left else []
