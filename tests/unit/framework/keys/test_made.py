# SPDX-License-Identifier: EUPL-1.2
"""When a key was made is noted with it, gone with it, and not invented for keys from before there were notes."""

from tests.unit.engines.system.house import House, play
from vault.barrier.stored import raw
from vault.barrier.view import core_prefix
from vault.framework.keys.key_versions import NumberedKeys
from vault.framework.keys.made import forget_made, note_made, when_made
from vault.seal.records.sealwrap import SealWrap
from vault.seal.records.slots import Slots
from vault.values.ids import ROOT_ID
from vault.values.times import Millis

_CORE = core_prefix(ROOT_ID)


def test_a_time_is_noted_and_forgotten() -> None:
    async def scenario() -> None:
        house = await House().open()
        async with house.barrier.write(ROOT_ID, _CORE) as core:
            await note_made(core, "some/key", Millis(1_790_000_000_000))
        core_now = house.barrier.reader(ROOT_ID, _CORE)
        assert await when_made(core_now, "some/key") == 1_790_000_000_000
        assert await when_made(core_now, "other") == 0
        async with house.barrier.write(ROOT_ID, _CORE) as core:
            await forget_made(core, "some/key")
        assert await when_made(core_now, "some/key") == 0

    play(scenario)


def test_a_new_key_is_as_old_as_it_is_and_an_older_one_does_not_say() -> None:
    async def scenario() -> None:
        house = await House().open()
        wraps = SealWrap(house.storage, house.barrier, Slots(), now=house.clock.millis, random=bytes)

        def keys(folder: str) -> NumberedKeys[bytes]:
            return NumberedKeys(
                wraps, house.barrier, bytes, lambda: b"k" * 32, folder=folder, bare=f"bare/{folder}"
            )

        async with house.barrier.write(ROOT_ID, _CORE) as core:
            await core.put("bare/old", raw(b"o" * 32))
        new, old = keys("new"), keys("old")
        before = house.clock.millis()
        await new.prepare()
        await old.prepare()
        assert before <= await new.made(1) <= house.clock.millis()
        assert (old.known[1], await old.made(1), await new.made(2)) == (b"o" * 32, 0, 0)

    play(scenario)
