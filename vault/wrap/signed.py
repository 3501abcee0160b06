# SPDX-License-Identifier: EUPL-1.2
"""Wrapping tokens in the JWT format (ES512): the same token, with a signed statement of where it came from."""

from __future__ import annotations

import base64
import binascii
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA512

from vault.barrier.view import ReadView, View
from vault.framework import schema
from vault.framework.call import ROOT, WrapInfo
from vault.framework.clock import Entropy
from vault.framework.errors import Malformed

_KEY: Final = "wrapping/key"
_ORDER: Final = int(
    "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa"
    "51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
    16,
)
"""The order of the curve P-521 (FIPS 186-5)."""
_BYTES: Final = 66
"""Bytes of a scalar of P-521."""
_LEEWAY: Final = 5
"""Seconds before its issue from which a token is valid, for clocks that differ."""


class IllegalSignature(Exception):
    """A signed wrapping token was not signed here, or not unchanged."""


class _Header(msgspec.Struct, frozen=True):
    alg: str
    typ: str


class _Claims(msgspec.Struct, frozen=True):
    accessor: str
    addr: str
    exp: int
    iat: int
    jti: str
    nbf: int
    type: str


class SignedTokens:
    """Signs wrapping tokens and opens them again. The key is made at the first use and kept in the root namespace."""

    def __init__(self, entropy: Entropy, address: str) -> None:
        """`address` is where clients reach this server; it is part of the statement."""
        self._entropy = entropy
        self._address = address

    async def sign(self, core: View, info: WrapInfo, created: int) -> str:
        """Return a signed token that holds the plain one. `created` in nanoseconds since the epoch."""
        issued = created // 1_000_000_000
        claims = _Claims(
            accessor=info.wrapped_accessor if isinstance(info.wrapped_accessor, str) else "",
            addr=self._address,
            exp=issued + info.ttl,
            iat=issued,
            jti=info.token,
            nbf=issued - _LEEWAY,
            type="wrapping",
        )
        signed = b".".join(_base64(schema.encode(part)) for part in (_Header("ES512", "JWT"), claims))
        key = await self._load(core)
        if key is None:
            scalar = self._scalar()
            await core.space(ROOT.id).put(_KEY, scalar.to_bytes(_BYTES, "big"))
            key = ec.derive_private_key(scalar, ec.SECP521R1())
        r, s = utils.decode_dss_signature(key.sign(signed, ec.ECDSA(SHA512())))
        return (signed + b"." + _base64(r.to_bytes(_BYTES, "big") + s.to_bytes(_BYTES, "big"))).decode()

    async def opened(self, core: ReadView, token: str) -> str:
        """Return the plain token in a signed one, and any other token as it is. Raises `IllegalSignature`."""
        parts = token.split(".")
        if len(parts) != 3 or not token.startswith("eyJ"):
            return token
        key = await self._load(core)
        try:
            signature = _unbase64(parts[2])
            if key is None or len(signature) != 2 * _BYTES:
                raise IllegalSignature
            r, s = (int.from_bytes(half, "big") for half in (signature[:_BYTES], signature[_BYTES:]))
            signed = f"{parts[0]}.{parts[1]}".encode()
            key.public_key().verify(utils.encode_dss_signature(r, s), signed, ec.ECDSA(SHA512()))
            claims = schema.decode_object(_unbase64(parts[1]))
        except (InvalidSignature, binascii.Error, ValueError, Malformed):
            raise IllegalSignature from None
        inner = claims.get("jti")
        if not isinstance(inner, str):
            raise IllegalSignature
        return inner

    async def _load(self, core: ReadView) -> ec.EllipticCurvePrivateKey | None:
        stored = await core.space(ROOT.id).get(_KEY)
        return ec.derive_private_key(int.from_bytes(stored, "big"), ec.SECP521R1()) if stored else None

    def _scalar(self) -> int:
        """Return a private scalar; 64 bits more than the order are drawn, so that the rest has no bias."""
        return int.from_bytes(self._entropy.bytes(_BYTES + 8), "big") % (_ORDER - 1) + 1


def _base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _unbase64(text: str) -> bytes:
    return base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
