# SPDX-License-Identifier: EUPL-1.2
"""Timers for what mounts keep: they find the mount's data, and come again when they are told to."""

import asyncio
import os

from tests.calls import fill_call, mount_facts
from tests.unit.engines.driver import FakeClock
from vault.background.mount_timers import MountTimers
from vault.barrier.barrier import Barrier
from vault.barrier.key import Key
from vault.barrier.keyring import Keyring
from vault.barrier.stored import raw
from vault.barrier.view import View
from vault.framework.call import Call, Namespace
from vault.storage.memory import MemoryStorage
from vault.storage.protocol import Timer
from vault.values.ids import ROOT_ID, NamespaceId
from vault.values.times import Millis

TIMERS = MountTimers("parcel")


async def opened() -> tuple[MemoryStorage, Barrier, Call]:
    """An open barrier, and a call to a mount of another namespace."""
    clock, storage = FakeClock(), MemoryStorage()
    barrier = Barrier(storage, now=clock.millis, random=os.urandom)
    async with storage.write() as tx:
        await barrier.create_in(tx, Key(bytes(32)), Keyring.create(clock.millis(), os.urandom))
    await barrier.load(Key(bytes(32)))
    call = Call()
    fill_call(
        call,
        namespace=Namespace(NamespaceId("n1"), "team/"),
        mount=mount_facts(uuid="one", path="post/", kind="post", accessor="post_1"),
    )
    return storage, barrier, call


def test_a_timer_leads_to_the_data_of_its_mount_and_is_set_again_where_it_came_too_early() -> None:
    async def scenario() -> None:
        storage, barrier, call = await opened()
        async with barrier.write(NamespaceId("n1"), "ns/n1/mnt/one/") as call.tx:
            await call.tx.put("a/b", raw(b"deep"))
            await TIMERS.set(call, "a/b", Millis(5))
        seen = list[bytes | None]()

        async def work(data: View, name: str) -> Millis | None:
            seen.append(await data.get(name))
            return Millis(9) if len(seen) == 1 else None

        for due in (5, 9):
            (timer,) = await storage.claim(Millis(due), 10, hold=Millis(0))
            assert timer.kind == "parcel"
            async with barrier.write(ROOT_ID, "ns/root/") as core:
                await core.cancel(timer.kind, timer.key)
                await TIMERS.handler(work)(core, timer.key)
        assert seen == [b"deep", b"deep"]
        assert await storage.next_due() is None

    asyncio.run(scenario())


def test_a_timer_moves_and_is_cancelled_by_its_name() -> None:
    async def scenario() -> None:
        storage, barrier, call = await opened()
        async with barrier.write(NamespaceId("n1"), "ns/n1/mnt/one/") as call.tx:
            await TIMERS.set(call, "a", Millis(5))
            await TIMERS.set(call, "a", Millis(7))
            await TIMERS.set(call, "b", Millis(6))
            await TIMERS.cancel(call, "b")
        assert await storage.claim(Millis(9), 10, hold=Millis(0)) == [Timer("parcel", "n1/one/a", Millis(7))]

    asyncio.run(scenario())
