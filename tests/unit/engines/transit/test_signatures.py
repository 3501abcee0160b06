# SPDX-License-Identifier: EUPL-1.2
"""Signatures and MACs by themselves: every kind of pair, every choice, and the vectors of the RFCs."""

import base64
import hashlib
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from vault.engines.transit.encryption import version_to_use
from vault.engines.transit.keys.key_ring import PREFIX, OpenKey, OpenVersion
from vault.engines.transit.keys.key_types import KEY_TYPES, Material, Signer, make
from vault.engines.transit.keys.model import KeyVersion, TransitKey
from vault.engines.transit.signatures import (
    HASHES,
    Choice,
    choose,
    mac,
    mac_holds,
    sign,
    verify,
    version_to_mac,
)
from vault.framework.clock import Entropy
from vault.framework.errors import Malformed
from vault.values.times import Nanos

PAIRS: Final = [
    name for name, kind in KEY_TYPES.items() if kind.pair and name not in {"rsa-3072", "rsa-4096"}
]
CURVES: Final = ("ecdsa-p256", "ecdsa-p384", "ecdsa-p521")
TEXT: Final = b"the text"
_HASHLIB: Final = {"sha1": "sha1"} | {
    f"{family}-{bits}": ("sha" if family == "sha2" else "sha3_") + str(bits)
    for family in ("sha2", "sha3")
    for bits in (224, 256, 384, 512)
}


def opened(name: str, material: Material, *, derived: bool = False) -> tuple[OpenKey, OpenVersion]:
    settings = TransitKey(id="x", type=name, derived=derived)
    stored = KeyVersion(created=Nanos(0), held=b"", mac=b"", public=material.public)
    return OpenKey(settings), OpenVersion(1, KEY_TYPES[name], stored, material)


def made(name: str, *, derived: bool = False) -> tuple[OpenKey, OpenVersion]:
    return opened(name, make(KEY_TYPES[name], 32, Entropy()), derived=derived)


def of_pair(name: str, pair: Signer) -> tuple[OpenKey, OpenVersion]:
    secret = pair.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    public = pair.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return opened(name, Material(secret, bytes(32), public))


def bare(signature: str) -> str:
    version, _, text = signature.removeprefix(PREFIX).partition(":")
    assert version == "1"
    return text


@pytest.mark.parametrize("jws", [False, True])
@pytest.mark.parametrize("name", PAIRS)
def test_what_a_key_signs_it_verifies_and_nothing_else(name: str, *, jws: bool) -> None:
    key, version = made(name)
    choice = Choice(jws=jws)
    signature = bare(sign(key, version, TEXT, b"", choice).text)
    assert ("=" in signature or "+" in signature or "/" in signature) <= (not jws)
    assert verify(key, version, TEXT, signature, b"", choice)
    assert not verify(key, version, TEXT + b".", signature, b"", choice)
    other = made(name)
    assert not verify(*other, TEXT, signature, b"", choice)


@pytest.mark.parametrize("hash_name", HASHES)
@pytest.mark.parametrize("scheme", ["pss", "pkcs1v15"])
def test_rsa_signs_with_every_hash_also_what_is_hashed_already(scheme: str, hash_name: str) -> None:
    key, version = RSA
    choice = Choice(hash_name=hash_name, scheme=scheme, salt=-1)
    signature = bare(sign(key, version, TEXT, b"", choice).text)
    assert verify(key, version, TEXT, signature, b"", choice)
    digest = hashlib.new(_HASHLIB[hash_name], TEXT).digest()
    prehashed = Choice(hash_name=hash_name, scheme=scheme, salt=-1, prehashed=True)
    assert verify(key, version, digest, signature, b"", prehashed)
    assert not verify(key, version, digest[:-1], signature, b"", prehashed)
    with pytest.raises(Malformed, match="crypto/rsa: input must be hashed"):
        sign(key, version, digest[:-1], b"", prehashed)


