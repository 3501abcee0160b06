# SPDX-License-Identifier: EUPL-1.2
"""Vaults that key slots open: initialising, unsealing by themselves, recovery shares, migration."""

import asyncio
import os

import msgspec
import pytest

from hsm.errors import IntegrityError, KeyMissing, SlotUnavailable
from tests.unit.seal.auto import RECOVERY, Machine, named
from tests.unit.seal.keys import Holder
from tests.unit.seal.node import ONE, refused
from tests.unit.seal.soft import SoftSlot
from vault.seal.changes import root_rotation
from vault.seal.failure import SealFailure, SealRefusal
from vault.seal.init import InitRequest
from vault.seal.records import seal_store
from vault.seal.records.record import CONFIG_PATH, encode, slot_path
from vault.seal.records.slots import DRAWN_BYTES, NoSlotAnswers, Slots

MISMATCH = "invalid key: failed to verify recovery key: recovery key does not match submitted values"
AWAY = SlotUnavailable("the token is away")


def test_a_new_vault_opens_itself_through_any_of_its_slots() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        machine = Machine(Slots(enabled=[a, b]), os.urandom)
        plan = await machine.init()
        assert (list(plan.keys), list(plan.keys_base64), list(plan.pgp_fingerprints)) == ([], [], [])
        assert len(plan.recovery.keys) == 3
        status = await machine.life.status()
        assert (status.type, status.sealed, status.recovery, status.t, status.n) == (
            "pkcs11",
            True,
            True,
            2,
            3,
        )
        assert await machine.life.auto_unseal() == {}
        assert await machine.reads()
        assert await machine.life.auto_unseal() is None
        for first, second in ((a, b), (b, a)):
            first.away, second.away = AWAY, None
            again = machine.restart(Slots(enabled=[a, b]))
            assert await again.life.opens_itself()
            assert await again.life.auto_unseal() == ({"a": AWAY} if first is a else {})
            assert await again.reads()

    asyncio.run(scenario())


def test_without_any_slot_that_answers_it_stays_sealed_and_says_why() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        machine = Machine(Slots(enabled=[a, b]), os.urandom)
        await machine.init()
        a.away, b.away = AWAY, KeyMissing("no such key")
        with pytest.raises(NoSlotAnswers) as caught:
            await machine.life.auto_unseal()
        assert [type(reason) for reason in caught.value.reasons.values()] == [SlotUnavailable, KeyMissing]
        assert "a: the token is away; b: no such key" in str(caught.value)
        assert machine.barrier.sealed
        elsewhere = machine.restart(Slots(enabled=named("c")))
        assert not await elsewhere.life.opens_itself()
        assert await elsewhere.life.auto_unseal() is None

    asyncio.run(scenario())


def test_initialising_uses_the_slots_that_answer_and_needs_one() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        a.away = AWAY
        machine = Machine(Slots(enabled=[a, b]), os.urandom)
        plan = await machine.init()
        assert plan.absent == {"a": AWAY}
        assert plan.config.slots == ("b",)
        b.away = AWAY
        empty = Machine(Slots(enabled=[a, b]), os.urandom)
        with pytest.raises(NoSlotAnswers):
            await empty.init()
        assert not await empty.life.is_initialized()

    asyncio.run(scenario())


def test_a_slot_that_gives_back_something_else_is_not_used() -> None:
    class Liar(SoftSlot):
        async def unwrap(self, wrapped: object) -> bytes:
            return bytes(32)

    async def scenario() -> None:
        machine = Machine(Slots(enabled=[Liar("a"), SoftSlot("b")]), os.urandom)
        plan = await machine.init()
        assert plan.config.slots == ("b",)
        assert "was altered" in str(plan.absent["a"])

    asyncio.run(scenario())


