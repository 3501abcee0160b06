# SPDX-License-Identifier: EUPL-1.2
"""Callers' data under keys of SoftHSM: right answers, one refusal for every wrong ciphertext, and tokens that fail."""

import ctypes
import os
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_der_public_key

from hsm.agent.device import Device
from hsm.agent.keys.key_import import import_kek
from hsm.agent.keys.mechanisms import oaep_padding
from hsm.agent.keys.proof import fingerprint_of
from hsm.agent.session.module import Module
from hsm.agent.session.pool import TokenSession
from hsm.errors import BadConfig, HsmError, IntegrityError, KeyMissing, SlotUnavailable
from hsm.operations import Decrypt, Encrypt, SecretKey, SecretKeyInfo
from tests.hsm.spoiling import answer, appends, chooses, spoiled
from tests.hsm.tokens import SoftHsm

KEY = bytes(range(32))
ID = b"v0001"
GENERAL_ERROR = 0x05
AEAD_FAILED = 0x42


@pytest.fixture
def device(softhsm: SoftHsm, module: Module) -> Device:
    """A device with an AES key `kek` that is known here, and an RSA key `rsa` of 3072 bits."""
    made = softhsm.device("a", module=module)
    made.start()

    def keep(session: TokenSession) -> object:
        return import_kek(session, "kek", ID, KEY)

    made._sessions.run(keep, "import", write=True)
    return made


@pytest.fixture
def rsa(softhsm: SoftHsm, module: Module) -> tuple[Device, RSAPublicKey]:
    made = softhsm.device("b", module=module, key_label="rsa")
    made.start()
    made.generate_kek("rsa3072", modifiable=False)
    public = load_der_public_key(made.public_key("rsa", ID).public)
    assert isinstance(public, RSAPublicKey)
    return made, public


def sealed(device: Device, data: bytes, associated: bytes = b"") -> bytes:
    made = device.cipher(Encrypt("kek", ID, data, associated))
    assert isinstance(made, bytes)
    return made


def gcm(data: bytes, associated: bytes = b"", key_id: bytes | None = ID) -> Decrypt:
    return Decrypt("kek", key_id, "AES_GCM", data, associated)


def oaep(data: bytes, name: str = "sha1") -> Decrypt:
    return Decrypt("rsa", ID, "RSA_PKCS_OAEP", data, oaep_hash=name)


@pytest.mark.parametrize("data", [b"", b"x", b"a text of more than one block of AES", bytes(60_000)])
@pytest.mark.parametrize("associated", [b"", b"and what goes with it"])
def test_what_the_token_encrypts_the_library_opens_and_the_other_way(
    device: Device, data: bytes, associated: bytes
) -> None:
    made = sealed(device, data, associated)
    assert AESGCM(KEY).decrypt(made[:12], made[12:], associated) == data
    nonce = os.urandom(12)
    ours = nonce + AESGCM(KEY).encrypt(nonce, data, associated)
    for key_id in (ID, None):
        assert device.cipher(gcm(ours, associated, key_id)) == data


def test_each_encryption_has_a_nonce_of_its_own(device: Device) -> None:
    assert len({sealed(device, b"x")[:12] for _ in range(50)}) == 50


def test_what_the_library_encrypts_by_oaep_the_token_opens(rsa: tuple[Device, RSAPublicKey]) -> None:
    device, public = rsa
    for data in (b"", b"a text", bytes(300)):
        assert device.cipher(oaep(public.encrypt(data, oaep_padding("sha1")))) == data


def refusal(device: Device, wanted: Decrypt) -> tuple[type[HsmError], str, str]:
    with pytest.raises(HsmError) as caught:
        device.cipher(wanted)
    return type(caught.value), str(caught.value), caught.value.ckr


