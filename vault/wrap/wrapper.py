# SPDX-License-Identifier: EUPL-1.2
"""Response wrapping: the answer stays behind, and a single-use token goes out instead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

import msgspec

from vault.barrier.stored import RecordKind
from vault.barrier.view import ReadView, View
from vault.framework.call import Call, Namespace, Reply, WrapInfo
from vault.framework.clock import Clock, rfc3339
from vault.framework.limits import AT_ONCE
from vault.framework.offload import Pool, client_of
from vault.token.model import TokenEntry
from vault.token.store import TokenStore
from vault.wrap.signed import SignedTokens

_PREFIX: Final = "wrap/"
WRAPPING: Final = ("response-wrapping",)
"""The policies of a wrapping token, which no other token can have."""
_ID: Final = b'{"request_id":"'
_ID_LENGTH: Final = 36
_DEPRECATED: Final = (
    "Reading from 'cubbyhole/response' is deprecated. Please use sys/wrapping/unwrap to unwrap responses, as it "
    "provides additional security checks and other benefits."
)


class Wrapped(msgspec.Struct, frozen=True, kw_only=True):
    """A response that waits. `body` is what would have been sent, without the line end; times as in `TokenEntry`."""

    body: bytes
    path: str
    ttl: int
    created: int
    status: int
    content_type: str


_KIND: Final = RecordKind("wrapped response", Wrapped)


class Wrapper:
    """Keeps wrapped responses beside the token that may fetch them once."""

    def __init__(
        self,
        tokens: TokenStore,
        clock: Clock,
        render: Callable[[Reply[object], str], bytes],
        signed: SignedTokens | None = None,
    ) -> None:
        """`render` makes the body that a reply would have had, from the reply and the request's id.

        `signed` makes wrapping tokens in the JWT format for those who ask for it; without it they get plain ones.
        """
        self._render = render
        self._tokens = tokens
        self._clock = clock
        self._signed = signed
        self._pool = Pool(threads=1, name="wrap")
        """Of its own: who waits in it holds a transaction, and is not to wait for answers to others."""
        tokens.on_revoke(_purge)

    async def wrap(self, call: Call, core: View, reply: Reply[object] | None) -> Reply[object] | None:
        """Replace an answer that has a body by one that says where it waits. Warnings go with the answer."""
        if not call.wrap_ttl or reply is None:
            return reply
        if reply.plain or reply.status >= 400 or reply.wrap_info is not None:
            return reply
        if reply.auth is not None and reply.auth.mfa_requirement:
            return reply  # there is nothing to hide yet: what completes the login is wrapped
        warnings, call.warnings = [*reply.warnings, *call.warnings], []
        inner = replace(reply, embed=False, warnings=warnings)
        if reply.long:
            body = await self._pool.run(client_of(call), partial(self._body, inner, call.id))
        else:
            body = self._body(inner, call.id)
        wrapped = Wrapped(
            body=body,
            path=call.path,
            ttl=call.wrap_ttl,
            created=self._clock.nanos(),
            status=reply.status,
            content_type=reply.content_type,
        )
        info = await self.keep(call, core, wrapped, call.namespace)
        accessor = reply.auth.accessor if reply.auth else getattr(reply.data, "secret_id_accessor", None)
        if accessor:
            info = msgspec.structs.replace(info, wrapped_accessor=accessor)
        if self._signed is not None and call.wrap_format == "jwt":
            info = msgspec.structs.replace(info, token=await self._signed.sign(info, wrapped.created))
        return Reply(wrap_info=info)

    def _body(self, reply: Reply[object], request_id: str) -> bytes:
        return reply.raw if reply.raw is not None else self._render(reply, request_id).removesuffix(b"\n")

    async def keep(self, call: Call, core: View, wrapped: Wrapped, namespace: Namespace) -> WrapInfo:
        """Store a response under a new single-use token; both lie in `namespace`."""
        token = self._tokens.new_token(namespace)
        accessor = self._tokens.new_accessor(namespace)
        now = self._clock.nanos()
        entry = TokenEntry(
            accessor=accessor,
            policies=WRAPPING,
            path=wrapped.path,
            display_name=call.identity.display_name if call.identity is not None else "",
            created=now,
            uses=1,
            ttl=wrapped.ttl,
            explicit_max_ttl=wrapped.ttl,
            expires=now + wrapped.ttl * 1_000_000_000,
            orphan=True,
        )
        key = await self._tokens.create(core, token, entry)
        await core.space(namespace.id).put(_PREFIX + key, _KIND.encode(wrapped))
        return WrapInfo(
            token=token,
            accessor=accessor,
            ttl=wrapped.ttl,
            creation_time=rfc3339(wrapped.created),
            creation_path=wrapped.path,
        )

    async def rewrap(self, call: Call, core: View, key: str, wrapped: Wrapped) -> WrapInfo:
        """Move a response to a new token in the same namespace, with its whole time before it."""
        await self.consume(core, key)
        anew = msgspec.structs.replace(wrapped, created=self._clock.nanos())
        return await self.keep(call, core, anew, self._tokens.namespace(key) or call.namespace)

    async def find(self, core: ReadView, token: str, *, spent: bool = False) -> tuple[str, Wrapped] | None:
        """Return the key and the response of a wrapping token that is still good, in whichever namespace it waits.

        `spent` also takes the token whose only use was taken off for the request that asks now.
        Raises `IllegalSignature` for a signed token that is not ours.
        """
        key = self._tokens.key(await self.opened(token))
        home = self._tokens.namespace(key)
        entry = await self._tokens.get(core, key)
        value = await core.space(home.id).get(_PREFIX + key) if home is not None else None
        if entry is None or value is None:
            return None
        if spent and entry.uses < 0:
            entry = msgspec.structs.replace(entry, uses=1)
        return (key, _KIND.decode(value)) if entry.alive(self._clock.nanos()) else None

    async def hand_out(self, call: Call, core: ReadView) -> Reply[dict[str, str]] | None:
        """Answer `cubbyhole/response` for the wrapping token that asks; None for any other token.

        The token's one use was taken off when it was recognised, so there is no second answer.
        """
        found = await self.find(core, call.token.reveal(), spent=call.spent)
        if found is None:
            return None
        body = found[1].body.decode("utf-8", "replace")
        return Reply({"response": body}, warnings=[_DEPRECATED], long=len(body) > AT_ONCE)

    async def opened(self, token: str) -> str:
        """Return the plain token in a signed one, and any other as it is. Raises `IllegalSignature`."""
        return await self._signed.opened(token) if self._signed is not None else token

    async def consume(self, core: View, key: str) -> None:
        """Revoke the wrapping token and forget its response."""
        await self._tokens.consume(core, key)


def present(wrapped: Wrapped, request_id: str) -> bytes:
    """Return the body of a waiting response for the request that fetches it: all as it was, but for the id."""
    end = len(_ID) + _ID_LENGTH
    if wrapped.body[: len(_ID)] != _ID or wrapped.body[end : end + 1] != b'"':
        return wrapped.body
    return _ID + request_id.encode() + wrapped.body[end:]


async def _purge(core: View, key: str) -> bool:
    await core.delete(_PREFIX + key)
    return False
