# SPDX-License-Identifier: EUPL-1.2
"""Sign-ins that are under way, in their mount's data: each is used once, and gone after some minutes."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import msgspec

from vault.barrier.barrier import Barrier
from vault.barrier.view import ReadView, View, core_prefix
from vault.framework.call import Call
from vault.framework.errors import Malformed
from vault.framework.fields import Json
from vault.storage.protocol import Timer

STATE_KIND: Final = "oidc-state"
"""Kind of the timer that ends sign-ins nobody finished."""
LIFETIME: Final = 300
"""Seconds for a sign-in, as in the field."""
GONE: Final = "OpenBao login failed. Expired or missing OAuth state."
_FOLDER: Final = "state/"


class SignIn(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A sign-in. Times in nanoseconds.

    `code` and `id_token` are what the provider posted. Once the user has confirmed it, it is `confirmed`, and
    `claims` are there as soon as the provider has said who it is. Without a `confirmation` nobody is asked to.
    """

    role: str
    mode: str
    expires: int
    redirect_uri: str = ""
    nonce: str = ""
    verifier: str = ""
    client_nonce: str = ""
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
        return hmac.compare_digest(self.client_nonce.encode(), client_nonce.encode())


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(SignIn).decode


async def begin(call: Call, state: str, new: SignIn) -> None:
    """Keep a sign-in, in the open transaction."""
    await call.tx.put(_place(state), _encode(new))
    key = f"{call.namespace.id}/{call.mount.uuid}/{_place(state)}"
    await call.tx.at(Timer(STATE_KIND, key, new.expires // 1_000_000))


async def find(view: ReadView, state: str, now: int) -> SignIn:
    """Return a sign-in that is under way at `now` (nanoseconds). Raises `Malformed` where there is none."""
    value = await view.get(_place(state)) if state else None
    found = _decode(value) if value is not None else None
    if found is None or now >= found.expires:
        raise Malformed(GONE)
    return found


class States:
    """Changes sign-ins outside of a call's own transaction, because the provider is asked after that."""

    def __init__(self, barrier: Barrier) -> None:
        self._barrier = barrier

    async def take(self, call: Call, state: str, now: int) -> SignIn:
        """Return a sign-in and forget it: nobody can use it again. Raises `Malformed`."""
        async with self._barrier.write(call.namespace.id, _prefix(call)) as view:
            found = await find(view, state, now)
            await view.delete(_place(state))
        return found

    async def reopen(self, call: Call, state: str, now: int, confirmation: str) -> None:
        """Let a user who was not signed in try again, if the client still waits; with another `confirmation`."""
        async with self._barrier.write(call.namespace.id, _prefix(call)) as view:
            try:
                found = await find(view, state, now)
            except Malformed:
                return
            again = msgspec.structs.replace(
                found, confirmed=False, code="", id_token="", confirmation=confirmation
            )
            await view.put(_place(state), _encode(again))

    async def post(self, call: Call, state: str, now: int, code: str, id_token: str) -> SignIn:
        """Keep what the provider posted for a sign-in that is under way. Raises `Malformed` where there is none.

        An ID token is kept only where one was asked for: it would stand in for a code without verifier and secret.
        """
        async with self._barrier.write(call.namespace.id, _prefix(call)) as view:
            found = await find(view, state, now)
            if found.confirmed or found.mode == "device":
                raise Malformed(GONE)
            if not comes_here(found.redirect_uri, call.mount.path):
                raise Malformed("Invalid redirect path.")
            found = msgspec.structs.replace(found, code=code, id_token=id_token if found.implicit else "")
            await view.put(_place(state), _encode(found))
        return found

    async def confirm(self, call: Call, state: str, now: int) -> SignIn:
        """Return a sign-in that nobody else has confirmed; its client goes on waiting. Raises `Malformed`."""
        async with self._barrier.write(call.namespace.id, _prefix(call)) as view:
            found = await find(view, state, now)
            if found.confirmed:
                raise Malformed(GONE)
            found = msgspec.structs.replace(found, confirmed=True)
            await view.put(_place(state), _encode(found))
        return found

    async def keep(self, call: Call, state: str, now: int, claims: Mapping[str, Json]) -> None:
        """Keep what the provider said, for the client that waits. Raises `Malformed` where it was turned away."""
        async with self._barrier.write(call.namespace.id, _prefix(call)) as view:
            found = await find(view, state, now)
            await view.put(_place(state), _encode(msgspec.structs.replace(found, claims=claims)))


def comes_here(uri: str, mount: str) -> bool:
    """Whether the browser is sent to the callback of the mount at this path, and not to a client's."""
    return urlsplit(uri).path.endswith(f"/{mount}oidc/callback")


def _prefix(call: Call) -> str:
    return f"{core_prefix(call.namespace.id)}mnt/{call.mount.uuid}/"


def _place(state: str) -> str:
    return _FOLDER + hashlib.sha256(state.partition(",")[0].encode()).hexdigest()


async def expire(core: View, key: str) -> None:
    """Remove what a timer is about. It may be gone."""
    namespace, mount, place = key.split("/", 2)
    await core.space(namespace).sub(f"mnt/{mount}/").delete(place)
