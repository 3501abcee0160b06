# SPDX-License-Identifier: EUPL-1.2
"""Makes facts about tokens untrue at a rate, as a node does that revokes: a process of its own.

Each is a transaction of its own, and up to `AT_ONCE` are under way, which share commits as those of a node's clients do: none rests on what another one changes. No
client of these tests could have a node do that so often. Run with host, user, database and how many a second, until
standard input ends; prints how many there were. With `calm` behind that it commits as often, and nothing becomes untrue.
"""

import asyncio
import sys
import time
from functools import partial
from typing import Final

from tests.storage.stores import until_kept
from vault.storage.postgres.connection import Address
from vault.storage.postgres.storage import PostgresStorage
from vault.storage.protocol import Basis, Tx

AT_ONCE: Final = 32
_FOLLOWS: Final = 0.1
"""Seconds after which it learns what others changed, as a node does that is only written to."""


async def blow(address: Address, rate: float, *, calm: bool) -> int:
    """Return how often it was done."""
    storage = PostgresStorage(address)
    over = asyncio.ensure_future(asyncio.to_thread(sys.stdin.read))
    began = time.monotonic()
    begun = done = 0
    under_way = set[asyncio.Task[None]]()

    async def change(number: int, tx: Tx) -> None:
        tx.rest_on(Basis(reader.epoch, "token", ()))
        await tx.delete(f"ns/root/nothing/{number}")
        if not calm:
            await tx.invalidate("token", f"nobody{number}")

    async def revoke(number: int) -> None:
        nonlocal done
        await until_kept(storage, partial(change, number))
        done += 1

    looked, reader = began, storage.reader()
    await reader.get("")
    while not over.done():
        if time.monotonic() > looked + _FOLLOWS:
            looked, reader = time.monotonic(), storage.reader()
            await reader.get("")
        for one in [one for one in under_way if one.done()]:
            under_way.remove(one)
            one.result()
        while len(under_way) < AT_ONCE and begun < (time.monotonic() - began) * rate:
            begun += 1
            under_way.add(asyncio.create_task(revoke(begun)))
        await asyncio.sleep(0.002)
    await asyncio.gather(*under_way)
    await storage.close()
    return done


if __name__ == "__main__":
    host, user, database, rate, *rest = sys.argv[1:]
    where = Address(host=host, user=user, database=database)
    print(asyncio.run(blow(where, float(rate), calm=rest == ["calm"])))  # noqa: T201 - its answer
