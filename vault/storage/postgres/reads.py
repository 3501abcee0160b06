# SPDX-License-Identifier: EUPL-1.2
"""What is committed, as statements on the primary see it; each records the epoch that it saw."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from vault.storage.order import end_of
from vault.storage.postgres import parts, schema
from vault.storage.postgres.connection import Connection
from vault.storage.postgres.database import Database
from vault.storage.postgres.lanes import Lanes, Range, RangePage

_PAGE: Final = 256
_LARGEST_PAGE: Final = 4096
_UNSTORABLE: Final = re.compile("[\\0\ud800-\udfff]")


NextPage = Callable[[str, str, int], Awaitable[RangePage]]
"""Given where a range begins and ends, and how many paths are wanted at most."""


def storable(path: str) -> str | None:
    """Return a path, or None where there can be nothing at it: U+0000 and half of a surrogate pair are not stored."""
    return path if _UNSTORABLE.search(path) is None else None


def bounds(prefix: str, after: str) -> tuple[str, str] | None:
    """Return from where, and up to where, paths lie below a prefix and behind `after`. None: there can be none.

    No stored path has a U+0000 in it, so U+0001 is the lowest that can follow; nor has any a surrogate, so U+E000 is what
    comes behind those.
    """
    if storable(prefix) is None:
        return None
    unstorable = _UNSTORABLE.search(after)
    if unstorable is None:
        start = f"{prefix}{after}\1"
    else:
        start = prefix + after[: unstorable.start()] + ("\1" if unstorable[0] == "\0" else "\ue000")
    return start, end_of(prefix) or schema.END_OF_ALL


async def page_of(
    database: Database, connection: Connection, start: str, beyond: str, most: int
) -> RangePage:
    """Ask for one page."""
    newest, paths, count, version = await connection.row(schema.PAGE, start, beyond, most)
    whole = count < most
    seen = Range(start, beyond if whole else f"{paths[-1]}\1", count, version)
    return RangePage(database.epoch_of(connection, newest), paths, seen, whole)


async def paths_below(page: NextPage, prefix: str, after: str, limit: int) -> Sequence[str]:
    """Do as `vault.storage.order.paths_below`, page by page."""
    found: list[str] = []
    between = bounds(prefix, after)
    skip, size = len(prefix), limit or _PAGE
    while between is not None:
        got = await page(*between, min(size, limit - len(found)) if limit else size)
        found += [path[skip:] for path in got.paths]
        if got.whole or 0 < limit <= len(found):
            break
        between = got.seen.beyond, between[1]
        size = min(size * 4, _LARGEST_PAGE)
    return found[:limit] if limit else found


async def names_below(page: NextPage, prefix: str, after: str, limit: int) -> Sequence[str]:
    """Do as `vault.storage.order.names_below`, page by page: what is left of a folder after one is read past."""
    found: list[str] = []
    between = bounds(prefix, after)
    folder, slash, _ = after.partition("/")
    if between is not None and slash and _UNSTORABLE.search(folder) is None:
        between = f"{prefix}{folder}0", between[1]
    skip = len(prefix)
    while between is not None:
        got = await page(*between, max(limit - len(found), 2) if limit else _PAGE)
        for path in got.paths:
            name, slash, _ = path[skip:].partition("/")
            name += slash
            if not found or found[-1] != name:
                found.append(name)
                if len(found) == limit:
                    return found
        if got.whole:
            break
        folder, slash, _ = (got.paths[-1][skip:] if got.paths else "").partition("/")
        between = f"{prefix}{folder}0" if slash else got.seen.beyond, between[1]
    return found


class Reader:
    """See `ReadTx`."""

    __slots__ = ("_database", "_lanes", "epoch")

    def __init__(self, database: Database, lanes: Lanes) -> None:
        self._database = database
        self._lanes = lanes
        self.epoch = 0

    def _saw(self, epoch: int) -> None:
        """Note the epoch of a statement: of several, the highest, for they may overlap."""
        self.epoch = max(self.epoch, epoch)

    async def get(self, path: str) -> bytes | None:
        """See `ReadTx.get`."""
        self._database.announce("get")
        row = await parts.get(self._lanes, storable(path))
        self._saw(row.epoch)
        return row.value

    async def has(self, path: str) -> bool:
        """See `ReadTx.has`."""
        self._database.announce("get")
        row = await self._lanes.get(storable(path))
        self._saw(row.epoch)
        return row.version > 0

    async def list(self, prefix: str, *, after: str = "", limit: int = 0) -> Sequence[str]:
        """See `ReadTx.list`."""
        self._database.announce("list")
        return await names_below(self._page, prefix, after, limit)

    async def scan(self, prefix: str, *, after: str = "", limit: int = 0) -> Sequence[str]:
        """See `ReadTx.scan`."""
        self._database.announce("scan")
        return await paths_below(self._page, prefix, after, limit)

    async def _page(self, start: str, beyond: str, most: int) -> RangePage:
        page = await next_page(self._database, self._lanes, start, beyond, most)
        self._saw(page.epoch)
        return page


async def next_page(database: Database, lanes: Lanes, start: str, beyond: str, most: int) -> RangePage:
    """Ask a lane for one page."""
    page = await lanes.ask(lambda connection: page_of(database, connection, start, beyond, most))
    lanes.remember_page((start, beyond, most), page)
    return page
