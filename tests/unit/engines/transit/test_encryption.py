# SPDX-License-Identifier: EUPL-1.2
"""Ciphertexts by themselves: their form, what is wrong with others, and derived keys."""

import base64
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.unit.engines.transit.test_signatures import made, of_pair, opened
from vault.engines.transit.encryption import decode, decrypt, encrypt, split_ciphertext, version_to_use
from vault.engines.transit.keys.derivation import derive
from vault.engines.transit.keys.key_ring import PREFIX, OpenKey, OpenVersion
from vault.engines.transit.keys.key_types import KEY_TYPES, Material, make
from vault.engines.transit.keys.model import TransitKey
from vault.framework.clock import Entropy
from vault.framework.errors import Malformed
from vault.framework.keys.hmac import HmacKey

CIPHERS: Final = [name for name, kind in KEY_TYPES.items() if kind.aead is not None and kind.derives]
KEY: Final = TransitKey(id="x", type="aes256-gcm96", latest=5, min_decryption=2)


def sealed(key: OpenKey, text: str) -> bytes:
    number, data = split_ciphertext(key.settings, text)
    assert number == 1
    return data


def convergent(name: str) -> tuple[OpenKey, OpenVersion]:
    _, version = made(name, derived=True)
    return OpenKey(TransitKey(id="x", type=name, derived=True, convergent=True)), version


@pytest.mark.parametrize("name", CIPHERS)
def test_what_is_encrypted_comes_back_with_its_associated_data_alone(name: str) -> None:
    key, version = made(name)
    text = encrypt(key, version, b"secret", Entropy(), context=b"", aad=b"about")
    assert decrypt(key, version, sealed(key, text), context=b"", aad=b"about") == b"secret"
    for aad in (b"", b"other"):
        with pytest.raises(Malformed, match="message authentication failed"):
            decrypt(key, version, sealed(key, text), context=b"", aad=aad)
    data = sealed(key, text)
    for place in range(len(data)):
        flipped = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        with pytest.raises(Malformed, match="message authentication failed"):
            decrypt(key, version, flipped, context=b"", aad=b"about")
    assert encrypt(key, version, b"secret", Entropy(), context=b"", aad=b"about") != text


@pytest.mark.parametrize("name", CIPHERS)
def test_a_ciphertext_shorter_than_its_nonce_is_told_by_its_length(name: str) -> None:
    key, version = made(name)
    nonce = KEY_TYPES[name].nonce
    for size in range(nonce):
        with pytest.raises(Malformed, match="invalid ciphertext length"):
            decrypt(key, version, bytes(size), context=b"", aad=b"")
    for size in range(nonce, nonce + 20):
        with pytest.raises(Malformed, match="authentication"):
            decrypt(key, version, bytes(size), context=b"", aad=b"")


@pytest.mark.parametrize("name", CIPHERS)
def test_a_derived_key_is_another_one_for_each_context(name: str) -> None:
    key, version = made(name, derived=True)
    text = encrypt(key, version, b"secret", Entropy(), context=b"one", aad=b"")
    assert decrypt(key, version, sealed(key, text), context=b"one", aad=b"") == b"secret"
    with pytest.raises(Malformed, match="authentication"):
        decrypt(key, version, sealed(key, text), context=b"two", aad=b"")
    with pytest.raises(Malformed, match="missing 'context'"):
        decrypt(key, version, sealed(key, text), context=b"", aad=b"")
    with pytest.raises(Malformed, match="missing 'context'"):
        encrypt(key, version, b"secret", Entropy(), context=b"", aad=b"")


@pytest.mark.parametrize("name", CIPHERS)
def test_equal_plaintexts_of_a_context_converge(name: str) -> None:
    key, version = convergent(name)
    texts = {
        (plaintext, context): encrypt(key, version, plaintext, Entropy(), context=context, aad=b"")
        for plaintext in (b"a", b"b")
        for context in (b"one", b"two")
    }
    assert len(set(texts.values())) == 4
    for (plaintext, context), text in texts.items():
        assert encrypt(key, version, plaintext, Entropy(), context=context, aad=b"") == text
        assert decrypt(key, version, sealed(key, text), context=context, aad=b"") == plaintext


