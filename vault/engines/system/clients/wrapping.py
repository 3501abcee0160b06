# SPDX-License-Identifier: EUPL-1.2
"""`sys/wrapping`: wrapped responses, each behind a single-use token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final, TypeVar

import msgspec

from vault.barrier.barrier import Barrier
from vault.framework.call import Call
from vault.framework.clock import rfc3339
from vault.framework.engine import Engine
from vault.framework.errors import Malformed
from vault.framework.fields import Anything, Doc, Json
from vault.framework.limits import AT_ONCE
from vault.framework.reply import Reply
from vault.framework.route import Params, read, write
from vault.token.authenticator import core_reader
from vault.values.times import Seconds
from vault.wrap.guard import INVALID, waiting
from vault.wrap.wrapper import NewWrapping, WrappedReply, Wrapper

T = TypeVar("T")

_SPENT: Final = (
    "error decrementing wrapping token's use-count: invalid token entry provided for use count decrementing"
)


class WrappingToken(Params, frozen=True):
    """The wrapping token; without it, the caller's own token is used."""

    token: Annotated[Anything | None, Doc("The wrapping token, if it is not the caller's own.")] = None


class WrapLookup(msgspec.Struct, frozen=True):
    """The origin of a wrapped response. TTL in seconds."""

    creation_path: str
    creation_time: str
    creation_ttl: Seconds


class WrappingEngine(Engine):
    """Wrap data; look up, rewrap and unwrap responses.

    It needs `WrappingGuard` in front of the authenticator.
    """

    def __init__(self, wrapper: Wrapper, barrier: Barrier) -> None:
        self._wrapper = wrapper
        self._barrier = barrier

    @write("wrapping/wrap", writes=False, contained=True, event="wrap.wrap")
    async def wrap(self, call: Call) -> Reply[dict[str, Json]]:
        """Wrap the body of the request, so that it can be fetched once."""
        if not call.options.wrap_ttl:
            raise Malformed("endpoint requires response wrapping to be used")
        call.warnings = []
        return Reply(dict(call.data), long=len(call.body) > AT_ONCE)

    @read("wrapping/lookup", public=True, event="wrap.lookup")
    async def read_lookup(self, call: Call, params: WrappingToken) -> WrapLookup:
        """Show where the response behind a wrapping token came from, without using it up."""
        del params
        return await self._lookup(call)

    @write("wrapping/lookup", public=True, writes=False, event="wrap.lookup")
    async def lookup(self, call: Call, params: WrappingToken) -> WrapLookup:
        """Show where the response behind a wrapping token came from, without using it up."""
        del params
        return await self._lookup(call)

    async def present(self, call: Call, params: WrappingToken) -> Reply[None]:
        """Fetch the response behind a wrapping token that has not been used yet."""
        del params
        return await self._fetch(call, lambda wrapped: self._wrapper.present(wrapped, call.id))

    @write("wrapping/unwrap", contained=True, before="present", event="wrap.unwrap")
    async def unwrap(self, call: Call, params: WrappingToken) -> Reply[None]:
        """Fetch the response behind a wrapping token, which is used up by it."""
        del params
        key = await waiting(self._wrapper, call.core, call, call.data)
        if "token" in call.data and call.identity is not None and call.identity.key == key:
            raise Malformed(_SPENT, chained=True)
        call.warnings = []
        await self._wrapper.consume(call.core, key)
        assert isinstance(call.prepared, Reply)
        return call.prepared

    async def renew(self, call: Call, params: WrappingToken) -> NewWrapping:
        """Return the response behind a wrapping token, to be stored behind the next one."""
        del params
        return await self._fetch(call, self._wrapper.renewed)

    @write("wrapping/rewrap", contained=True, before="renew", event="wrap.rewrap")
    async def rewrap(self, call: Call, params: WrappingToken) -> Reply[None]:
        """Move a waiting response to a new wrapping token; the old one is used up."""
        del params
        key = await waiting(self._wrapper, call.core, call, call.data)
        call.warnings = []
        assert isinstance(call.prepared, NewWrapping)
        return Reply(wrap_info=await self._wrapper.rewrap(call, call.core, key, call.prepared))

    async def wrong_verb(self, call: Call) -> None:
        """Check the wrapping token before the verb, as OpenBao does."""
        if call.path == "sys/wrapping/lookup":
            await self._lookup(call)

    async def _lookup(self, call: Call) -> WrapLookup:
        return await self._fetch(call, _told)

    async def _fetch(self, call: Call, make: Callable[[WrappedReply], T]) -> T:
        """Return the result of `make` on the response behind the wrapping token. Raises as `waiting` does."""
        core = core_reader(self._barrier, call.namespace)
        key = await waiting(self._wrapper, core, call, call.data)
        made = await self._wrapper.fetch(call, core, key, make)
        if made is None:
            raise Malformed(INVALID)
        return made


def _told(wrapped: WrappedReply) -> WrapLookup:
    return WrapLookup(wrapped.path, rfc3339(wrapped.created), wrapped.ttl)
