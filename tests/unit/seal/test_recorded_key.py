# SPDX-License-Identifier: EUPL-1.2
"""A slot keeps to the key that its record names, until somebody orders another one."""

import asyncio
import base64
import json
import os

import msgspec
import pytest

from hsm.errors import IntegrityError
from tests.house.tree import ROOT
from tests.unit.seal.auto import Machine, named
from tests.unit.seal.keys import NOW
from tests.unit.seal.soft import SoftSlot
from vault.barrier.key import Key
from vault.seal.changes import root_rotation
from vault.seal.failure import SealRefusal
from vault.seal.health import SlotHealth
from vault.seal.records import seal_store
from vault.seal.records.record import CONFIG_PATH
from vault.seal.records.slots import Slots

_EARLIER = ROOT / "tests/vectors/seal_records_before_fingerprints.json"
"""A vault of commit 02ab284 with the slots `a`, renewed under its second key, and `b`, and the keys of both."""


async def _open(*slots: SoftSlot) -> Machine:
    machine = Machine(Slots(enabled=slots), os.urandom)
    await machine.init()
    await machine.life.auto_unseal()
    return machine


async def _held(machine: Machine) -> dict[str, set[str]]:
    config = await machine.config()
    found = await seal_store.references(machine.storage.reader(), config)
    return {name: set(versions) for name, versions in found.items()}


def test_a_newer_version_counts_when_somebody_orders_it_and_not_before() -> None:
    async def story() -> None:
        a, b = named("a", "b")
        machine = await _open(a, b)
        first = (await machine.config()).entry("a")
        assert (first.key_label, first.key_version, len(first.key_fingerprint)) == ("kek", "v0001", 32)
        a.rotate()
        await root_rotation.rotate_root(machine.changes)
        await root_rotation.replace_shares(machine.changes, Key(bytes(range(32))), 3, 2)
        await machine.changes.renew("a", ordered=False)  # as a slot that was away catches up
        assert await _held(machine) == {"a": {"v0001"}, "b": {"v0001"}}
        assert (await machine.config()).entry("a").key_fingerprint == first.key_fingerprint
        await machine.changes.renew("a")
        assert await _held(machine) == {"a": {"v0002"}, "b": {"v0001"}}
        assert (await machine.config()).entry("a").key_fingerprint != first.key_fingerprint
        await root_rotation.rotate_root(machine.changes)
        assert await _held(machine) == {"a": {"v0002"}, "b": {"v0001"}}
        assert await machine.restart(Slots(enabled=[a])).life.auto_unseal() == {}

    asyncio.run(story())


def test_another_key_in_the_place_of_the_recorded_one_gets_nothing_unless_ordered() -> None:
    async def story() -> None:
        (a,) = named("a")
        machine = await _open(a)
        before = await machine.config()
        a.replace()
        with pytest.raises(SealRefusal, match="no seal slot answers"):
            await root_rotation.rotate_root(machine.changes, links=False)
        with pytest.raises(IntegrityError, match="is another key than the slot's record names"):
            await machine.changes.renew("a", ordered=False)
        assert await machine.config() == before
        await machine.changes.renew("a")
        assert await machine.restart(Slots(enabled=[a])).life.auto_unseal() == {}

    asyncio.run(story())


def test_what_an_earlier_entry_does_not_say_is_recorded_only_of_the_key_that_opens_the_canary() -> None:
    """Entries from before fingerprints, and from before those of keys for HMAC."""

    async def story() -> None:
        for stale in ({"key_fingerprint": ""}, {"key_authenticator": ""}):
            a, b = named("a", "b")
            a.codes = b.codes = "c1"
            machine = await _open(a, b)
            config = await machine.config()
            assert config.entry("a").key_authenticator == "c1"
            for name in ("a", "b"):
                config = config.with_entry(name, msgspec.structs.replace(config.entry(name), **stale))
            async with machine.storage.write() as tx:
                await seal_store.write_config(tx, config)
            if "key_fingerprint" in stale:
                a.replace()
            else:
                a.codes = "c2"
            with pytest.raises(IntegrityError, match="does not open its stored canary"):
                await machine.changes.renew("a", ordered=False)
            await root_rotation.rotate_root(machine.changes)
            config = await machine.config()
            assert config.behind == ("a",)
            assert [bool(config.entry(name).key_fingerprint) for name in "ab"] == [
                "key_fingerprint" not in stale,
                True,
            ]
            assert config.entry("b").key_authenticator == "c1"

    asyncio.run(story())


def test_another_key_for_hmac_gets_nothing_unless_ordered() -> None:
    async def story() -> None:
        (a,) = named("a")
        a.codes = "c1"
        machine = await _open(a)
        a.codes = "c2"
        with pytest.raises(IntegrityError, match="is another key than the slot's record names"):
            await machine.changes.renew("a", ordered=False)
        await machine.changes.renew("a")
        assert (await machine.config()).entry("a").key_authenticator == "c2"

    asyncio.run(story())


def test_a_version_that_nobody_ordered_is_told_once_and_until_it_is_taken() -> None:
    async def story() -> None:
        (a,) = named("a")
        machine = await _open(a)
        health = SlotHealth(machine.storage, machine.life.slots, now=lambda: NOW)
        await health.look()
        assert health.seen["a"].remark == ""
        a.rotate()
        (view,) = await health.look()
        assert view.up
        assert "version v0002 of its key, and all stays under v0001" in view.remark
        assert "vaultctl operator seal-slots rewrap a" in view.remark
        assert list(await health.look()) == []
        await machine.changes.renew("a")
        (view,) = await health.look()
        assert view.remark == ""

    asyncio.run(story())


def test_records_of_an_earlier_program_open_and_say_which_key_once_they_are_renewed() -> None:
    earlier = json.loads(_EARLIER.read_text(encoding="utf-8"))

    async def story() -> None:
        slots = named("a", "b")
        for slot in slots:
            slot.keys = {version: bytes.fromhex(key) for version, key in earlier["keys"][slot.name].items()}
        machine = Machine(Slots(enabled=slots), os.urandom)
        async with machine.storage.write() as tx:
            for path, row in earlier["rows"].items():
                await tx.put(path, base64.b64decode(row))
        assert await machine.life.auto_unseal() == {}
        assert await machine.reads()
        config = await machine.config()
        assert [config.entry(name).key_fingerprint for name in ("a", "b")] == ["", ""]
        health = SlotHealth(machine.storage, machine.life.slots, now=lambda: NOW)
        await health.look()
        assert health.well
        slots[1].rotate()
        await root_rotation.rotate_root(machine.changes)
        config = await machine.config()
        assert [config.entry(name).key_version for name in ("a", "b")] == ["v0002", "v0001"]
        for slot, version in zip(slots, ("v0002", "v0001"), strict=True):
            entry = config.entry(slot.name)
            assert entry.key_fingerprint == slot._fingerprint(version)
        assert b"key_fingerprint" in (await machine.storage.reader().get(CONFIG_PATH) or b"")
        assert await machine.restart(Slots(enabled=[slots[1]])).life.auto_unseal() == {}

    asyncio.run(story())
