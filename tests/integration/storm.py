# SPDX-License-Identifier: EUPL-1.2
"""Makes facts about tokens untrue at a rate, each in a commit of its own, as a node does that revokes: a process of its own.

No client of these tests could have a node do that so often. Run with host, user, database and how many a second, until
standard input ends; prints how many there were. With `calm` behind that it commits as often, and nothing becomes untrue.
"""

import asyncio
import sys
import time

from tests.storage.stores import until_kept
from vault.storage.postgres.connection import Address
from vault.storage.postgres.storage import PostgresStorage
from vault.storage.protocol import Tx


async def blow(address: Address, rate: float, *, calm: bool) -> int:
    """Return how often it was done."""
    storage = PostgresStorage(address)
    over = asyncio.ensure_future(asyncio.to_thread(sys.stdin.read))
    began = time.monotonic()
    done = 0

    async def revoke(tx: Tx) -> None:
        await tx.delete(f"ns/root/nothing/{done}")
        if not calm:
            await tx.invalidate("token", f"nobody{done}")

    while not over.done():
        if done < (time.monotonic() - began) * rate:
            await until_kept(storage, revoke)
            done += 1
        else:
            await asyncio.sleep(0.0005)
    await storage.close()
    return done


if __name__ == "__main__":
    host, user, database, rate, *rest = sys.argv[1:]
    where = Address(host=host, user=user, database=database)
    print(asyncio.run(blow(where, float(rate), calm=rest == ["calm"])))  # noqa: T201 - its answer
