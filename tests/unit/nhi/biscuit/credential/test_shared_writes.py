# SPDX-License-Identifier: EUPL-1.2
"""Who writes at once shares a transaction: all wait for its commit, and nobody fails for what another one has."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from nhi.biscuit.credential.shared_writes import SharedWrites
from vault.barrier.failure import BarrierFailure
from vault.barrier.view import View
from vault.storage.protocol import StorageFailure
from vault.values.ids import ROOT_ID, NamespaceId

OTHER = NamespaceId("other")


class Journal:
    """What was committed, a list for each transaction; `broken` is what it takes nothing for."""

    def __init__(self, broken: object = None) -> None:
        self.committed: list[list[int]] = []
        self.broken = broken
        self.wrote = asyncio.Event()
        self.writes: SharedWrites[int, int] = SharedWrites(self.begin, self.write)

    @asynccontextmanager
    async def begin(self, where: NamespaceId) -> AsyncGenerator[View]:
        assert where in {ROOT_ID, OTHER}
        if isinstance(self.broken, StorageFailure):
            raise self.broken
        await asyncio.sleep(0)
        yield cast("View", self)
        await asyncio.sleep(0)

    async def write(self, tx: View, batch: Sequence[int]) -> list[int]:
        assert cast("Any", tx) is self
        if self.broken in batch:
            raise BarrierFailure("this one is damaged")
        self.committed.append(list(batch))
        self.wrote.set()
        return [2 * one for one in batch]

    async def all(self, count: int, where: NamespaceId = ROOT_ID) -> list[int | BaseException]:
        added = (self.writes.add(where, one) for one in range(count))
        return await asyncio.gather(*added, return_exceptions=True)


def test_who_comes_while_one_is_written_shares_the_next_transaction() -> None:
    journal = Journal()

    async def several() -> list[int]:
        first = asyncio.create_task(journal.writes.add(ROOT_ID, 100))
        await journal.wrote.wait()
        return [await first, *(await asyncio.gather(*(journal.writes.add(ROOT_ID, one) for one in range(4))))]

    assert asyncio.run(several()) == [200, 0, 2, 4, 6]
    assert journal.committed == [[100], [0, 1, 2, 3]]


def test_one_transaction_is_never_too_long_and_a_namespace_waits_for_no_other() -> None:
    journal = Journal()

    async def both() -> None:
        await asyncio.gather(journal.all(130), journal.all(1, OTHER))

    asyncio.run(both())
    assert sorted(map(len, journal.committed)) == [1, 2, 64, 64]


def test_what_fails_alone_fails_alone() -> None:
    journal = Journal(broken=2)
    done = asyncio.run(journal.all(4))
    assert isinstance(done[2], BarrierFailure)
    assert [one for one in done if isinstance(one, int)] == [0, 2, 6]
    assert journal.committed == [[0], [1], [3]]


def test_a_storage_that_takes_nothing_is_asked_once_for_all() -> None:
    journal = Journal(StorageFailure("the disk is full"))
    done = asyncio.run(journal.all(3))
    assert [type(one) for one in done] == [StorageFailure] * 3
    assert len({id(one) for one in done}) == 3
    journal.broken = None
    assert asyncio.run(journal.all(1)) == [0]


def test_who_leaves_holds_up_nobody() -> None:
    journal = Journal()

    async def leaves() -> list[int]:
        tasks = [asyncio.create_task(journal.writes.add(ROOT_ID, one)) for one in range(3)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await tasks[0]
        return [await task for task in tasks[1:]]

    assert asyncio.run(leaves()) == [2, 4]
