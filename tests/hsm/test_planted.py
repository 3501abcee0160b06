# SPDX-License-Identifier: EUPL-1.2
"""Whoever reaches a token without its PIN: what each token lets them do, and that no key of theirs is ever used."""

import asyncio
import base64
import os

import msgspec
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hsm.agent.keys.objects import MOST_OBJECTS
from hsm.agent.keys.proof import fingerprint_of
from hsm.client.pkcs11_slot import Pkcs11Slot
from hsm.errors import HsmError, IntegrityError, KeyAmbiguous, KeyMissing
from tests.hsm.places import Place, attacker
from tests.hsm.planting import KNOWN_KEY
from tests.hsm.slots import slot_on
from tests.hsm.tokens import SOFTHSM, SoftHsm
from tests.unit.seal.auto import Machine
from vault.seal.changes import root_rotation
from vault.seal.health import SlotHealth
from vault.seal.records import seal_store
from vault.seal.records.slots import Slots
from vault.values.times import Millis

_DEK = bytes(range(32))
_REFUSED = {"UserNotLoggedIn"}
_FLOOD = MOST_OBJECTS + 1


def _is_known(ct: bytes, iv: bytes) -> bool:
    """Whether the key that was planted opens what was wrapped."""
    try:
        return AESGCM(KNOWN_KEY).decrypt(iv, ct, None) == _DEK
    except (InvalidTag, ValueError):
        return False


def test_what_is_planted_without_the_pin_wraps_nothing_and_is_in_no_one_s_way(place: Place) -> None:
    """A newer version, a twin of the one in use, and what the token makes of a key that is to be private."""

    async def story(slot: Pkcs11Slot) -> None:
        await slot.generate_kek(place.algorithm)
        wrapped = await slot.wrap(_DEK)
        for key_id in (b"v0001", b"v0002", b"v9999"):
            outcome = await asyncio.to_thread(place.attack, "kek", key_id, "plant", "plant as private")
            assert (outcome["plant"] == "done: 1") is place.plants, outcome
            assert place.plants or set(outcome.values()) <= _REFUSED
        state = await slot.probe()
        assert (state.up, state.key_version) == (True, "v0001"), state.reason
        again = await slot.wrap(_DEK)
        assert again.k == "v0001"
        assert not _is_known(again.ct, again.iv)
        assert await slot.unwrap(wrapped) == await slot.unwrap(again) == _DEK
        assert [version.version for version in await slot.keys()] == ["v0001"]
        made = await slot.generate_kek(
            place.algorithm
        )  # the next of ours, although one of that name is there
        await slot.probe()
        assert (made.version, (await slot.wrap(_DEK)).k) == ("v0002", "v0002")
        assert await slot.unwrap(wrapped) == _DEK

    place.told(story)


def test_a_flood_of_planted_keys_changes_nothing(place: Place) -> None:
    async def story(slot: Pkcs11Slot) -> None:
        await slot.generate_kek(place.algorithm)
        wrapped = await slot.wrap(_DEK)
        outcome = await asyncio.to_thread(place.attack, "kek", b"v0001", "plant", count=_FLOOD)
        assert (outcome["plant"] == f"done: {_FLOOD}") is place.plants
        state = await slot.probe()
        assert (state.up, state.key_version) == (True, "v0001"), state.reason
        assert await slot.unwrap(wrapped) == _DEK

    place.told(story)


def test_the_id_of_what_is_planted_may_be_as_long_as_it_likes(place: Place) -> None:
    """It is shown, but not whole: an answer of an agent has a limit."""

    async def story(slot: Pkcs11Slot) -> None:
        await slot.generate_kek(place.algorithm)
        outcome = await asyncio.to_thread(place.attack, "kek", b"\1" * 20_000, "plant", count=8)
        assert (outcome["plant"] == "done: 8") is place.plants
        state = await slot.probe()
        assert state.up, state.reason
        assert ("0101… (20000 bytes): it is not private" in state.remark) is place.plants
        assert len(state.remark) < 2000

    place.told(story)


