# SPDX-License-Identifier: EUPL-1.2
"""Long listings come in pages; what is removed behind a page costs nothing that comes after it."""

import asyncio
from collections.abc import Sequence

import pytest

from vault.storage.memory import MemoryStorage
from vault.storage.paging import opened, pages


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


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
@pytest.mark.parametrize("limit", [0, 1, 3, 300])
def test_folders_opened_so_deep_are_the_same_in_pages_and_whole(depth: int, limit: int) -> None:
    paths = sorted(
        {f"{a}/{b}/{c}" for a in "abc" for b in ("x", "x0", "x-", "y") for c in map(str, range(60))}
        | {"a", "a-", "a0", "b/x", "b/x0", "b/x.", "zz"}
    )

    async def scanning(prefix: str, *, after: str = "", limit: int = 0) -> Sequence[str]:
        assert prefix == "p/"
        return [path for path in paths if path > after][:limit]

    async def scenario() -> None:
        cut = [
            path if not depth or path.count("/") < depth else "/".join(path.split("/")[:depth]) + "/"
            for path in paths
        ]
        wanted = list(dict.fromkeys(cut))
        assert await opened(scanning, "p/", depth) == wanted
        found: list[str] = []
        while page := await opened(scanning, "p/", depth, after=found[-1] if found else "", limit=limit):
            assert len(page) <= limit or not limit
            found += page
        assert found == wanted

    asyncio.run(scenario())