def test_rsa_signs_without_a_hash() -> None:
    key, version = RSA
    choice = choose(hash_name="none", prehashed=True, scheme="pkcs1v15", marshaling="asn1", salt="auto")
    signature = bare(sign(key, version, TEXT, b"", choice).text)
    assert verify(key, version, TEXT, signature, b"", choice)
    assert not verify(key, version, b"another", signature, b"", choice)


@pytest.mark.parametrize(("salt", "size"), [("auto", 222), ("0", 222), ("hash", 32), ("-1", 32), ("20", 20)])
def test_a_salt_has_the_size_that_was_asked_for(salt: str, size: int) -> None:
    key, version = RSA
    choice = choose(hash_name="sha2-256", prehashed=False, scheme="pss", marshaling="asn1", salt=salt)
    signature = bare(sign(key, version, TEXT, b"", choice).text)
    assert verify(key, version, TEXT, signature, b"", Choice())  # of any size
    assert verify(key, version, TEXT, signature, b"", Choice(salt=size))
    assert not verify(key, version, TEXT, signature, b"", Choice(salt=size - 1))


def test_a_salt_that_does_not_fit_is_refused() -> None:
    with pytest.raises(Malformed, match="requested salt length is invalid"):
        sign(*RSA, TEXT, b"", Choice(salt=223))
    for wrong in ("x", "-2", "1.5", "9" * 20):
        with pytest.raises(Malformed, match="salt length"):
            choose(hash_name="sha2-256", prehashed=False, scheme="", marshaling="asn1", salt=wrong)


