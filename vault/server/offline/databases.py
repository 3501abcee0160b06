# SPDX-License-Identifier: EUPL-1.2
"""`vaultctl operator db`: makes a vault's tables in the PostgreSQL that a configuration names, and examines them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from vault.server.config import files as configuration
from vault.server.config.settings import StorageSettings
from vault.server.failure import StartFailure
from vault.server.offline.findings import told
from vault.server.process import storages
from vault.storage.protocol import StorageFailure

Failures: Final = (StartFailure, StorageFailure)
"""What the functions here raise."""


def init(
    paths: Sequence[str], environment: Mapping[str, str], *, owner: str, password_file: str
) -> dict[str, object]:
    """Make what is missing as the owner, and let the configuration's user use it. Raises `Failures`."""
    return _install(_settings(paths, environment), owner, password_file, fresh=True)


def migrate(
    paths: Sequence[str], environment: Mapping[str, str], *, owner: str, password_file: str
) -> dict[str, object]:
    """Bring tables that are there up to this release. Raises `Failures`."""
    return _install(_settings(paths, environment), owner, password_file, fresh=False)


def check(paths: Sequence[str], environment: Mapping[str, str]) -> tuple[list[dict[str, str]], int]:
    """Return what the examination has shown, and the exit code for it. Raises `Failures`."""
    address = storages.address(_settings(paths, environment))
    from vault.storage.postgres.examination import DatabaseFinding, examine

    async def look() -> list[DatabaseFinding]:
        return [finding async for finding in examine(address)]

    return told(asyncio.run(look()))


def _install(settings: StorageSettings, owner: str, password_file: str, *, fresh: bool) -> dict[str, object]:
    address = storages.address(settings)
    from vault.storage.postgres.administration import install

    user = address.user
    role = user if owner and owner != user else ""
    if role:
        as_owner = msgspec.structs.replace(settings, password_file=password_file)
        address = msgspec.structs.replace(storages.address(as_owner), user=owner)
    version = asyncio.run(install(address, role, fresh=fresh))
    return {"database": str(address), "schema_version": version, "role": user}


def _settings(paths: Sequence[str], environment: Mapping[str, str]) -> StorageSettings:
    paths = configuration.named(paths, environment)
    if not paths:
        raise StartFailure("give the server's configuration with -config")
    storage = configuration.load(paths, environment).storage
    if not storage.is_shared:
        raise StartFailure(
            f'the configuration has storage "{storage.kind}"; this is for storage "postgresql"'
        )
    return storage
