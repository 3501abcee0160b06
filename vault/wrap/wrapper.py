# SPDX-License-Identifier: EUPL-1.2
"""Response wrapping: the answer stays behind, and a single-use token goes out instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from vault.barrier.view import ReadView, View
from vault.framework import schema
from vault.framework.call import Call, Reply, WrapInfo
from vault.framework.clock import Clock, rfc3339
from vault.token.model import TokenEntry
from vault.token.store import TokenStore

_PREFIX: Final = "wrap/"


class Wrapped(msgspec.Struct, frozen=True, kw_only=True):
    """A response that waits. `body` is the envelope as it would have been sent; times as in `TokenEntry`."""

    body: bytes
    path: str
    ttl: int
    created: int
    status: int
    content_type: str


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Wrapped).decode


class Wrapper:
    """Keeps wrapped responses beside the token that may fetch them once."""

    def __init__(
        self, tokens: TokenStore, clock: Clock, render: Callable[[Reply[object], str], bytes]
    ) -> None:
        """`render` makes the body that a reply would have had, from the reply and the request's id."""
        self._render = render
        self._tokens = tokens
        self._clock = clock
        tokens.on_revoke(_purge)

    async def wrap(self, call: Call, core: View, result: object) -> object:
        """Replace an answer that has a body by one that says where it waits."""
        if not call.wrap_ttl or result is None:
            return result
        reply: Reply[object] = result if isinstance(result, Reply) else Reply(data=result)
        if reply.plain or reply.status >= 400:
            return result
        body = schema.encode({"response": (reply.raw or b"").decode()}) if reply.raw is not None else None
        wrapped = Wrapped(
            body=body if body is not None else self._render(reply, call.id),
            path=call.path,
            ttl=call.wrap_ttl,
            created=self._clock.nanos(),
            status=reply.status,
            content_type=reply.content_type,
        )
        info = await self.keep(core, wrapped)
        if reply.auth is not None:
            info = msgspec.structs.replace(info, wrapped_accessor=reply.auth.accessor)
        return Reply(wrap_info=info, warnings=[])

    async def keep(self, core: View, wrapped: Wrapped) -> WrapInfo:
        """Store a response under a new single-use token."""
        token, accessor = self._tokens.new_token(), self._tokens.new_accessor()
        now = self._clock.nanos()
        entry = TokenEntry(
            accessor=accessor,
            policies=("response-wrapping",),
            path=wrapped.path,
            display_name="",
            created=now,
            uses=1,
            ttl=wrapped.ttl,
            explicit_max_ttl=wrapped.ttl,
            expires=now + wrapped.ttl * 1_000_000_000,
            orphan=True,
        )
        key = await self._tokens.create(core, token, entry)
        await core.put(_PREFIX + key, _encode(wrapped))
        return WrapInfo(
            token=token,
            accessor=accessor,
            ttl=wrapped.ttl,
            creation_time=rfc3339(now),
            creation_path=wrapped.path,
        )

    async def find(self, core: ReadView, token: str) -> tuple[str, Wrapped] | None:
        """Return the key and the response of a wrapping token that is still good."""
        key = self._tokens.key(token)
        entry = await self._tokens.get(core, key)
        value = await core.get(_PREFIX + key)
        if entry is None or value is None or not entry.alive(self._clock.nanos()):
            return None
        return key, _decode(value)

    async def consume(self, core: View, key: str) -> None:
        """Revoke the wrapping token and forget its response."""
        await self._tokens.revoke_tree(core, key)


async def _purge(core: View, key: str) -> None:
    await core.delete(_PREFIX + key)
