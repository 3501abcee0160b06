# SPDX-License-Identifier: EUPL-1.2
"""Proves, on two connections, what all of this rests on: the turn, versions, the primary; and looks at what may be lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final, Literal, NamedTuple

from vault.storage.postgres import schema
from vault.storage.postgres.batches import Batch, arguments
from vault.storage.postgres.connection import Address, Connection
from vault.storage.postgres.database import Database
from vault.storage.postgres.unit import Unit
from vault.storage.protocol import StorageFailure

_PAUSE: Final = 0.2
"""Seconds for which the second connection has to wait while the first one has the turn."""
_ROUNDS: Final = 3
_LOSES: Final = "a failover can lose what was acknowledged, revocations too"
_STANDBYS: Final = """
    SELECT current_setting('synchronous_commit'), current_setting('synchronous_standby_names'),
        (SELECT count(*) FROM pg_stat_replication)
"""
_SETTINGS: Final = """
    SELECT current_setting('fsync'), current_setting('full_page_writes'),
        (SELECT count(*) FROM pg_settings WHERE setting = '0' AND name IN
            ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout')),
        current_setting('enable_seqscan')::boolean,
        coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false)
"""
_RIGHTS: Final = """
    SELECT rolsuper,
        has_schema_privilege('coffre', 'CREATE') OR EXISTS (
            SELECT FROM pg_class WHERE relnamespace = 'coffre'::regnamespace AND CASE relkind
                WHEN 'S' THEN has_sequence_privilege(oid, 'USAGE, UPDATE')
                WHEN 'r' THEN has_table_privilege(oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
                    OR has_any_column_privilege(oid, 'INSERT, UPDATE')
            END
        ),
        ARRAY(
            SELECT relname FROM pg_class WHERE relnamespace = 'coffre'::regnamespace AND relkind IN ('r', 'v')
                AND NOT has_table_privilege(oid, 'SELECT')
            UNION SELECT proname FROM pg_proc WHERE pronamespace = 'coffre'::regnamespace
                AND NOT has_function_privilege(oid, 'EXECUTE')
            ORDER BY 1
        )
    FROM pg_roles WHERE rolname = current_user
"""
"""Whether the user is a superuser, whether it may write past the turn, and what it may not use that a server needs."""


def _asynchronous(standbys: int) -> str:
    return f"{standbys} follow, none of them synchronously: {_LOSES}; set synchronous_standby_names"


async def risk_of_failover(connection: Connection) -> str:
    """Return why a failover can lose what was acknowledged, or nothing where no standby follows that is behind."""
    commit, names, standbys = await connection.row(_STANDBYS)
    if not standbys or (names and commit not in {"off", "local"}):
        return ""
    return f"synchronous_commit is {commit}: {_LOSES}" if names else _asynchronous(standbys)


class DatabaseFinding(NamedTuple):
    """What one look has shown."""

    name: str
    status: Literal["ok", "warn", "fail"]
    message: str = ""


async def examine(address: Address) -> AsyncIterator[DatabaseFinding]:
    """Look at one thing after the other, and end where nothing more can be looked at. No data is changed."""
    database = Database(address)
    try:
        one = await database.connect()
    except StorageFailure as failure:
        yield DatabaseFinding("Connection", "fail", str(failure))
        return
    try:
        yield DatabaseFinding("Connection", "ok", f"the primary, timeline {one.timeline}")
        other = await database.connect()
        try:
            yield await _turn(one, other)
            yield await _versions(database, one)
            yield await _prepared(one, other)
        finally:
            other.abort()
        yield await _rights(one)
        async for finding in _settings(one, address):
            yield finding
    except StorageFailure as failure:
        yield DatabaseFinding("Statements", "fail", str(failure))
    finally:
        one.abort()


async def _turn(one: Connection, other: Connection) -> DatabaseFinding:
    """Let one take the turn: the other has to wait until that is over."""
    await one.run(schema.TAKE_TURN)
    waits = asyncio.get_running_loop().create_task(other.run(schema.TAKE_TURN))
    done, _ = await asyncio.wait([waits], timeout=_PAUSE)
    await one.run("COMMIT")
    await waits
    await other.run("ROLLBACK")
    if done:
        return DatabaseFinding(
            "Turn", "fail", "two connections held it at once: this database ignores row locks"
        )
    return DatabaseFinding("Turn", "ok", "one at a time")


async def _versions(database: Database, connection: Connection) -> DatabaseFinding:
    """Let a transaction fail that read what is not so, and one commit that read what is."""
    results = []
    for version in (1, 0):
        unit, batch = Unit(0), Batch()
        unit.seen[""] = version
        batch.add(unit)
        row = await connection.row(schema.COMMIT, *arguments(batch, database))
        results.append(bool(row[0]))
    if results != [True, False]:
        return DatabaseFinding("Versions", "fail", "a transaction by outdated rows was not told from another")
    return DatabaseFinding("Versions", "ok", "outdated transactions are refused")


async def _prepared(one: Connection, other: Connection) -> DatabaseFinding:
    """Let each prepare a statement, and need it again while the other one has what a pooler had given it for that."""
    try:
        for asks, holds in ((one, other), (other, one)) * _ROUNDS:
            await asks.row(schema.NOW)
            await holds.run("BEGIN; SELECT")
            await asks.row(schema.NOW)
            await holds.run("COMMIT")
    except StorageFailure as failure:
        return DatabaseFinding("Prepared statements", "fail", str(failure))
    return DatabaseFinding("Prepared statements", "ok", "are kept")


async def _rights(connection: Connection) -> DatabaseFinding:
    superuser, writes, lacking = await connection.row(_RIGHTS)
    if lacking:
        return DatabaseFinding(
            "Privileges",
            "fail",
            f"this user may not use {', '.join(lacking)}; run operator db init with -owner",
        )
    if superuser or writes:
        what = "is a superuser" if superuser else "may write past the turn"
        return DatabaseFinding(
            "Privileges",
            "warn",
            f"this user {what}; give the nodes a role of their own: operator db init -owner",
        )
    return DatabaseFinding("Privileges", "ok", "reads the tables and calls the functions, nothing else")


async def _settings(connection: Connection, address: Address) -> AsyncIterator[DatabaseFinding]:
    fsync, pages, endless, whole, encrypted = await connection.row(_SETTINGS)
    commit, names, standbys = await connection.row(_STANDBYS)
    if "off" in {fsync, pages}:
        yield DatabaseFinding(
            "Durability", "fail", "fsync or full_page_writes is off: a power cut destroys the data"
        )
    elif commit in {"off", "local"}:
        yield DatabaseFinding(
            "Durability", "warn", f"synchronous_commit is {commit}: acknowledged writes can be lost"
        )
    else:
        yield DatabaseFinding("Durability", "ok", f"synchronous_commit is {commit}")
    if names:
        yield DatabaseFinding("Standbys", "ok", "commits wait for synchronous standbys")
    elif standbys:
        yield DatabaseFinding("Standbys", "warn", _asynchronous(standbys))
    else:
        yield DatabaseFinding(
            "Standbys", "warn", "there are none that this user can see: one disk holds everything"
        )
    if endless:
        yield DatabaseFinding(
            "Limits", "warn", f"{endless} of this role's time-outs are off; run operator db init as its owner"
        )
    else:
        yield DatabaseFinding("Limits", "ok", "the role's time-outs are set")
    if whole:
        yield DatabaseFinding(
            "Plans",
            "warn",
            "plans made while tables are small stay when they have grown, and read them whole; run operator db init as "
            "its owner, or: ALTER ROLE … SET enable_seqscan = off",
        )
    else:
        yield DatabaseFinding("Plans", "ok", "by indexes alone")
    if encrypted or address.host.startswith("/"):
        yield DatabaseFinding("TLS", "ok", "on" if encrypted else "a Unix socket")
    else:
        yield DatabaseFinding("TLS", "warn", "off")