def test_every_wrong_ciphertext_of_aes_is_refused_alike(device: Device) -> None:
    made = sealed(device, b"a text of two blocks, and more", b"aad")
    flipped = [made[:at] + bytes([made[at] ^ 1]) + made[at + 1 :] for at in (0, 11, 12, 20, -17, -16, -1)]
    cut = [made[:size] for size in (0, 1, 11, 12, 27, 28, len(made) - 1)]
    wrong = [gcm(each, b"aad") for each in (*flipped, *cut, made + b"x", bytes(60_000))]
    wrong += [gcm(made), gcm(made, b"aae")]
    refused = {refusal(device, each) for each in wrong}
    assert refused == {
        (IntegrityError, "key kek id v0001: the ciphertext is not of this key, or was changed", "")
    }
    assert device.cipher(gcm(made, b"aad")) == b"a text of two blocks, and more"


def test_every_wrong_ciphertext_of_rsa_is_refused_alike(rsa: tuple[Device, RSAPublicKey]) -> None:
    device, public = rsa
    made = public.encrypt(b"a text", oaep_padding("sha1"))
    size = len(made)
    modulus = public.public_numbers().n
    no_padding = pow(0x41 << 8 * (size - 2), 65537, modulus).to_bytes(
        size
    )  # begins with a zero, and is no OAEP
    no_zero = pow(0x41 << 8 * (size - 1), 65537, modulus).to_bytes(size)  # what Manger's attack asks for
    other_hash = public.encrypt(b"a text", oaep_padding("sha256"))
    wrong = [
        b"", b"x", made[:-1], made + b"x", b"\0" + made, bytes(size), b"\xff" * size, modulus.to_bytes(size),
        made[:-1] + bytes([made[-1] ^ 1]), no_padding, no_zero, other_hash,
    ]  # fmt: skip
    refused = {refusal(device, oaep(each)) for each in wrong}
    assert refused == {
        (IntegrityError, "key rsa id v0001: the ciphertext is not of this key, or was changed", "")
    }
    assert device.cipher(oaep(made)) == b"a text"


def test_what_no_key_could_have_made_never_reaches_the_token(
    rsa: tuple[Device, RSAPublicKey], module: Module
) -> None:
    """A vendor's module may handle wrong lengths as it likes (RFC 8017 section 7.1.2, step 1)."""
    device, public = rsa
    reached: list[int] = []

    def count(real: Callable[..., int], *arguments: int) -> int:
        reached.append(1)
        return real(*arguments)

    modulus = public.public_numbers().n.to_bytes(384)
    with spoiled(module, C_DecryptInit=count):
        for wrong in (b"", bytes(383), bytes(385), modulus, b"\xff" * 384):
            assert refusal(device, oaep(wrong))[0] is IntegrityError
    assert reached == []


def test_a_hash_that_the_token_does_not_know_is_told_as_such(rsa: tuple[Device, RSAPublicKey]) -> None:
    device, public = rsa
    for name in ("sha256", "sha512"):
        with pytest.raises(BadConfig, match=f"RSA-OAEP with {name}: .*; the token cannot do it: try another"):
            device.cipher(oaep(public.encrypt(b"x", oaep_padding(name)), name))
    with pytest.raises(BadConfig, match="hash md5: must be one of sha224, sha256"):
        device.cipher(oaep(b"", "md5"))
    with pytest.raises(BadConfig, match="mechanism DES: must be one of AES_GCM, RSA_PKCS_OAEP"):
        device.cipher(Decrypt("rsa", ID, "DES", b""))


def test_a_token_that_fails_always_is_down_and_the_data_are_not_to_blame(
    device: Device, module: Module
) -> None:
    made = sealed(device, b"x")
    with (
        spoiled(module, C_Decrypt=answer(GENERAL_ERROR)),
        pytest.raises(SlotUnavailable, match="GeneralError, and so does something fresh"),
    ):
        device.cipher(gcm(made))
    assert device.cipher(gcm(made)) == b"x"


def test_a_token_that_names_a_wrong_tag_is_believed(device: Device, module: Module) -> None:
    made = sealed(device, b"x")
    with spoiled(module, C_Decrypt=answer(AEAD_FAILED)):
        assert refusal(device, gcm(made)) == refusal(device, gcm(b""))


