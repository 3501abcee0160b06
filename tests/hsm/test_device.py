# SPDX-License-Identifier: EUPL-1.2
"""A device on SoftHSM: wrapping, versions, integrity, and everything that goes wrong with sessions."""

import contextlib
import ctypes
import os
from collections.abc import Callable

import pytest
from pkcs11 import Attribute, AttributeTypeInvalid, KeyType, Mechanism, ObjectClass, PKCS11Error

from hsm.agent.device import Device
from hsm.agent.session.module import Module
from hsm.errors import BadConfig, IntegrityError, KeyAmbiguous, KeyMissing, SlotUnavailable
from hsm.key_slot import KeyIdentity, WrappedKey
from tests.hsm.spoiling import answer, spoiled
from tests.hsm.tokens import SoftHsm

DEK = bytes(range(32))
_MECHANISM_INVALID = 0x70


@pytest.fixture
def device(softhsm: SoftHsm, module: Module) -> Device:
    made = softhsm.device("a", module=module)
    made.start()
    return made


def test_an_aes_key_wraps_by_gcm(device: Device) -> None:
    version = device.generate_kek("aes", modifiable=False)
    assert (version.version, version.kind, version.bits, version.protected) == ("v0001", "aes", 256, True)
    wrapped = device.wrap(DEK)
    assert (wrapped.m, wrapped.k, len(wrapped.iv), len(wrapped.ct)) == ("aes-gcm", "v0001", 12, 48)
    assert device.unwrap(wrapped) == DEK
    assert device.wrap(DEK) != wrapped


def test_an_aes_key_with_hmac_wraps_where_gcm_is_not_wanted(softhsm: SoftHsm, module: Module) -> None:
    device = softhsm.device("a", module=module, mechanism="AES_CBC_HMAC")
    device.start()
    assert device.generate_kek("aes+hmac", modifiable=False).authenticated
    wrapped = device.wrap(DEK)
    assert (wrapped.m, len(wrapped.iv), len(wrapped.ct), len(wrapped.mac)) == ("aes-cbc-hmac", 16, 48, 32)
    assert device.unwrap(wrapped) == DEK


def test_an_rsa_key_wraps_by_oaep_with_sha1_only_if_told(softhsm: SoftHsm, module: Module) -> None:
    device = softhsm.device("a", module=module, rsa_oaep_hash="sha1")
    device.start()
    version = device.generate_kek("rsa3072", modifiable=False)
    assert (version.kind, version.bits) == ("rsa", 3072)
    wrapped = device.wrap(DEK)
    assert (wrapped.m, len(wrapped.ct)) == ("rsa-oaep-sha1", 384)
    assert device.unwrap(wrapped) == DEK
    strict = softhsm.device("a", module=module)
    strict.start()
    with pytest.raises(BadConfig, match='accept it with rsa_oaep_hash="sha1"'):
        strict.unwrap(wrapped)
    with pytest.raises(BadConfig, match=r'use an AES key, or accept rsa_oaep_hash="sha1"'):
        strict.wrap(DEK)


