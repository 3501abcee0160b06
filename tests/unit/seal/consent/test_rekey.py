# SPDX-License-Identifier: EUPL-1.2
"""New shares with the consent of those who hold the old ones. What clients see is compared with OpenBao elsewhere."""

import asyncio
import os

import pytest

from hsm.errors import SlotUnavailable
from tests.unit.seal.auto import RECOVERY, Machine, named
from tests.unit.seal.keys import NOW, Holder
from tests.unit.seal.node import refused
from vault.seal.consent.rekey import Rekey, RekeyRequest, RekeyShares, ShareKind
from vault.seal.consent.share_holders import VaultHolders
from vault.seal.init import InitRequest
from vault.seal.records.slots import NoSlotAnswers, Slots

THREE = RekeyRequest(shares=3, threshold=2)


async def opened(*, slots: Slots | None = None) -> tuple[Machine, list[str]]:
    """Return an open vault and its shares: two of three are needed."""
    machine = Machine(slots or Slots(), os.urandom)
    if slots is None:
        keys = list((await machine.init(InitRequest(secret_shares=3, secret_threshold=2))).keys)
        await machine.give(keys[:2])
    else:
        keys = list((await machine.init(RECOVERY)).recovery.keys)
        await machine.life.auto_unseal()
    return machine, keys


def of(machine: Machine, kind: ShareKind) -> Rekey:
    return Rekey(kind, VaultHolders(machine.life, os.urandom), os.urandom)


async def consent(change: Rekey, keys: list[str]) -> list[str]:
    """Give shares, and return the new ones, which count from now on."""
    done = await consented(change, keys)
    await done.apply()
    return list(done.shown.keys)


async def consented(change: Rekey, keys: list[str]) -> RekeyShares:
    """Give shares; the new ones do not count yet."""
    assert await change.submit(keys[0], change.state.nonce) is None
    done = await change.submit(keys[1], change.state.nonce)
    assert done is not None
    return done


def test_unseal_shares_are_replaced_together_with_the_root_key() -> None:
    async def scenario() -> None:
        machine, keys = await opened()
        change = of(machine, "root")
        root = machine.barrier.root_key
        assert await change.required() == 2
        assert await change.begin(THREE, NOW) is None
        new = await consent(change, keys)
        assert not machine.barrier.root_key.same(root)
        assert change.state.nonce == ""
        again = machine.restart(Slots())
        await again.life.unseal(keys[0])
        await refused(again.life.unseal(keys[1]))
        await again.give(new[1:])
        assert await again.reads()
        assert (await again.config()).behind == ()

    asyncio.run(scenario())


@pytest.mark.parametrize("can_unseal", [False, True])
def test_recovery_shares_are_replaced_and_the_root_key_stays(can_unseal: bool) -> None:
    async def scenario() -> None:
        (a,) = named("a")
        machine, keys = await opened(slots=Slots(enabled=[a], recovery_can_unseal=can_unseal))
        change = of(machine, "recovery")
        root = machine.barrier.root_key
        await change.begin(THREE, NOW)
        new = await consent(change, keys)
        assert machine.barrier.root_key.same(root)
        await machine.life.seal()
        await machine.life.unseal(keys[0])
        await refused(machine.life.unseal(keys[1]))
        if can_unseal:
            a.away = SlotUnavailable("away")
        await machine.give(new[:2])
        assert await machine.reads()

    asyncio.run(scenario())


def test_consent_to_another_root_key_gives_nobody_new_shares() -> None:
    async def scenario() -> None:
        machine, keys = await opened(slots=Slots(enabled=named("a")))
        change = of(machine, "root")
        root = machine.barrier.root_key
        await change.begin(RekeyRequest(shares=9, threshold=4), NOW)
        assert await consent(change, keys) == []
        assert not machine.barrier.root_key.same(root)
        for wish in (RekeyRequest(backup=True), RekeyRequest(pgp_keys=["x"]), RekeyRequest(verify=True)):
            assert "not supported" in await refused(change.begin(wish, NOW))

    asyncio.run(scenario())


def test_the_old_shares_count_until_enough_new_ones_were_given_back() -> None:
    async def scenario() -> None:
        machine, keys = await opened()
        change = of(machine, "root")
        assert "no rotation in progress" in await refused(change.give_back(keys[0], "x"))
        await change.begin(RekeyRequest(shares=3, threshold=2, verify=True), NOW)
        assert "no rotation verification" in await refused(change.give_back(keys[0], "x"))
        new = await consent(change, keys)
        again = machine.restart(Slots())
        await again.give(keys[:2])
        assert await again.reads()
        first = change.state.verification_nonce
        assert "already finished" in await refused(change.submit(keys[0], change.state.nonce))
        assert first in await refused(change.give_back(new[0], "x"))
        assert not await change.give_back(keys[0], first)
        assert "incorrect key shares" in await refused(change.give_back(keys[1], first))
        nonce = change.state.verification_nonce
        assert nonce != first
        assert not await change.give_back(new[0], nonce)
        apply = await change.give_back(new[1], nonce)
        assert apply is not None
        await apply()
        assert change.state.nonce == ""
        last = machine.restart(Slots())
        await last.give(new[:2])
        assert await last.reads()

    asyncio.run(scenario())