def test_parameters_for_shares_that_unseal_are_not_for_key_slots() -> None:
    async def scenario() -> None:
        machine = Machine(Slots(enabled=[SoftSlot("a", kind="static")]), os.urandom)
        for request, text in (
            (ONE, "parameters secret_shares,secret_threshold not applicable to seal type static"),
            (InitRequest(recovery_threshold=1), "threshold cannot be larger than shares"),
            (InitRequest(recovery_shares=256, recovery_threshold=2), "shares must be less than 256"),
            (InitRequest(recovery_shares=3, recovery_threshold=256), "threshold must be less than 256"),
            (InitRequest(recovery_shares=2), "threshold must be greater than one for multiple shares"),
            (InitRequest(recovery_pgp_keys=["x"]), "count mismatch"),
        ):
            assert text in await refused(machine.life.prepare_init(request))
        assert (await machine.life.status()).type == "static"

    asyncio.run(scenario())


def test_recovery_shares_are_encrypted_to_their_holders() -> None:
    async def scenario() -> None:
        holders = [Holder("one"), Holder("two")]
        machine = Machine(Slots(enabled=named("a")), os.urandom)
        request = InitRequest(
            recovery_shares=2, recovery_threshold=2, recovery_pgp_keys=[h.text for h in holders]
        )
        plan = await machine.init(request)
        shares = [h.read(bytes.fromhex(k)) for h, k in zip(holders, plan.recovery.keys, strict=True)]
        await machine.give(shares)
        assert await machine.reads()
        assert list(plan.recovery.pgp_fingerprints) == [h.fingerprint for h in holders]

    asyncio.run(scenario())


@pytest.mark.parametrize("can_unseal", [False, True])
def test_recovery_shares_open_a_vault_that_was_sealed_and_wrong_ones_do_not(can_unseal: bool) -> None:
    async def scenario() -> None:
        (a,) = named("a")
        slots = Slots(enabled=[a], recovery_can_unseal=can_unseal)
        machine = Machine(slots, os.urandom)
        keys = (await machine.init()).recovery.keys
        await machine.life.unseal(keys[0])
        assert await refused(machine.life.unseal("11" * 32 + "00")) == MISMATCH
        await machine.life.unseal(keys[0])
        assert "all parts must be the same length" in await refused(machine.life.unseal("11" * 32))
        await machine.give(keys[1:])
        assert await machine.reads()
        assert (await machine.config()).confirmed
        a.away = AWAY
        again = machine.restart(slots)
        await again.life.unseal(keys[0])
        if can_unseal:
            await again.life.unseal(keys[2])
            assert await again.reads()
        else:
            with pytest.raises(NoSlotAnswers):
                await again.life.unseal(keys[2])
            assert again.barrier.sealed

    asyncio.run(scenario())


@pytest.mark.parametrize("can_unseal", [False, True])
def test_a_single_recovery_share_is_the_key_itself(can_unseal: bool) -> None:
    async def scenario() -> None:
        machine = Machine(Slots(enabled=named("a"), recovery_can_unseal=can_unseal), os.urandom)
        keys = (await machine.init(InitRequest(recovery_shares=1))).recovery.keys
        assert await refused(machine.life.unseal("11" * 33)) == MISMATCH
        assert await refused(machine.life.unseal("11" * 32)) == MISMATCH
        await machine.give(keys)
        assert await machine.reads()

    asyncio.run(scenario())


def test_without_recovery_shares_nothing_that_people_give_opens_it() -> None:
    async def scenario() -> None:
        machine = Machine(Slots(enabled=named("a"), recovery_can_unseal=True), os.urandom)
        plan = await machine.init(InitRequest())
        assert list(plan.recovery.keys) == []
        assert (await machine.life.status()).n == 0
        assert "less than two parts" in await refused(machine.life.unseal("11" * 32))
        assert await machine.life.auto_unseal() == {}

    asyncio.run(scenario())


def test_a_new_vault_is_replaced_until_somebody_shows_to_hold_what_came_with_it() -> None:
    async def scenario() -> None:
        machine = Machine(Slots(enabled=named("a")), os.urandom)
        await machine.init()
        assert await machine.life.auto_unseal() == {}
        await machine.life.confirm()
        assert await machine.life.replaceable()
        await machine.life.seal()
        await machine.init()
        assert await machine.life.auto_unseal() == {}
        machine.life.prove()
        assert not await machine.life.replaceable()
        assert await refused(machine.life.prepare_init(RECOVERY)) == "Vault is already initialized"
        await machine.life.confirm()
        await machine.life.confirm()
        assert (await machine.config()).confirmed
        machine.life.prove()
        await machine.life.confirm()
        assert not await machine.restart(Slots(enabled=named("a"))).life.replaceable()
        assert not await Machine(Slots(), os.urandom).life.replaceable()

    asyncio.run(scenario())


