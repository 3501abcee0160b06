# SPDX-License-Identifier: EUPL-1.2
"""What an export tells of a key is what an import takes, or is refused without a word of it."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from vault.engines.transit.moving.exported import importable
from vault.framework.errors import Malformed


def test_pairs_become_pkcs8_and_bytes_stay() -> None:
    pair = ec.generate_private_key(ec.SECP256R1())
    pem = pair.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    made = load_der_private_key(importable("ecdsa-p256", pem), None)
    assert made.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode() == pem
    seed = bytes(range(32))
    edwards = load_der_private_key(importable("ed25519", base64.b64encode(seed + bytes(32)).decode()), None)
    assert isinstance(edwards, ed25519.Ed25519PrivateKey)
    assert edwards.private_bytes_raw() == seed
    assert importable("aes256-gcm96", base64.b64encode(seed).decode()) == seed


@pytest.mark.parametrize(
    "text", ["-----BEGIN EC PRIVATE KEY-----\nsecret", "not base64 secret", "c2VjcmV0", "A" * 20_000]
)
def test_what_no_export_tells_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(Malformed) as refused:
        importable("ed25519", text)
    assert "secret" not in str(refused.value)
