# SPDX-License-Identifier: EUPL-1.2
"""Authority blocks signed by a root key that never leaves its device.

The library signs with root keys in memory only. So it compiles a token under a key that is thrown away, and the
authority block is signed anew here, with version 1 of the payload. The key of the next block is in process memory,
as it must be: a holder attenuates a token with it.
"""

from __future__ import annotations

import msgspec
from biscuit_auth import (
    Biscuit,
    BiscuitBuilder,
    BiscuitValidationError,
    KeyPair,
    PublicKey,
)
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from nhi.biscuit.format.authority import LATEST_VERSION, Authority, parse, serialise
from nhi.biscuit.format.error import BiscuitError
from nhi.biscuit.offline.keys import RootKey, sign


def build(builder: BiscuitBuilder, root: RootKey, root_key_id: int | None = None) -> bytes:
    """Return the token that `builder` describes, signed by `root`; `root_key_id` tells verifiers which root.

    Blocking where the root is in a token. Raises `BiscuitError`, and what `root` raises.
    """
    return resign(bytes(builder.build(KeyPair().private_key).to_bytes()), root, root_key_id)


def resign(token: bytes, root: RootKey, root_key_id: int | None = None) -> bytes:
    """Return `token`, an authority block alone, signed by `root` instead.

    The result was verified by the library. Raises `BiscuitError`, and what `root` raises.
    """
    public = root_public_key(root)
    old = parse(token)
    unsigned = msgspec.structs.replace(old, version=LATEST_VERSION, root_key_id=root_key_id)
    raw = serialise(signed(unsigned, root))
    try:
        Biscuit.from_bytes(raw, public)
    except BiscuitValidationError:
        raise BiscuitError(
            "the library does not verify the token that was signed: was it upgraded?"
        ) from None
    return raw


def signed(unsigned: Authority, root: RootKey) -> Authority:
    """Return a token with the signature of `root`. Blocking where that is in a token; raises what it raises."""
    return msgspec.structs.replace(unsigned, signature=sign(root, payload(unsigned)))


def payload(token: Authority) -> bytes:
    """Return what a root signs: version 1 of the payload (Biscuit specification, "Signature")."""
    return b"".join(
        (
            b"\0BLOCK\0\0VERSION\0",
            token.version.to_bytes(4, "little"),
            b"\0PAYLOAD\0",
            token.block,
            b"\0ALGORITHM\0",
            token.next_algorithm.to_bytes(4, "little"),
            b"\0NEXTKEY\0",
            token.next_public,
        )
    )


def root_public_key(root: RootKey) -> PublicKey:
    """Return what verifiers need to know of a root. Raises `BiscuitError` for a key that is no root."""
    if isinstance(root, ec.EllipticCurvePrivateKey) and not isinstance(root.curve, ec.SECP256R1):
        raise BiscuitError(f"a root key must be Ed25519 or on the curve secp256r1, not on {root.curve.name}")
    der = root.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return PublicKey.from_der(der)  # type: ignore[attr-defined,no-any-return]  # its stub is older than itself
