# SPDX-License-Identifier: EUPL-1.2
"""What is due is done side by side on PostgreSQL, so that it shares commits, and each once although all change one row."""

import asyncio
import io
import os
from collections.abc import Callable

import pytest

from tests.postgres import Cluster, Lent, asked
from vault.background.loop import Background, Handler
from vault.background.skew import Skew
from vault.barrier.barrier import Barrier
from vault.barrier.key import Key
from vault.barrier.keyring import Keyring
from vault.barrier.stored import raw
from vault.barrier.view import View
from vault.framework.clock import Clock
from vault.framework.telemetry.log import Log
from vault.storage.postgres import schema
from vault.storage.protocol import Storage, Timer
from vault.values.ids import ROOT_ID
from vault.values.times import Millis

_TIMERS = 64


async def _note(core: View, key: str) -> None:
    await core.put(f"noted/{key}", raw(b""))


async def _count(core: View, key: str) -> None:
    sum_of = await core.get("sum") or raw(b"")
    await core.put("sum", raw(bytes(sum_of) + b"x"))


async def _due(storage: Storage, handler: Handler, at_once: int) -> Barrier:
    """Run a batch of timers that are all due."""
    clock = Clock()
    barrier = Barrier(storage, now=clock.millis, random=os.urandom)
    root = Key(bytes(32))
    async with storage.write() as tx:
        await barrier.create_in(tx, root, Keyring.create(clock.millis(), os.urandom))
    await barrier.load(root)
    async with barrier.write(ROOT_ID, "ns/root/") as core:
        for number in range(_TIMERS):
            await core.at(Timer("kind", f"{number:03}", Millis(1)))
    log = Log(stream=io.StringIO())
    skew = Skew(storage, clock, log)
    assert await Background(
        storage, barrier, {"kind": handler}, {}, skew=skew, log=log, at_once=at_once
    ).work()
    assert await storage.next_due() is None
    return barrier


def test_a_batch_of_timers_shares_commits(
    postgres: Callable[[], Cluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    statements = asked(monkeypatch)

    async def story() -> None:
        storage = Lent(postgres(), postgres().empty())
        await _due(storage, _note, 16)
        assert len(await storage.reader().scan("ns/root/noted/")) == _TIMERS
        await storage.close()

    asyncio.run(story())
    assert statements.count(schema.COMMIT) <= 2 + 2 * _TIMERS // 16


def test_those_that_change_one_row_are_each_done_once(postgres: Callable[[], Cluster]) -> None:
    async def story() -> None:
        storage = Lent(postgres(), postgres().empty())
        barrier = await _due(storage, _count, 16)
        assert await barrier.reader(ROOT_ID, "ns/root/").get("sum") == b"x" * _TIMERS
        await storage.close()

    asyncio.run(story())
