# SPDX-License-Identifier: EUPL-1.2
"""Opens the storage that a configuration names."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vault.server.config.settings import StorageSettings
from vault.storage.postgres.url import parse
from vault.storage.protocol import Storage, StorageFailure

if TYPE_CHECKING:
    from vault.storage.postgres.connection import Address
    from vault.storage.postgres.database import OnTurn

_LONGEST_PASSWORD: Final = 4096


@contextlib.asynccontextmanager
async def opened(settings: StorageSettings, on_turn: OnTurn | None = None) -> AsyncIterator[Storage]:
    """Open the storage, and close it at the end. Raises `StorageFailure`.

    `on_turn` is told where a database's history is no longer the one that was seen, by the epochs of then and now.
    """
    storage = await _OPENERS[settings.kind](settings, on_turn)
    try:
        yield storage
    finally:
        await storage.close()


async def risks(storage: Storage) -> Sequence[str]:
    """Return how what is acknowledged can be lost; nothing where the database tells nobody of that."""
    try:
        return await storage.risks()
    except StorageFailure:
        return ()


async def _memory(settings: StorageSettings, on_turn: OnTurn | None) -> Storage:
    from vault.storage.memory import MemoryStorage

    del settings, on_turn
    return MemoryStorage()


async def _sqlite(settings: StorageSettings, on_turn: OnTurn | None) -> Storage:
    from vault.storage.sqlite.storage import SqliteStorage

    del on_turn
    return SqliteStorage.open(Path(settings.path))


async def _postgres(settings: StorageSettings, on_turn: OnTurn | None) -> Storage:
    database = address(settings)
    from vault.storage.postgres.storage import PostgresStorage

    return await PostgresStorage.open(database, on_turn=on_turn)


_OPENERS: Final = {"inmem": _memory, "sqlite": _sqlite, "postgresql": _postgres}
"""How a storage of each kind is opened; what it needs is loaded then."""


def address(settings: StorageSettings) -> Address:
    """Return how the database is reached: its files are read anew for each connection. Raises `StorageFailure`."""
    try:
        from vault.storage.postgres.connection import Address
    except ModuleNotFoundError as error:
        raise StorageFailure(
            f'storage "postgresql" needs the extra postgres: module {error.name} is missing'
        ) from None
    target = parse(settings.connection_url)
    return Address(
        host=target.host,
        port=target.port,
        user=target.user,
        database=target.database,
        password=lambda: _password(settings.password_file),
        tls=lambda: None if target.is_socket or settings.tls_disable else _tls(settings),
    )


def _password(file: str) -> str | None:
    if not file:
        return None
    try:
        with open(file, encoding="utf-8") as opened:
            text = opened.read(_LONGEST_PASSWORD + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise StorageFailure(f"password_file {file}: cannot be read ({type(error).__name__})") from None
    if len(text) > _LONGEST_PASSWORD or "\0" in text:
        raise StorageFailure(f"password_file {file}: is no file with a password and nothing else")
    return text.removesuffix("\n").removesuffix("\r")


def _tls(settings: StorageSettings) -> ssl.SSLContext:
    """Return what checks the database's certificate, and shows ours where there is one."""
    try:
        context = ssl.create_default_context(cafile=settings.tls_ca_file or None)
    except OSError as error:
        raise StorageFailure(
            f"tls_ca_file {settings.tls_ca_file}: cannot be used ({error.strerror})"
        ) from None
    if settings.tls_cert_file:
        try:
            context.load_cert_chain(settings.tls_cert_file, settings.tls_key_file, password=lambda: "")
        except OSError as error:
            raise StorageFailure(
                f"tls_cert_file {settings.tls_cert_file} and tls_key_file {settings.tls_key_file}: cannot be used "
                f"({error.strerror})"
            ) from None
    return context
