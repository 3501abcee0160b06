# SPDX-License-Identifier: EUPL-1.2
"""`vaultctl operator upgrade-check`: what this release would change of a database, and whether it can join those that use it."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from vault import __version__
from vault.background.nodes import registered
from vault.barrier import formats
from vault.barrier.failure import BarrierFailure
from vault.server.compose import app
from vault.server.config.settings import StorageSettings
from vault.server.failure import StartFailure
from vault.server.offline.backups import storage
from vault.server.offline.findings import Status, told
from vault.server.process import storages
from vault.storage.copies.atomic_file import acting_for_owner
from vault.storage.copies.snapshot import connect
from vault.storage.copies.snapshot import told as file_failures
from vault.storage.protocol import StorageFailure
from vault.storage.sqlite.database import APPLICATION_ID, newest_schema

Failures: Final = (StartFailure, StorageFailure)
"""What `check` raises."""
_SERVER: Final = app.Vault
"""Whoever imports the server knows the kinds of all records that it writes."""
_PATIENCE: Final = 2.0
_COPIED_AT: Final = 4
"""The schema that copies all entries once."""


class UpgradeFinding(NamedTuple):
    """What one look has shown."""

    name: str
    status: Status
    message: str


def check(
    given: str, paths: Sequence[str], environment: Mapping[str, str]
) -> tuple[list[dict[str, str]], int]:
    """Return what was found, and the exit code for it. Nothing is changed. Raises `Failures`."""
    settings = storage(given, paths, environment)
    return told(list(_shared(settings) if settings.is_shared else _file(Path(settings.path))))


def _file(database: Path) -> Iterator[UpgradeFinding]:
    if not database.is_file():
        raise StorageFailure(f"storage {database}: there is no such database; check the path")
    # Without a journal nobody writes: SQLite would make one, and what is shared of it, for a look alone.
    alone = "" if Path(f"{os.path.realpath(database)}-wal").exists() else "&immutable=1"
    with (
        acting_for_owner(database),
        file_failures(database),
        closing(connect(database, f"mode=ro{alone}", _PATIENCE)) as connection,
    ):
        (mark,) = connection.execute("PRAGMA application_id").fetchone()
        if mark != APPLICATION_ID:
            raise StorageFailure(f"storage {database}: this is no database of a vault; check the path")
        (schema,) = connection.execute("PRAGMA user_version").fetchone()
        row = connection.execute("SELECT value FROM entry WHERE path = ?", (formats.FORMATS_PATH,)).fetchone()
    ours = newest_schema()
    if schema > ours:
        yield UpgradeFinding(
            "Tables", "fail", f"a newer release wrote them (schema {schema}, this one knows {ours})"
        )
    elif schema == ours:
        yield UpgradeFinding("Tables", "ok", f"schema {schema}, as this release has it")
    else:
        yield UpgradeFinding(
            "Tables",
            "warn",
            f"the first start changes them from schema {schema} to {ours}; stop every other program before",
        )
        if schema < _COPIED_AT:
            yield _room(database)
    yield from _records(row[0] if row else None, rolling=False)


def _room(database: Path) -> UpgradeFinding:
    size, free = database.stat().st_size, shutil.disk_usage(database.parent).free
    enough = free > 2 * size
    return UpgradeFinding(
        "Disk",
        "ok" if enough else "fail",
        f"{free >> 20} MiB are free, and {2 * size >> 20} MiB are needed for the while",
    )


def _shared(settings: StorageSettings) -> Iterator[UpgradeFinding]:
    from vault.storage.postgres.administration import installed
    from vault.storage.postgres.schema import newest_version

    found, ours = asyncio.run(installed(storages.address(settings), formats.FORMATS_PATH)), newest_version()
    if ours < found.oldest:
        yield UpgradeFinding(
            "Tables",
            "fail",
            f"schema {found.schema}, for releases of schema {found.oldest} or newer; this one's is {ours}",
        )
    elif found.schema < ours:
        yield UpgradeFinding(
            "Tables",
            "warn",
            f"schema {found.schema}, and this release's is {ours}: run `vaultctl operator db migrate` first",
        )
    else:
        yield UpgradeFinding("Tables", "ok", f"schema {found.schema}, which this release works with")
    own = registered(__version__)
    others = sorted({f"{host} ({release})" for host, release, _ in found.servers if release != own})
    alike = sum(release == own for _, release, _ in found.servers)
    if others:
        yield UpgradeFinding("Servers", "ok", f"of other releases: {', '.join(others)}; of this one: {alike}")
    else:
        yield UpgradeFinding("Servers", "ok", f"of this release: {alike}; of others: none")
    yield from _records(found.formats, rolling=bool(others))


def _records(data: bytes | None, *, rolling: bool) -> Iterator[UpgradeFinding]:
    """Tell what would be written; `rolling`: while an older release serves."""
    try:
        said = formats.said(data)
    except BarrierFailure as failure:
        yield UpgradeFinding("Records", "fail", str(failure))
        return
    ahead = formats.ahead(said)
    if not ahead:
        yield UpgradeFinding("Records", "ok", "this release writes none that the database does not know")
        yield UpgradeFinding("Way back", "ok", "the release that uses the database now can go on with it")
        return
    named = ", ".join(f"'{name}' ({version or 'none'} now)" for name, version in sorted(ahead.items()))
    if not rolling:
        yield UpgradeFinding("Records", "ok", f"the first unseal allows these of newer versions: {named}")
        yield UpgradeFinding(
            "Way back", "warn", "from the first unseal on only by a backup of before: make one"
        )
        return
    wanting = formats.wanting(ahead)
    if wanting:
        yield UpgradeFinding(
            "Records",
            "fail",
            f"it cannot write these as the older release reads them: {', '.join(wanting)}; stop every server first",
        )
    else:
        yield UpgradeFinding("Records", "ok", f"not written before every server has this release: {named}")
        yield UpgradeFinding(
            "Way back",
            "warn",
            "until every server has this release, by starting the older one; then by a backup of before alone",
        )
