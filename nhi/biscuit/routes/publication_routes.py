# SPDX-License-Identifier: EUPL-1.2
"""What verifiers elsewhere need: the root keys, and a signed list of revocations that says how long it counts.

The list is a JWS (RFC 7515) by the issuer key that signs tokens. Biscuits sign other bytes (they begin with a zero), so
neither can pass for the other. Anybody may ask, and a key may be in a device: so it is signed anew only after a while.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from typing import Final
from weakref import WeakValueDictionary

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from nhi.biscuit.format.authority import Algorithm
from nhi.biscuit.issue.issuer import BiscuitIssuer
from nhi.biscuit.offline.keys import RootKey, sign
from nhi.biscuit.records import store
from nhi.biscuit.records.model import IssuerKey, KeyState
from nhi.biscuit.routes.oauth_client import Clients
from vault.cache.follow import BoundedCache
from vault.framework import schema
from vault.framework.call import Call
from vault.framework.clock import Clock
from vault.framework.engine import Engine
from vault.framework.fields import Json
from vault.framework.keys.external import AskFirst
from vault.framework.reply import Reply
from vault.framework.route import read
from vault.values.times import millis_to_seconds

MAX_AGE: Final = 60
"""Seconds for which a list counts."""
ANEW: Final = 5.0
"""Seconds for which the same one is answered."""
MOST: Final = 100_000
"""Ids in a list; with more it says that it is not complete, and verifiers have to ask (introspection)."""
_PAGE: Final = 2000
_MOUNTS: Final = 64
TYPE: Final = "nhi-revocations+jwt"


class PublicationEngine(Engine):
    """The public documents of a mount: root keys, and the signed list of revocations."""

    def __init__(self, issuer: BiscuitIssuer, clients: Clients, clock: Clock) -> None:
        self._issuer = issuer
        self._clients = clients
        self._clock = clock
        self._signed: BoundedCache[str, tuple[float, str]] = BoundedCache(_MOUNTS)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @read("public-keys", public=True, event="nhi.public.read")
    async def public_keys(self, call: Call) -> Reply[dict[str, list[dict[str, str | int]]]]:
        """Show what verifiers need: the keys of tokens that are good, and the staged ones that come next."""
        return Reply(
            {
                "keys": [
                    {
                        "algorithm": word(key),
                        "key_bytes": key.public.hex(),
                        "key_id": key.kid,
                        "state": key.state,
                    }
                    for key in await _live(call)
                ]
            }
        )

    @read(".well-known/biscuit-web-keys", public=True, event="nhi.public.read")
    async def web_keys(self, call: Call) -> Reply[list[dict[str, Json]]]:
        """Show the same keys as the Biscuit specification has it: a list, without an envelope."""
        issuer = self._clients.issuer(call)
        return Reply(
            [
                {
                    "algorithm": word(key),
                    "key_bytes": key.public.hex(),
                    "key_id": key.kid,
                    "issuer": issuer,
                }
                for key in await _live(call)
            ],
            plain=True,
        )

    @read("revocations", public=True, event="nhi.revocation.list")
    async def revocations(self, call: Call) -> Reply[dict[str, str | int]]:
        """Show a signed list of the blocks and workloads that were revoked, for verifiers that do not ask here."""
        kept = self._kept(call)
        if kept is None:
            raise AskFirst(lambda: self._sign(call))
        return Reply({"list": kept, "max_age": MAX_AGE})

    def _kept(self, call: Call) -> str | None:
        """Return the list that was signed last, while it is answered."""
        known = self._signed.get(call.mount.uuid)
        return known[1] if known is not None and self._clock.monotonic() - known[0] < ANEW else None

    async def _sign(self, call: Call) -> None:
        """Sign a new list, for this call and those that come soon: one at a time, however many ask meanwhile."""
        mount = call.mount.uuid
        async with self._turns.setdefault(mount, asyncio.Lock()):
            if self._kept(call) is None:
                self._signed.put(mount, (self._clock.monotonic(), await self._list(call)))

    async def _list(self, call: Call) -> str:
        ids: list[bytes] = []
        after = ""
        while len(ids) <= MOST:
            names = await call.reader.list(store.REVOKED, after=after, limit=_PAGE)
            ids += map(bytes.fromhex, names)
            if len(names) < _PAGE:
                break
            after = names[-1]
        claims: Mapping[str, Json] = {
            "iss": self._clients.issuer(call),
            "iat": millis_to_seconds(call.now),
            "exp": millis_to_seconds(call.now) + MAX_AGE,
            "ids": _b64(b"".join(ids[:MOST])),
            "complete": len(ids) <= MOST,
            "workloads": await store.ended_workloads(call.reader),
        }
        return await self._issuer.signed(call, lambda root, key: _jws(root, key, claims))


def word(key: IssuerKey) -> str:
    """Return the name of a key's algorithm."""
    return "ed25519" if key.algorithm == Algorithm.ED25519 else "secp256r1"


async def _live(call: Call) -> list[IssuerKey]:
    shown = (KeyState.STAGED, KeyState.ACTIVE, KeyState.RETIRED)
    return [key for key in await store.keys(call.reader) if key.state in shown]


def _jws(root: RootKey, key: IssuerKey, claims: Mapping[str, Json]) -> str:
    algorithm = "EdDSA" if isinstance(root, Ed25519PrivateKey) else "ES256"
    head = _b64(schema.encode({"alg": algorithm, "kid": str(key.kid), "typ": TYPE}))
    message = f"{head}.{_b64(schema.encode(claims))}"
    signature = sign(root, message.encode())
    if algorithm == "ES256":
        r, s = decode_dss_signature(signature)
        signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return f"{message}.{_b64(signature)}"


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
