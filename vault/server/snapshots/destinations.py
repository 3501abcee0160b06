# SPDX-License-Identifier: EUPL-1.2
"""Where backups are kept: what each kind of place can do, and which one settings name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from vault.server.config.snapshots.settings import S3, SnapshotSettings
from vault.server.snapshots.directory import Directory, Make
from vault.server.snapshots.names import Item
from vault.storage.protocol import StorageFailure


class Destination(Protocol):
    """A place for the backups of one schedule. Everything raises `StorageFailure` or `OSError` where it does not answer."""

    def items(self) -> Sequence[Item]:
        """Return the backups that are there."""
        ...

    def clear(self) -> int:
        """Remove what was left of making others; return how many pieces it was."""
        ...

    def put(self, name: str, make: Make) -> int:
        """Have one made, and keep it under its name, whole or not at all; return its size."""
        ...

    def remove(self, name: str) -> None:
        """Remove one."""
        ...


def destination(settings: SnapshotSettings, mark: str = "") -> Destination:
    """Return where a schedule's backups are kept; `mark` is that of the cluster. Raises `StorageFailure`."""
    if settings.kind != S3:
        return Directory(settings.name, Path(settings.path), mark)
    try:
        from vault.server.snapshots.bucket import Bucket
    except ModuleNotFoundError as error:
        raise StorageFailure(f'snapshot "s3" needs the extra s3: module {error.name} is missing') from None
    return Bucket(settings, mark)