def test_a_record_of_another_initialisation_opens_nothing() -> None:
    async def scenario() -> None:
        (a,) = named("a")
        machine, other = (Machine(Slots(enabled=[a]), os.urandom) for _ in range(2))
        await machine.init()
        await other.init()
        record = await other.storage.reader().get(slot_path("a"))
        async with machine.storage.write() as tx:
            assert record is not None
            await tx.put(slot_path("a"), record)
        with pytest.raises(NoSlotAnswers, match="another place"):
            await machine.life.auto_unseal()

    asyncio.run(scenario())


def test_a_record_under_another_name_or_of_another_generation_opens_nothing() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        b.keys = a.keys
        machine = Machine(Slots(enabled=[a, b]), os.urandom)
        await machine.init()
        config = await machine.config()
        record = await seal_store.wrapped_slot(machine.storage.reader(), config, "a")
        older = msgspec.structs.replace(record, root_version=2)
        for name, forged in (("b", record), ("a", older)):
            path = slot_path(name)
            async with machine.storage.write() as tx:
                await tx.put(path, encode(path, forged))
        with pytest.raises(NoSlotAnswers) as caught:
            await machine.life.auto_unseal()
        assert ["another place" in str(reason) for reason in caught.value.reasons.values()] == [True, True]
        assert all(isinstance(reason, IntegrityError) for reason in caught.value.reasons.values())

    asyncio.run(scenario())


def test_a_damaged_or_missing_record_of_one_slot_leaves_the_others() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        for damage in (b"x", None):
            machine = Machine(Slots(enabled=[a, b]), os.urandom)
            await machine.init()
            async with machine.storage.write() as tx:
                await (tx.put(slot_path("a"), damage) if damage else tx.delete(slot_path("a")))
            reasons = await machine.life.auto_unseal()
            assert reasons is not None
            assert list(reasons) == ["a"]
            assert await machine.reads()

    asyncio.run(scenario())


def test_a_slot_is_not_waited_for_when_the_vault_was_opened_meanwhile() -> None:
    async def scenario() -> None:
        (a,) = named("a")
        machine = Machine(Slots(enabled=[a]), os.urandom)
        keys = (await machine.init()).recovery.keys
        a.hold = asyncio.Event()
        a.entered.clear()
        waiting = asyncio.create_task(machine.life.auto_unseal())
        await a.entered.wait()
        a.hold.set()
        await machine.give(keys[:2])
        assert await waiting == {}
        assert await machine.reads()

    asyncio.run(scenario())


@pytest.mark.parametrize("kept", ["no", "recovery", "stanza"])
def test_shares_become_recovery_shares_and_back(kept: str) -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        to = Slots(enabled=[a, b], recovery_can_unseal=kept == "recovery", shamir_kept=kept == "stanza")
        machine = Machine(Slots(), os.urandom)
        keys = (await machine.init(InitRequest(secret_shares=3, secret_threshold=2))).keys
        await machine.give(keys[:2])
        moved = machine.restart(to)
        status = await moved.life.status()
        if kept == "stanza":
            assert (status.type, status.migration) == ("shamir", False)
            await moved.give(keys[1:])
            assert await moved.reads()
            return
        assert (status.type, status.migration, status.t, status.n) == ("pkcs11", True, 2, 3)
        assert await moved.life.auto_unseal() is None
        text = "migrate option not provided and seal migration is pending"
        assert await refused(moved.life.unseal(keys[0])) == text
        await moved.life.unseal(keys[2], migrate=True)
        status = await moved.life.unseal(keys[1], migrate=True)
        assert (status.sealed, status.migration) == (False, True)
        assert not (await moved.life.status()).migration
        assert await moved.reads()
        expected = ("a", "b", "shamir") if kept == "recovery" else ("a", "b")
        assert sorted((await moved.config()).slots) == sorted(expected)
        again = moved.restart(to)
        assert await again.life.auto_unseal() == {}
        back = moved.restart(Slots(disabled=[a, b]))
        status = await back.life.status()
        assert (status.type, status.migration, status.recovery, status.n) == ("shamir", True, False, 3)
        await back.life.unseal(keys[0], migrate=True)
        assert await refused(back.life.unseal("11" * 32 + "00", migrate=True)) == MISMATCH
        await back.give(keys[:2], migrate=True)
        assert await back.reads()
        last = back.restart(Slots())
        assert (await last.config()).slots == ("shamir",)
        await last.give(keys[1:])
        assert await last.reads()
        assert list(await last.storage.reader().scan("core/seal/recovery/")) == []

    asyncio.run(scenario())


