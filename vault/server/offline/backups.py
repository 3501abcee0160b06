# SPDX-License-Identifier: EUPL-1.2
"""`vaultctl operator backup` and `restore`: which database a configuration names, and what is told of a copy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from vault.server.config import files as configuration
from vault.server.failure import StartFailure
from vault.storage.copies import backup, restore
from vault.storage.copies.snapshot import Progress
from vault.storage.protocol import StorageFailure

Failures: Final = (StartFailure, StorageFailure)
"""What the functions here raise."""


def database(given: str, paths: Sequence[str], environment: Mapping[str, str]) -> Path:
    """Return the file that is `given`, or else the one that the configuration names. Raises `StartFailure`."""
    if given and paths:
        raise StartFailure("give -database or -config, not both")
    if given:
        return Path(given)
    fallback = configuration.setting_from_environment("CONFIG_PATH", environment)
    paths = paths or ([fallback] if fallback else [])
    if not paths:
        raise StartFailure(
            "give the server's configuration with -config, or its database file with -database"
        )
    storage = configuration.load(paths, environment).storage
    if not storage.path:
        raise StartFailure(
            f'storage "{storage.kind}" has no file; nothing of it can be backed up or restored'
        )
    return Path(storage.path)


def back_up(source: Path, destination: str, *, force: bool, progress: Progress) -> dict[str, Any]:
    """Make a backup; return what it holds, by name. Raises `StorageFailure`."""
    found = backup.back_up(source, Path(destination), force=force, progress=progress)
    return {"backup": destination, "database": str(source), **msgspec.structs.asdict(found)}


def bring_back(source: str, target: Path, *, keep: bool, progress: Progress) -> dict[str, Any]:
    """Restore a backup; return what is there now, by name. Raises `StorageFailure`."""
    done = restore.restore(Path(source), target, keep=keep, progress=progress)
    held = msgspec.structs.asdict(done.content)
    return {"backup": source, "database": str(target), "kept": done.kept, **held}