@pytest.mark.parametrize(
    ("algorithm", "mechanism"),
    [("aes", "AES_GCM"), ("aes+hmac", "AES_CBC_HMAC"), ("rsa3072", "RSA_PKCS_OAEP")],
)
def test_no_changed_bit_gives_a_key(softhsm: SoftHsm, module: Module, algorithm: str, mechanism: str) -> None:
    device = softhsm.device("a", module=module, mechanism=mechanism, rsa_oaep_hash="sha1")
    device.start()
    device.generate_kek(algorithm, modifiable=False)
    wrapped = device.wrap(DEK)
    for part in ("iv", "ct", "mac"):
        value = getattr(wrapped, part)
        for position in range(0, len(value) * 8, 8 if algorithm != "rsa3072" else 256):
            flipped = bytearray(value)
            flipped[position // 8] ^= 1 << position % 7
            with pytest.raises(IntegrityError):
                device.unwrap(_changed(wrapped, part, bytes(flipped)))
        for cut in range(0, len(value), 16):
            with pytest.raises(IntegrityError):
                device.unwrap(_changed(wrapped, part, value[:cut]))
    assert device.unwrap(wrapped) == DEK


@pytest.mark.parametrize("size", [0, 1, 8, 11, 13, 16])
def test_an_iv_of_another_length_never_reaches_the_token(device: Device, module: Module, size: int) -> None:
    """SoftHSM would take one of no bytes at all."""
    device.generate_kek("aes", modifiable=False)
    wrapped = device.wrap(DEK)
    reached: list[int] = []

    def count(real: Callable[..., int], *arguments: int) -> int:
        reached.append(1)
        return real(*arguments)

    with spoiled(module, C_DecryptInit=count), pytest.raises(IntegrityError, match=f"iv has {size} bytes"):
        device.unwrap(_changed(wrapped, "iv", bytes(size)))
    assert reached == []


@pytest.mark.parametrize("algorithm", ["aes", "aes+hmac", "rsa3072"])
def test_a_key_that_wraps_data_wraps_no_other_key_and_stays_so(device: Device, algorithm: str) -> None:
    """python-pkcs11 would let an AES key wrap, unwrap, sign and verify besides."""
    device.generate_kek(algorithm, modifiable=True)
    with device._sessions.token.open(rw=True) as session:
        for key in session.get_objects({Attribute.LABEL: "kek"}):
            for capability in (
                Attribute.WRAP,
                Attribute.UNWRAP,
                Attribute.SIGN,
                Attribute.VERIFY,
                Attribute.DERIVE,
            ):
                with contextlib.suppress(AttributeTypeInvalid):  # not one that this class of keys has
                    assert not key[capability], capability
            if key.object_class is not ObjectClass.PUBLIC_KEY:
                assert (key[Attribute.SENSITIVE], key[Attribute.EXTRACTABLE]) == (True, False)
                with pytest.raises(PKCS11Error):
                    key[Attribute.EXTRACTABLE] = True


def _changed(wrapped: WrappedKey, part: str, value: bytes) -> WrappedKey:
    values = {"m": wrapped.m, "k": wrapped.k, "iv": wrapped.iv, "ct": wrapped.ct, "mac": wrapped.mac}
    return WrappedKey(**{**values, part: value})  # type: ignore[arg-type]  # one of three parts of bytes


def test_the_newest_version_wraps_and_older_ones_unwrap(device: Device) -> None:
    device.generate_kek("aes", modifiable=True)
    old = device.wrap(DEK)
    device.generate_kek("aes", modifiable=True)
    assert device.wrap(DEK).k == "v0002"
    assert device.unwrap(old) == DEK
    device.retire("v0002")
    found = device.keys()
    assert [(v.version, v.retired) for v in found] == [("v0001", False), ("v0002", True)]
    assert device.wrap(DEK).k == "v0001"


def test_without_a_key_nothing_wraps(device: Device) -> None:
    with pytest.raises(
        KeyMissing, match=r"a new slot gets one by vaultctl hsm generate-kek.*backup of the token"
    ):
        device.wrap(DEK)
    assert device.probe().kind == "KeyMissing"


def _twin(device: Device, label: str = "kek") -> None:
    """Make a second key of the same label and id, as another program with the PIN would."""
    with device._sessions.token.open(rw=True) as session:
        session.generate_key(
            KeyType.AES, 256, label=label, id=b"v0001", store=True, template={Attribute.EXTRACTABLE: False}
        )


def test_two_keys_of_one_id_are_refused(device: Device) -> None:
    device.generate_kek("aes", modifiable=False)
    _twin(device)
    device.probe()
    with pytest.raises(KeyAmbiguous, match="more than one"):
        device.wrap(DEK)
    with pytest.raises(
        KeyAmbiguous, match=r"more than one \(objects \d+, \d+\); remove or rename all but one"
    ):
        device.identify()
    with pytest.raises(
        KeyAmbiguous, match=r"more than one \(objects \d+, \d+\), and the slot's record does not say"
    ):
        device.identify(KeyIdentity(version="v0001"))


def test_an_aes_key_beside_the_rsa_key_of_a_record_is_told_from_it(softhsm: SoftHsm, module: Module) -> None:
    device = softhsm.device("a", module=module, rsa_oaep_hash="sha1")
    device.start()
    device.generate_kek("rsa3072", modifiable=False)
    key = device.identify()
    _twin(device)
    device._sessions.start()
    assert device.identify(key) == key
    wrapped = device.wrap(DEK, key)
    assert (wrapped.m, device.unwrap(wrapped)) == ("rsa-oaep-sha1", DEK)
    with pytest.raises(KeyAmbiguous, match=r"more than one \(objects \d+, \d+\)"):
        device.identify()


def test_a_twin_keeps_no_record_from_opening_and_takes_no_wrap(device: Device) -> None:
    """Which of two is the right one, the record shows: it opens; what is recorded of a key shows it too."""
    device.generate_kek("aes", modifiable=False)
    key = device.identify()
    assert (key.label, key.version, len(key.fingerprint), key.imported) == ("kek", "v0001", 32, False)
    first = device.wrap(DEK, key)
    for _ in range(3):
        _twin(device)
        device._sessions.start()  # as another agent, which remembers nothing
        device._proved.clear()
        assert device.unwrap(first) == DEK
        again = device.wrap(DEK, key)
        assert device.identify(key) == key
        assert device.unwrap(again) == DEK
    changed = _changed(first, "ct", bytes(48))
    with pytest.raises(IntegrityError, match="none opens what was wrapped"):
        device.unwrap(changed)
    for _ in range(5):
        _twin(device)
    device._sessions.start()
    with pytest.raises(KeyAmbiguous, match="more than one"):
        device.unwrap(first)


def _exchanged(device: Device) -> KeyIdentity:
    """Make a key, put another one of its name in its place, and return what the first was known by."""
    device.generate_kek("aes", modifiable=False)
    key = device.identify()
    with device._sessions.token.open(rw=True) as session:
        for one in session.get_objects({Attribute.LABEL: "kek"}):
            one.destroy()
    _twin(device)
    device._sessions.start()
    return key


def test_an_exchanged_key_takes_no_wrap(device: Device, softhsm: SoftHsm) -> None:
    key = _exchanged(device)
    for ask in (device.identify, lambda found: device.wrap(DEK, found)):
        with pytest.raises(IntegrityError, match=r"another key than the slot's record names \(objects \d+\)"):
            ask(key)
    other = KeyIdentity(label="elsewhere", version="v0001")
    with pytest.raises(BadConfig, match="what is stored is under key elsewhere; set key_label to that"):
        device.wrap(DEK, other)
    with pytest.raises(SlotUnavailable, match="key kek id v0007: the token has no such secret key"):
        device.wrap(DEK, KeyIdentity(version="v0007"))
    assert device.identify().fingerprint != key.fingerprint


def test_an_exchanged_key_that_shows_nothing_takes_no_wrap(device: Device, module: Module) -> None:
    """Whoever makes it can say which mechanisms it is for, and leave out the one that fingerprints are made by."""
    key = _exchanged(device)

    def without_cbc(real: Callable[..., int], *arguments: int) -> int:
        cbc = ctypes.c_ulong.from_address(arguments[1]).value == Mechanism.AES_CBC_PAD
        return _MECHANISM_INVALID if cbc else real(*arguments)

    with spoiled(module, C_EncryptInit=without_cbc):
        assert device.identify().fingerprint == ""
        for ask in (device.identify, lambda found: device.wrap(DEK, found)):
            with pytest.raises(IntegrityError, match="another key than the slot's record names"):
                ask(key)


def test_a_recorded_key_that_only_decrypts_is_told_as_such(device: Device) -> None:
    device.generate_kek("aes", modifiable=True)
    key = device.identify()
    device.retire("v0001")
    device._sessions.start()
    with pytest.raises(BadConfig, match="may not encrypt"):
        device.wrap(DEK, key)


def test_randomness_is_counted_in_bytes(device: Device) -> None:
    assert len(device.random(33)) == 33
    with pytest.raises(BadConfig):
        device.random(0)


def test_a_probe_tells_of_the_token(device: Device) -> None:
    device.generate_kek("aes", modifiable=False)
    found = device.probe()
    assert found.reason == ""
    assert (found.key_version, found.way) == ("v0001", "aes-gcm")
    assert found.token is not None
    assert found.token.software
    assert found.token.label == "a"


def test_os_urandom_is_fresh_each_time() -> None:
    assert os.urandom(12) is not os.urandom(12)


@pytest.mark.parametrize(
    ("algorithm", "function"), [("aes", "C_GenerateKey"), ("rsa3072", "C_GenerateKeyPair")]
)
def test_a_dry_run_asks_the_token_for_a_key_and_leaves_none(
    device: Device, module: Module, algorithm: str, function: str
) -> None:
    found = device.generate_kek(algorithm, modifiable=False, dry_run=True)
    assert device.keys() == []
    with spoiled(module, **{function: answer(0x70)}):
        for dry_run in (True, False):
            with pytest.raises(BadConfig, match="MechanismInvalid"):
                device.generate_kek(algorithm, modifiable=False, dry_run=dry_run)
    assert device.generate_kek(algorithm, modifiable=False) == found
    assert device.keys() == [found]


def test_a_dry_run_of_both_keys_leaves_neither(device: Device) -> None:
    for _ in range(2):
        assert device.generate_kek("aes+hmac", modifiable=True, dry_run=True).version == "v0001"
    assert device.generate_kek("aes+hmac", modifiable=True).version == "v0001"


def test_whether_a_version_can_be_retired_is_known_before(device: Device) -> None:
    for modifiable in (True, False):
        device.generate_kek("aes", modifiable=modifiable)
    for dry_run in (True, False):
        with pytest.raises(BadConfig, match="v0002: was made unmodifiable and cannot be retired"):
            device.retire("v0002", dry_run=dry_run)
    device.retire("v0001", dry_run=True)
    assert device.keys()[0].retired is False
    device.retire("v0001")
    assert (device.keys()[0].retired, device.keys()[1].retired) == (True, False)