def test_who_changes_or_floods_what_is_public_of_an_rsa_key_chooses_no_version(softhsm: SoftHsm) -> None:
    """Whether it is retired is said by its public half, which takes no PIN to change."""
    reach = attacker(SOFTHSM, "a", environment=softhsm.environment)

    async def story() -> None:
        slot = slot_on(softhsm, rsa_oaep_hash="sha1")
        try:
            await slot.generate_kek("rsa3072", modifiable=True)
            await slot.generate_kek("rsa3072", modifiable=True)
            key = await slot.identify()
            wrapped = await slot.wrap(_DEK)
            half = ec.generate_private_key(ec.SECP256R1()).public_key()
            point = half.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
            flood = {"point": b"\x04\x41" + point, "count": _FLOOD}
            await asyncio.to_thread(reach, "kek", b"v0002", "plant a public half", **flood)
            await asyncio.to_thread(reach, "kek", b"v0002", "plant a public RSA key", count=_FLOOD)
            assert (await slot.probe()).key_version == "v0002"
            outcome = await asyncio.to_thread(reach, "kek", b"v0002", "retire")
            assert outcome["retire"].startswith("done: ")
            said = "id v0002 only decrypts, which anybody can set, and v0001 is older"
            with pytest.raises(KeyAmbiguous, match=said):
                await slot.identify()
            assert said in (await slot.probe()).reason
            assert await slot.unwrap(wrapped) == await slot.unwrap(await slot.wrap(_DEK, key)) == _DEK
        finally:
            await slot.close()

    asyncio.run(story())


def test_what_is_deleted_changed_or_renamed_without_the_pin_is_not_ours(place: Place) -> None:
    async def story(slot: Pkcs11Slot) -> None:
        await slot.generate_kek(place.algorithm, modifiable=True)
        wrapped = await slot.wrap(_DEK)
        outcome = await asyncio.to_thread(place.attack, "kek", b"v0001", "retire", "rename", "delete")
        assert outcome == dict.fromkeys(("retire", "rename", "delete"), "done: 0")
        assert (await slot.probe()).up
        assert await slot.unwrap(wrapped) == _DEK

    place.told(story)


def test_only_a_planted_key_is_no_key_and_is_named(place: Place) -> None:
    async def story(slot: Pkcs11Slot) -> None:
        outcome = await asyncio.to_thread(place.attack, "kek", b"v0001", "plant")
        said = (
            r"does not count: object \d+, a secret key kek id v0001: it is not private"
            if place.plants
            else "none"
        )
        assert (outcome["plant"] == "done: 1") is place.plants
        with pytest.raises(KeyMissing, match=said):
            await slot.wrap(_DEK)

    place.told(story)


_NO_OFFICER = "User type invalid. Should never see this."
"""What NSS says: whoever has its password is the user, and it knows nobody else."""
_OFFICER = {
    # deed: what softhsm and opencryptoki let the officer do, in this order
    "retire": ("done: 0", "done: 0"),
    "rename": ("done: 0", "done: 0"),
    "delete": ("done: 0", "done: 0"),
    "plant": ("done: 1", "done: 1"),
    "plant an HMAC key": ("UserNotLoggedIn", "UserNotLoggedIn"),
    "copy as private": ("UserNotLoggedIn", "UserNotLoggedIn"),
    "unwrap as private": ("UserNotLoggedIn", "UserNotLoggedIn"),
    "plant as trusted": ("done: 1", "done: 1"),
    "make private": ("AttributeReadOnly", "AttributeReadOnly"),
    "trust": ("AttributeReadOnly", "done: 3"),
}
"""An officer who sets the user's PIN anew is the user from then on: that is no deed of who is without the PIN."""


def test_the_security_officer_makes_no_key_that_counts_and_reaches_none(place: Place) -> None:
    """Logged in as such, without the user's PIN: whatever is planted, marked as trusted or copied is public."""
    how = {"who": "officer", "pin": place.pins["officer"]}

    async def story(slot: Pkcs11Slot) -> None:
        await slot.generate_kek(place.algorithm, modifiable=True)
        wrapped = await slot.wrap(_DEK)
        before = await slot.identify()
        said = {
            deed: {"softhsm": softhsm, "opencryptoki": opencryptoki, "nss": _NO_OFFICER}[place.name]
            for deed, (softhsm, opencryptoki) in _OFFICER.items()
        }
        for key_id in (b"v0001", b"v0002"):
            assert await asyncio.to_thread(place.attack, "kek", key_id, *_OFFICER, **how) == said
        state = await slot.probe()
        assert (state.up, state.key_version) == (True, "v0001"), state.reason
        assert ("a secret key kek id v0002: it is not private" in state.remark) is place.plants
        again = await slot.wrap(_DEK)
        assert again.k == "v0001"
        assert not _is_known(again.ct, again.iv)
        assert await slot.unwrap(wrapped) == await slot.unwrap(again) == _DEK
        assert await slot.identify() == await slot.identify(before) == before
        assert [version.version for version in await slot.keys()] == ["v0001"]

    place.told(story)


