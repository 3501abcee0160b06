# SPDX-License-Identifier: EUPL-1.2
"""`vaultctl operator snapshot`: which storage a configuration names, what is told of a backup, and how it is encrypted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from vault.server.config import files as configuration
from vault.server.config.settings import StorageSettings
from vault.server.failure import StartFailure
from vault.server.process import storages
from vault.server.snapshots.destinations import destination
from vault.storage.copies import backup, restore, sqlite_ends
from vault.storage.copies.archive import unpacked
from vault.storage.copies.encryption import FLAGS, GivenBy, decrypted, is_encrypted, recipients_of
from vault.storage.copies.move import move
from vault.storage.copies.snapshot import (
    Content,
    Progress,
    check_parts,
    content,
    examine,
    files_told,
    opened_backup,
)
from vault.storage.copies.workplace import FOR_COPY, FOR_ENCRYPTED, require_room
from vault.storage.protocol import StorageFailure
from vault.storage.sqlite.database import newest_schema

Failures: Final = (StartFailure, StorageFailure)
"""What the functions here raise."""


def storage(given: str, paths: Sequence[str], environment: Mapping[str, str]) -> StorageSettings:
    """Return the database file that is `given`, or else what the configuration names. Raises `StartFailure`."""
    if given and paths:
        raise StartFailure("give -database or -config, not both")
    if given:
        return StorageSettings(kind="sqlite", path=given)
    paths = configuration.named(paths, environment)
    if not paths:
        raise StartFailure(
            "give the server's configuration with -config, or its database file with -database"
        )
    found = configuration.load(paths, environment).storage
    if not found.lasts:
        raise StartFailure(
            f'storage "{found.kind}" ends with its server; nothing of it can be backed up or restored'
        )
    return found


@files_told()
def listed(paths: Sequence[str], environment: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the backups of every schedule that a configuration has, the oldest first. Raises `StartFailure`, `StorageFailure`."""
    paths = configuration.named(paths, environment)
    if not paths:
        raise StartFailure("give the server's configuration with -config")
    return [
        {"schedule": one.name, "backup": item.name, "size": item.size}
        for one in configuration.load(paths, environment).snapshots
        for item in sorted(destination(one).items(), key=lambda item: item.name)
        if item.verified
    ]


@files_told()
def save(
    source: StorageSettings,
    destination: str,
    *,
    recipients: Sequence[str],
    recipients_file: str,
    force: bool,
    progress: Progress,
    given_by: GivenBy = FLAGS,
) -> dict[str, Any]:
    """Make a backup; return what it holds, by name. Raises `StorageFailure`, which calls recipients as `given_by` does."""
    file, keys = Path(destination), recipients_of(recipients, recipients_file, given_by)
    if source.is_shared:
        found = asyncio.run(_copy_shared(source, file, keys, force=force, progress=progress))
    else:
        found = backup.back_up(Path(source.path), file, force=force, progress=progress, recipients=keys)
    return {"backup": destination, "encrypted": bool(keys), **msgspec.structs.asdict(found)}


async def _copy_shared(
    source: StorageSettings, destination: Path, keys: Sequence[object], *, force: bool, progress: Progress
) -> Content:
    address = storages.address(source)
    from vault.storage.copies import postgres_ends

    async with postgres_ends.snapshot(address) as near:
        size = await near.size()
        require_room(destination.parent, {FOR_COPY: size, FOR_ENCRYPTED: size if keys else 0})
        with sqlite_ends.new_backup(destination, over=force, progress=progress, recipients=keys) as (
            far,
            found,
        ):
            await move(near, far, progress)
            return found()


@files_told()
def inspect(source: str, *, identity: str, progress: Progress) -> dict[str, Any]:
    """Tell what a backup holds, by name. Raises `StorageFailure`."""
    with _plain(source, identity, progress) as plain, opened_backup(plain) as opened:
        (schema,) = opened.execute("PRAGMA user_version").fetchone()
        if schema <= newest_schema():
            check_parts(plain, opened, schema)
        return _told_of(source, content(opened, schema))


@files_told()
def verify(source: str, *, identity: str, progress: Progress) -> dict[str, Any]:
    """Look through all of a backup; return what it holds, by name. Raises `StorageFailure` unless it is whole."""
    with _plain(source, identity, progress) as plain, opened_backup(plain) as opened:
        found = examine(plain, opened, newest_schema(), progress)
        return _told_of(source, found)


@contextmanager
def _plain(source: str, identity: str, progress: Progress) -> Iterator[Path]:
    """Have the database that is in a file until the end of the block, whatever form that has. Raises `StorageFailure`."""
    with decrypted(Path(source), identity, progress) as opened, unpacked(opened, progress) as plain:
        yield plain


def _told_of(source: str, found: Content) -> dict[str, Any]:
    encrypted = is_encrypted(Path(source))
    return {"backup": source, "encrypted": encrypted, **msgspec.structs.asdict(found)}


@files_told()
def bring_back(
    source: str, target: StorageSettings, *, identity: str, keep: bool, dry_run: bool, progress: Progress
) -> dict[str, Any]:
    """Restore a backup, or with `dry_run` do all but that; return what is there then, by name. Raises `StorageFailure`."""
    with _plain(source, identity, progress) as plain:
        told = _into_shared if target.is_shared else _into_file
        return {"backup": source, **told(plain, target, keep=keep, dry_run=dry_run, progress=progress)}


def _into_file(
    plain: Path, target: StorageSettings, *, keep: bool, dry_run: bool, progress: Progress
) -> dict[str, Any]:
    done = restore.restore(plain, Path(target.path), keep=keep, dry_run=dry_run, progress=progress)
    return {"database": target.path, "kept": done.kept, **msgspec.structs.asdict(done.content)}


def _into_shared(
    plain: Path, target: StorageSettings, *, keep: bool, dry_run: bool, progress: Progress
) -> dict[str, Any]:
    del keep  # nothing is there: it is refused otherwise
    with opened_backup(plain) as opened:
        found = examine(plain, opened, newest_schema(), progress)
        if found.schema != newest_schema():
            raise StorageFailure(
                f"backup {plain}: its schema is {found.schema}, and this release's {newest_schema()}; restore it into a SQLite "
                "file, start and stop a server of this release on that once, and carry it with `vaultctl operator migrate`"
            )
        rows = sqlite_ends.Rows(plain, opened)
        asyncio.run(_move_into(rows, target, dry_run=dry_run, progress=progress))
    return {"database": str(storages.address(target)), **msgspec.structs.asdict(found)}


async def _move_into(
    rows: sqlite_ends.Rows, target: StorageSettings, *, dry_run: bool, progress: Progress
) -> None:
    address = storages.address(target)
    from vault.storage.copies import postgres_ends

    async with postgres_ends.target(address) as far:
        if not dry_run:
            await move(rows, far, progress)
