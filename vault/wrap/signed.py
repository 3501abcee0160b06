# SPDX-License-Identifier: EUPL-1.2
"""Wrapping tokens in the JWT format (ES512): the same token, with a signed statement of where it came from."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA512

from vault.framework import schema
from vault.framework.errors import Malformed, Unavailable
from vault.framework.reply import WrapInfo
from vault.values.times import Nanos, Seconds, nanos_to_seconds, time_after, time_between
from vault.wrap.signing_key import SigningKeys

_BYTES: Final = 66
"""Bytes of a scalar of P-521."""
_LEEWAY: Final = Seconds(5)
"""Seconds before its issue from which a token is valid, for clocks that differ."""


class IllegalSignature(Exception):
    """A signed wrapping token was not signed here, or not unchanged."""


class _Header(msgspec.Struct, frozen=True):
    alg: str
    typ: str


class _Claims(msgspec.Struct, frozen=True):
    accessor: str
    addr: str
    exp: Seconds
    iat: Seconds
    jti: str
    nbf: Seconds
    type: str


class SignedTokens:
    """Signs wrapping tokens and opens them again."""

    def __init__(self, keys: SigningKeys, address: str) -> None:
        """`address` is where clients reach this server; it is part of the statement."""
        self._keys = keys
        self._address = address

    async def sign(self, info: WrapInfo, created: Nanos) -> str:
        """Return a signed token that holds the plain one. `created` in nanoseconds since the epoch.

        Raises `Unavailable` while no seal slot opens the key.
        """
        issued = nanos_to_seconds(created)
        claims = _Claims(
            accessor=info.wrapped_accessor if isinstance(info.wrapped_accessor, str) else "",
            addr=self._address,
            exp=time_after(issued, info.ttl),
            iat=issued,
            jti=info.token,
            nbf=time_between(_LEEWAY, issued),
            type="wrapping",
        )
        signed = b".".join(_base64(schema.encode(part)) for part in (_Header("ES512", "JWT"), claims))
        key = (await self._known())[0]
        r, s = utils.decode_dss_signature(key.sign(signed, ec.ECDSA(SHA512())))
        return (signed + b"." + _base64(r.to_bytes(_BYTES, "big") + s.to_bytes(_BYTES, "big"))).decode()

    async def opened(self, token: str) -> str:
        """Return the plain token in a signed one, and any other token as it is. Raises `IllegalSignature`.

        Raises `Unavailable` while no seal slot opens the key, or one that may have signed.
        """
        parts = token.split(".", 3)
        if len(parts) != 3 or not token.startswith("eyJ"):
            return token
        keys = await self._known()
        try:
            signature = _unbase64(parts[2])
            if len(signature) != 2 * _BYTES:
                raise IllegalSignature
            r, s = (int.from_bytes(half, "big") for half in (signature[:_BYTES], signature[_BYTES:]))
            signed = f"{parts[0]}.{parts[1]}".encode()
            if not any(_signed_by(key, utils.encode_dss_signature(r, s), signed) for key in keys):
                for failure in self._keys.unopened.values():
                    raise Unavailable(detail=str(failure))  # that key may have signed it
                raise IllegalSignature
            claims = schema.decode_object(_unbase64(parts[1]))
        except (binascii.Error, ValueError, Malformed):
            raise IllegalSignature from None
        inner = claims.get("jti")
        if not isinstance(inner, str):
            raise IllegalSignature
        return inner

    async def _known(self) -> Sequence[ec.EllipticCurvePrivateKey]:
        """Return every key that may have signed, newest first; what another server has just made is among them.

        Raises `Unavailable` while no seal slot opens one.
        """
        await self._keys.look()
        known, unopened = self._keys.known, self._keys.unopened
        if not known:
            why = unopened[max(unopened)] if unopened else "the key was not made yet; unseal again"
            raise Unavailable(detail=str(why))
        return [known[number] for number in sorted(known, reverse=True)]


def _signed_by(key: ec.EllipticCurvePrivateKey, signature: bytes, signed: bytes) -> bool:
    try:
        key.public_key().verify(signature, signed, ec.ECDSA(SHA512()))
    except InvalidSignature:
        return False
    return True


def _base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _unbase64(text: str) -> bytes:
    return base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
