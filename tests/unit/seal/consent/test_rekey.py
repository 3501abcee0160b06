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


async def consent(resharing: Rekey, keys: list[str]) -> list[str]:
    """Give shares, and return the new ones, which count from now on."""
    done = await consented(resharing, keys)
    await done.apply()
    return list(done.shown.keys)


async def consented(resharing: Rekey, keys: list[str]) -> RekeyShares:
    """Give shares; the new ones do not count yet."""
    assert await resharing.submit(keys[0], resharing.state.nonce) is None
    done = await resharing.submit(keys[1], resharing.state.nonce)
    assert done is not None
    return done


def test_unseal_shares_are_replaced_together_with_the_root_key() -> None:
    async def scenario() -> None:
        machine, keys = await opened()
        resharing = of(machine, "root")
        root = machine.barrier.root_key
        assert await resharing.required() == 2
        assert await resharing.begin(THREE, NOW) is None
        new = await consent(resharing, keys)
        assert not machine.barrier.root_key.same(root)
        assert resharing.state.nonce == ""
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
        resharing = of(machine, "recovery")
        root = machine.barrier.root_key
        await resharing.begin(THREE, NOW)
        new = await consent(resharing, keys)
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
        resharing = of(machine, "root")
        root = machine.barrier.root_key
        await resharing.begin(RekeyRequest(shares=9, threshold=4), NOW)
        assert await consent(resharing, keys) == []
        assert not machine.barrier.root_key.same(root)
        for wish in (RekeyRequest(backup=True), RekeyRequest(pgp_keys=["x"]), RekeyRequest(verify=True)):
            assert "not supported" in await refused(resharing.begin(wish, NOW))

    asyncio.run(scenario())


def test_the_old_shares_count_until_enough_new_ones_were_given_back() -> None:
    async def scenario() -> None:
        machine, keys = await opened()
        resharing = of(machine, "root")
        assert "no rotation in progress" in await refused(resharing.give_back(keys[0], "x"))
        await resharing.begin(RekeyRequest(shares=3, threshold=2, verify=True), NOW)
        assert "no rotation verification" in await refused(resharing.give_back(keys[0], "x"))
        new = await consent(resharing, keys)
        again = machine.restart(Slots())
        await again.give(keys[:2])
        assert await again.reads()
        first = resharing.state.verification_nonce
        assert "already finished" in await refused(resharing.submit(keys[0], resharing.state.nonce))
        assert first in await refused(resharing.give_back(new[0], "x"))
        assert not await resharing.give_back(keys[0], first)
        assert "incorrect key shares" in await refused(resharing.give_back(keys[1], first))
        nonce = resharing.state.verification_nonce
        assert nonce != first
        assert not await resharing.give_back(new[0], nonce)
        apply = await resharing.give_back(new[1], nonce)
        assert apply is not None
        await apply()
        assert resharing.state.nonce == ""
        last = machine.restart(Slots())
        await last.give(new[:2])
        assert await last.reads()

    asyncio.run(scenario())


def test_wrong_shares_and_wrong_nonces_change_nothing() -> None:
    async def scenario() -> None:
        machine, keys = await opened()
        resharing = of(machine, "root")
        assert "no rotation in progress" in await refused(resharing.submit(keys[0], "x"))
        await resharing.begin(THREE, NOW)
        nonce = resharing.state.nonce
        assert await refused(resharing.begin(THREE, NOW)) == "rotation already in progress"
        for key, given, text in (
            ("", nonce, "missing required field 'key'"),
            (keys[0], "", "missing required field 'nonce'"),
            ("zz", nonce, "valid hex or base64"),
            (keys[0], "x", nonce),
        ):
            assert text in await refused(resharing.submit(key, given))
        await resharing.submit(keys[0], nonce)
        assert "already been provided" in await refused(resharing.submit(keys[0], nonce))
        assert "failed to read root key" in await refused(resharing.submit("11" * 32 + "00", nonce))
        assert resharing.state.given == ()
        await resharing.submit(keys[0], nonce)
        assert "all parts must be the same length" in await refused(resharing.submit("11" * 32, nonce))
        resharing.cancel()
        resharing.cancel()
        assert resharing.state.nonce == ""
        assert "no rotation configuration" in await refused(_restart(resharing))

    asyncio.run(scenario())


async def _restart(resharing: Rekey) -> None:
    resharing.restart_verification()


def test_a_vault_of_shares_alone_has_no_recovery_shares() -> None:
    async def scenario() -> None:
        machine, keys = await opened()
        resharing = of(machine, "recovery")
        for asking in (
            resharing.required(),
            resharing.begin(THREE, NOW),
            resharing.submit(keys[0], "x"),
        ):
            assert "not supported" in await refused(asking)

    asyncio.run(scenario())


def test_where_nobody_holds_shares_they_are_made_at_once() -> None:
    async def scenario() -> None:
        machine = Machine(Slots(enabled=named("a")), os.urandom)
        await machine.init(InitRequest())
        await machine.life.auto_unseal()
        resharing = of(machine, "recovery")
        holder = Holder("one")
        wish = RekeyRequest(shares=1, threshold=1, pgp_keys=[holder.text], backup=True)
        done = await resharing.begin(wish, NOW)
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
        resharing = of(machine, "recovery")
        await resharing.begin(THREE, NOW)
        await resharing.submit(keys[0], resharing.state.nonce)
        assert keys[0] not in repr(resharing.state)
        await machine.life.seal()
        assert resharing.state.nonce == ""

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
        resharing = of(machine, "recovery")
        await resharing.begin(THREE, NOW)
        nonce = resharing.state.nonce
        await resharing.submit(keys[0], nonce)
        text = await refused(resharing.submit("11" * 32 + "00", nonce))
        assert text == "recovery key verification failed: recovery key does not match submitted values"
        a.away = SlotUnavailable("away")
        await resharing.submit(keys[0], nonce)
        with pytest.raises(NoSlotAnswers):
            await resharing.submit(keys[1], nonce)

    asyncio.run(scenario())


def test_shares_that_come_in_at_once_make_new_shares_once() -> None:
    async def scenario() -> None:
        machine, keys = await opened()
        resharing = of(machine, "root")
        await resharing.begin(THREE, NOW)
        nonce = resharing.state.nonce
        done = await asyncio.gather(*(resharing.submit(key, nonce) for key in keys), return_exceptions=True)
        made = [one for one in done if isinstance(one, RekeyShares)]
        assert len(made) == 1
        await made[0].apply()
        assert resharing.state.nonce == ""
        again = machine.restart(Slots())
        await again.give(list(made[0].shown.keys[:2]))
        assert await again.reads()

    asyncio.run(scenario())


def test_shares_that_nobody_was_shown_do_not_count_and_the_old_ones_can_be_given_again() -> None:
    async def scenario() -> None:
        machine, keys = await opened()
        resharing = of(machine, "root")
        await resharing.begin(THREE, NOW)
        lost = await consented(resharing, keys)
        again = machine.restart(Slots())
        await again.give(keys[:2])
        assert await again.reads()
        new = await consent(resharing, keys)
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
        resharing = of(machine, "recovery")
        await resharing.begin(THREE, NOW)
        nonce = resharing.state.nonce
        await resharing.submit(keys[0], nonce)
        waiting = asyncio.create_task(resharing.submit(keys[1], nonce))
        await asked.wait()
        await machine.life.seal()
        answered.set()
        assert await refused(waiting) == "no rotation in progress"
        await machine.give(keys[:2])
        assert await machine.reads()

    asyncio.run(scenario())
