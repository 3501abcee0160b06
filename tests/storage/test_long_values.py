# SPDX-License-Identifier: EUPL-1.2
"""Values of megabytes: they are read and written in a thread, and cost nobody who has to do with other rows."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from tests import stalls
from tests.storage.stores import Fault, Store, everything, fill
from vault.storage.protocol import LONG, Storage, StorageFailure, Tx
from vault.storage.sqlite.storage import SqliteStorage

_SIZE = 24 << 20
_MOST = 0.02
"""Seconds of processor time that the loop may be held: SQLite alone takes twice as much to write such a value."""


async def held(work: Awaitable[object]) -> float:
    """Return the longest that one turn of the loop took, in its own processor time, while something was done."""
    doing = asyncio.ensure_future(work)
    longest = 0.0
    while not doing.done():
        began = time.thread_time()
        await asyncio.sleep(0)
        longest = max(longest, time.thread_time() - began)
    await doing
    return longest


async def write(storage: Storage, do: Callable[[Tx], Awaitable[object]]) -> None:
    async with storage.write() as tx:
        await do(tx)


def test_sl_74_a_long_value_is_written_read_replaced_and_removed_off_the_loop(store: Store) -> None:
    steps: list[float] = []
    """For how long each held the loop."""

    async def story(storage: Storage) -> None:
        value, other, part = bytes(_SIZE), b"\xff" * _SIZE, bytes(4 << 20)
        seen: list[bytes | None] = []

        async def twice(tx: Tx) -> None:
            seen.append(await tx.get("a"))
            await tx.put("a", other)
            await tx.put("b", other)

        async def spilled(tx: Tx) -> None:
            await tx.put("a", value)
            assert await tx.list("") == ["a", "b"]  # SQLite has to know
            seen.append(await tx.get("a"))
            seen.append(await tx.get("b"))

        async def shortened(tx: Tx) -> None:
            await tx.put("a", b"short")
            await tx.delete("b")

        async def folder(tx: Tx) -> None:
            for number in range(17):
                await tx.put(f"f/{number}", part)

        done = (lambda tx: tx.put("a", value), twice, spilled, shortened, folder)
        steps.extend([await held(write(storage, do)) for do in done])
        assert seen == [value, value, other]
        steps.append(await held(storage.reader().get("f/3")))
        steps.append(await held(write(storage, lambda tx: tx.delete_prefix("f/"))))
        assert await everything(storage) == {"a": b"short"}

    def play() -> Mapping[str, float]:
        steps.clear()
        store.play(story)
        return {str(place): seconds for place, seconds in enumerate(steps, 1)}

    assert stalls.held_too_long(play, _MOST) == {}


def test_sl_74_who_looks_for_a_neighbour_does_not_read_a_long_value(store: Store) -> None:
    async def story(storage: Storage) -> None:
        names = [f"n/{number:03}" for number in range(200)]
        await fill(storage, *names)
        reader = storage.reader()

        async def look() -> float:
            began = time.thread_time()
            for name in names:
                assert await reader.get(name) == name.encode()
            await reader.has("n/100x")
            assert len(await reader.list("n/")) >= 200
            return time.thread_time() - began

        async def least() -> float:
            """What it costs where nothing disturbs it, as near as a few tries come."""
            return min([await look() for _ in range(4)])

        before = await least()
        async with storage.write() as tx:
            await tx.put("n/100x", bytes(_SIZE))
        assert await reader.has("n/100x")
        assert await least() < max(_MOST, 2 * before)

    store.play(story)


@pytest.mark.parametrize("spills", [False, True])
def test_a_long_value_that_cannot_be_written_is_written_in_no_part(tmp_path: Path, *, spills: bool) -> None:
    """Whichever statement fails, nothing of the transaction is kept; and the storage goes on."""

    async def long(storage: Storage) -> None:
        async with storage.write() as tx:
            await tx.put("short", b"1")
            await tx.put("long", bytes(LONG + 1))
            if spills:
                assert await tx.list("") == ["keep", "long", "short"]

    async def story(storage: Storage, fault: Fault) -> None:
        await fill(storage, "keep")
        fault.armed = True
        with suppress(StorageFailure):
            await long(storage)
        fault.armed = False
        kept = {"short", "long"} if not fault.hits else set()
        await fill(storage, "after")
        assert set(await everything(storage)) == {"keep", "after", *kept}

    folder = tmp_path / "databases"
    folder.mkdir()
    store = Store("sqlite", folder)
    hits = 1
    at = 0
    while hits:
        fault = Fault(at)
        store.play(partial(story, fault=fault), fault)
        hits, at = fault.hits, at + 1
    assert fault.seen.count("apply") == 2, "what is short, and what is long"
    assert fault.seen[-1] == "commit"


def test_who_gives_up_while_a_thread_writes_for_him_leaves_nothing_and_takes_nobody_along(
    tmp_path: Path,
) -> None:
    begun, go = threading.Event(), threading.Event()

    def slow(name: str) -> None:
        if name == "delete_prefix" and threading.current_thread() is not threading.main_thread():
            begun.set()
            assert go.wait(60)

    async def story() -> None:
        storage = SqliteStorage.open(tmp_path / "vault.db", on_statement=slow)
        await fill(storage, *(f"f/{number:02}" for number in range(20)))
        before = await everything(storage)

        async def remove() -> None:
            async with storage.write() as tx:
                await tx.put("lost", b"1")
                await tx.delete_prefix("f/")
                await asyncio.sleep(60)

        first = asyncio.ensure_future(fill(storage, "first"))
        await asyncio.sleep(0)
        removing = asyncio.ensure_future(remove())
        assert await asyncio.to_thread(begun.wait, 60)
        removing.cancel()
        await asyncio.sleep(0.01)
        assert not removing.done(), "the thread is not done, and what it does is still to be undone"
        removing.cancel()
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await removing
        await first
        await fill(storage, "after")
        assert await everything(storage) == {**before, "first": b"first", "after": b"after"}
        await storage.close()

    asyncio.run(story())