@pytest.mark.parametrize("name", CIPHERS)
def test_a_nonce_that_converges_is_another_one_for_other_associated_data(name: str) -> None:
    """Two plaintexts under one key and nonce give away what authenticates (NIST SP 800-38D, appendix A)."""
    key, version = convergent(name)
    texts = [
        encrypt(key, version, b"a", Entropy(), context=b"one", aad=aad) for aad in (b"", b"x", b"y", b"x")
    ]
    nonces = [sealed(key, text)[: KEY_TYPES[name].nonce] for text in texts]
    assert len(set(nonces)) == 3
    assert texts[1] == texts[3]
    assert decrypt(key, version, sealed(key, texts[1]), context=b"one", aad=b"x") == b"a"


@pytest.mark.parametrize("name", CIPHERS)
def test_no_nonce_shows_what_the_nonces_of_associated_data_are_made_with(name: str) -> None:
    """Nor where that was encrypted as a plaintext: with XChaCha20 its nonce would be 24 of that key's 32 bytes."""
    key, version = convergent(name)
    kind = KEY_TYPES[name]
    keys = derive(version.secret, b"one", kind.size + 64)[kind.size :]
    shown, used = (HmacKey(one).digest(b"x") for one in (keys[:32], keys[32:]))
    plain = sealed(key, encrypt(key, version, b"x", Entropy(), context=b"one", aad=b""))
    bound = sealed(key, encrypt(key, version, b"a", Entropy(), context=b"one", aad=b"x"))
    assert plain[: kind.nonce] == shown[: kind.nonce]
    assert bound[: kind.nonce] == HmacKey(used).digest(b"a")[: kind.nonce]
    assert used != shown


def test_rfc_5869_a_3_is_how_keys_are_derived() -> None:
    """The third test has neither salt nor info; here the info is the context."""
    secret = bytes([0x0B]) * 22
    assert derive(secret, b"", 42).hex() == (
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
    )


def test_rfc_8439_2_8_2_opens() -> None:
    """ChaCha20-Poly1305: key, nonce, associated data and text of the RFC's example."""
    secret = bytes(range(0x80, 0xA0))
    nonce, aad = bytes.fromhex("070000004041424344454647"), bytes.fromhex("50515253c0c1c2c3c4c5c6c7")
    data = bytes.fromhex(
        "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71de0a9e"
        "060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576"
        "d26586cec64b61161ae10b594f09e26a7e902ecbd0600691"
    )
    key, version = opened("chacha20-poly1305", Material(secret, bytes(32)))
    found = decrypt(key, version, nonce + data, context=b"", aad=aad)
    assert found.startswith(b"Ladies and Gentlemen of the class of '99")


def test_gcm_test_case_16_opens() -> None:
    """AES-256-GCM, from the proposal of GCM (NIST)."""
    secret = bytes.fromhex("feffe9928665731c6d6a8f9467308308" * 2)
    nonce = bytes.fromhex("cafebabefacedbaddecaf888")
    aad = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    data = bytes.fromhex(
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e63"
        "93ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b"
    )
    key, version = opened("aes256-gcm96", Material(secret, bytes(32)))
    assert decrypt(key, version, nonce + data, context=b"", aad=aad).hex() == (
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5"
        "aa0de657ba637b39"
    )


