# SPDX-License-Identifier: EUPL-1.2
"""Response wrapping: the answer stays behind, and a single-use token goes out instead."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple, TypeVar

import msgspec

from vault.barrier.stored import RecordKind, Stored
from vault.barrier.view import ReadView, View
from vault.framework.call import Call, Namespace
from vault.framework.clock import Clock, rfc3339
from vault.framework.concurrency.offload import Pool, client_of
from vault.framework.limits import AT_ONCE
from vault.framework.reply import JSON, Reply, WrapInfo
from vault.token.model import TokenEntry
from vault.token.store import TokenStore
from vault.values.ids import TokenKey
from vault.values.times import Nanos, Seconds, nanos_after
from vault.wrap.signed import SignedTokens

T = TypeVar("T")

_PREFIX: Final = "wrap/"
WRAPPING: Final = ("response-wrapping",)
"""The policies of a wrapping token, which no other token can have."""
_ID: Final = b'{"request_id":"'
_ID_END: Final = len(_ID) + 36
_DEPRECATED: Final = (
    "Reading from 'cubbyhole/response' is deprecated. Please use sys/wrapping/unwrap to unwrap responses, as it "
    "provides additional security checks and other benefits."
)


class WrappedReply(msgspec.Struct, frozen=True, kw_only=True):
    """A response that waits. `body` is what would have been sent, without the line end; times as in `TokenEntry`.

    An envelope is escaped as it goes out. Of one that was so when it came in, as of those that wait since earlier
    releases, that changes nothing.
    """

    body: bytes
    path: str
    ttl: Seconds
    created: Nanos
    status: int
    content_type: str


_KIND: Final = RecordKind("wrapped response", WrappedReply)


class NewWrapping(NamedTuple):
    """A response as it will wait, encoded, and what its token is made of."""

    path: str
    ttl: Seconds
    created: Nanos
    stored: Stored


class Wrapper:
    """Keeps wrapped responses beside the token that may fetch them once."""

    def __init__(
        self,
        tokens: TokenStore,
        clock: Clock,
        render: Callable[[Reply[object], str], bytes],
        escape: Callable[[bytes], bytes],
        signed: SignedTokens | None = None,
    ) -> None:
        """`render` makes the body that a reply would have had, from the reply and the request's id, but for `escape`.

        `signed` makes wrapping tokens in the JWT format for those who ask for it; without it they get plain ones.
        """
        self._render = render
        self._escape = escape
        self._tokens = tokens
        self._clock = clock
        self._signed = signed
        self._pool = Pool(threads=1, name="wrap")
        """Of its own: who waits in it holds a transaction, and is not to wait for answers to others."""
        self._fetching = Pool(threads=1, name="unwrap")
        tokens.on_revoke(_purge)

    async def wrap(self, call: Call, core: View, reply: Reply[object] | None) -> Reply[object] | None:
        """Replace an answer that has a body by one that says where it waits. Warnings go with the answer.

        What is found waits whatever the status: of a batch that went wrong in part, what went well is as secret.
        """
        if not call.options.wrap_ttl or reply is None:
            return reply
        if reply.plain or reply.wrap_info is not None or (reply.status >= 400 and reply.data is None):
            return reply
        if reply.auth is not None and reply.auth.mfa_requirement:
            return reply  # there is nothing to hide yet: what completes the login is wrapped
        warnings, call.warnings = [*reply.warnings, *call.warnings], []
        inner = msgspec.structs.replace(reply, embed=False, warnings=warnings)
        work = partial(self._made, call, inner)
        made = await self._pool.do(call, work, slow=reply.long or reply.pieces is not None)
        info = await self.keep(call, core, made, call.namespace)
        accessor = reply.auth.accessor if reply.auth else getattr(reply.data, "secret_id_accessor", None)
        if accessor:
            info = msgspec.structs.replace(info, wrapped_accessor=accessor)
        if self._signed is not None and call.options.wrap_format == "jwt":
            info = msgspec.structs.replace(info, token=await self._signed.sign(info, made.created))
        return Reply(wrap_info=info)

    def _made(self, call: Call, reply: Reply[object]) -> NewWrapping:
        body = reply.raw if reply.raw is not None else self._render(reply, call.id)
        if reply.raw is None and reply.content_type == JSON:
            body = body.removesuffix(b"\n")
        return self._stored(
            WrappedReply(
                body=body,
                path=call.path,
                ttl=call.options.wrap_ttl,
                created=self._clock.nanos(),
                status=reply.status,
                content_type=reply.content_type,
            )
        )

    def _stored(self, wrapped: WrappedReply) -> NewWrapping:
        return NewWrapping(wrapped.path, wrapped.ttl, wrapped.created, _KIND.encode(wrapped))

    def renewed(self, wrapped: WrappedReply) -> NewWrapping:
        """Return a waiting response with its whole time before it."""
        return self._stored(msgspec.structs.replace(wrapped, created=self._clock.nanos()))

    async def keep(self, call: Call, core: View, made: NewWrapping, namespace: Namespace) -> WrapInfo:
        """Store a response under a new single-use token; both lie in `namespace`."""
        token = self._tokens.new_token(namespace)
        accessor = self._tokens.new_accessor(namespace)
        now = self._clock.nanos()
        entry = TokenEntry(
            accessor=accessor,
            policies=WRAPPING,
            path=made.path,
            display_name=call.identity.display_name if call.identity is not None else "",
            created=now,
            uses=1,
            ttl=made.ttl,
            explicit_max_ttl=made.ttl,
            expires=nanos_after(now, made.ttl),
            orphan=True,
        )
        key = await self._tokens.create(core, token, entry)
        await core.space(namespace.id).put(_PREFIX + key, made.stored)
        return WrapInfo(
            token=token,
            accessor=accessor,
            ttl=made.ttl,
            creation_time=rfc3339(made.created),
            creation_path=made.path,
        )

    async def rewrap(self, call: Call, core: View, key: TokenKey, made: NewWrapping) -> WrapInfo:
        """Move a response, `renewed`, to a new token in the same namespace."""
        await self.consume(core, key)
        return await self.keep(call, core, made, self._tokens.namespace(key) or call.namespace)

    async def find(self, core: ReadView, token: str, *, spent: bool = False) -> TokenKey | None:
        """Return the key of a wrapping token that is still good, by which `fetch` has what waits.

        `spent` also takes the token whose only use was taken off for the request that asks now.
        Raises `IllegalSignature` for a signed token that is not ours.
        """
        key = self._tokens.key(await self.opened(token))
        entry = await self._tokens.get(core, key)
        if entry is None or entry.policies != WRAPPING:
            return None
        if spent and entry.uses < 0:
            entry = msgspec.structs.replace(entry, uses=1)
        return key if entry.alive(self._clock.nanos()) else None

    async def fetch(
        self, call: Call, core: ReadView, key: TokenKey, make: Callable[[WrappedReply], T]
    ) -> T | None:
        """Return what `make` makes of the response behind a key, in whichever namespace it waits; None without one.

        It stays what it is while its token is good. A long one is decrypted in a thread, so never within a transaction.
        No place there is refused to whom the use of the token that was taken off would be lost by that.
        """

        async def use(length: int, decrypt: Callable[[], bytes]) -> T:
            def work() -> T:
                return make(_KIND.decode(decrypt()))

            if length <= AT_ONCE:
                return work()
            return await self._fetching.run(client_of(call), work, owed=call.spent)

        home = self._tokens.namespace(key)
        return None if home is None else await core.space(home.id).get_by(_PREFIX + key, use)

    async def hand_out(self, call: Call, core: ReadView) -> Reply[dict[str, str]] | None:
        """Answer `cubbyhole/response` for the wrapping token that asks; None for any other token.

        The token's one use was taken off when it was recognised, so there is no second answer.
        """
        key = await self.find(core, call.token.reveal(), spent=call.spent)
        body = None if key is None else await self.fetch(call, core, key, self._text)
        if body is None:
            return None
        return Reply({"response": body}, warnings=[_DEPRECATED], long=len(body) > AT_ONCE)

    def _text(self, wrapped: WrappedReply) -> str:
        body = self._escape(wrapped.body) if _is_envelope(wrapped.body) else wrapped.body
        return body.decode("utf-8", "replace")

    def present(self, wrapped: WrappedReply, request_id: str) -> Reply[None]:
        """Return a waiting response for the request that fetches it: all as it was, but for the id."""
        body = wrapped.body
        if _is_envelope(body):
            body = self._escape(b"".join((_ID, request_id.encode(), memoryview(body)[_ID_END:])))
        return Reply(
            raw=body, status=wrapped.status, content_type=wrapped.content_type, long=len(body) > AT_ONCE
        )

    async def opened(self, token: str) -> str:
        """Return the plain token in a signed one, and any other as it is. Raises `IllegalSignature`."""
        return await self._signed.opened(token) if self._signed is not None else token

    async def consume(self, core: View, key: TokenKey) -> None:
        """Revoke the wrapping token and forget its response."""
        await self._tokens.consume(core, key)


def _is_envelope(body: bytes) -> bool:
    return body[: len(_ID)] == _ID and body[_ID_END : _ID_END + 1] == b'"'


async def _purge(core: View, key: TokenKey) -> bool:
    await core.delete(_PREFIX + key)
    return False
