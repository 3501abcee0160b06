# SPDX-License-Identifier: EUPL-1.2
"""Keys of the vault itself, those of the safe and those that sign wrapping tokens, with key slots that come and go."""

import asyncio
import os
from collections.abc import Callable
from typing import Any

import pytest

from hsm.errors import PinBlocked, SlotUnavailable
from tests.unit.seal.auto import named
from tests.unit.seal.records.test_sealwrap import CORE, Wraps
from tests.unit.seal.soft import SoftSlot
from vault.barrier.failure import BarrierSealed
from vault.barrier.stored import raw
from vault.barrier.view import ReadView
from vault.framework.clock import Entropy
from vault.framework.keys.key_versions import NumberedKeys
from vault.framework.keys.safe import Safe
from vault.seal.records.sealwrap import PREFIX, SealWrap
from vault.seal.records.slots import Slots
from vault.values.ids import ROOT_ID, NamespaceId
from vault.wrap.signing_key import signing_keys

AWAY = SlotUnavailable("away")


class Kind:
    """One kind of keys: how they are made, where the first and the second one lie, and what one is."""

    def __init__(
        self,
        make: Callable[[SealWrap, Any], NumberedKeys[Any]],
        paths: tuple[str, str],
        value: Callable[[Any], bytes],
    ) -> None:
        self.make = make
        self.paths = paths
        self.value = value


SAFE = Kind(
    lambda wraps, barrier: Safe(wraps, barrier, os.urandom).keys,
    ("safe/1", "safe/2"),
    lambda key: bytes(key.reveal()),
)
SIGNING = Kind(
    lambda wraps, barrier: signing_keys(wraps, barrier, Entropy()),
    ("wrapping/key", "wrapping/key/2"),
    lambda key: bytes(key.private_numbers().private_value.to_bytes(66, "big")),
)
KINDS = pytest.mark.parametrize("kind", [SAFE, SIGNING], ids=["safe", "signing"])


class Here(Wraps):
    """An open vault with two slots, and its keys of one kind."""

    def __init__(self, kind: Kind, *slots: SoftSlot) -> None:
        super().__init__(*slots)
        self.kind = kind

    def server(self, *seen: SoftSlot) -> NumberedKeys[Any]:
        """Return the keys as a start of a server has them, which reaches these slots; all without any."""
        machine = self.machine
        slots = Slots(enabled=seen) if seen else self.slots
        wraps = SealWrap(machine.storage, machine.barrier, slots, now=lambda: self.now, random=os.urandom)
        return self.kind.make(wraps, machine.barrier)

    async def prepared(self, *seen: SoftSlot) -> NumberedKeys[Any]:
        """Return the keys, read or made."""
        keys = self.server(*seen)
        await keys.prepare()
        return keys

    def values(self, keys: NumberedKeys[Any]) -> dict[int, bytes]:
        """Return what is in memory."""
        return {number: self.kind.value(key) for number, key in keys.known.items()}

    async def stored(self) -> set[str]:
        """Return the paths of what is wrapped."""
        return set(await self.machine.barrier.reader(ROOT_ID, CORE).scan(PREFIX))

    async def abandon(self, path: str) -> None:
        """Delete a wrapped value for good."""
        async with self.machine.barrier.write(ROOT_ID, CORE) as core:
            await self.wraps.delete(core, path)


async def opened(kind: Kind, *names: str) -> tuple[Here, list[SoftSlot]]:
    slots = named(*names)
    here = Here(kind, *slots)
    await here.open()
    return here, slots


@KINDS
def test_a_key_is_made_once_opens_through_any_slot_and_needs_none_afterwards(kind: Kind) -> None:
    async def scenario() -> None:
        here, (a, b) = await opened(kind, "a", "b")
        first = here.values(await here.prepared())
        assert list(first) == [1]
        core = here.machine.barrier.reader(ROOT_ID, CORE)
        rows = [await core.get(path) or b"" for path in await core.scan("")]
        assert not any(first[1] in row for row in rows)
        a.away = AWAY
        again = await here.prepared()
        b.away = AWAY
        await again.prepare()
        assert here.values(again) == first
        assert await here.stored() == {kind.paths[0]}

    asyncio.run(scenario())


@KINDS
def test_while_no_slot_answers_there_is_none_which_is_told_once_and_afterwards_there_is(kind: Kind) -> None:
    async def scenario() -> None:
        here, (a,) = await opened(kind, "a")
        a.away = AWAY
        keys = await here.prepared()
        assert not keys.known
        assert list(keys.news()) == [0]
        a.away = SlotUnavailable("unplugged; next try in 4.6 s")  # the same outage in other words
        await keys.prepare()
        assert not keys.news()
        a.away = PinBlocked("the PIN is wrong")
        await keys.prepare()
        assert list(keys.news()) == [0]
        a.away = None
        await keys.prepare()
        first = here.values(keys)
        assert list(first) == [1]
        assert not keys.unopened
        a.away = AWAY
        again = await here.prepared()
        assert set(again.news()) == {0, 1}
        a.away = None
        await again.prepare()
        assert here.values(again) == first
        again.forget()
        assert not again.known

    asyncio.run(scenario())


