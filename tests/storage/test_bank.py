# SPDX-License-Identifier: EUPL-1.2
"""Two nodes on one PostgreSQL move money about by every kind of statement: at no moment is there more or less of it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from tests.postgres import Cluster, Lent
from tests.storage.stores import until_kept
from vault.storage.postgres.storage import PostgresStorage
from vault.storage.protocol import Storage, Tx

_ACCOUNTS = [f"a/{number}" for number in range(5)]
_CLIENTS = 8


async def _amount(tx: Tx, account: str) -> int:
    return int(await tx.get(account) or b"0")


async def _set(tx: Tx, account: str, amount: int) -> None:
    if amount == 0:
        await tx.delete(account)
    else:
        await tx.put(account, str(amount).encode())


class Bank:
    """Accounts that hold 500 together, one of which may be closed at a time."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)

    async def transfer(self, tx: Tx) -> int:
        """Move something from one account to another; some give up in the end."""
        source, target = self._dice.sample(_ACCOUNTS, 2)
        left, there = await _amount(tx, source), await _amount(tx, target)
        if self._dice.random() < 0.3:
            await asyncio.sleep(0)
        moved = self._dice.randint(1, 5)
        await _set(tx, source, left - moved)
        await _set(tx, target, there + moved)
        if self._dice.random() < 0.05:
            await tx.invalidate("account", source)
        if self._dice.random() < 0.1:
            raise ZeroDivisionError
        return 500

    async def merge(self, tx: Tx) -> int:
        """Close an account, and give another one all that was there."""
        names = await tx.scan("a/")
        if len(names) > 2:
            source, target = self._dice.sample([f"a/{name}" for name in names], 2)
            both = await _amount(tx, source) + await _amount(tx, target)
            if await tx.has(source):
                await tx.delete(source)
                await _set(tx, target, both)
        return 500

    async def total(self, tx: Tx) -> int:
        """Return what there is; some write it down."""
        found = [await _amount(tx, f"a/{name}") for name in await tx.scan("a/")]
        if self._dice.random() < 0.5:
            await tx.put(f"sum/{self._dice.randint(0, 3)}", str(sum(found)).encode())
        return sum(found)

    async def client(self, node: Storage, times: int) -> None:
        works: list[Callable[[Tx], Awaitable[int]]] = [self.transfer, self.merge, self.total]
        for _ in range(times):
            (work,) = self._dice.choices(works, (6, 1, 3))
            with suppress(ZeroDivisionError):
                found, _ = await until_kept(node, work)
                assert found == 500
            await node.reader().get(self._dice.choice(_ACCOUNTS))


def _play(cluster: Cluster, seed: int, times: int) -> None:
    async def story() -> None:
        one = Lent(cluster, cluster.empty())
        other = PostgresStorage(cluster.address(one.lent))
        async with one.write() as tx:
            for account in _ACCOUNTS:
                await tx.put(account, b"100")
        bank = Bank(seed)
        await asyncio.gather(*(bank.client(node, times) for node in (one, other) for _ in range(_CLIENTS)))
        assert (await until_kept(one, bank.total))[0] == 500
        await other.close()
        await one.close()

    asyncio.run(story())


@pytest.mark.parametrize("seed", range(3))
def test_money_is_neither_made_nor_lost_on_two_nodes(postgres: Callable[[], Cluster], seed: int) -> None:
    _play(postgres(), seed, 15)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 110))
def test_nor_is_it_in_ten_times_five_thousand_transactions(
    postgres: Callable[[], Cluster], seed: int
) -> None:
    _play(postgres(), seed, 300)
