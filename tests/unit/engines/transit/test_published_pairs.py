# SPDX-License-Identifier: EUPL-1.2
"""Pairs of ML-DSA and of the hybrid kind are those that others publish for the same seed.

Signatures with ML-DSA have no vectors that fit: those of NIST's form carry a context each, and here as in OpenBao there is none. What is
signed here is verified by OpenBao, and the other way round (`tests/integration/test_transit_moves.py`).
"""

import hashlib

import pytest

from tests.unit.engines.transit.test_signatures import bare, opened
from vault.engines.transit.keys.hybrid import HybridCipher
from vault.engines.transit.keys.key_types import KEY_TYPES, raw_public
from vault.engines.transit.moving.backup_entry import material
from vault.engines.transit.moving.backup_form import Entry
from vault.engines.transit.signatures import Choice, sign, verify
from vault.framework.clock import Entropy

# Seed, and SHA-256 of the public half: the first three of each file kat_MLDSA_*_det_pure.rsp.
_MLDSA = [
    (
        "mldsa-44",
        "f696484048ec21f96cf50a56d0759c448f3779752f0383d37449690694cf7a68",
        "18288249b90bcbd48d473d2a507cc3c1e95e040f639ac3333a8ed1891de14552",
    ),
    (
        "mldsa-44",
        "6de62e3465a55c9c78a07d265be8540b3e58b0801a124d07ff12b438d5202ea0",
        "8d91b9927e331d039df029d6960679e87f4f8411231ef874ec4ba85ec780d18e",
    ),
    (
        "mldsa-44",
        "1eaae6bb91b27cd748c402c4111140d5a942cf3c95ff7977f88d2ef515bb26d0",
        "14d343d8fdc3129d8f4a3691da42875bc709b14297d900c05083fcedad2e8af2",
    ),
    (
        "mldsa-65",
        "f696484048ec21f96cf50a56d0759c448f3779752f0383d37449690694cf7a68",
        "ab0f27cfe4f84d2a9fa74d48467439df9e5dd8401f8715f82ed70e43a371400a",
    ),
    (
        "mldsa-65",
        "6de62e3465a55c9c78a07d265be8540b3e58b0801a124d07ff12b438d5202ea0",
        "7492efc0fe061dd862f3d2df3f9df030b143766ef056ff14bba44a4f0089ff1d",
    ),
    (
        "mldsa-65",
        "1eaae6bb91b27cd748c402c4111140d5a942cf3c95ff7977f88d2ef515bb26d0",
        "1a07e19eb0a9bf16faa9171421d7619b2d1d10bfd0325b35c2da12ddb70bf546",
    ),
    (
        "mldsa-87",
        "f696484048ec21f96cf50a56d0759c448f3779752f0383d37449690694cf7a68",
        "b509c4ebd6b5fa67009c73cc7cebe55a3f38486a24acfbf9d91dd04f63e660b5",
    ),
    (
        "mldsa-87",
        "6de62e3465a55c9c78a07d265be8540b3e58b0801a124d07ff12b438d5202ea0",
        "943aafe0f0b4c5ecfcea9a44fd6db6810648a75bb7172869d1f0559c00963893",
    ),
    (
        "mldsa-87",
        "1eaae6bb91b27cd748c402c4111140d5a942cf3c95ff7977f88d2ef515bb26d0",
        "ee938aadfe7b4a1cc21331afbf3395612eff6ea67e8705132561b2f84d0b0f43",
    ),
]
# Seed of X-Wing (draft-connolly-cfrg-xwing-kem), and SHA-256 of the public half: hpke-pq-test-vectors.json, KEM 0x647a.
_HYBRID = [
    (
        "3ec47fa82dd5689d27c6190e724c74ec8f608df3331ce331929e37b829676630",
        "ad8aaf3f00d8a39bfeec2947a7d5dde68be08bba19bd301a348a45dc5fcc8341",
    ),
    (
        "8f908710ee25a3aa6fd3ed80eb5bf102963547bf4fe36d86f772432ac383e6e9",
        "404a519065c5818eaf431ba78a961e2c59919cc8b2bce92c6b76e438dcc345bd",
    ),
]


@pytest.mark.parametrize(("name", "seed", "digest"), _MLDSA)
def test_pairs_of_ml_dsa(name: str, seed: str, digest: str) -> None:
    found = material(KEY_TYPES[name], Entry(key=bytes.fromhex(seed), hmac_key=bytes(32)), Entropy())
    public = raw_public(found.public)
    assert public is not None
    assert hashlib.sha256(public).hexdigest() == digest
    key, version = opened(name, found)
    signature = bare(sign(key, version, b"text", b"", Choice()).text)
    assert verify(key, version, b"text", signature, b"", Choice())
    assert not verify(key, version, b"another", signature, b"", Choice())


@pytest.mark.parametrize(("seed", "digest"), _HYBRID)
def test_pairs_of_the_hybrid_kind(seed: str, digest: str) -> None:
    """A key of X-Wing is a seed, of which its 96 bytes are made; here these are kept."""
    cipher = HybridCipher(hashlib.shake_256(bytes.fromhex(seed)).digest(96))
    assert hashlib.sha256(cipher.public).hexdigest() == digest
    assert cipher.decrypt(b"", cipher.encrypt(b"", b"text", b"info"), b"info") == b"text"
