# SPDX-License-Identifier: EUPL-1.2
"""Canonical ids: one for each block, made of all signatures up to it in the one form that each has.

A P-256 signature has a twin (s and n - s) that verifies as well, so raw signature bytes name nothing for certain. The
id of a block names it and, as the beginning of every longer chain, everything that was made from it.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from nhi.biscuit.format.authority import Algorithm
from nhi.biscuit.format.chain import Chain
from nhi.biscuit.format.error import BiscuitError

ID_BYTES: Final = 16
P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_DOMAIN: Final = b"nhi-lineage-1"
_ED25519_BYTES: Final = 64


def canonical_ids(chain: Chain, root: Algorithm) -> tuple[bytes, ...]:
    """Return the id of each block; the signatures need not be valid, only well-formed. Raises `BiscuitError`."""
    ids = []
    before = b""
    algorithm = root
    for signed in chain.blocks:
        before = next_id(before, signed.signature, algorithm)
        ids.append(before)
        algorithm = signed.next_key.algorithm
    return tuple(ids)


def next_id(before: bytes, signature: bytes, algorithm: Algorithm) -> bytes:
    """Return the id of the block with a signature, after the block with the id `before`: empty for the authority.

    Raises `BiscuitError`.
    """
    return sha256(_DOMAIN + before + canonical(signature, algorithm)).digest()[:ID_BYTES]


def canonical(signature: bytes, algorithm: Algorithm) -> bytes:
    """Return 64 bytes that both forms of a signature have in common. Raises `BiscuitError` for what is none."""
    if algorithm is Algorithm.ED25519:
        if len(signature) != _ED25519_BYTES:
            raise BiscuitError("a signature has the wrong length for its key")
        return signature
    r, s = _numbers(signature)
    return r.to_bytes(32, "big") + min(s, P256_ORDER - s).to_bytes(32, "big")


def is_low(signature: bytes, algorithm: Algorithm) -> bool:
    """Whether a signature is the form that we make. Raises `BiscuitError` for what is no signature."""
    return algorithm is Algorithm.ED25519 or _numbers(signature)[1] <= P256_ORDER // 2


def _numbers(signature: bytes) -> tuple[int, int]:
    try:
        r, s = decode_dss_signature(signature)
    except ValueError:
        raise BiscuitError("a signature is not DER") from None
    if not (0 < r < P256_ORDER and 0 < s < P256_ORDER):
        raise BiscuitError("a signature has a number that is out of range")
    return r, s
