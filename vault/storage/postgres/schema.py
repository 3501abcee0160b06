# SPDX-License-Identifier: EUPL-1.2
"""The statements, and the numbered migrations that make the tables they are for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from importlib import resources
from typing import Final

ROW: Final = """
    SELECT (SELECT newest FROM coffre.head),
        CASE WHEN octet_length(value) <= 262144 THEN value END, version, octet_length(value)
    FROM (VALUES (1)) AS one LEFT JOIN coffre.entry ON path = $1
"""
"""The newest change, and one entry: nulls where there is none, and no value but its length where that is over `LONG`."""
ROWS: Final = """
    SELECT (SELECT newest FROM coffre.head),
        array_agg(CASE WHEN octet_length(value) <= 262144 THEN value END ORDER BY number),
        array_agg(version ORDER BY number), array_agg(octet_length(value) ORDER BY number)
    FROM unnest($1::text[]) WITH ORDINALITY AS wanted (wanted, number) LEFT JOIN coffre.entry ON path = wanted
"""
"""The same of many paths, in their order."""
PART: Final = "SELECT substring(value FROM $3 FOR $4) FROM coffre.entry WHERE path = $1 AND version = $2"
ADD_PART: Final = "SELECT coffre.add_part($1, $2, $3)"
VERSION: Final = "SELECT newest, (SELECT version FROM coffre.entry WHERE path = $1) FROM coffre.head"
PAGE: Final = """
    SELECT (SELECT newest FROM coffre.head), coalesce(array_agg(path ORDER BY path), '{}'), count(*),
        coalesce(max(version), 0)
    FROM (
        SELECT path, version FROM coffre.entry WHERE path >= $1 AND path < $2 ORDER BY path LIMIT $3
    ) AS page
"""
"""The newest change, and paths in a range with what tells later whether any changed."""
NEWS: Final = """
    SELECT known.newest, known.known, known.pruned, change.n, change.kind, change.key
    FROM (
        SELECT newest, known, CASE WHEN known THEN false
            ELSE coalesce($1 BETWEEN 1 AND (SELECT n FROM coffre.change ORDER BY n LIMIT 1), false) END AS pruned
        FROM (SELECT newest, EXISTS (SELECT FROM coffre.change WHERE n = $1) AS known FROM coffre.head) AS known
    ) AS known
    LEFT JOIN coffre.change ON known.known AND change.n > $1 ORDER BY change.n, change.kind, change.key
"""
NEXT_DUE: Final = "SELECT coalesce(claimed_until, due) FROM coffre.timer ORDER BY 1 LIMIT 1"
DATABASE_SIZE: Final = "SELECT pg_database_size(current_database())"
NOW: Final = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"
CLAIM: Final = "SELECT * FROM coffre.claim($1, $2, $3)"
COMMIT: Final = """
    SELECT * FROM coffre.commit_batch(
        $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24,
        $25, $26, $27
    )
"""
SETTLE: Final = "SELECT * FROM coffre.settle_batch($1)"
TAKE_TURN: Final = "BEGIN; SELECT coffre.take_turn()"
LIVES: Final = timedelta(seconds=15)
"""For how long a server is believed to live that says so no more."""
MEET: Final = """
    SELECT hostname, api_addr, cluster_addr, version, api, serves,
        greatest(extract(epoch FROM aside - clock_timestamp()), 0)::float, (extract(epoch FROM seen) * 1000)::bigint
    FROM coffre.meet($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""
DEPART: Final = "SELECT coffre.part($1)"
LIVING: Final = "SELECT hostname FROM coffre.node WHERE seen > clock_timestamp() - $1::interval"
COUNTS: Final = "SELECT (SELECT count(*) FROM coffre.entry), (SELECT count(*) FROM coffre.timer)"
SIZE: Final = """
    SELECT coalesce(sum(path + 16 + CASE WHEN cell < 4050 THEN 4096 / (4084 / cell) ELSE cell + 512 END), 0)::bigint FROM (
        SELECT octet_length(path)::bigint AS path, (octet_length(path) + octet_length(value) + 12)::bigint AS cell FROM coffre.entry
    ) AS found
"""
"""Bytes that all entries take in a file of SQLite: in pages of 4096, and each path once more, in the index.

No value is read for it, for a long one says its length.
"""
ENTRIES: Final = """
    SELECT path, CASE WHEN octet_length(value) <= 262144 THEN value END, version, octet_length(value)
    FROM coffre.entry WHERE path > $1 ORDER BY path LIMIT $2
"""
TIMERS: Final = """
    SELECT kind, key, due, attempts FROM coffre.timer WHERE (kind, key) > ($1, $2) ORDER BY kind, key LIMIT $3
"""
FIRST: Final = """
    WITH first AS (
        SELECT path, octet_length(value)::bigint AS bytes FROM coffre.entry
        WHERE path >= $1 AND path < $2 ORDER BY path LIMIT $3 + 1
    ), known AS (
        SELECT path, row_number() OVER above AS number, sum(bytes) OVER above - bytes AS before
        FROM first WINDOW above AS (ORDER BY path)
    )
    SELECT max(path), count(*) < (SELECT count(*) FROM first) FROM known WHERE number <= $3 AND before < $4
"""
"""The last of the first paths in a range, up to a number and so many bytes, and whether more follow. No value is read for it."""
REMOVE_RANGE: Final = "SELECT coffre.remove_range($1, $2)"
END_OF_ALL: Final = chr(0x10FFFF) * 651
"""Behind every path there can be."""


@cache
def migrations() -> Sequence[tuple[int, str]]:
    """Return the numbered migrations, oldest first."""
    folder = resources.files("vault.storage.postgres") / "migrations"
    names = sorted(item.name for item in folder.iterdir() if item.name.endswith(".sql"))
    return [(int(name.removesuffix(".sql")), (folder / name).read_text(encoding="utf-8")) for name in names]


def newest_version() -> int:
    """Return the schema that this release works with."""
    return migrations()[-1][0]