def test_a_token_that_chooses_the_nonce_is_believed(device: Device, module: Module) -> None:
    nonce = os.urandom(12)
    with spoiled(module, C_EncryptInit=chooses(nonce)):
        made = sealed(device, b"a text")
    with spoiled(module, C_EncryptInit=chooses(nonce, hides=True), C_Encrypt=appends(nonce)):
        appended = sealed(device, b"a text")
    assert made == appended == nonce + AESGCM(KEY).encrypt(nonce, b"a text", None)


def test_a_token_that_fails_once_is_asked_again(device: Device, module: Module) -> None:
    made = sealed(device, b"x")
    with spoiled(module, C_Decrypt=answer(GENERAL_ERROR, times=1)):
        assert device.cipher(gcm(made)) == b"x"


def test_a_token_that_opens_something_else_is_down(device: Device, module: Module) -> None:
    made = sealed(device, b"x")

    def other(real: Callable[..., int], *arguments: int) -> int:
        code = real(*arguments)
        if code == 0 and arguments[3]:
            ctypes.cast(arguments[3], ctypes.POINTER(ctypes.c_ubyte))[0] ^= 1
        return code

    with (
        spoiled(module, C_Decrypt=other),
        pytest.raises(SlotUnavailable, match="gave back something else than was encrypted"),
    ):
        device.cipher(gcm(bytes(40)))
    assert device.cipher(gcm(made)) == b"x"


def test_an_aes_key_is_known_again_by_what_it_encrypts(device: Device) -> None:
    assert device.cipher(SecretKey("kek", None)) == SecretKeyInfo(
        label="kek", key_id=ID, bits=256, fingerprint=fingerprint_of(KEY)
    )


def test_a_retired_key_opens_what_it_encrypted_and_encrypts_nothing(softhsm: SoftHsm, module: Module) -> None:
    device = softhsm.device("a", module=module)
    device.start()
    device.generate_kek("aes", modifiable=True)
    made = sealed(device, b"x")
    device.retire("v0001")
    device._sessions.start()
    shown = device.cipher(SecretKey("kek", ID))
    assert isinstance(shown, SecretKeyInfo)
    assert (shown.fingerprint, shown.bits) == ("", 256)
    assert device.cipher(gcm(made)) == b"x"
    assert refusal(device, gcm(made[:-1] + b"x"))[0] is IntegrityError
    with pytest.raises(BadConfig, match=r"may not encrypt \(CKA_ENCRYPT is false\)"):
        sealed(device, b"x")


@pytest.mark.parametrize("key_id", [None, ID])
def test_a_key_that_was_used_cannot_be_missing(device: Device, module: Module, key_id: bytes | None) -> None:
    """SoftHSM shows no objects once its directory was away: the agent must not say that there is no such key."""
    device.cipher(Encrypt("kek", ID, b"x", b""))

    def none(real: Callable[..., int], *arguments: int) -> int:
        ctypes.cast(arguments[3], ctypes.POINTER(ctypes.c_ulong))[0] = 0
        return 0

    with spoiled(module, C_FindObjects=none), pytest.raises(SlotUnavailable, match="but it was there before"):
        device._sessions.start()
        device.cipher(SecretKey("kek", key_id))


def test_an_answer_of_another_length_is_no_ciphertext(device: Device, module: Module) -> None:
    def shorter(real: Callable[..., int], *arguments: int) -> int:
        code = real(*arguments)
        ctypes.cast(arguments[4], ctypes.POINTER(ctypes.c_ulong))[0] -= 1
        return code

    with spoiled(module, C_Encrypt=shorter), pytest.raises(HsmError):
        sealed(device, b"a text")


def test_a_pair_of_the_same_name_is_another_key(device: Device) -> None:
    """That one was seen does not make the other one a loss."""
    assert device.cipher(gcm(sealed(device, b"x"))) == b"x"
    for _ in range(2):
        with pytest.raises(KeyMissing, match="key kek id v0001: the token has no such private key"):
            device.public_key("kek", ID)
    device.generate_key_pair("kek", ID, "p256")
    assert device.public_key("kek", ID).public
    assert device.cipher(gcm(sealed(device, b"x"))) == b"x"