@KINDS
def test_when_every_slot_that_opened_it_is_lost_there_is_another_and_the_old_one_is_back_with_its_slot(
    kind: Kind,
) -> None:
    async def scenario() -> None:
        here, (a, b) = await opened(kind, "a", "b")
        b.away = AWAY
        first = here.values(await here.prepared())[1]
        a.away, b.away = AWAY, None
        keys = await here.prepared()
        second = here.values(keys)[2]
        assert second != first
        assert await here.stored() == set(kind.paths)
        a.away = None
        await keys.prepare()
        assert here.values(keys) == {1: first, 2: second}

    asyncio.run(scenario())


@KINDS
def test_servers_that_each_reach_another_slot_make_a_key_each_and_no_more(kind: Kind) -> None:
    async def scenario() -> None:
        here, (a, b) = await opened(kind, "a", "b")
        one, other = await here.prepared(a), await here.prepared(b)
        for _ in range(3):
            await one.prepare()
            await other.prepare()
        assert (list(one.known), list(other.known)) == ([1], [2])
        assert await here.stored() == set(kind.paths)

    asyncio.run(scenario())


@KINDS
def test_of_two_servers_that_make_it_at_once_one_wins(kind: Kind) -> None:
    async def scenario() -> None:
        here, _ = await opened(kind, "a")
        one, other = await asyncio.gather(here.prepared(), here.prepared())
        assert here.values(one) == here.values(other)
        assert await here.stored() == {kind.paths[0]}

    asyncio.run(scenario())


@KINDS
def test_what_another_server_has_just_made_is_read_at_once_and_a_slot_asked_once(kind: Kind) -> None:
    async def scenario() -> None:
        here, (a, b) = await opened(kind, "a", "b")
        one = await here.prepared(a)
        other = await here.prepared(b)
        assert list(one.known) == [1]
        b.calls.clear()
        one_sees_b = here.server()
        assert one_sees_b.known == {}
        assert here.kind.value(await one_sees_b.find(2)) == here.values(other)[2]
        assert len(b.calls) == 1
        a.calls.clear()
        assert await one.find(2) is None
        b.away = AWAY
        late = here.server()
        assert await late.find(2) is None
        b.calls.clear()
        assert await late.find(2) is None
        assert not b.calls
        assert await late.find(3) is None

    asyncio.run(scenario())


@KINDS
def test_a_number_is_never_given_twice_and_what_was_deleted_is_in_use_nowhere(kind: Kind) -> None:
    async def scenario() -> None:
        here, _ = await opened(kind, "a")
        keys = await here.prepared()
        await here.abandon(kind.paths[0])
        await keys.prepare()
        assert list(keys.known) == [2]
        await here.abandon(kind.paths[1])
        await keys.tidy()
        assert not keys.known
        assert list((await here.prepared()).known) == [3]

    asyncio.run(scenario())


@KINDS
def test_the_highest_number_of_an_earlier_version_is_noted_before_it_can_be_deleted(kind: Kind) -> None:
    async def scenario() -> None:
        here, _ = await opened(kind, "a")
        await here.prepared()
        async with here.machine.barrier.write(ROOT_ID, CORE) as core:
            for path in await core.scan("newest/"):
                await core.delete("newest/" + path)
        await here.prepared()
        await here.abandon(kind.paths[0])
        assert list((await here.prepared()).known) == [2]

    asyncio.run(scenario())


@KINDS
def test_what_was_being_read_while_the_vault_was_sealed_is_not_kept(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        here, _ = await opened(kind, "a")
        keys = await here.prepared()
        keys.forget()
        read = keys._wraps.get

        async def sealed_meanwhile(core: ReadView, namespace_id: str, path: str) -> bytes | None:
            value = await read(core, NamespaceId(namespace_id), path)
            keys.forget()
            return value

        monkeypatch.setattr(keys._wraps, "get", sealed_meanwhile)
        with pytest.raises(BarrierSealed):
            await keys.prepare()
        assert not keys.known

    asyncio.run(scenario())


def test_a_signing_key_that_lay_behind_the_barrier_alone_is_wrapped_and_stays_the_same() -> None:
    async def scenario() -> None:
        here, _ = await opened(SIGNING, "a")
        bare = (4711).to_bytes(66, "big")
        async with here.machine.barrier.write(ROOT_ID, CORE) as core:
            await core.put(SIGNING.paths[0], raw(bare))
        for _ in range(2):
            assert here.values(await here.prepared()) == {1: bare}
            assert await here.machine.barrier.reader(ROOT_ID, CORE).get(SIGNING.paths[0]) is None

    asyncio.run(scenario())