def test_wrong_shares_and_wrong_nonces_change_nothing() -> None:
    async def scenario() -> None:
        machine, keys = await opened()
        change = of(machine, "root")
        assert "no rotation in progress" in await refused(change.submit(keys[0], "x"))
        await change.begin(THREE, NOW)
        nonce = change.state.nonce
        assert await refused(change.begin(THREE, NOW)) == "rotation already in progress"
        for key, given, text in (
            ("", nonce, "missing required field 'key'"),
            (keys[0], "", "missing required field 'nonce'"),
            ("zz", nonce, "valid hex or base64"),
            (keys[0], "x", nonce),
        ):
            assert text in await refused(change.submit(key, given))
        await change.submit(keys[0], nonce)
        assert "already been provided" in await refused(change.submit(keys[0], nonce))
        assert "failed to read root key" in await refused(change.submit("11" * 32 + "00", nonce))
        assert change.state.given == ()
        await change.submit(keys[0], nonce)
        assert "all parts must be the same length" in await refused(change.submit("11" * 32, nonce))
        change.cancel()
        change.cancel()
        assert change.state.nonce == ""
        assert "no rotation configuration" in await refused(_restart(change))

    asyncio.run(scenario())


async def _restart(change: Rekey) -> None:
    change.restart_verification()


def test_a_vault_of_shares_alone_has_no_recovery_shares() -> None:
    async def scenario() -> None:
        machine, keys = await opened()
        change = of(machine, "recovery")
        for asking in (
            change.required(),
            change.begin(THREE, NOW),
            change.submit(keys[0], "x"),
        ):
            assert "not supported" in await refused(asking)

    asyncio.run(scenario())


def test_where_nobody_holds_shares_they_are_made_at_once() -> None:
    async def scenario() -> None:
        machine = Machine(Slots(enabled=named("a")), os.urandom)
        await machine.init(InitRequest())
        await machine.life.auto_unseal()
        change = of(machine, "recovery")
        holder = Holder("one")
        wish = RekeyRequest(shares=1, threshold=1, pgp_keys=[holder.text], backup=True)
        done = await change.begin(wish, NOW)
        assert done is not None
        assert done.state.backup
        await done.apply()
        key = holder.read(bytes.fromhex(done.shown.keys[0]))
        await machine.life.seal()
        await machine.give([key])
        assert await machine.reads()

    asyncio.run(scenario())


def test_what_was_given_is_forgotten_when_the_vault_is_sealed() -> None:
    async def scenario() -> None:
        machine, keys = await opened(slots=Slots(enabled=named("a")))
        change = of(machine, "recovery")
        await change.begin(THREE, NOW)
        await change.submit(keys[0], change.state.nonce)
        assert keys[0] not in repr(change.state)
        await machine.life.seal()
        assert change.state.nonce == ""

    asyncio.run(scenario())


def test_a_wish_that_cannot_be_split_is_refused_in_the_words_of_its_kind() -> None:
    async def scenario() -> None:
        machine, _ = await opened(slots=Slots(enabled=named("a")))
        text = await refused(of(machine, "recovery").begin(RekeyRequest(shares=2, threshold=1), NOW))
        assert text.startswith("invalid recovery configuration: %!w(*errors.errorString=&{threshold must be")
        machine, _ = await opened()
        text = await refused(of(machine, "root").begin(RekeyRequest(), NOW))
        assert text.startswith("invalid rotate seal configuration: %!w(*errors.errorString=&{shares must be")

    asyncio.run(scenario())


def test_wrong_recovery_shares_are_told_apart_from_a_slot_that_is_away() -> None:
    async def scenario() -> None:
        (a,) = named("a")
        machine, keys = await opened(slots=Slots(enabled=[a]))
        change = of(machine, "recovery")
        await change.begin(THREE, NOW)
        nonce = change.state.nonce
        await change.submit(keys[0], nonce)
        text = await refused(change.submit("11" * 32 + "00", nonce))
        assert text == "recovery key verification failed: recovery key does not match submitted values"
        a.away = SlotUnavailable("away")
        await change.submit(keys[0], nonce)
        with pytest.raises(NoSlotAnswers):
            await change.submit(keys[1], nonce)

    asyncio.run(scenario())


def test_shares_that_come_in_at_once_make_new_shares_once() -> None:
    async def scenario() -> None:
        machine, keys = await opened()
        change = of(machine, "root")
        await change.begin(THREE, NOW)
        nonce = change.state.nonce
        done = await asyncio.gather(*(change.submit(key, nonce) for key in keys), return_exceptions=True)
        made = [one for one in done if isinstance(one, RekeyShares)]
        assert len(made) == 1
        await made[0].apply()
        assert change.state.nonce == ""
        again = machine.restart(Slots())
        await again.give(list(made[0].shown.keys[:2]))
        assert await again.reads()

    asyncio.run(scenario())


def test_shares_that_nobody_was_shown_do_not_count_and_the_old_ones_can_be_given_again() -> None:
    async def scenario() -> None:
        machine, keys = await opened()
        change = of(machine, "root")
        await change.begin(THREE, NOW)
        lost = await consented(change, keys)
        again = machine.restart(Slots())
        await again.give(keys[:2])
        assert await again.reads()
        new = await consent(change, keys)
        assert await refused(lost.apply()) == "no rotation in progress"
        last = machine.restart(Slots())
        await last.give(new[:2])
        assert await last.reads()

    asyncio.run(scenario())


def test_a_seal_while_a_device_is_asked_makes_no_new_shares() -> None:
    async def scenario() -> None:
        (a,) = named("a")
        asked, answered = asyncio.Event(), asyncio.Event()

        async def draw(count: int) -> bytes:
            asked.set()
            await answered.wait()
            return os.urandom(count)

        machine, keys = await opened(slots=Slots(enabled=[a]))
        machine.life.slots.draw = draw
        change = of(machine, "recovery")
        await change.begin(THREE, NOW)
        nonce = change.state.nonce
        await change.submit(keys[0], nonce)
        waiting = asyncio.create_task(change.submit(keys[1], nonce))
        await asked.wait()
        await machine.life.seal()
        answered.set()
        assert await refused(waiting) == "no rotation in progress"
        await machine.give(keys[:2])
        assert await machine.reads()

    asyncio.run(scenario())
