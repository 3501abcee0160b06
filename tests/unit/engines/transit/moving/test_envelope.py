# SPDX-License-Identifier: EUPL-1.2
"""Keys on their way: for whom they are wrapped, and nothing that was altered arrives."""

import base64
import itertools
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.conformance.moved_keys import WRAPS, pair, public_pem
from tests.conformance.moved_keys import wrap as wrap_elsewhere
from vault.engines.transit.moving.envelope import known_hash, unwrap, wrap, wrap_for
from vault.framework.clock import Entropy
from vault.framework.errors import Malformed

SECRET: Final = bytes(range(33))


def own() -> rsa.RSAPrivateKey:
    private = pair("rsa2048")
    assert isinstance(private, rsa.RSAPrivateKey)
    return private


@pytest.mark.parametrize("name", ["SHA1", "sha224", "Sha256", "SHA384", "sha512"])
def test_what_is_wrapped_is_unwrapped_with_its_hash_alone(name: str) -> None:
    sealed = wrap(own().public_key(), known_hash(name), SECRET, Entropy())
    assert unwrap(own(), known_hash(name), sealed) == SECRET
    other = "SHA512" if name.upper() != "SHA512" else "SHA1"
    with pytest.raises(Malformed, match="decryption error"):
        unwrap(own(), known_hash(other), sealed)
    assert wrap(own().public_key(), known_hash(name), SECRET, Entropy()) != sealed


@pytest.mark.parametrize("name", ["", "md5", "SHA-256", "sha3-256", "SHA256" * 1000])
def test_there_are_five_hashes(name: str) -> None:
    with pytest.raises(Malformed, match="unknown hash function"):
        known_hash(name)


def test_no_altered_byte_arrives() -> None:
    algorithm = known_hash("SHA256")
    sealed = wrap(own().public_key(), algorithm, SECRET, Entropy())
    for place in itertools.chain(range(0, 256, 16), range(256, len(sealed))):
        altered = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
        with pytest.raises(Malformed, match=r"decryption error|integrity check"):
            unwrap(own(), algorithm, altered)
    for size in (0, 1, 255, 256, 257, 263, 264, 272, len(sealed) - 1):
        with pytest.raises(Malformed, match=r"decryption error|integrity check"):
            unwrap(own(), algorithm, sealed[:size])


def test_the_fresh_key_has_256_bits_and_its_wrapping_is_padded() -> None:
    for how, words in (("short", "256-bit"), ("bare", "integrity check")):
        sealed = base64.b64decode(wrap_elsewhere(bytes(32), public_pem("rsa2048"), WRAPS[how]))
        with pytest.raises(Malformed, match=words):
            unwrap(own(), known_hash("SHA256"), sealed)


def test_a_key_too_small_for_its_hash_is_refused() -> None:
    small = rsa.generate_private_key(65537, 1024).public_key()  # noqa: S505 - it is refused
    with pytest.raises(Malformed, match="too long for RSA key size"):
        wrap(small, known_hash("SHA512"), SECRET, Entropy())


def test_a_client_wraps_for_what_a_server_gave_and_for_nothing_else() -> None:
    sealed = wrap_for(public_pem("rsa2048"), "sha512", SECRET, Entropy())
    assert unwrap(own(), known_hash("SHA512"), sealed) == SECRET
    for wrong in ("", "None", public_pem("p256")):
        with pytest.raises(Malformed, match="no wrapping key"):
            wrap_for(wrong, "SHA256", SECRET, Entropy())