def test_a_vault_moves_from_one_token_to_another() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        machine = Machine(Slots(enabled=[a]), os.urandom)
        keys = (await machine.init()).recovery.keys
        moved = machine.restart(Slots(enabled=[b], disabled=[a]))
        assert (await moved.life.status()).migration
        await moved.give(keys[:2], migrate=True)
        assert (await moved.config()).slots == ("b",)
        a.away = AWAY
        again = machine.restart(Slots(enabled=[b]))
        assert await again.life.auto_unseal() == {}
        assert await again.reads()
        await again.life.seal()
        await again.give(keys[1:])
        assert await again.reads()

    asyncio.run(scenario())


def test_a_migration_to_a_slot_that_is_away_changes_nothing() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        machine = Machine(Slots(), os.urandom)
        keys = (await machine.init(InitRequest(secret_shares=1, secret_threshold=1))).keys
        a.away = AWAY
        moved = machine.restart(Slots(enabled=[a]))
        with pytest.raises(NoSlotAnswers):
            await moved.give(keys, migrate=True)
        assert moved.barrier.sealed
        both = machine.restart(Slots(enabled=[a, b]))
        await both.give(keys, migrate=True)
        assert (await both.config()).slots == ("b",)
        back = machine.restart(Slots())
        assert not (await back.life.status()).migration
        text = await refused(back.life.unseal(keys[0]))
        openbaos = 'cannot seal migrate from "pkcs11" to Shamir, no disabled seal in configuration'
        assert text == f"{openbaos}: the vault's key slots are b, and no seal stanza has such a name"

    asyncio.run(scenario())


def test_shares_that_open_the_vault_bring_their_slot_up_to_the_newest_root_key() -> None:
    async def scenario() -> None:
        (a,) = named("a")
        slots = Slots(enabled=[a], recovery_can_unseal=True)
        machine = Machine(slots, os.urandom)
        keys = (await machine.init()).recovery.keys
        await machine.life.auto_unseal()
        for _ in range(3):
            await root_rotation.rotate_root(machine.changes)
        assert (await machine.config()).behind == ("shamir",)
        assert len(await machine.storage.reader().scan("core/seal/links/")) == 3
        again = machine.restart(slots)
        await again.give(keys[:2])
        assert await again.reads()
        assert (await again.config()).behind == ()
        assert list(await machine.storage.reader().scan("core/seal/links/")) == []
        a.away = AWAY
        last = machine.restart(slots)
        await last.give(keys[1:])
        assert await last.reads()

    asyncio.run(scenario())


def test_a_vault_of_shares_alone_follows_links_too() -> None:
    async def scenario() -> None:
        machine = Machine(Slots(), os.urandom)
        keys = (await machine.init(InitRequest(secret_shares=1, secret_threshold=1))).keys
        await machine.give(keys)
        await root_rotation.rotate_root(machine.changes)
        with pytest.raises(SealRefusal, match="no seal slot answers"):
            await root_rotation.rotate_root(machine.changes, links=False)
        link = (await machine.storage.reader().scan("core/seal/links/"))[0]
        again = machine.restart(Slots())
        await again.give(keys)
        assert await again.reads()
        await root_rotation.rotate_root(again.changes)
        path = f"core/seal/links/{int(link) + 1}"
        data = await machine.storage.reader().get(path)
        assert data is not None
        async with machine.storage.write() as tx:
            await tx.delete(path)
        with pytest.raises(SealFailure, match="missing"):
            await machine.restart(Slots()).give(keys)

    asyncio.run(scenario())


