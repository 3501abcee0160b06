# SPDX-License-Identifier: EUPL-1.2
"""A database says which kinds of records it may hold, and a release that does not know them all refuses it."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from unittest import mock

import msgspec
import pytest

from vault.barrier import formats
from vault.barrier.formats import FORMATS_PATH, TooNew, ahead, check, hold, holds, note
from vault.barrier.stored import KINDS, NewerFormat, RecordKind, UpgradeUnderWay, version_of
from vault.framework.call import Call
from vault.framework.errors import Unavailable
from vault.framework.telemetry.log import Log
from vault.refusals import to_refusal
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


@pytest.fixture(autouse=True)
def _all_written() -> Iterator[None]:
    yield
    _release(0)
    hold(None)


class Before(msgspec.Struct):
    nom: str


def _before(thing: Thing) -> bytes:
    return msgspec.msgpack.encode(Before(thing.name))


def _after(data: bytes) -> Thing:
    return Thing(msgspec.msgpack.decode(data, type=Before).nom)


@pytest.mark.parametrize("version", [2, 3])
def test_beside_an_older_release_records_are_written_as_it_reads_them(
    version: int,
) -> None:
    _release(0)
    older: dict[int, Callable[[bytes], Thing] | None] = dict.fromkeys(range(1, version), _after)
    kind = RecordKind("thing", Thing, version=version, older=older, former=_before)
    said = {**{name: kind.version for name, kind in KINDS.items()}, "thing": version - 1}
    assert ahead(said) == {"thing": version - 1}
    hold(said)
    assert holds()
    stored = kind.encode(Thing("a"))
    assert version_of(stored) == version - 1
    assert stored.endswith(_before(Thing("a")))
    assert kind.decode(stored) == Thing("a")
    hold(None)
    assert not holds()
    assert version_of(kind.encode(Thing("a"))) == version
    assert kind.decode(stored) == Thing("a")


def test_beside_an_older_release_what_it_does_not_know_is_not_written() -> None:
    _release(1)
    said = {name: kind.version for name, kind in KINDS.items() if name != "thing"}
    hold(said)
    with pytest.raises(
        UpgradeUnderWay, match="knows no stored record 'thing': bring every server to this release"
    ) as caught:
        KINDS["thing"].encode(Thing("a secret"))
    assert "a secret" not in str(caught.value)
    refusal = to_refusal(mock.create_autospec(Call), caught.value, mock.create_autospec(Log))
    assert (type(refusal), str(refusal)) == (Unavailable, str(caught.value))
    asyncio.run(note(MemoryStorage()))
    assert KINDS["thing"].decode(KINDS["thing"].encode(Thing("a"))) == Thing("a")


def test_a_release_that_cannot_write_as_the_older_one_does_not_serve_beside_it() -> None:
    _release(2)
    said = {**{name: kind.version for name, kind in KINDS.items()}, "thing": 1}
    with pytest.raises(
        TooNew, match=r"'thing' version 2 \(now: 1\); stop every server of the older release first"
    ):
        hold(said)
    assert not holds()
    said["thing"] = 2
    hold(said)
    assert not holds()
