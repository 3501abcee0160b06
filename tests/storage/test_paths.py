# SPDX-License-Identifier: EUPL-1.2
"""Entries, and the order in which their paths are listed."""

import asyncio
from collections.abc import Sequence

import pytest

from tests.storage.stores import Store, everything, fill, invalidate
from vault.storage.protocol import LONGEST_PATH, ReadTx, Storage, Timer, UnfitPath
from vault.values.times import Millis

TRICKY = (
    "a", "a/b", "a0", "a-b", "a/b/c", "a//x", "B", "b\1", "b", "é/x", "z", "\uffee", "\U0001f511/k", "y/\U0010ffff",
)  # fmt: skip
"""Neighbours of `/` in byte order, capitals, controls, and where UTF-16 would order otherwise than UTF-8."""


def test_what_is_put_is_read_back_replaced_and_deleted(store: Store) -> None:
    async def story(storage: Storage) -> None:
        reader = storage.reader()
        assert await reader.get("p") is None
        async with storage.write() as tx:
            await tx.put("p", b"")
            await tx.put("binary", bytes(range(256)))
        assert await reader.get("p") == b""
        assert await reader.get("binary") == bytes(range(256))
        async with storage.write() as tx:
            await tx.put("p", b"two")
            await tx.delete("binary")
            await tx.delete("never there")
        assert await everything(storage) == {"p": b"two"}

    store.play(story)


def test_a_list_is_in_byte_order_with_leaf_and_folder_both_shown(store: Store) -> None:
    async def story(storage: Storage) -> Sequence[str]:
        await fill(storage, *TRICKY)
        assert await storage.reader().list("a/") == ["/", "b", "b/"]
        return await storage.reader().list("")

    assert store.play(story) == [
        "B", "a", "a-b", "a/", "a0", "b", "b\1", "y/", "z", "é/", "\uffee", "\U0001f511/",
    ]  # fmt: skip


def test_a_scan_returns_leaves_below_the_prefix_relative_to_it(store: Store) -> None:
    async def story(storage: Storage) -> None:
        await fill(storage, *TRICKY)
        reader = storage.reader()
        assert await reader.scan("") == sorted(TRICKY, key=str.encode)
        assert await reader.scan("a/") == ["/x", "b", "b/c"]
        assert await reader.scan("a/", after="/x") == ["b", "b/c"]
        assert await reader.scan("a/", after="/x", limit=1) == ["b"]
        assert await reader.scan("y/") == ["\U0010ffff"]
        assert await reader.scan("nothing/") == []

    store.play(story)


def test_pages_of_any_size_put_together_are_the_whole_list(store: Store) -> None:
    async def pages(reader: ReadTx, size: int) -> Sequence[str]:
        whole: list[str] = []
        while page := await reader.list("", after=whole[-1] if whole else "", limit=size):
            assert len(page) <= size
            whole.extend(page)
        return whole

    async def story(storage: Storage) -> None:
        await fill(storage, *TRICKY)
        reader = storage.reader()
        whole = await reader.list("")
        for size in range(1, len(whole) + 1):
            assert await pages(reader, size) == whole

    store.play(story)


@pytest.mark.parametrize(
    ("after", "names"),
    [("a", ["a/", "b", "b/", "c"]), ("a/", ["b", "b/", "c"]), ("a/zzz", ["b", "b/", "c"]),
     ("a0", ["b", "b/", "c"]), ("b/", ["c"]), ("c", []), ("~", [])],
)  # fmt: skip
def test_after_is_exclusive_and_need_not_exist(store: Store, after: str, names: Sequence[str]) -> None:
    async def story(storage: Storage) -> Sequence[str]:
        await fill(storage, "x/a", "x/a/1", "x/a/2", "x/b", "x/b/1", "x/c", "y")
        return await storage.reader().list("x/", after=after)

    assert store.play(story) == names


def test_a_folder_with_many_leaves_is_one_name(store: Store) -> None:
    async def story(storage: Storage) -> None:
        await fill(storage, "a", "z", *(f"big/{number}" for number in range(100)))
        assert await storage.reader().list("") == ["a", "big/", "z"]
        assert await storage.reader().list("", limit=2) == ["a", "big/"]

    store.play(story)


