# SPDX-License-Identifier: EUPL-1.2
"""The safe that signing keys lie in, with key slots that come and go."""

import asyncio
import os

import pytest

from hsm.errors import SlotUnavailable
from tests.unit.seal.auto import named
from tests.unit.seal.test_sealwrap import CORE, Wraps
from vault.barrier.failure import BarrierSealed
from vault.barrier.view import ReadView
from vault.framework.errors import Failed, Unavailable
from vault.framework.safe import Safe
from vault.seal.sealwrap import PREFIX
from vault.seal.slots import NoSlotAnswers

AWAY = SlotUnavailable("away")
ABOUT = ("nhi", "0", "abcd")
SECRET = b"a private key of some length"


class Here(Wraps):
    """An open vault, and its safe."""

    async def safe(self) -> Safe:
        """Return the safe, as another start of the server has it."""
        self.wraps.drop()
        safe = Safe(self.wraps, self.machine.barrier, os.urandom)
        await safe.prepare()
        return safe

    async def stored(self) -> dict[str, bytes]:
        """Return everything that the root key and the storage give."""
        core = self.machine.barrier.reader("root", CORE)
        return {path: await core.get(path) or b"" for path in await core.scan("")}


def test_what_is_in_it_needs_a_slot_once_and_no_device_afterwards() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        here = Here(a, b)
        await here.open()
        safe = await here.safe()
        closed = safe.close(ABOUT, SECRET)
        assert SECRET not in closed
        [key] = [one.reveal() for one in safe._keys.values()]
        assert not any(key in value for value in (await here.stored()).values())
        a.away = AWAY
        again = await here.safe()
        b.away = AWAY
        assert again.open(ABOUT, closed) == SECRET
        assert again.open(ABOUT, again.close(ABOUT, b"another")) == b"another"
        again.forget()
        with pytest.raises(Unavailable):
            again.open(ABOUT, closed)
        with pytest.raises(Unavailable):
            again.close(ABOUT, SECRET)
        with pytest.raises(NoSlotAnswers):
            await here.safe()

    asyncio.run(scenario())


def test_what_was_altered_or_is_of_another_key_does_not_open() -> None:
    async def scenario() -> None:
        here = Here(*named("a"))
        await here.open()
        safe = await here.safe()
        closed = safe.close(ABOUT, SECRET)
        with pytest.raises(Failed):
            safe.open((*ABOUT[:-1], "abce"), closed)
        for place in range(4, len(closed)):
            with pytest.raises(Failed):
                safe.open(ABOUT, closed[:place] + bytes([closed[place] ^ 1]) + closed[place + 1 :])
        with pytest.raises(Unavailable):
            safe.open(ABOUT, b"\xff" + closed[1:])

    asyncio.run(scenario())


def test_when_every_slot_that_opened_it_is_lost_there_is_another_and_the_old_one_comes_back_with_its_slot() -> (
    None
):
    async def scenario() -> None:
        a, b = named("a", "b")
        here = Here(a, b)
        await here.open()
        b.away = AWAY
        first = (await here.safe()).close(ABOUT, SECRET)
        a.away, b.away = AWAY, None
        safe = await here.safe()
        assert not safe.whole
        second = safe.close(ABOUT, b"new")
        with pytest.raises(Unavailable):
            safe.open(ABOUT, first)
        a.away = None
        await safe.prepare()
        assert (safe.open(ABOUT, first), safe.open(ABOUT, second)) == (SECRET, b"new")

    asyncio.run(scenario())


def test_what_was_being_read_while_the_vault_was_sealed_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        here = Here(*named("a"))
        await here.open()
        safe = await here.safe()
        safe.forget()
        here.wraps.drop()
        read = here.wraps.get

        async def sealed_meanwhile(core: ReadView, namespace_id: str, path: str) -> bytes | None:
            value = await read(core, namespace_id, path)
            safe.forget()
            return value

        monkeypatch.setattr(here.wraps, "get", sealed_meanwhile)
        with pytest.raises(BarrierSealed):
            await safe.prepare()
        assert not safe._keys
        assert not safe.whole

    asyncio.run(scenario())


def test_another_worker_that_makes_it_at_once_makes_the_same_one() -> None:
    async def scenario() -> None:
        here = Here(*named("a"))
        await here.open()
        one, other = await asyncio.gather(here.safe(), here.safe())
        assert other.open(ABOUT, one.close(ABOUT, SECRET)) == SECRET
        core = here.machine.barrier.reader("root", CORE)
        assert await core.list(PREFIX + "safe/") == ["1"]

    asyncio.run(scenario())
