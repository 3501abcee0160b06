# SPDX-License-Identifier: EUPL-1.2
"""Keys for HMAC beside an AES key: which one counts where there are two, and that no other takes the place of ours.

It takes the user's PIN to make one. Whoever restores a token by halves, or runs a ceremony twice, has it.
"""

import asyncio
import ctypes
import hmac
import re
from collections.abc import Callable

import pytest

from hsm.agent.device import Device
from hsm.agent.keys.objects import MOST_TWINS
from hsm.agent.keys.proof import authenticator, authenticator_of
from hsm.agent.session.module import Module
from hsm.client.pkcs11_slot import Pkcs11Slot
from hsm.errors import BadConfig, IntegrityError, KeyAmbiguous
from hsm.key_slot import WrappedKey
from tests.hsm.places import Place, attacker
from tests.hsm.planting import KNOWN_KEY
from tests.hsm.spoiling import spoiled
from tests.hsm.tokens import PIN, SOFTHSM, SoftHsm

_DEK = bytes(range(32))
_CBC = {"mechanism": "AES_CBC_HMAC"}
_TWO = r"more than one secret key \(objects \d+, \d+\)"


async def _plant(place: Place, *deeds: str, **more: object) -> dict[str, str]:
    """As the user, to the HMAC key of the first version."""
    how = {"who": "user", "pin": place.pins["user"], **more}
    return await asyncio.to_thread(place.attack, "kek-hmac", b"v0001-hmac", *deeds, **how)


def _is_known(wrapped: WrappedKey) -> bool:
    """Whether the key that was planted gave the code."""
    return hmac.digest(KNOWN_KEY, wrapped.iv + wrapped.ct, "sha256") == wrapped.mac


def test_of_two_keys_for_hmac_the_record_shows_the_right_one(place: Place) -> None:
    async def story(slot: Pkcs11Slot) -> None:
        await slot.generate_kek("aes+hmac")
        ours = await slot.identify()
        wrapped = await slot.wrap(_DEK)
        assert len(ours.authenticator) == 32
        assert await _plant(place, "plant an HMAC key") == {"plant an HMAC key": "done: 1"}
        again = place.slot(**_CBC)
        try:
            if place.name == "nss":  # has one secret key of an id: the second takes the place of the first
                with pytest.raises(IntegrityError, match="authentication code is wrong"):
                    await again.unwrap(wrapped)
                with pytest.raises(IntegrityError, match="its key for HMAC is another one"):
                    await again.wrap(_DEK, ours)
                return
            assert await again.unwrap(wrapped) == _DEK
            under_ours = await again.wrap(_DEK, ours)
            assert not _is_known(under_ours)
            assert await again.unwrap(under_ours) == _DEK
            assert await again.identify(ours) == ours
            for newest in (again.wrap(_DEK), again.identify()):
                with pytest.raises(KeyAmbiguous, match=_TWO):
                    await newest
            state = await again.probe()
            assert not state.up
            assert re.search(_TWO, state.reason)
        finally:
            await again.close()

    place.told(story, **_CBC)


def test_another_key_for_hmac_in_the_place_of_ours_is_not_taken_without_an_order(place: Place) -> None:
    async def story(slot: Pkcs11Slot) -> None:
        await slot.generate_kek("aes+hmac")
        ours = await slot.identify()
        wrapped = await slot.wrap(_DEK)
        outcome = await _plant(place, "delete", "plant an HMAC key")
        assert outcome == {"delete": "done: 1", "plant an HMAC key": "done: 1"}
        again = place.slot(**_CBC)
        try:
            for wanting in (again.wrap(_DEK, ours), again.identify(ours)):
                with pytest.raises(
                    IntegrityError, match=r"its key for HMAC is another one .*objects \d+.*rewrap takes"
                ):
                    await wanting
            with pytest.raises(IntegrityError, match="authentication code is wrong"):
                await again.unwrap(wrapped)
            ordered = await again.identify()
            assert ordered.authenticator == authenticator_of(KNOWN_KEY)
            assert ordered.fingerprint == ours.fingerprint
            assert _is_known(await again.wrap(_DEK, ordered))
        finally:
            await again.close()

    place.told(story, **_CBC)


@pytest.fixture
def device(softhsm: SoftHsm, module: Module) -> Device:
    made = softhsm.device("a", module=module, **_CBC)
    made.start()
    made.generate_kek("aes+hmac", modifiable=False)
    return made


@pytest.fixture
def plant(softhsm: SoftHsm) -> Callable[[int], object]:
    """Plants so many on SoftHSM, as the user."""
    reach = attacker(SOFTHSM, "a", environment=softhsm.environment)
    return lambda count: reach(
        "kek-hmac", b"v0001-hmac", "plant an HMAC key", who="user", pin=PIN, count=count
    )


def test_so_many_keys_for_hmac_are_tried_and_no_more(device: Device, plant: Callable[[int], object]) -> None:
    ours, wrapped = device.identify(), device.wrap(_DEK)
    plant(MOST_TWINS - 1)
    assert device.unwrap(wrapped) == _DEK
    changed = WrappedKey(m=wrapped.m, k=wrapped.k, iv=wrapped.iv, ct=wrapped.ct, mac=bytes(32))
    with pytest.raises(IntegrityError, match=r"wrong under each key for HMAC \(objects (\d+, ){7}\d+\)"):
        device.unwrap(changed)
    plant(1)
    with pytest.raises(KeyAmbiguous, match="more than one secret key"):
        device.unwrap(WrappedKey(m=wrapped.m, k=wrapped.k, iv=wrapped.iv, ct=wrapped.ct, mac=bytes(32)))
    with pytest.raises(KeyAmbiguous, match="has more than 8"):
        device.wrap(_DEK, ours)


def _one_code(real: Callable[..., int], *arguments: int) -> int:
    """`C_Sign` that ends the real operation, and gives the same for everything."""
    _, _, _, out, _ = arguments
    code = real(*arguments)
    if out:
        ctypes.memmove(out, bytes(32), 32)
    return code


def test_a_key_that_may_not_sign_is_known_by_nothing() -> None:
    assert authenticator(object()) == ""


def test_a_token_that_gives_one_code_for_all_wraps_nothing_and_makes_no_key(
    device: Device, module: Module
) -> None:
    with spoiled(module, C_Sign=_one_code):
        with pytest.raises(BadConfig, match="the token does not encrypt with it"):
            device.wrap(_DEK)
        with pytest.raises(BadConfig, match="its key for HMAC gives the codes of another one"):
            device.generate_kek("aes+hmac", modifiable=False)
    found = device.keys()
    assert [version.version for version in found] == ["v0001"]
    assert device.unwrap(device.wrap(_DEK)) == _DEK
