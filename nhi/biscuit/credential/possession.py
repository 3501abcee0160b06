# SPDX-License-Identifier: EUPL-1.2
"""Proof of possession: a token that is bound to a key is of no use without that key.

The key of a client certificate, by its thumbprint (RFC 8705), or one that signs a proof for each request (RFC 9449).
A proof counts once, for one method and URL of this server and for one token, for a minute: it is spent. It is remembered
by the key that signed it, and only once it was spent on something that names that key. So a client without the key
cannot use up the room that is kept for it, and no client the room that is kept for other keys.
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

from nhi.biscuit.credential.call_facts import ProofEnd, ProvedKeys, facts_of
from nhi.biscuit.format.datalog import Block, TermKind
from nhi.jose import signature
from vault.framework.call import Call
from vault.framework.clock import Clock
from vault.framework.errors import Malformed
from vault.framework.fields import Json
from vault.values.times import Seconds, millis_to_seconds

X5T: Final = "x5t"
JKT: Final = "jkt"
MTLS: Final = "mtls"
DPOP: Final = "dpop"
KINDS: Final = {"": "", MTLS: X5T, DPOP: JKT}
"""What a registration calls it, and what a token does."""
_WINDOW: Final = 60
"""Seconds that a proof may be old, or ahead of this server's clock."""
_THUMBPRINT: Final = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}
"""Members of a key that its thumbprint is made of, in their order (RFC 7638)."""


class KeyBinding(msgspec.Struct, frozen=True):
    """What a token is bound to."""

    kind: str
    thumbprint: str


def binding_of(authority: Block) -> KeyBinding | None:
    """Return what the issuer has bound a token to; None for nothing."""
    for fact in authority.facts:
        if fact.name == "pop" and len(fact.terms) == 2:
            kind, thumbprint = fact.terms
            if kind.kind is TermKind.STRING and thumbprint.kind is TermKind.STRING:
                return KeyBinding(str(kind.value), str(thumbprint.value))
    return None


class _SpentProofs(msgspec.Struct):
    """Proofs of one key that were spent, and when they are too old. `last` is when the last of them came (monotonic seconds)."""

    last: float = 0.0
    proofs: OrderedDict[bytes, ProofEnd] = msgspec.field(default_factory=OrderedDict)