def test_rsa_encrypts_what_fits() -> None:
    key, version = of_pair("rsa-2048", rsa.generate_private_key(65537, 2048))
    text = encrypt(key, version, bytes(190), Entropy(), context=b"", aad=b"")
    assert decrypt(key, version, sealed(key, text), context=b"", aad=b"") == bytes(190)
    with pytest.raises(Malformed, match="message too long for RSA key size"):
        encrypt(key, version, bytes(191), Entropy(), context=b"", aad=b"")
    with pytest.raises(Malformed, match="failed to RSA decrypt"):
        decrypt(key, version, bytes(256), context=b"", aad=b"")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("vault:v2:AAAA", 2),
        ("vault:v5:AAAA", 5),
        ("vault:v05:AAAA", 5),
        ("vault:v+5:AAAA", 5),
        ("", "no prefix"),
        ("vault:5:AAAA", "no prefix"),
        ("vault:v5", "wrong number of fields"),
        ("vault:v:AAAA", "version number could not be decoded"),
        ("vault:v 5:AAAA", "version number could not be decoded"),
        ("vault:vx:AAAA", "version number could not be decoded"),
        ("vault:v5x:AAAA", "version number could not be decoded"),
        ("vault:v\N{ARABIC-INDIC DIGIT FIVE}:AAAA", "version number could not be decoded"),
        ("vault:v" + "9" * 19 + ":AAAA", "version number could not be decoded"),
        ("vault:v" + "9" * 5000 + ":AAAA", "version number could not be decoded"),
        ("vault:v6:AAAA", "version is too new"),
        ("vault:v1:AAAA", "too old"),
        ("vault:v0:AAAA", "too old"),
        ("vault:v-7:AAAA", "too old"),
        ("vault:v5:AAA", "could not decode base64"),
        ("vault:v5:AA:AA", "could not decode base64"),
    ],
)
def test_which_version_made_a_ciphertext(text: str, found: int | str) -> None:
    if isinstance(found, int):
        assert split_ciphertext(KEY, text) == (found, bytes(3))
    else:
        with pytest.raises(Malformed, match=found):
            split_ciphertext(KEY, text)


def test_version_0_is_the_first() -> None:
    assert split_ciphertext(TransitKey(id="x", type="aes256-gcm96"), f"{PREFIX}0:AAAA") == (1, bytes(3))


@pytest.mark.parametrize(
    ("wanted", "found"),
    [(0, 5), (5, 5), (3, 3), (-1, "negative"), (6, "higher"), (2, "less than"), (1, "less than")],
)
def test_which_version_encrypts(wanted: int, found: int | str) -> None:
    key = TransitKey(id="x", type="aes256-gcm96", latest=5, min_encryption=3)
    if isinstance(found, int):
        assert version_to_use(key, wanted, "encryption") == found
    else:
        with pytest.raises(Malformed, match=found):
            version_to_use(key, wanted, "encryption")


def test_a_version_that_was_put_away_encrypts_nothing() -> None:
    with pytest.raises(Malformed, match="no such key version"):
        version_to_use(KEY, 1, "encryption")


def test_base64_names_the_byte_that_is_wrong() -> None:
    with pytest.raises(Malformed, match="illegal base64 data at input byte 2"):
        decode("AA!A")
    assert decode(base64.b64encode(b"x").decode() + "\n") == b"x"


def test_no_repr_shows_a_secret() -> None:
    material = make(KEY_TYPES["aes256-gcm96"], 0, Entropy())
    key, version = opened("aes256-gcm96", material)
    for one in (material, key, version, version.stored):
        assert repr(material.secret)[2:12] not in repr(one)
        assert len(repr(one)) < 40


def test_a_3_1_of_the_draft_of_xchacha_opens() -> None:
    """XChaCha20-Poly1305: draft-irtf-cfrg-xchacha-03, appendix A.3.1."""
    secret = bytes(range(0x80, 0xA0))
    nonce, aad = bytes(range(0x40, 0x58)), bytes.fromhex("50515253c0c1c2c3c4c5c6c7")
    data = bytes.fromhex(
        "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c"
        "54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff921f9664c97637da97688"
        "12f615c68b13b52ec0875924c1c7987947deafd8780acf49"
    )
    key, version = opened("xchacha20-poly1305", Material(secret, bytes(32)))
    found = decrypt(key, version, nonce + data, context=b"", aad=aad)
    assert found.startswith(b"Ladies and Gentlemen of the class of '99")
