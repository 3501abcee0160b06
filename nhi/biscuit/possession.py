# SPDX-License-Identifier: EUPL-1.2
"""Proof of possession: a token that is of no use to who has not also the key that it is bound to.

The key of a client certificate, by its thumbprint (RFC 8705), or one that signs a proof for each request (RFC 9449).
A proof counts once, for one method and URL of this server and for one token, for a minute.
"""

from __future__ import annotations

import base64
import json
from collections import OrderedDict
from collections.abc import Mapping
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit

import msgspec

from nhi.biscuit.datalog import Block, TermKind
from nhi.jose import signature
from vault.framework.call import Call
from vault.framework.clock import Clock
from vault.framework.errors import Malformed
from vault.framework.fields import Json

X5T: Final = "x5t"
JKT: Final = "jkt"
MTLS: Final = "mtls"
DPOP: Final = "dpop"
KINDS: Final = {"": "", MTLS: X5T, DPOP: JKT}
"""What a registration calls it, and what a token does."""
_WINDOW: Final = 60
"""Seconds that a proof may be old, or ahead of this server's clock."""
_MOST: Final = 200_000
"""Proofs that are remembered; while there are as many that still count, no other is taken."""
_THUMBPRINT: Final = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}
"""Members of a key that its thumbprint is made of, in their order (RFC 7638)."""


class Bound(msgspec.Struct, frozen=True):
    """What a token is bound to."""

    kind: str
    thumbprint: str


def bound_to(authority: Block) -> Bound | None:
    """Return what the issuer has bound a token to; None for nothing."""
    for fact in authority.facts:
        if fact.name == "pop" and len(fact.terms) == 2:
            kind, thumbprint = fact.terms
            if kind.kind is TermKind.STRING and thumbprint.kind is TermKind.STRING:
                return Bound(str(kind.value), str(thumbprint.value))
    return None


class Possession:
    """Looks at proofs."""

    def __init__(self, clock: Clock, address: str) -> None:
        """`address` is the URL at which clients reach this server."""
        self._clock = clock
        self._address = urlsplit(address)
        self._seen: OrderedDict[bytes, int] = OrderedDict()

    def proved(self, call: Call) -> Mapping[str, str]:
        """Return the thumbprints of the keys that a request proves to have, by kind; found out once for each."""
        if call.proved is None:
            found = {}
            if call.certificate:
                found[X5T] = certificate_thumbprint(call.certificate)
            if call.dpop:
                key = self._dpop(call)
                if key:
                    found[JKT] = key
            call.proved = found
        return call.proved

    def binding(self, call: Call, wanted: str) -> Bound | None:
        """Return what a new token is bound to: what the registration wants, or what the client proves of itself."""
        proved = self.proved(call)
        kind = KINDS[wanted] or JKT
        return Bound(kind, proved[kind]) if kind in proved else None

    def _dpop(self, call: Call) -> str:
        """Return the thumbprint of the key that signed a request's proof; empty for one that is not good."""
        try:
            jwk, claims = signature.self_signed(call.dpop.decode(), "dpop+jwt")
        except (Malformed, UnicodeDecodeError):
            return ""
        issued, jti = claims.get("iat"), claims.get("jti")
        if isinstance(issued, bool) or not isinstance(issued, int) or not isinstance(jti, str) or not jti:
            return ""
        now = self._clock.millis() // 1000
        fits = claims.get("htm") == call.method and self._here(call, claims.get("htu"))
        if abs(now - issued) > _WINDOW or not fits:
            return ""
        token = call.token.reveal()
        if token and claims.get("ath") != _b64(sha256(token.encode()).digest()):
            return ""
        thumbprint = key_thumbprint(jwk)
        once = sha256(f"{thumbprint}\0{jti}".encode()).digest()[:16]
        return thumbprint if thumbprint and self._first(once, now) else ""

    def _here(self, call: Call, url: Json) -> bool:
        """Whether a proof is for this URL of this server. A host that the caller names would be the caller's."""
        if not isinstance(url, str):
            return False
        try:
            asked = urlsplit(url)
            same = (asked.scheme, asked.hostname, _port(asked)) == (
                self._address.scheme,
                self._address.hostname,
                _port(self._address),
            )
        except ValueError:
            return False
        return same and bool(call.target) and asked.path == call.target

    def _first(self, once: bytes, now: int) -> bool:
        """Whether a proof was not seen before."""
        while self._seen and next(iter(self._seen.values())) < now:
            self._seen.popitem(last=False)
        if once in self._seen or len(self._seen) >= _MOST:
            return False
        self._seen[once] = now + 2 * _WINDOW
        return True


def certificate_thumbprint(der: bytes) -> str:
    """Return what a token is bound to a certificate by (RFC 8705, section 3.1)."""
    return _b64(sha256(der).digest())


def key_thumbprint(jwk: Mapping[str, Json]) -> str:
    """Return the thumbprint of a public key (RFC 7638); empty for what is none."""
    names = _THUMBPRINT.get(str(jwk.get("kty")))
    if names is None or not all(isinstance(jwk.get(name), str) for name in names):
        return ""
    text = json.dumps({name: jwk[name] for name in names}, separators=(",", ":"))
    return _b64(sha256(text.encode()).digest())


def _port(url: object) -> int:
    port = getattr(url, "port", None)
    return port or (443 if getattr(url, "scheme", "") == "https" else 80)


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