def test_deleting_a_prefix_removes_and_counts_what_is_below_it_only(store: Store) -> None:
    async def story(storage: Storage) -> None:
        await fill(storage, "a", "a/", "a/b", "a/b/c", "a0", "a-")
        async with storage.write() as tx:
            assert await tx.delete_prefix("a/") == 2
            assert await tx.delete_prefix("a/") == 0
        assert await storage.reader().scan("") == ["a", "a-", "a/", "a0"]
        async with storage.write() as tx:
            assert await tx.delete_prefix("") == 4
        assert await everything(storage) == {}

    store.play(story)


def test_values_of_megabytes_are_kept(store: Store) -> None:
    async def story(storage: Storage) -> bytes | None:
        async with storage.write() as tx:
            await tx.put("large", b"\xff" * (8 << 20))
        return await storage.reader().get("large")

    assert store.play(story) == b"\xff" * (8 << 20)


UNFIT = ("a" * (LONGEST_PATH + 1), "\u00e9" * (LONGEST_PATH // 2 + 1), "a\0b", "\0", "a/\ud800", "\udfff/a")
FIT = ("a" * LONGEST_PATH, "\u00e9" * (LONGEST_PATH // 2), "a\1b")


@pytest.mark.parametrize("optimistic", [False, True])
@pytest.mark.parametrize("path", UNFIT, ids=ascii)
def test_what_not_every_storage_takes_none_does_and_others_of_the_batch_are_kept(
    store: Store, path: str, *, optimistic: bool
) -> None:
    async def story(storage: Storage) -> None:
        async def unfit() -> None:
            async with storage.write(optimistic=optimistic) as tx:
                for refused in (
                    tx.put(path, b""),
                    tx.at(Timer("k", path, Millis(1))),
                    tx.at(Timer(path, "k", Millis(1))),
                    tx.invalidate("k", path),
                    tx.invalidate(path, "k"),
                ):
                    with pytest.raises(UnfitPath):
                        await refused
                await tx.delete(path)
                await tx.cancel("k", path)
                assert await tx.delete_prefix(f"{path}/") == 0
                await tx.put("after", b"")

        await asyncio.gather(fill(storage, "before"), unfit(), fill(storage, "beside"))
        assert sorted(await everything(storage)) == ["after", "before", "beside"]
        assert await storage.next_due() is None

    store.play(story)


@pytest.mark.parametrize("path", UNFIT, ids=ascii)
def test_nothing_is_where_nothing_can_be(store: Store, path: str) -> None:
    async def story(storage: Storage) -> None:
        moved = await invalidate(storage, "x")
        for _ in range(2):
            reader = storage.reader()
            assert (await reader.get(path), await reader.has(path), reader.epoch) == (None, False, moved)
            assert (await reader.list(f"{path}/"), await reader.scan(f"{path}/")) == ([], [])
        for optimistic in (False, True):
            async with storage.write(optimistic=optimistic) as tx:
                assert (await tx.get(path), await tx.has(path), await tx.list(f"{path}/")) == (
                    None,
                    False,
                    [],
                )
                assert tx.epoch == moved
                await tx.put("beside", b"")
            with pytest.raises(ZeroDivisionError):  # as a refusal: what it rests on is confirmed
                async with storage.write(optimistic=optimistic) as tx:
                    assert not await tx.has(path)
                    raise ZeroDivisionError

    store.play(story)


@pytest.mark.parametrize("path", FIT, ids=ascii)
def test_a_path_may_be_as_long_as_every_storage_takes(store: Store, path: str) -> None:
    async def story(storage: Storage) -> None:
        async with storage.write() as tx:
            await tx.put(path, b"1")
            await tx.at(Timer("k", path[1:], Millis(1)))
            await tx.invalidate("k", path[1:])
        assert await everything(storage) == {path: b"1"}
        assert [timer.key for timer in await storage.claim(Millis(1), 1, hold=Millis(1))] == [path[1:]]

    store.play(story)
