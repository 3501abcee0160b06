# SPDX-License-Identifier: EUPL-1.2
"""A token that only seems to encrypt: nothing is wrapped under a key that has not proved itself."""

import ctypes
import os
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm.agent.keys.key_import import import_kek
from hsm.agent.keys.proof import prove
from hsm.agent.session.module import Module
from hsm.components import KEY_BYTES
from hsm.errors import BadConfig, HsmError
from hsm.key_slot import WrappedKey
from tests.hsm.spoiling import Spoiler, spoiled
from tests.hsm.test_key_import import _sessions
from tests.hsm.tokens import SoftHsm

DEK = bytes(range(32))


def _spoiler(change: Callable[[bytes], bytes]) -> Spoiler:
    """`C_Encrypt` or `C_Decrypt` that ends the real operation, and answers `change` of what it got."""

    def spoil(real: Callable[..., int], *arguments: int) -> int:
        _, data, size, out, length = arguments
        code = real(*arguments)
        if not out:
            return code
        made = change(ctypes.string_at(data, size))
        ctypes.memmove(out, made, len(made))
        ctypes.c_ulong.from_address(length).value = len(made)
        return 0

    return spoil


def _padded(data: bytes) -> bytes:
    return bytes(byte ^ 0x5A for byte in data)


_TOKENS = {
    "copies": (_spoiler(lambda data: data + bytes(16)), _spoiler(lambda data: data[:-16])),
    "one pad": (_spoiler(lambda data: _padded(data) + bytes(16)), _spoiler(lambda data: _padded(data[:-16]))),
}


@pytest.mark.parametrize(("encrypt", "decrypt"), _TOKENS.values(), ids=_TOKENS)
def test_a_token_that_does_not_encrypt_wraps_nothing(
    softhsm: SoftHsm, module: Module, encrypt: Spoiler, decrypt: Spoiler
) -> None:
    device = softhsm.device("a", module=module)
    device.start()
    device.generate_kek("aes", modifiable=False)
    with spoiled(module, C_Encrypt=encrypt, C_Decrypt=decrypt):
        for _ in range(2):
            with pytest.raises(BadConfig, match="id v0001: the token does not encrypt with it"):
                device.wrap(DEK)
        assert device.probe().kind == "BadConfig"
    assert device.unwrap(device.wrap(DEK)) == DEK


@pytest.mark.parametrize(("encrypt", "decrypt"), _TOKENS.values(), ids=_TOKENS)
def test_a_key_that_does_not_encrypt_is_not_kept(
    softhsm: SoftHsm, module: Module, encrypt: Spoiler, decrypt: Spoiler
) -> None:
    device = softhsm.device("a", module=module)
    device.start()
    sessions = _sessions(softhsm, module, "b")
    key = os.urandom(KEY_BYTES)
    with spoiled(module, C_Encrypt=encrypt, C_Decrypt=decrypt):
        with pytest.raises(BadConfig, match="it encrypts as another key does"):
            device.generate_kek("aes", modifiable=False)
        with pytest.raises(BadConfig, match="not encrypt as AES does with the key that was given"):
            sessions.run(lambda session: import_kek(session, "kek", b"v0001", key), "import", write=True)
    assert device.keys() == []
    other = softhsm.device("b", module=module)
    other.start()
    assert other.keys() == []


def test_a_key_has_the_same_fingerprint_on_every_token_and_no_other_key_has_it(
    softhsm: SoftHsm, module: Module
) -> None:
    from pkcs11 import KeyType, ObjectClass

    from hsm.agent.keys.objects import find
    from hsm.agent.keys.proof import fingerprint, fingerprint_of

    key = os.urandom(KEY_BYTES)
    for label in ("a", "b"):
        sessions = _sessions(softhsm, module, label)
        sessions.run(lambda session: import_kek(session, "kek", b"v0001", key), "import", write=True)
        found = sessions.run(
            lambda session: fingerprint(find(session, ObjectClass.SECRET_KEY, "kek", b"v0001", KeyType.AES)),
            "look",
        )
        assert found == fingerprint_of(key) != fingerprint_of(os.urandom(KEY_BYTES))
        assert len(found) == 32


@given(st.binary(min_size=32, max_size=32), st.integers(0, 1), st.integers(0, 15))
def test_no_part_of_the_text_passes(text: bytes, half: int, place: int) -> None:
    piece = text[16 * half : 16 * half + 16]

    def wrap(_: bytes) -> WrappedKey:
        made = bytearray(os.urandom(48))
        made[place : place + 16] = piece
        return WrappedKey(m="aes-gcm", k="v0001", iv=os.urandom(12), ct=bytes(made))

    with pytest.raises(BadConfig, match="the token does not encrypt"):
        prove(wrap, lambda _: text, text, "key")


def test_what_does_not_come_back_is_no_proof() -> None:
    def wrap(_: bytes) -> WrappedKey:
        return WrappedKey(m="aes-gcm", k="v0001", iv=os.urandom(12), ct=os.urandom(48))

    with pytest.raises(HsmError, match="gives back something else"):
        prove(wrap, lambda _: bytes(32), DEK, "key")
