# SPDX-License-Identifier: EUPL-1.2
"""Keys that leave: what they are outside, and that ciphertexts and signatures open with them alone."""

import base64
from typing import Final

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
    load_pem_private_key,
    load_pem_public_key,
)

from tests.unit.engines.transit.test_encryption import convergent, sealed
from tests.unit.engines.transit.test_signatures import PAIRS, made
from vault.engines.transit.encryption import encrypt
from vault.engines.transit.keys.export import (
    CHAIN,
    ENCRYPTION,
    MAC,
    PARTS,
    PUBLIC,
    SIGNING,
    exported,
    require_part,
    versions_to_export,
)
from vault.engines.transit.keys.key_types import EXTERNAL, HYBRID, KEY_TYPES
from vault.engines.transit.keys.model import TransitKey
from vault.framework.clock import Entropy
from vault.framework.errors import Malformed

KEY: Final = TransitKey(id="x", type="aes256-gcm96", latest=5, min_decryption=2)


def spki(public: object) -> bytes:
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined,no-any-return]  # of any kind


@pytest.mark.parametrize("name", PAIRS)
def test_every_form_of_a_pair_is_the_same_pair(name: str) -> None:
    _, version = made(name)
    whole = base64.b64decode(exported(version, SIGNING, "der"))
    for private in (
        load_der_private_key(whole, None),
        load_pem_private_key(exported(version, SIGNING, "pem").encode(), None),
    ):
        assert spki(private.public_key()) == version.stored.public
    for public in (
        load_der_public_key(base64.b64decode(exported(version, PUBLIC, "der"))),
        load_pem_public_key(exported(version, PUBLIC, "pem").encode()),
    ):
        assert spki(public) == version.stored.public


def test_a_symmetric_key_opens_what_it_encrypted_elsewhere() -> None:
    key, version = made("aes256-gcm96")
    data = sealed(key, encrypt(key, version, b"secret", Entropy(), context=b"", aad=b"about"))
    elsewhere = AESGCM(base64.b64decode(exported(version, ENCRYPTION, "")))
    assert elsewhere.decrypt(data[:12], data[12:], b"about") == b"secret"


def test_a_convergent_key_is_derived_elsewhere_as_openbao_derives_it() -> None:
    """Key and nonce key are HKDF's first and last 32 bytes; the nonce is an HMAC of the plaintext, cut."""
    key, version = convergent("aes256-gcm96")
    data = sealed(key, encrypt(key, version, b"secret", Entropy(), context=b"one", aad=b""))
    secret = base64.b64decode(exported(version, ENCRYPTION, "raw"))
    derived = HKDF(SHA256(), 64, None, b"one").derive(secret)
    nonce = HMAC(derived[32:], SHA256())
    nonce.update(b"secret")
    assert data[:12] == nonce.finalize()[:12]
    assert AESGCM(derived[:32]).decrypt(data[:12], data[12:], None) == b"secret"


def test_the_key_of_macs_is_another_one() -> None:
    _, version = made("aes256-gcm96")
    assert exported(version, MAC, "") != exported(version, ENCRYPTION, "")
    assert base64.b64decode(exported(version, MAC, "raw")) == version.mac
    for form in ("der", "pem"):
        for part in (MAC, ENCRYPTION):
            with pytest.raises(Malformed, match="supported values are `` or `raw`"):
                exported(version, part, form)


@pytest.mark.parametrize("name", ["rsa-2048", "ecdsa-p256"])
def test_there_are_no_bare_bytes_of_these_pairs(name: str) -> None:
    _, version = made(name)
    for part in (SIGNING, PUBLIC):
        with pytest.raises(Malformed, match="supported values are ``, `der`, or `pem`"):
            exported(version, part, "raw")


@pytest.mark.parametrize("name", KEY_TYPES)
def test_no_secret_part_leaves_unless_the_key_says_so(name: str) -> None:
    kind = KEY_TYPES[name]
    for part in (ENCRYPTION, SIGNING, MAC):
        with pytest.raises(Malformed, match="private key material is not exportable"):
            require_part(TransitKey(id="x", type=name), kind, part)
    let = TransitKey(id="x", type=name, exportable=True)
    public = kind.pair or name in {EXTERNAL, HYBRID}
    has = {
        ENCRYPTION: kind.encrypts and name != EXTERNAL,
        SIGNING: kind.pair and kind.signs,
        MAC: True,
        PUBLIC: public,
        CHAIN: kind.signs,
    }
    for part in PARTS:
        if has[part]:
            require_part(let, kind, part)
        else:
            with pytest.raises(Malformed):
                require_part(let, kind, part)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("", [2, 3, 4, 5]),
        ("latest", [5]),
        ("3", [3]),
        ("v3", [3]),
        ("1", "below minimum"),
        ("-3", "below minimum"),
        ("6", "does not exist"),
        ("x", "invalid key version"),
        ("v", "invalid key version"),
        ("vv3", "invalid key version"),
        ("9" * 5000, "invalid key version"),
        ("\N{ARABIC-INDIC DIGIT FIVE}", "invalid key version"),
    ],
)
def test_which_versions_leave(wanted: str, found: list[int] | str) -> None:
    if isinstance(found, list):
        assert [*versions_to_export(KEY, wanted)] == found
    else:
        with pytest.raises(Malformed, match=found):
            versions_to_export(KEY, wanted)


def test_a_version_without_certificates_has_no_chain_to_give() -> None:
    _, version = made("ecdsa-p256")
    with pytest.raises(Malformed, match="does not have a certificate chain imported"):
        exported(version, CHAIN, "")
