# SPDX-License-Identifier: EUPL-1.2
"""A database says which kinds of records it may hold, and a release that does not know them all refuses it."""

import asyncio
from collections.abc import Mapping

import msgspec
import pytest

from vault.barrier import formats
from vault.barrier.formats import FORMATS_PATH, check, note
from vault.barrier.stored import KINDS, NewerFormat, RecordKind
from vault.storage.memory import MemoryStorage


class Thing(msgspec.Struct):
    name: str


async def _stored(storage: MemoryStorage) -> dict[str, int]:
    found = await storage.reader().get(FORMATS_PATH)
    assert found is not None
    return msgspec.json.decode(found, type=dict[str, int])


def _release(version: int) -> None:
    KINDS.pop("thing", None)
    if version:
        RecordKind("thing", Thing, version=version, older=dict.fromkeys(range(1, version)))


def test_each_release_says_what_it_writes_and_writes_only_when_that_is_more() -> None:
    async def scenario() -> None:
        storage = MemoryStorage()
        assert await check(storage.reader()) == {}
        await note(storage)
        assert await _stored(storage) == {name: kind.version for name, kind in KINDS.items()}
        before = await storage.reader().get(FORMATS_PATH)
        await note(storage)
        assert await storage.reader().get(FORMATS_PATH) is before
        _release(2)
        await note(storage)
        assert (await _stored(storage))["thing"] == 2

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("newer", "older", "said"),
    [(2, 1, r"'thing' version 2 \(known: 1\)"), (1, 0, r"'thing' version 1 \(known: none\)")],
)
def test_an_older_release_refuses_and_changes_nothing(newer: int, older: int, said: str) -> None:
    async def scenario() -> None:
        storage = MemoryStorage()
        _release(newer)
        await note(storage)
        before = await storage.reader().get(FORMATS_PATH)
        _release(older)
        for step in (check(storage.reader()), note(storage)):
            with pytest.raises(NewerFormat, match=said + "; nothing was changed: start the newer release"):
                await step
        assert await storage.reader().get(FORMATS_PATH) is before
        _release(newer)
        await note(storage)

    asyncio.run(scenario())


def test_a_kind_that_is_written_no_more_is_known_still(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        storage = MemoryStorage()
        _release(2)
        await note(storage)
        _release(0)
        former: Mapping[str, int] = {"thing": 2}
        monkeypatch.setattr(formats, "FORMER", former)
        await note(storage)
        assert (await _stored(storage))["thing"] == 2
        monkeypatch.setattr(formats, "FORMER", {"thing": 1})
        with pytest.raises(NewerFormat):
            await check(storage.reader())

    asyncio.run(scenario())


def test_formats_that_are_themselves_newer_are_refused() -> None:
    async def scenario() -> None:
        storage = MemoryStorage()
        async with storage.write() as tx:
            await tx.put(FORMATS_PATH, b"\xc1\x02{}")
        with pytest.raises(NewerFormat, match="'formats' has version 2"):
            await check(storage.reader())

    asyncio.run(scenario())