def test_no_public_object_becomes_private_without_the_pin(place: Place) -> None:
    deeds = ("copy as private", "unwrap as private", "make private")

    async def story(slot: Pkcs11Slot) -> None:
        await slot.generate_kek(place.algorithm)
        for first in ("plant", "plant as private"):
            outcome = await asyncio.to_thread(place.attack, "kek", b"v0002", first, *deeds)
            for deed in deeds:
                assert outcome[deed] in {"UserNotLoggedIn", "AttributeReadOnly", "done: 0"}, deed
            assert [version.version for version in await slot.keys()] == ["v0001"]

    place.told(story)


async def _half_of(place: Place) -> bytes | HsmError:
    """The public half as a new agent finds it, or why it gives none."""
    slot = place.slot()
    try:
        return await slot.public_key("issuer", b"v0001")
    except HsmError as error:
        return error
    finally:
        await slot.close()


def test_a_public_half_is_proved_by_its_private_key(place: Place) -> None:
    """What verifiers are told to trust is taken from a public object, which anybody can plant or exchange."""
    foreign = ec.generate_private_key(ec.SECP256R1()).public_key()
    point = foreign.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    async def story(slot: Pkcs11Slot) -> None:
        ours = await slot.generate_key_pair("issuer", b"v0001", "p256")
        half = {"point": b"\x04\x41" + point}
        planted = await asyncio.to_thread(place.attack, "issuer", b"v0001", "plant a public half", **half)
        assert planted == {"plant a public half": "done: 1"}
        found = await _half_of(place)
        # NSS has one public key of an id: what is planted takes its place, and the private key disowns it.
        assert found == ours if place.plants else isinstance(found, IntegrityError)
        exchanged = await asyncio.to_thread(
            place.attack, "issuer", b"v0001", "delete", "plant a public half", **half
        )
        assert exchanged["plant a public half"] == "done: 1"
        found = await _half_of(place)
        assert isinstance(found, IntegrityError)
        assert "issuer id v0001: no public key of this name belongs to the private key (objects " in str(
            found
        )

    place.told(story)


def test_copied_storage_does_not_open_offline_by_a_planted_key(softhsm: SoftHsm) -> None:
    """Plant a newer version and a twin, have the slot rewrapped and the root key rotated, copy the storage."""
    planter = attacker(SOFTHSM, "a", environment=softhsm.environment)

    async def story() -> None:
        slot = slot_on(softhsm)
        again = slot_on(softhsm)
        try:
            await slot.generate_kek("aes")
            machine = Machine(Slots(enabled=[slot]), os.urandom)
            await machine.init()
            assert await machine.life.auto_unseal() == {}
            for key_id in (b"v0001", b"v0002"):
                outcome = await asyncio.to_thread(planter, "kek", key_id, "plant")
                assert outcome == {"plant": "done: 1"}
            await machine.changes.renew(slot.name)
            await root_rotation.rotate_root(machine.changes, links=False)
            entry = (await machine.config()).entry(slot.name)
            assert (entry.key_version, len(entry.key_fingerprint)) == ("v0001", 32)
            assert entry.key_fingerprint != fingerprint_of(KNOWN_KEY)
            record = await seal_store.wrapped_slot(
                machine.storage.reader(), await machine.config(), slot.name
            )
            for stored in (record.root, record.canary):
                wrapped = msgspec.json.decode(stored[32:])["h"]["wrap"]
                with pytest.raises(InvalidTag):
                    AESGCM(KNOWN_KEY).decrypt(
                        base64.b64decode(wrapped["iv"]), base64.b64decode(wrapped["ct"]), None
                    )
            restarted = machine.restart(Slots(enabled=[again]))
            assert await restarted.life.auto_unseal() == {}
            assert await restarted.reads()
            health = SlotHealth(restarted.storage, restarted.life.slots, now=lambda: Millis(0))
            (view,) = await health.look()
            assert view.up
            assert "a secret key kek id v0002: it is not private" in view.remark
        finally:
            await slot.close()
            await again.close()

    asyncio.run(story())