@pytest.mark.parametrize("name", CURVES)
def test_a_digest_of_any_length_means_its_number_on_a_curve(name: str) -> None:
    """Left-most bits where it is longer than the curve's, as FIPS 186-5 section 6.4.1 says."""
    key, version = made(name)
    size = min((KEY_TYPES[name].bits + 7) // 8, 64)
    prehashed = Choice(prehashed=True)
    for digest in (b"\1", bytes(range(1, 21)), bytes(range(1, size + 1))):
        signature = bare(sign(key, version, digest, b"", prehashed).text)
        assert verify(key, version, digest.rjust(size, b"\0"), signature, b"", prehashed)
    longer = bytes(range(1, size + 1)) + b"more"
    if name == "ecdsa-p521":
        with pytest.raises(Malformed, match="64 bytes"):
            sign(key, version, longer, b"", prehashed)
    else:
        signature = bare(sign(key, version, longer, b"", prehashed).text)
        assert verify(key, version, longer[:size], signature, b"", prehashed)
    with pytest.raises(Malformed, match="hash cannot be empty"):
        sign(key, version, b"", b"", prehashed)


@pytest.mark.parametrize(("name", "size"), [*zip(CURVES, (32, 48, 66), strict=True)])
def test_jws_writes_both_numbers_of_a_curve_at_full_length(name: str, size: int) -> None:
    """RFC 7518 section 3.4."""
    key, version = made(name)
    signature = bare(sign(key, version, TEXT, b"", Choice(jws=True)).text)
    assert len(base64.urlsafe_b64decode(signature + "==")) == 2 * size
    assert not verify(key, version, TEXT, signature[:-4], b"", Choice(jws=True))
    for wrong in (signature + "==", signature.replace(signature[0], "+", 1)):
        with pytest.raises(Malformed, match="invalid base64 signature value"):
            verify(key, version, TEXT, wrong, b"", Choice(jws=True))
    with pytest.raises(Malformed, match="supplied signature is invalid"):
        verify(key, version, TEXT, base64.b64encode(b"no DER").decode(), b"", Choice())


def test_rfc_6979_a_2_5_verifies() -> None:
    """ECDSA on P-256 with SHA-256, message `sample`."""
    number = 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721
    key, version = of_pair("ecdsa-p256", ec.derive_private_key(number, ec.SECP256R1()))
    parts = (
        "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716"
        "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"
    )
    signature = base64.urlsafe_b64encode(bytes.fromhex(parts)).rstrip(b"=").decode()
    assert verify(key, version, b"sample", signature, b"", Choice(jws=True))
    assert not verify(key, version, b"test", signature, b"", Choice(jws=True))


def test_rfc_8032_7_1_signs() -> None:
    """Ed25519, the second test: one byte."""
    seed = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    key, version = of_pair("ed25519", ed25519.Ed25519PrivateKey.from_private_bytes(seed))
    signature = bare(sign(key, version, b"\x72", b"", Choice()).text)
    assert base64.b64decode(signature).hex() == (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )


def test_rfc_4231_4_3_is_the_mac_of_a_key() -> None:
    _, version = opened("hmac", Material(b"Jefe", b"Jefe"))
    made_mac = mac(version, b"what do ya want for nothing?", "sha2-256")
    given = base64.b64decode(bare(made_mac))
    assert given.hex() == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert mac_holds(version, b"what do ya want for nothing?", given, "sha2-256")
    assert not mac_holds(version, b"what do ya want for nothing!", given, "sha2-256")
    assert not mac_holds(version, b"what do ya want for nothing?", given, "sha2-512")


def test_a_pair_is_derived_for_each_context() -> None:
    key, version = made("ed25519", derived=True)
    first = sign(key, version, TEXT, b"one", Choice())
    assert verify(key, version, TEXT, bare(first.text), b"one", Choice())
    assert not verify(key, version, TEXT, bare(first.text), b"two", Choice())
    assert first.pair is not None
    assert first.pair.private_bytes_raw() != version.signer.private_bytes(
        Encoding.Raw, PrivateFormat.Raw, NoEncryption()
    )
    for ask in (
        lambda: sign(key, version, TEXT, b"", Choice()),
        lambda: verify(key, version, TEXT, bare(first.text), b"", Choice()),
    ):
        with pytest.raises(Malformed, match="error deriving key: missing 'context'"):
            ask()


def test_signatures_of_a_curve_are_in_der() -> None:
    key, version = made("ecdsa-p256")
    signature = base64.b64decode(bare(sign(key, version, TEXT, b"", Choice()).text))
    first, second = decode_dss_signature(signature)
    assert 0 < first < 1 << 256
    assert 0 < second < 1 << 256


@pytest.mark.parametrize(
    ("wanted", "found"),
    [(0, 5), (3, 3), (5, 5), (-1, "negative"), (6, "higher"), (2, "less than"), (1, "less than")],
)
def test_which_version_signs(wanted: int, found: int | str) -> None:
    key = TransitKey(id="x", type="ed25519", latest=5, min_encryption=3)
    if isinstance(found, int):
        assert version_to_use(key, wanted, "signing") == found
    else:
        with pytest.raises(Malformed, match=found):
            version_to_use(key, wanted, "signing")


@pytest.mark.parametrize(
    ("wanted", "found"), [(0, 5), (3, 3), (5, 5), (-1, "too old"), (6, "does not exist"), (2, "too old")]
)
def test_which_version_makes_a_mac(wanted: int, found: int | str) -> None:
    key = TransitKey(id="x", type="ed25519", latest=5, min_encryption=3)
    if isinstance(found, int):
        assert version_to_mac(key, wanted) == found
    else:
        with pytest.raises(Malformed, match=found):
            version_to_mac(key, wanted)


def test_neither_old_versions_that_were_put_away_sign() -> None:
    key = TransitKey(id="x", type="ed25519", latest=5, min_decryption=4)
    with pytest.raises(Malformed, match="no such key version"):
        version_to_use(key, 3, "signing")
    with pytest.raises(Malformed, match="too old"):
        version_to_mac(key, 3)


RSA: Final = of_pair("rsa-2048", rsa.generate_private_key(65537, 2048))
