# SPDX-License-Identifier: EUPL-1.2
"""Finding, adding and changing the versions of one secret, within the caller's transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from msgspec.structs import replace

from vault.barrier.view import ReadView, View
from vault.engines.kv import logic, store
from vault.engines.kv.model import Config, Row, Version
from vault.framework.errors import NotFound
from vault.framework.limits import AT_ONCE
from vault.values.times import Nanos

_TRIES: Final = 4
"""How often a version is looked for whose data were gone once they were to be read."""
MOST_EARLIER: Final = 2048
"""Bytes of data of older versions that lie in the row: each write reads and writes them again, so there are few."""


def find(row: Row | None, number: int) -> Version | None:
    """Return a version's history, the newest's for 0 or less; None when there is none (any more)."""
    if row is None or row.newest is None or number <= 0 or number == row.current:
        return None if row is None else row.newest
    return next((version for version in store.older(row) if version.number == number), None)


async def data(view: ReadView, path: str, row: Row, version: Version) -> bytes | None:
    """Return the JSON of a version that is not gone.

    Where it lies in a row of its own, that is read after the first: None where a write between the two trimmed or
    destroyed it.
    """
    if version is row.newest and not row.apart:
        return row.data
    return await store.load_data(view, path, version.number)


async def read(
    view: ReadView, path: str, number: int, now: Nanos, tries: int = _TRIES
) -> tuple[Row, Version, bytes | None]:
    """Return a secret, a version of it, the newest for 0 or less, and the JSON of that, None where it is gone.

    Raises `NotFound` where there is none.
    """
    row = await store.load(view, path)
    version = find(row, number)
    if row is None or version is None:
        raise NotFound
    if version.gone(now):
        return row, version, None
    if version is row.newest and not row.apart:
        return row, version, row.data
    found = store.earlier(row).get(version.number)
    if found is None:
        found = await store.load_data(view, path, version.number)
    if found is not None:
        return row, version, found
    if tries == 1:
        raise NotFound
    return await read(view, path, number, now, tries - 1)


async def add(
    view: View, path: str, row: Row | None, config: Config, encoded: bytes, now: Nanos
) -> tuple[Row, Version]:
    """Write a text as the newest version, keep the one before as an older one, and trim the oldest.

    Returns what is there now.
    """
    row = row or Row(created=now, updated=now)
    before, earlier = store.versions(row), store.earlier(row)
    oldest = logic.oldest_after(row, config)
    gone = 0
    while gone < len(before) and before[gone].number < oldest:  # the oldest come first: mostly it is one
        gone += 1
    apart = [version.number for version in before[:gone] if earlier.pop(version.number, None) is None]
    if apart:
        await store.drop_data(view, path, apart)
    if row.data and gone < len(before):
        if len(row.data) + sum(map(len, earlier.values())) <= MOST_EARLIER:
            earlier[row.current] = row.data
        else:
            await store.save_data(view, path, row.current, row.data)
    newest = Version(row.current + 1, now, logic.deletion_time(row, config, now))
    long = len(encoded) > AT_ONCE
    if long:
        await store.save_data(view, path, newest.number, encoded)
    row = replace(
        row,
        updated=now,
        current=newest.number,
        newest=newest,
        data=b"" if long else encoded,
        apart=long,
        oldest=oldest,
        older=store.packed(before[gone:]),
        earlier=store.packed_earlier(earlier),
    )
    await store.save(view, path, row)
    return row, newest


async def replace_newest(view: View, path: str, row: Row, newest: Version) -> None:
    """Store what became of the newest version; its data goes when it is destroyed."""
    row = replace(row, newest=newest)
    if newest.destroyed:
        if row.apart:
            await store.drop_data(view, path, [row.current])
        row = replace(row, data=b"", apart=False)
    await store.save(view, path, row)


async def change(
    view: View, path: str, row: Row, numbers: Sequence[int], changed: Callable[[Row, Version], Version]
) -> None:
    """Change the versions that `numbers` names; those that do not exist are passed over."""
    wanted = frozenset(numbers)
    before = store.versions(row)
    after = [changed(row, version) if version.number in wanted else version for version in before]
    if list(before) == after:
        return
    earlier = store.earlier(row)
    destroyed = [
        new.number
        for old, new in zip(before, after, strict=True)
        if new.destroyed and not old.destroyed and new.number != row.current
    ]
    apart = [number for number in destroyed if earlier.pop(number, None) is None]
    await store.drop_data(view, path, apart)
    row = replace(row, older=store.packed(after[:-1]), earlier=store.packed_earlier(earlier))
    await replace_newest(view, path, row, after[-1])
