# SPDX-License-Identifier: EUPL-1.2
"""The key slot `pkcs11`: what it does, and what it says when token, key or PIN are not as they should be."""

import asyncio
import hashlib
import sys
from pathlib import Path

import msgspec
import pytest

from hsm.client.pkcs11_slot import Pkcs11Slot, list_tokens
from hsm.errors import BadConfig, HsmError, IntegrityError, KeyMissing, PinBlocked, SlotUnavailable
from hsm.key_slot import KeySlot, WrappedKey
from hsm.pin import FilePin, Pin
from hsm.runtime import boot_id
from tests.hsm.faults import Fault, FaultPlan
from tests.hsm.slots import DEK, gone, run, slot_on, with_program
from tests.hsm.tokens import PIN, SOFTHSM, SoftHsm


def test_everything_that_a_slot_does(softhsm: SoftHsm) -> None:
    async def story(slot: Pkcs11Slot) -> None:
        protocol: KeySlot = slot
        assert (protocol.name, protocol.kind, slot.priority) == ("default", "pkcs11", 1)
        wrapped = await protocol.wrap(DEK)
        assert await protocol.unwrap(wrapped) == DEK
        assert len(await slot.random(100)) == 100
        public = await slot.generate_key_pair("root", b"1", "ed25519")
        assert await slot.public_key("root", b"1") == public
        assert len(await slot.sign("root", b"1", "EDDSA", b"data")) == 64
        assert {token.label for token in await slot.list_tokens()} == {"a", "b"}
        await slot.generate_kek("aes")
        await slot.retire("v0001")
        assert [version.version for version in await slot.keys()] == ["v0001", "v0002"]
        state = await protocol.probe()
        assert (state.up, state.key_version, state.reason, state.software) == (True, "v0002", "", True)
        assert "SoftHSM v2" in state.description
        assert slot.probed is not None
        assert slot.probed.logins == 1
        assert slot.counters.starts == 1
        assert slot.counters.errors == {}
        assert sum(slot.counters.latency["unwrap"].buckets) == 1

    run(softhsm, story)


def test_a_thread_may_ask_while_the_event_loop_works(softhsm: SoftHsm) -> None:
    async def story(slot: Pkcs11Slot) -> None:
        public = await slot.generate_key_pair("root", b"1", "p256")
        assert await asyncio.to_thread(slot.public_key_blocking, "root", b"1") == public
        assert len(await asyncio.to_thread(slot.sign_blocking, "root", b"1", "ECDSA", bytes(32))) == 64
        with pytest.raises(BadConfig, match="slot default: "):
            await asyncio.to_thread(slot.sign_blocking, "root", b"1", "MD5", b"")

    run(softhsm, story)


def test_making_a_slot_touches_nothing(tmp_path: Path) -> None:
    nowhere = SoftHsm(tmp_path / "nowhere")
    slot = slot_on(nowhere, lib="/absent/module.so")
    assert slot.agent_pid is None

    async def story() -> None:
        state = await slot.probe()
        assert not state.up
        assert state.reason.startswith("slot default: lib /absent/module.so: ")
        with pytest.raises(BadConfig):
            await slot.wrap(DEK)
        await slot.close()

    asyncio.run(story())


def test_a_wrong_pin_is_tried_once_by_all_servers_together(softhsm: SoftHsm) -> None:
    plan = FaultPlan(softhsm.folder / "plan")
    program = (sys.executable, "-P", "-m", "tests.hsm.faulty_program", str(plan.folder), SOFTHSM, "hsm.agent")
    slots = [with_program(softhsm, program, pin="wrong-pin-xyzzy") for _ in range(3)]

    async def ask(slot: Pkcs11Slot) -> None:
        with pytest.raises(PinBlocked) as raised:
            await slot.wrap(DEK)
        assert "xyzzy" not in str(raised.value)
        assert not (await slot.probe()).up
        assert slot.counters.starts == 1

    async def story() -> None:
        for _ in range(2):
            await asyncio.gather(*map(ask, slots))
        for slot in slots:
            await slot.close()

    asyncio.run(story())
    assert plan.calls("C_Login") == 1


def test_after_a_wrong_pin_the_slot_waits_for_another_one(softhsm: SoftHsm, tmp_path: Path) -> None:
    source = tmp_path / "pin-of-slot"

    def put(pin: str) -> None:
        source.unlink(missing_ok=True)
        source.write_text(pin)
        source.chmod(0o400)

    async def story() -> None:
        settings = msgspec.structs.replace(slot_on(softhsm).settings, pin=FilePin(source))
        slot = Pkcs11Slot(
            settings, chance=lambda: 0.0, directory=softhsm.runtime, environment=softhsm.environment
        )
        put("not-the-pin")
        for _ in range(3):
            with pytest.raises(PinBlocked, match="the PIN is wrong"):
                await slot.keys()
        assert slot.counters.starts == 1
        source.unlink()
        with pytest.raises(PinBlocked):
            await slot.keys()
        put(PIN)
        assert await slot.keys() == []
        assert slot.counters.starts == 2
        await slot.close()

    asyncio.run(story())


