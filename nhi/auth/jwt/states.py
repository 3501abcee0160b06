# SPDX-License-Identifier: EUPL-1.2
"""Sign-ins that are under way: each is used once, by the node that began it, and over after some minutes.

A stranger begins it, so nothing is kept for it: all of it is in the `state` that the provider hands back,
encrypted and authenticated by a key of this process (Fernet). What happens to a sign-in once a browser comes back with
its state is kept in memory: that it was used, what the provider posted, what it said of the user. There is room for so
much of it, of which no client takes more than is left to others: an address of its mount's, a mount of all.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections import Counter, OrderedDict
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import msgspec
from cryptography.fernet import Fernet, InvalidToken
from msgspec.structs import replace

from vault.background.mount_timers import MountTimers
from vault.barrier.view import View
from vault.framework import schema
from vault.framework.call import Call
from vault.framework.clock import Clock, Entropy
from vault.framework.concurrency.offload import client_of
from vault.framework.errors import Busy, Malformed
from vault.framework.fields import Json
from vault.values.times import Seconds

STATES: Final = MountTimers("oidc-state")
"""Kind of the timer of a sign-in that an earlier version kept in storage."""
LIFETIME: Final = Seconds(300)
"""How long a sign-in may take: OpenBao's."""
GONE: Final = "OpenBao login failed. Expired or missing OAuth state."
LONGEST: Final = 16_384
"""Characters that a state may have: a device's code may be long."""
_ROOM: Final = 64 << 20
"""Bytes for all that is kept of sign-ins; a mount has half of it at most, and an address a quarter."""
_EACH: Final = 512
"""Bytes that are counted for a sign-in beside what the provider sent."""
_BEGIN: Final = "st_"


