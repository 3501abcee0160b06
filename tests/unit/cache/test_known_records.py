# SPDX-License-Identifier: EUPL-1.2
"""Records that come again are decoded once, and are what is stored: always, whoever changed it."""

import asyncio

import pytest

from tests.unit.barrier.open import open_barrier, second
from vault.barrier.failure import BarrierFailure, BarrierSealed
from vault.barrier.stored import text
from vault.cache.known_records import KnownRecords
from vault.values.ids import ROOT_ID


class Decoded(list[str]):
    """Notes what is decoded."""

    def __call__(self, value: bytes) -> str:
        self.append(value.decode())
        return self[-1]


def test_a_record_is_decoded_once_until_it_is_another() -> None:
    async def scenario() -> None:
        storage, here = await open_barrier()
        there = await second(storage)
        decoded = Decoded()
        known = KnownRecords(decoded, 8)
        view = here.reader(ROOT_ID, "m/")
        assert await known.find(view, "a") is None
        async with here.write(ROOT_ID, "m/") as writing:
            await writing.put("a", text("one"))
            assert await known.find(writing, "a") == "one"
        for _ in range(3):
            assert await known.find(view, "a") == "one"
        assert decoded == ["one"]
        async with there.write(ROOT_ID, "m/") as writing:
            await writing.put("a", text("two"))
            assert await known.find(view, "a") == "one", "nobody has committed"
        assert [await known.find(view, "a"), await known.find(view, "a")] == ["two", "two"]
        assert decoded == ["one", "two"]
        async with there.write(ROOT_ID, "m/") as writing:
            await writing.delete("a")
        assert await known.find(view, "a") is None

    asyncio.run(scenario())


def test_what_lies_at_another_place_is_another_record() -> None:
    async def scenario() -> None:
        storage, barrier = await open_barrier()
        known = KnownRecords(bytes.decode, 8)
        async with barrier.write(ROOT_ID, "m/") as writing:
            await writing.put("a", text("of a"))
            await writing.put("b", text("of b"))
        view, other = barrier.reader(ROOT_ID, "m/"), barrier.reader(ROOT_ID, "n/")
        assert (await known.find(view, "a"), await known.find(view, "b")) == ("of a", "of b")
        assert await known.find(other, "a") is None
        async with storage.write() as tx:
            moved = await tx.get("m/a")
            assert moved is not None
            await tx.put("m/b", moved)
        with pytest.raises(BarrierFailure):
            await known.find(view, "b")

    asyncio.run(scenario())


def test_no_more_are_known_than_it_was_made_for_and_none_once_forgotten() -> None:
    async def scenario() -> None:
        _, barrier = await open_barrier()
        decoded = Decoded()
        known = KnownRecords(decoded, 2)
        async with barrier.write(ROOT_ID, "m/") as writing:
            for name in "abc":
                await writing.put(name, text(name))
        view = barrier.reader(ROOT_ID, "m/")
        for name in "abca":
            assert await known.find(view, name) == name
        assert decoded == [*"abca"]
        known.forget()
        assert await known.find(view, "a") == "a"
        assert decoded == [*"abcaa"]

    asyncio.run(scenario())


def test_a_sealed_vault_tells_nothing_of_what_is_known_and_of_what_is_long() -> None:
    async def scenario() -> None:
        _, barrier = await open_barrier()
        known = KnownRecords(bytes.decode, 8)
        async with barrier.write(ROOT_ID, "m/") as writing:
            await writing.put("a", text("x" * 500_000))
        view = barrier.reader(ROOT_ID, "m/")
        assert await known.find(view, "a") == "x" * 500_000
        barrier.seal()
        with pytest.raises(BarrierSealed):
            await known.find(view, "a")

    asyncio.run(scenario())