def test_an_agent_names_the_mark_of_a_wrong_pin_by_a_slow_hash(softhsm: SoftHsm) -> None:
    async def story() -> str:
        slot = slot_on(softhsm, pin="not-the-pin")
        with pytest.raises(PinBlocked):
            await slot.keys()
        await slot.close()
        found = await list_tokens(SOFTHSM, environment=softhsm.environment)
        return next(token.serial for token in found if token.label == "a")

    salt = hashlib.sha256(f"{boot_id()}\0{asyncio.run(story())}".encode()).digest()
    slow = hashlib.scrypt(b"not-the-pin", salt=salt, n=1 << 14, r=8, p=1, dklen=16)
    (mark,) = softhsm.runtime.glob("pin-refused-*")
    assert mark.name == f"pin-refused-{slow.hex()}"


class Rotated:
    """A source whose PIN is another one each time that it is read, until the last."""

    warning = ""
    hidden_variables: tuple[str, ...] = ()

    def __init__(self, *pins: str) -> None:
        self.left = list(pins)

    def read(self) -> Pin:
        found = self.left.pop(0) if len(self.left) > 1 else self.left[0]
        return Pin(found.encode())


def test_a_pin_that_is_changed_while_the_old_one_is_refused_is_tried(softhsm: SoftHsm) -> None:
    async def story() -> None:
        settings = msgspec.structs.replace(slot_on(softhsm).settings, pin=Rotated("the-old-one", PIN))
        slot = Pkcs11Slot(
            settings, chance=lambda: 0.0, directory=softhsm.runtime, environment=softhsm.environment
        )
        with pytest.raises(PinBlocked):
            await slot.keys()
        assert await slot.keys() == []
        assert slot.counters.starts == 2
        await slot.close()

    asyncio.run(story())


def test_a_process_that_dies_within_a_login_with_a_wrong_pin_costs_one_try(softhsm: SoftHsm) -> None:
    plan = FaultPlan(softhsm.folder / "plan")
    program = (sys.executable, "-P", "-m", "tests.hsm.faulty_program", str(plan.folder), SOFTHSM, "hsm.agent")
    plan.put(Fault(function="C_Login", kind="late crash"))

    async def story(pin: str, kind: type[HsmError], calls: int) -> None:
        slot = with_program(softhsm, program, pin=pin)
        with pytest.raises(SlotUnavailable, match="the agent died"):
            await slot.keys()
        with pytest.raises(kind):
            await slot.keys()
        await slot.close()
        assert plan.calls("C_Login") == calls

    asyncio.run(
        story(PIN, SlotUnavailable, 2)
    )  # the token has seen no wrong PIN: nothing speaks against another try
    asyncio.run(story("wrong-pin-xyzzy", PinBlocked, 3))


def test_a_token_that_comes_back_is_used_again(softhsm: SoftHsm) -> None:
    async def story(slot: Pkcs11Slot) -> None:
        wrapped = await slot.wrap(DEK)
        away = softhsm.folder / "away"
        softhsm.tokens.rename(away)
        for _ in range(2):
            with pytest.raises(SlotUnavailable):
                await slot.unwrap(wrapped)
        away.rename(softhsm.tokens)
        assert await slot.unwrap(wrapped) == DEK
        assert (await slot.probe()).up

    run(softhsm, story)


def test_a_key_that_was_there_before_is_not_missing_but_unavailable(softhsm: SoftHsm) -> None:
    async def story(slot: Pkcs11Slot) -> None:
        wrapped = await slot.wrap(DEK)
        away = softhsm.folder / "away"
        softhsm.tokens.rename(away)
        softhsm.tokens.mkdir()
        softhsm.initialise("a")
        for _ in range(2):
            with pytest.raises(SlotUnavailable):
                await slot.unwrap(wrapped)
        with pytest.raises(SlotUnavailable):
            await slot.wrap(DEK)
        assert not (await slot.probe()).up

    run(softhsm, story)


def test_a_key_that_was_never_there_is_missing(softhsm: SoftHsm) -> None:
    async def story() -> None:
        slot = slot_on(softhsm, key_label="other")
        with pytest.raises(KeyMissing, match="slot default: key other: the token has none"):
            await slot.wrap(DEK)
        state = await slot.probe()
        assert not state.up
        assert state.software
        await slot.close()

    asyncio.run(story())


def test_a_changed_record_is_an_integrity_error_and_costs_no_agent(softhsm: SoftHsm) -> None:
    async def story(slot: Pkcs11Slot) -> None:
        wrapped = await slot.wrap(DEK)
        with pytest.raises(IntegrityError):
            await slot.unwrap(WrappedKey(m=wrapped.m, k=wrapped.k, iv=wrapped.iv, ct=bytes(48)))
        assert await slot.unwrap(wrapped) == DEK
        assert slot.counters.starts == 1
        assert slot.counters.errors == {("IntegrityError", "GeneralError"): 1}

    run(softhsm, story)


def test_after_the_end_nothing_is_answered(softhsm: SoftHsm) -> None:
    async def story(slot: Pkcs11Slot) -> None:
        pid = slot.agent_pid
        await slot.close()
        assert gone(pid)
        with pytest.raises(SlotUnavailable, match="the slot is closed"):
            await slot.random(8)
        await slot.close()

    run(softhsm, story)


def test_closing_a_slot_that_was_never_used(softhsm: SoftHsm) -> None:
    asyncio.run(slot_on(softhsm).close())


def test_tokens_are_listed_without_a_pin(softhsm: SoftHsm) -> None:
    async def story() -> None:
        found = await list_tokens(SOFTHSM, environment=softhsm.environment)
        assert {token.label for token in found} == {"a", "b"}
        with pytest.raises(BadConfig, match=r"lib /absent\.so"):
            await list_tokens("/absent.so", environment=softhsm.environment)

    asyncio.run(story())
