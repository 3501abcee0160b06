# SPDX-License-Identifier: EUPL-1.2
"""Long listings come in pages; what is removed behind a page costs nothing that comes after it."""

import asyncio

import pytest

from vault.storage.memory import MemoryStorage
from vault.storage.paging import pages


@pytest.mark.parametrize("count", [0, 1, 6, 7, 8, 21])
def test_all_names_come_once_in_pages_of_a_size(count: int) -> None:
    async def scenario() -> None:
        storage = MemoryStorage()
        async with storage.write() as tx:
            for number in range(count):
                await tx.put(f"a/{number:03}", b"x")
            await tx.put("b/000", b"x")
        found = [page async for page in pages(storage.reader().scan, "a/", size=7)]
        assert [name for page in found for name in page] == [f"{number:03}" for number in range(count)]
        assert all(len(page) <= 7 for page in found)

    asyncio.run(scenario())


def test_whoever_removes_page_by_page_removes_all() -> None:
    async def scenario() -> None:
        storage = MemoryStorage()
        async with storage.write() as tx:
            for number in range(20):
                await tx.put(f"a/{number:03}/x", b"x")
        async for page in pages(storage.reader().list, "a/", size=3):
            async with storage.write() as tx:
                for name in page:
                    await tx.delete_prefix(f"a/{name}")
        assert await storage.reader().scan("a/") == []

    asyncio.run(scenario())
