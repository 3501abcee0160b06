# SPDX-License-Identifier: EUPL-1.2
"""The key that signs wrapping tokens."""

from __future__ import annotations

from typing import Final, TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec

from vault.barrier.barrier import Barrier
from vault.framework.clock import Entropy
from vault.framework.keys.key_versions import NumberedKeys
from vault.seal.records.sealwrap import SealWrap

_PATH: Final = "wrapping/key"
"""Where the first one lies, wrapped; and where it lay in the root namespace's own data before."""
_ORDER: Final = int(
    "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa"
    "51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
    16,
)
"""The order of the curve P-521 (FIPS 186-5)."""
_BYTES: Final = 66
"""Bytes of a scalar of P-521."""

SigningKeys: TypeAlias = NumberedKeys[ec.EllipticCurvePrivateKey]
"""Every key that may have signed; the newest signs."""


def signing_keys(wraps: SealWrap, barrier: Barrier, entropy: Entropy) -> SigningKeys:
    """Return the keys of a vault that is sealed still."""

    def make() -> bytes:
        """Return a private scalar; 64 bits more than the order are drawn, so that the rest has no bias."""
        number = int.from_bytes(entropy.bytes(_BYTES + 8), "big") % (_ORDER - 1) + 1
        return number.to_bytes(_BYTES, "big")

    return NumberedKeys(wraps, barrier, _read, make, folder=_PATH, first=_PATH, bare=_PATH)


def _read(value: bytes) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(value, "big"), ec.SECP521R1())
