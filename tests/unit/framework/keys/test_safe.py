# SPDX-License-Identifier: EUPL-1.2
"""The safe that signing keys lie in; `test_key_versions.py` has its keys, with slots that come and go."""

import asyncio
import os

import pytest

from tests.unit.framework.keys.test_key_versions import AWAY
from tests.unit.seal.auto import named
from tests.unit.seal.records.test_sealwrap import Wraps
from vault.barrier.failure import BarrierSealed
from vault.framework.errors import Failed, Unavailable
from vault.framework.keys.safe import Safe
from vault.seal.records.sealwrap import SealWrap
from vault.seal.records.slots import Slots

ABOUT = ("nhi", "0", "abcd")
SECRET = b"a private key of some length"


def safe_of(here: Wraps, slots: Slots) -> Safe:
    """Return the safe, as another server of the same vault has it."""
    machine = here.machine
    wraps = SealWrap(machine.storage, machine.barrier, slots, now=lambda: here.now, random=os.urandom)
    return Safe(wraps, machine.barrier, os.urandom)


def test_what_is_in_it_opens_without_a_device_until_it_is_sealed() -> None:
    async def scenario() -> None:
        (a,) = named("a")
        here = Wraps(a)
        await here.open()
        safe = safe_of(here, here.slots)
        await safe.keys.prepare()
        closed = safe.close(ABOUT, SECRET)
        assert SECRET not in closed
        a.away = AWAY
        assert await safe.open(ABOUT, closed) == SECRET
        assert await safe.open(ABOUT, safe.close(ABOUT, b"another")) == b"another"
        safe.keys.forget()
        with pytest.raises(Unavailable):
            safe.close(ABOUT, SECRET)
        here.machine.barrier.seal()
        with pytest.raises(BarrierSealed):
            await safe.open(ABOUT, closed)
        with pytest.raises(BarrierSealed):
            safe.close(ABOUT, SECRET)

    asyncio.run(scenario())


def test_what_was_altered_or_is_of_another_key_does_not_open() -> None:
    async def scenario() -> None:
        here = Wraps(*named("a"))
        await here.open()
        safe = safe_of(here, here.slots)
        await safe.keys.prepare()
        closed = safe.close(ABOUT, SECRET)
        with pytest.raises(Failed):
            await safe.open((*ABOUT[:-1], "abce"), closed)
        for place in range(4, len(closed)):
            with pytest.raises(Failed):
                await safe.open(ABOUT, closed[:place] + bytes([closed[place] ^ 1]) + closed[place + 1 :])
        with pytest.raises(Unavailable):
            await safe.open(ABOUT, b"\xff" + closed[1:])

    asyncio.run(scenario())


def test_what_another_server_closed_just_now_under_a_new_key_opens_here_at_once() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        here = Wraps(a, b)
        await here.open()
        b.away = AWAY
        one = safe_of(here, here.slots)
        await one.keys.prepare()
        a.away, b.away = AWAY, None
        other = safe_of(here, here.slots)
        await other.keys.prepare()
        assert await one.open(ABOUT, other.close(ABOUT, SECRET)) == SECRET

    asyncio.run(scenario())
