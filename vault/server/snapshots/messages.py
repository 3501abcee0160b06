# SPDX-License-Identifier: EUPL-1.2
"""What a server and the process that makes a backup for it say to each other: one line each way."""

from __future__ import annotations

from typing import Final

import msgspec

from vault.server.config.settings import StorageSettings
from vault.server.config.snapshots.settings import SnapshotSettings
from vault.values.times import Millis

LONGEST: Final = 1 << 20
"""Bytes of a line."""
ARCHIVE: Final = "archive"
"""In the name of the folder, beside the database, in which an archive is made."""
MOST_REMOVED: Final = 1000
"""Backups that retention removes at once, whose names fit into a line; the next one removes more."""
_LONGEST_TEXT: Final = 4096
"""Characters of a reason."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A backup that is to be made. `begun` names it."""

    storage: StorageSettings
    snapshot: SnapshotSettings
    begun: Millis
    mark: str = ""
    """Says in names of which cluster they are; see `mark_of`."""


class ArchiveResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of an archive: its sums, or why there is none."""

    sums: str = ""
    failure: str = ""


def shortened(reason: str) -> str:
    """Return as much of a reason as a line has room for."""
    return reason if len(reason) <= _LONGEST_TEXT else f"{reason[:_LONGEST_TEXT]}…"


class Outcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of it: `failure` says why there is no new backup, and is empty where there is one."""

    name: str = ""
    size: int = 0
    entries: int = 0
    epoch: int = 0
    removed: list[str] = []
    """Names of those that retention took."""
    cleared: int = 0
    """How many pieces were removed that earlier ones had left."""
    unremoved: str = ""
    """Why retention did not remove what it should have, though there is a new backup."""
    failure: str = ""
