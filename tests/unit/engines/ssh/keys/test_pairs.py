# SPDX-License-Identifier: EUPL-1.2
"""Pairs of keys: made, read, tried, kept."""

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.ssh_keys import ec_pair, ed25519_pair, private_pem
from vault.engines.ssh.keys.pairs import (
    Signer,
    from_pkcs8,
    matches,
    new_pair,
    private_text,
    read_private_key,
    to_pkcs8,
)
from vault.framework.errors import Malformed

RSA = rsa.generate_private_key(65537, 2048)


@pytest.mark.parametrize(
    ("kind", "bits", "size"),
    [
        ("ec", 0, 256), ("ec", 521, 521), ("ecdsa-sha2-nistp384", 7, 384), ("ed25519", 9, 0), ("rsa", 2048, 2048),
    ],
)  # fmt: skip
def test_a_pair_is_made_of_its_kind(kind: str, bits: int, size: int) -> None:
    how = new_pair(kind, bits)
    pair = how.make()
    assert how.slow is isinstance(pair, rsa.RSAPrivateKey)
    assert isinstance(pair, ed25519.Ed25519PrivateKey) or pair.key_size == size
    assert matches(pair, pair.public_key())
    assert to_pkcs8(from_pkcs8(to_pkcs8(pair))) == to_pkcs8(pair)
    read = read_private_key(f"text before\n{private_text(pair)}")
    assert to_pkcs8(read) == to_pkcs8(pair)


@pytest.mark.parametrize(
    ("kind", "bits"),
    [("rsa", 1024), ("rsa", -1), ("rsa", 4097), ("ec", 224), ("ec", -1), ("dsa", 0), ("", 0), ("RSA", 2048)],
)
def test_no_other_pair_is_made(kind: str, bits: int) -> None:
    with pytest.raises(Malformed):
        new_pair(kind, bits)


@pytest.mark.parametrize(
    "form", [PrivateFormat.OpenSSH, PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL]
)
def test_a_private_key_is_read_in_every_form(form: PrivateFormat) -> None:
    for pair in (RSA, ec_pair("key", 384)):
        text = pair.private_bytes(Encoding.PEM, form, NoEncryption()).decode()
        assert to_pkcs8(read_private_key(text)) == to_pkcs8(pair)


def _foreign() -> list[str]:
    other = ec.generate_private_key(ec.SECP224R1())
    return [
        other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        dsa.generate_private_key(2048)
        .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        .decode(),
    ]


def test_what_is_no_private_key_is_refused_without_itself() -> None:
    texts = [
        "",
        "hunter2",
        "-----BEGIN hunter2",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n",
        "x" * 32769,
    ]
    texts += [
        private_pem(ed25519_pair("key"), "password"),
        *_foreign(),
        private_pem(ed25519_pair("key"))[:-60],
    ]
    for text in texts:
        with pytest.raises(Malformed) as caught:
            read_private_key(text)
        assert caught.value.message.startswith("could not parse private_key provided value: ")
        assert "hunter2" not in caught.value.message
    with pytest.raises(Malformed, match="passphrase protected"):
        read_private_key(private_pem(ed25519_pair("key"), "password"))


def test_halves_of_two_pairs_do_not_match() -> None:
    pairs: list[Signer] = [
        RSA,
        rsa.generate_private_key(65537, 2048),
        ec_pair("a"),
        ec_pair("b"),
        ec_pair("a", 384),
    ]
    everything: list[Signer] = [*pairs, ed25519_pair("a"), ed25519_pair("b")]
    for private in everything:
        for public in everything:
            assert matches(private, public.public_key()) is (private is public)