class SignIn(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A sign-in of a mount; `client_nonce` is the digest of the client's.

    `code` and `id_token` are what the provider posted. Once the user has confirmed it, it is `confirmed`, and
    `claims` are there as soon as the provider has said who it is. Without a `confirmation` the user is not asked.
    """

    mount: str
    role: str
    mode: str
    redirect_uri: str = ""
    nonce: str = ""
    verifier: str = ""
    client_nonce: bytes = b""
    confirmation: str = ""
    address: str = ""
    device_code: str = ""
    implicit: bool = False
    code: str = ""
    id_token: str = ""
    confirmed: bool = False
    claims: Mapping[str, Json] | None = None

    def __repr__(self) -> str:
        """Show nothing of it."""
        return "SignIn(…)"

    def begun_by(self, client_nonce: str) -> bool:
        """Whether the client that began it asks, in constant time (SL-23)."""
        return hmac.compare_digest(self.client_nonce, digest(client_nonce))


def digest(client_nonce: str) -> bytes:
    """Return what is kept of a client's nonce."""
    return hashlib.sha256(client_nonce.encode(errors="surrogatepass")).digest()


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(SignIn).decode


class _SignInState(msgspec.Struct, frozen=True):
    """What happened to a sign-in, until `until` (monotonic seconds). `size` in bytes.

    One that was used is there for the request with the id `taker` alone, which may be tried again by newer facts.
    """

    sign_in: SignIn
    taker: str
    until: float
    holder: tuple[str, str]
    size: int


class States:
    """Begins sign-ins, and follows those that a browser came back for."""

    def __init__(self, clock: Clock, entropy: Entropy, room: int = _ROOM) -> None:
        self._clock = clock
        self._entropy = entropy
        self._room = room
        self.forget()

    def forget(self) -> None:
        """Let every sign-in that is under way be over."""
        self._key = Fernet(base64.urlsafe_b64encode(self._entropy.bytes(32)))
        self._known: OrderedDict[bytes, _SignInState] = OrderedDict()
        self._held: Counter[tuple[str, ...]] = Counter()

    def begin(self, new: SignIn, namespace: str = "") -> str:
        """Return the state of a new sign-in, which ends in the path of a `namespace` if it is to be named."""
        sealed = self._key.encrypt_at_time(_encode(new), int(self._clock.monotonic())).decode().rstrip("=")
        state = f"{_BEGIN}{sealed},ns={namespace}" if namespace else _BEGIN + sealed
        if len(state) > LONGEST:
            raise Malformed("the provider's device code is too long")
        return state

    def find(self, call: Call, state: str) -> SignIn:
        """Return a sign-in of the call's mount that is under way. Raises `Malformed` where there is none."""
        return self._find(call, state)[1]

    def take(self, call: Call, state: str) -> SignIn:
        """Return a sign-in, which cannot be used again. Raises `Malformed`."""
        name, found = self._find(call, state)
        self._keep(call, name, found, taker=call.id)
        return found

    def reopen(self, call: Call, state: str, confirmation: str) -> None:
        """Let a user who was not signed in try again, if the client still waits; with another `confirmation`."""
        try:
            name, found = self._find(call, state)
        except Malformed:
            return
        again = replace(found, confirmed=False, code="", id_token="", confirmation=confirmation)
        self._keep(call, name, again)

    def post(self, call: Call, state: str, *, code: str, id_token: str) -> SignIn:
        """Keep what the provider posted for a sign-in that is under way. Raises `Malformed` where there is none.

        An ID token is kept only where one was asked for: it would stand in for a code without verifier and secret.
        """
        name, found = self._find(call, state)
        if found.confirmed or found.mode == "device":
            raise Malformed(GONE)
        if not comes_here(found.redirect_uri, call.mount.path):
            raise Malformed("Invalid redirect path.")
        found = replace(found, code=code, id_token=id_token if found.implicit else "")
        self._keep(call, name, found)
        return found

    def confirm(self, call: Call, state: str) -> SignIn:
        """Return a sign-in that was not confirmed before; its client goes on waiting. Raises `Malformed`."""
        name, found = self._find(call, state)
        if found.confirmed:
            raise Malformed(GONE)
        found = replace(found, confirmed=True)
        self._keep(call, name, found)
        return found

    def keep(self, call: Call, state: str, claims: Mapping[str, Json]) -> None:
        """Keep what the provider said, for the client that waits. Raises `Malformed` where it was turned away."""
        name, found = self._find(call, state)
        self._keep(call, name, replace(found, claims=claims))

    def _find(self, call: Call, state: str) -> tuple[bytes, SignIn]:
        """Return what a sign-in is known by, and what it is now. Raises `Malformed`.

        It is known by what was encrypted, which holds a random nonce: one state can be spelled in several ways.
        """
        sealed = state.partition(",")[0].removeprefix(_BEGIN)
        if len(state) > LONGEST:
            raise Malformed(GONE)
        sealed += "=" * (-len(sealed) % 4)
        try:
            begun = self._key.decrypt_at_time(sealed, LIFETIME, int(self._clock.monotonic()))
        except (InvalidToken, ValueError):
            raise Malformed(GONE) from None
        name = hashlib.sha256(begun).digest()
        known = self._known.get(name)
        found = known.sign_in if known is not None else _decode(begun)
        taken = known is not None and known.taker not in {"", call.id}
        if taken or found.mount != call.mount.uuid:
            raise Malformed(GONE)
        return name, found

    def _keep(self, call: Call, name: bytes, sign_in: SignIn, taker: str = "") -> None:
        """Keep what a sign-in has become. Raises `Busy` where too much is kept for this client already."""
        now = self._clock.monotonic()
        while self._known and next(iter(self._known.values())).until <= now:
            self._count(self._known.popitem(last=False)[1], -1)
        old = self._known.get(name)
        new = _SignInState(
            sign_in=sign_in,
            taker=taker,
            until=old.until if old is not None else now + LIFETIME + 1,
            holder=old.holder if old is not None else client_of(call),
            size=_EACH + len(schema.encode(sign_in)),
        )
        if not self._fits(new.holder, new.size - (old.size if old is not None else 0)):
            raise Busy("too many sign-ins are under way; try again", retry_after=LIFETIME)
        if old is not None:
            self._count(old, -1)
        self._count(new, 1)
        self._known[name] = new

    def _fits(self, holder: tuple[str, str], more: int) -> bool:
        """Whether at each level as much is left to others as this one then holds."""
        left = self._room - self._held[()] - self._held[holder[:1]]
        inner = self._room // 2 - self._held[holder[:1]] - self._held[holder]
        return more <= 0 or (2 * more <= left and 2 * more <= inner)

    def _count(self, one: _SignInState, sign: int) -> None:
        for held in ((), one.holder[:1], one.holder):
            self._held[held] += sign * one.size
            if not self._held[held]:
                del self._held[held]


def comes_here(uri: str, mount: str) -> bool:
    """Whether the browser is sent to the callback of the mount at this path, and not to a client's."""
    return urlsplit(uri).path.endswith(f"/{mount}oidc/callback")


async def expire(data: View, name: str) -> None:
    """Remove a sign-in that an earlier version kept in storage. It may be gone."""
    await data.delete(name)