class Possession:
    """Finds out which keys a request proves to hold, and lets each signed proof count once."""

    def __init__(self, clock: Clock, address: str, *, most: int) -> None:
        """`address` is the URL at which clients reach this server; `most` proofs of one key are remembered."""
        self._most = most
        self._clock = clock
        self._address = urlsplit(address)
        self._spent: OrderedDict[str, _SpentProofs] = OrderedDict()

    def proved_keys(self, call: Call) -> Mapping[str, str]:
        """Return the thumbprints of the keys that a request proves to have, by kind.

        A caller that lets a request through because of one of them must `spend` the proof.
        """
        shown = self._shown_keys(call)
        if JKT not in shown.keys or shown.spent or self._is_unspent(shown):
            return shown.keys
        return {kind: thumbprint for kind, thumbprint in shown.keys.items() if kind != JKT}

    def spend(self, call: Call) -> None:
        """Remember the proof of a request that was let through by it: no other request gets anything for it."""
        shown = self._shown_keys(call)
        if JKT not in shown.keys or shown.spent:
            return
        shown.spent = True
        now = self._clock.monotonic()
        spent = self._spent.setdefault(shown.keys[JKT], _SpentProofs())
        spent.last = now
        spent.proofs[shown.proof] = shown.end
        self._spent.move_to_end(shown.keys[JKT])
        while (
            oldest := next(iter(self._spent.values()))
        ).last + 2 * _WINDOW < now and not self._count_remembered(oldest):
            self._spent.popitem(last=False)

    def proves(self, call: Call, bound: KeyBinding) -> bool:
        """Whether a request proves to have the key that a token is bound to; its proof is spent then."""
        if self.proved_keys(call).get(bound.kind) != bound.thumbprint:
            return False
        if bound.kind == JKT:
            self.spend(call)
        return True

    def has_bad_proof(self, call: Call) -> bool:
        """Whether a request brings a signed proof that is not good for it."""
        return bool(call.proofs.dpop) and JKT not in self.proved_keys(call)

    def new_binding(self, call: Call, wanted: str) -> KeyBinding | None:
        """Return what a new token is bound to: what the registration wants, or what the client proves of itself.

        Raises `Malformed` for a bad proof: a client that sends a proof wants no token that is good without one.
        """
        kind = KINDS[wanted] or JKT
        proved = self.proved_keys(call)
        if self.has_bad_proof(call):
            raise Malformed(
                "DPoP: the proof is not good for this request: sign a new one, of now, for its method and URL"
            )
        bound = KeyBinding(kind, proved[kind]) if kind in proved else None
        return bound if bound is not None and self.proves(call, bound) else None

    def _shown_keys(self, call: Call) -> ProvedKeys:
        """Return what a request proves, whether or not that still counts; found out once for each."""
        facts = facts_of(call)
        if facts.proved is None:
            facts.proved = self._read_dpop(call) or ProvedKeys({})
            if call.proofs.certificate:
                facts.proved.keys[X5T] = certificate_thumbprint(call.proofs.certificate)
        return facts.proved

    def _is_unspent(self, shown: ProvedKeys) -> bool:
        """Whether a proof was spent on no request yet, and there is room to remember it."""
        spent = self._spent.get(shown.keys[JKT])
        if spent is None:
            return True
        return self._count_remembered(spent) < self._most and shown.proof not in spent.proofs

    def _count_remembered(self, spent: _SpentProofs) -> int:
        """Return how many proofs of a key are remembered, after forgetting those that are too old."""
        now, wall = self._clock.monotonic(), millis_to_seconds(self._clock.millis())
        while spent.proofs:
            end = next(iter(spent.proofs.values()))
            if end.monotonic >= now or end.wall >= wall:
                break
            spent.proofs.popitem(last=False)
        return len(spent.proofs)

    def _read_dpop(self, call: Call) -> ProvedKeys | None:
        """Return the proof that a request brings; None for one that is not good (RFC 9449, section 4.3).

        1. It is signed by the key within it, as a proof is.
        2. It says when it was made, and has a name of its own.
        3. It was made now, for this method and URL.
        4. It is for the token that it comes with.

        That it is the first of its name is asked by `proved_keys`.
        """
        if not call.proofs.dpop:
            return None
        # 1. The signature.
        try:
            jwk, claims = signature.self_signed(call.proofs.dpop.decode(), "dpop+jwt")
        except (Malformed, UnicodeDecodeError):
            return None
        # 2. The claims.
        issued, jti = claims.get("iat"), claims.get("jti")
        if isinstance(issued, bool) or not isinstance(issued, int) or not isinstance(jti, str) or not jti:
            return None
        # 3. Time, method and URL.
        now = millis_to_seconds(self._clock.millis())
        fits = claims.get("htm") == call.head.method and self._is_for_url(call, claims.get("htu"))
        if abs(now - issued) > _WINDOW or not fits:
            return None
        # 4. The token: none where a client has none yet, at a login.
        token = call.token.reveal()
        if token and claims.get("ath") != _b64(sha256(token.encode()).digest()):
            return None
        thumbprint = key_thumbprint(jwk)
        once = sha256(jti.encode(errors="surrogatepass")).digest()[:16]
        last = issued + _WINDOW
        end = ProofEnd(self._clock.monotonic() + last + 1 - now, Seconds(last))
        return ProvedKeys({JKT: thumbprint}, once, end) if thumbprint else None

    def _is_for_url(self, call: Call, url: Json) -> bool:
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
        return same and bool(call.proofs.target) and asked.path == call.proofs.target


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
