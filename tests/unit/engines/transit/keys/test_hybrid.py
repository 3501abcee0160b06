# SPDX-License-Identifier: EUPL-1.2
"""Hybrid encryption: who has the public half encrypts by the stock library, and nothing altered opens."""

import base64
import os

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PublicKey, Suite

from tests.unit.engines.transit.test_signatures import made
from vault.engines.transit.encryption import encrypt, split_ciphertext
from vault.engines.transit.keys.export import PUBLIC, exported
from vault.engines.transit.keys.hybrid import SECRET, HybridCipher
from vault.framework.clock import Entropy


def test_who_has_the_public_half_encrypts_without_a_server() -> None:
    _, version = made("mlkem768-x25519")
    shown = base64.b64decode(exported(version, PUBLIC, ""))
    assert len(shown) == 1184 + 32
    public = MLKEM768X25519PublicKey(
        MLKEM768PublicKey.from_public_bytes(shown[:1184]), X25519PublicKey.from_public_bytes(shown[1184:])
    )
    suite = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
    sealed = suite.encrypt(b"secret", public, b"about")
    assert version.aead.decrypt(b"", sealed, b"about") == b"secret"


def test_what_is_altered_cut_or_bound_to_something_else_does_not_open() -> None:
    cipher = HybridCipher(os.urandom(SECRET))
    sealed = cipher.encrypt(b"", b"secret", b"about")
    assert cipher.decrypt(b"", sealed, b"about") == b"secret"
    assert cipher.encrypt(b"", b"secret", b"about") != sealed
    for place in (0, 500, 1087, 1088, 1100, 1119, 1120, len(sealed) - 1):
        for flip in (1, 0x80):
            wrong = bytearray(sealed)
            wrong[place] ^= flip
            with pytest.raises(InvalidTag):
                cipher.decrypt(b"", bytes(wrong), b"about")
    for size in (0, 1, 32, 1088, 1119, 1120, 1135, len(sealed) - 1):
        with pytest.raises(InvalidTag):
            cipher.decrypt(b"", sealed[:size], b"about")
    for aad in (b"", b"other"):
        with pytest.raises(InvalidTag):
            cipher.decrypt(b"", sealed, aad)
    with pytest.raises(InvalidTag):
        HybridCipher(os.urandom(SECRET)).decrypt(b"", sealed, b"about")
    assert repr(cipher) == "<HybridCipher>"


def test_a_ciphertext_has_the_form_of_all_others() -> None:
    key, version = made("mlkem768-x25519")
    text = encrypt(key, version, b"secret", Entropy(), context=b"", aad=b"")
    number, sealed = split_ciphertext(key.settings, text)
    assert number == 1
    assert len(sealed) == 1088 + 32 + len(b"secret") + 16