def test_where_nobody_holds_shares_nobody_vouches() -> None:
    async def scenario() -> None:
        (a,) = named("a")
        machine = Machine(Slots(enabled=[a]), os.urandom)
        await machine.init(InitRequest(recovery_shares=0, recovery_threshold=0))
        await machine.life.auto_unseal()
        assert not await machine.life.accepts_key(bytes(32))

    asyncio.run(scenario())


def test_who_vouches_for_a_change_of_shares() -> None:
    async def scenario() -> None:
        for slots in (Slots(enabled=named("a")), Slots(enabled=named("a"), recovery_can_unseal=True)):
            machine = Machine(slots, os.urandom)
            key = bytes.fromhex((await machine.init(InitRequest(recovery_shares=1))).recovery.keys[0])
            await machine.life.auto_unseal()
            assert await machine.life.accepts_key(key)
            assert not await machine.life.accepts_key(bytes(32))
            assert not await machine.life.accepts_key(key + b"x")
            assert (await machine.life.share_scheme()).shares == 1
        empty = Machine(Slots(), os.urandom)
        for asking in (empty.life.share_scheme(), empty.life.accepts_key(b"")):
            with pytest.raises(SealFailure):
                await asking

    asyncio.run(scenario())


def test_what_is_stored_for_the_seal_may_be_changed_by_nobody_else_meanwhile() -> None:
    async def scenario() -> None:
        (a,) = named("a")
        machine = Machine(Slots(enabled=[a]), os.urandom)
        await machine.init()
        await machine.life.auto_unseal()
        stored = await machine.storage.reader().get(CONFIG_PATH)

        class Meddler(SoftSlot):
            async def unwrap(self, wrapped: object) -> bytes:
                config = await machine.config()
                if "b" not in config.slots:
                    await machine.changes.with_root_key(machine.barrier.root_key, 1).renew("a")
                return await super().unwrap(wrapped)  # type: ignore[arg-type]  # what wrap gave

        b = Meddler("b")
        machine.changes.slots = msgspec.structs.replace(machine.changes.slots, enabled=[a, b])
        with pytest.raises(SealFailure, match="changed meanwhile"):
            await machine.changes.add("b")
        machine.changes.slots = msgspec.structs.replace(machine.changes.slots, enabled=[a, SoftSlot("b")])
        assert stored != await machine.storage.reader().get(CONFIG_PATH)
        assert (await machine.config()).slots == ("a",)
        assert (await machine.changes.add("b")).slots == ("a", "b")

    asyncio.run(scenario())


def test_what_a_token_draws_makes_the_keys_and_runs_out_into_local_randomness() -> None:
    async def scenario() -> None:
        drawn: list[int] = []

        async def draw(count: int) -> bytes:
            drawn.append(count)
            return b"\7" * count

        slots = Slots(enabled=named("a"), draw=draw)
        source = await slots.source(lambda count: b"\1" * count)
        assert source(DRAWN_BYTES - 1) == b"\7" * (DRAWN_BYTES - 1)
        assert source(3) == b"\7\1\1"
        machine = Machine(slots, os.urandom)
        plan = await machine.init()
        assert plan.root_key.reveal() == b"\7" * 32
        await machine.life.auto_unseal()
        await root_rotation.rotate_root(machine.changes)
        assert machine.barrier.root_key.reveal() == b"\7" * 32
        assert drawn == [DRAWN_BYTES] * 3

        async def refuse(count: int) -> bytes:
            raise SlotUnavailable("no randomness")

        strict = Machine(Slots(enabled=named("a"), draw=refuse), os.urandom)
        with pytest.raises(SlotUnavailable):
            await strict.init()

    asyncio.run(scenario())
