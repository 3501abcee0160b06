# SPDX-License-Identifier: EUPL-1.2
"""What the owner of the database does before nodes use it: make the tables, let a role in, bring them up to date."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from vault.storage.postgres.connection import Address, Connection
from vault.storage.postgres.schema import LIVES, migrations
from vault.storage.protocol import StorageFailure

_OLDEST_SERVER: Final = 140000
_VERSION: Final = "SELECT CASE WHEN to_regclass('coffre.meta') IS NULL THEN NULL ELSE 0 END"
_ROLE: Final = "SELECT quote_ident(rolname) FROM pg_roles WHERE rolname = $1"
_GRANTS: Final = (
    "REVOKE ALL ON ALL FUNCTIONS IN SCHEMA coffre FROM PUBLIC",
    "GRANT USAGE ON SCHEMA coffre TO {role}",
    "GRANT SELECT ON ALL TABLES IN SCHEMA coffre TO {role}",
    "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA coffre TO {role}",
)
"""What a node may: read, and write by the functions, which keep to the turn."""
_SETTINGS: Final = (
    "ALTER ROLE {role} SET statement_timeout = '5s'",
    "ALTER ROLE {role} SET lock_timeout = '3s'",
    "ALTER ROLE {role} SET idle_in_transaction_session_timeout = '3s'",
    "ALTER ROLE {role} SET enable_seqscan = off",
)
"""What it waits for at most, and that it reads by indexes alone: each statement has one for what it looks for, and a plan
that was made while the tables were small is kept when they no longer are.

These are the role's own settings, as one that a connection makes is left behind in a pooler.
"""


async def install(address: Address, role: str = "", *, fresh: bool = True) -> int:
    """Make what is missing, and let a role use it; return the schema's version. Raises `StorageFailure`.

    It is made `fresh` where there is nothing, or else that is refused.
    """
    connection = await Connection.make(address)
    try:
        await _refuse_unfit_server(connection, address)
        quoted = await _quoted(connection, address, role)
        if not fresh and await schema_version(connection) is None:
            raise StorageFailure(
                f"storage {address}: there is no vault in it; run `vaultctl operator db init`"
            )
        for number, sql in migrations():
            await _migrate(connection, number, sql)
        version = await schema_version(connection)
        if quoted:
            for grant in _GRANTS:
                await connection.run(grant.format(role=quoted))
            for setting in _SETTINGS:
                with suppress(StorageFailure):  # an owner who may not is told by `operator db check`
                    await connection.run(setting.format(role=quoted))
    finally:
        await connection.close()
    return version or 0


class TablesFound(NamedTuple):
    """What is in a database before a release begins to use it."""

    schema: int
    oldest: int
    """The schema of the oldest release that works with these tables."""
    formats: bytes | None
    """What the database says of its records."""
    servers: Sequence[tuple[str, str, int]]
    """Host, release and schema of each that lives."""


async def installed(address: Address, formats_path: str) -> TablesFound:
    """Look at what is there; nothing is changed. Raises `StorageFailure`."""
    connection = await Connection.make(address)
    try:
        await _refuse_unfit_server(connection, address)
        if await schema_version(connection) is None:
            raise StorageFailure(
                f"storage {address}: there is no vault in it; run `vaultctl operator db init`"
            )
        schema, oldest = await connection.row("SELECT version, oldest FROM coffre.meta")
        rows = await connection.rows("SELECT value FROM coffre.entry WHERE path = $1", formats_path)
        servers = await connection.rows(
            "SELECT hostname, version, schema FROM coffre.node WHERE seen > clock_timestamp() - $1::interval ORDER BY 1",
            LIVES,
        )
    finally:
        await connection.close()
    return TablesFound(
        schema, oldest, rows[0][0] if rows else None, [(row[0], row[1], row[2]) for row in servers]
    )


async def _quoted(connection: Connection, address: Address, role: str) -> str:
    """Return the name of a role as it stands in statements, whatever is in it; "" for none. Raises `StorageFailure`."""
    if not role:
        return ""
    rows = await connection.rows(_ROLE, role)
    if not rows:
        raise StorageFailure(
            f'storage {address}: there is no role "{role}"; make it, or name another user in connection_url'
        )
    return str(rows[0][0])


async def _refuse_unfit_server(connection: Connection, address: Address) -> None:
    version, encoding, replica = await connection.row(
        "SELECT current_setting('server_version_num')::int, current_setting('server_encoding'), pg_is_in_recovery()"
    )
    if version < _OLDEST_SERVER:
        raise StorageFailure(f"storage {address}: PostgreSQL 14 or newer is needed")
    if encoding != "UTF8":
        raise StorageFailure(
            f"storage {address}: the database's encoding is {encoding}; make one with ENCODING 'UTF8'"
        )
    if replica:
        raise StorageFailure(f"storage {address}: this is a replica; name the primary")


async def schema_version(connection: Connection) -> int | None:
    """Return the version of what is there; None where there is nothing."""
    (present,) = await connection.row(_VERSION)
    if present is None:
        return None
    (version,) = await connection.row("SELECT version FROM coffre.meta")
    return int(version)


async def _migrate(connection: Connection, number: int, sql: str) -> None:
    """Apply one migration in one transaction, unless this or another process already has."""
    await connection.run("BEGIN; SELECT pg_advisory_xact_lock(4843508)")
    try:
        version = await schema_version(connection)
        if version is None:
            await connection.run("CREATE SCHEMA IF NOT EXISTS coffre")
        if (version or 0) < number:
            await connection.run("SET LOCAL search_path = coffre, pg_temp")
            await connection.run(sql)
            await connection.rows("UPDATE coffre.meta SET version = $1", number)
            await _refuse_living(connection, number)
        await connection.run("COMMIT")
    except BaseException:
        connection.abort()
        raise


async def _refuse_living(connection: Connection, number: int) -> None:
    """Refuse a migration that takes away what a server that lives needs. Raises `StorageFailure`."""
    (present,) = await connection.row("SELECT to_regclass('coffre.node')")
    if present is None:
        return
    rows = await connection.rows(
        "SELECT hostname, node.version FROM coffre.node, coffre.meta WHERE schema < oldest AND seen > now() - $1::interval",
        LIVES,
    )
    if rows:
        names = ", ".join(f"{host} (release {release})" for host, release in rows)
        raise StorageFailure(
            f"migration {number} takes away what these servers need: {names}; bring them to the release before this one first"
        )
