# SPDX-License-Identifier: EUPL-1.2
"""The key that signs wrapping tokens, with key slots that come and go."""

import asyncio

import pytest

from hsm.errors import SlotUnavailable
from tests.unit.seal.auto import named
from tests.unit.seal.test_sealwrap import CORE, Wraps
from vault.framework.clock import Entropy
from vault.framework.errors import Unavailable
from vault.seal.sealwrap import PREFIX
from vault.seal.slots import NoSlotAnswers
from vault.wrap.signing_key import SigningKey

AWAY = SlotUnavailable("away")
PATH = "wrapping/key"


class Here(Wraps):
    """An open vault, and its signing key."""

    def signing(self) -> SigningKey:
        """The key, as another start of the server has it."""
        self.wraps.drop()
        return SigningKey(self.wraps, Entropy())

    async def prepared(self) -> SigningKey:
        """The key, read or made."""
        key = self.signing()
        barrier = self.machine.barrier
        await key.prepare(barrier.reader("root", CORE), lambda: barrier.write("root", CORE))
        return key

    async def number(self, key: SigningKey) -> int:
        """The key's private number."""
        private = await key.get(self.machine.barrier.reader("root", CORE))
        return private.private_numbers().private_value


def test_it_is_made_once_and_opens_through_any_slot() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        here = Here(a, b)
        await here.open()
        first = await here.number(await here.prepared())
        stored = await here.machine.barrier.reader("root", CORE).get(PREFIX + PATH)
        assert stored is not None
        assert first.to_bytes(66, "big") not in stored
        a.away = AWAY
        assert await here.number(await here.prepared()) == first

    asyncio.run(scenario())


def test_while_no_slot_opens_it_nothing_is_signed_and_afterwards_it_is() -> None:
    async def scenario() -> None:
        (a,) = named("a")
        here = Here(a)
        await here.open()
        with pytest.raises(Unavailable):
            await here.number(here.signing())  # there is none yet
        first = await here.number(await here.prepared())
        a.away = AWAY
        key = here.signing()
        with pytest.raises(NoSlotAnswers):
            await key.prepare(
                here.machine.barrier.reader("root", CORE), lambda: here.machine.barrier.write("root", CORE)
            )
        with pytest.raises(Unavailable):
            await here.number(key)
        a.away = None
        assert await here.number(key) == first
        key.forget()
        a.away = AWAY
        here.wraps.drop()
        with pytest.raises(Unavailable):
            await here.number(key)

    asyncio.run(scenario())


def test_one_that_lay_behind_the_barrier_alone_is_wrapped_and_stays_the_same() -> None:
    async def scenario() -> None:
        (a,) = named("a")
        here = Here(a)
        await here.open()
        async with here.machine.barrier.write("root", CORE) as core:
            await core.put(PATH, (4711).to_bytes(66, "big"))
        assert await here.number(await here.prepared()) == 4711
        assert await here.machine.barrier.reader("root", CORE).get(PATH) is None
        assert await here.number(await here.prepared()) == 4711

    asyncio.run(scenario())


def test_of_two_servers_that_make_it_at_once_one_wins() -> None:
    async def scenario() -> None:
        (a,) = named("a")
        here = Here(a)
        await here.open()
        one, other = await asyncio.gather(here.prepared(), here.prepared())
        assert await here.number(one) == await here.number(other)

    asyncio.run(scenario())


def test_when_every_slot_that_opened_it_is_lost_there_is_another_and_the_old_one_verifies_once_it_is_back() -> (
    None
):
    async def scenario() -> None:
        a, b = named("a", "b")
        here = Here(a, b)
        await here.open()
        b.away = AWAY
        first = await here.number(await here.prepared())
        a.away, b.away = AWAY, None
        key = await here.prepared()
        second = await here.number(key)
        assert second != first
        assert not key.whole
        a.away = None
        again = await here.prepared()
        core = here.machine.barrier.reader("root", CORE)
        assert [one.private_numbers().private_value for one in await again.known(core)] == [second, first]
        assert again.whole

    asyncio.run(scenario())
