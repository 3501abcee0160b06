# SPDX-License-Identifier: EUPL-1.2
"""What wrapping tokens need before anybody is authenticated.

Unwrapping says what is wrong with a wrapping token before it says anything about the caller, as OpenBao
does; and a path that needs no token takes no use off the one that came along.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vault.barrier.barrier import Barrier
from vault.barrier.view import ReadView
from vault.framework import schema
from vault.framework.call import Call, Identity
from vault.framework.errors import Malformed, Unauthenticated
from vault.framework.fields import Json
from vault.framework.request.operation import Operation
from vault.framework.secret import Secret
from vault.token.addresses import within
from vault.token.authenticator import Authenticator, core_reader, identified
from vault.token.store import TokenStore
from vault.values.ids import TokenKey
from vault.values.times import millis_to_nanos
from vault.wrap.signed import IllegalSignature
from vault.wrap.wrapper import Wrapper

INVALID: Final = "wrapping token is not valid or does not exist"
"""The refusal of a wrapping token that is used up, over, or never was one."""
_GUARDED: Final = frozenset({"sys/wrapping/unwrap", "sys/wrapping/rewrap"})
_SIGNED: Final = frozenset({*_GUARDED, "sys/wrapping/lookup", "cubbyhole/response"})
"""Where a signed token stands for the plain one in it."""
_BODIED: Final = frozenset({Operation.UPDATE, Operation.CREATE, Operation.PATCH})
_PROBLEM: Final = "error validating wrapping token: "


class WrappingGuard:
    """Stands before the authenticator of service tokens."""

    def __init__(self, inner: Authenticator, wrapper: Wrapper, tokens: TokenStore, barrier: Barrier) -> None:
        self._inner = inner
        self._wrapper = wrapper
        self._tokens = tokens
        self._barrier = barrier

    def recognises(self, token: str) -> bool:
        """Everything that no other authenticator claims; no token at all too, for the refusal has its own words."""
        del token
        return True

    def known(self, call: Call) -> Identity | None:
        """See `Authenticator.known`. What is in memory has no limit of uses, so there is none to spare."""
        return None if call.path in _SIGNED else self._inner.known(call)

    async def authenticate(self, call: Call) -> Identity:
        """See `Authenticator.authenticate`. Raises `Malformed` for a wrapping token that cannot be unwrapped."""
        if call.path in _SIGNED:
            core = core_reader(self._barrier, call.namespace)
            call.token = Secret(await _plain(self._wrapper, call.token.reveal()))
            if call.path in _GUARDED and call.operation is not Operation.HELP:
                await waiting(self._wrapper, core, call, _data(call))
        token = call.token.reveal()
        if not token:
            raise Unauthenticated
        if call.bound.route.access.public:
            identity = await self._unspent(call, token)
            if identity is not None:
                return identity
        return await self._inner.authenticate(call)

    async def _unspent(self, call: Call, token: str) -> Identity | None:
        """Return who calls with a use-limited token, leaving its uses; None for any other token."""
        key = self._tokens.key(token)
        core = core_reader(self._barrier, call.namespace)
        stored = await self._tokens.get(core, key)
        if stored is None or not stored.uses:
            return None
        entry = await self._tokens.living(core, key, millis_to_nanos(call.now))
        if entry is None or (entry.bound_cidrs and not within(call.client_address, entry.bound_cidrs)):
            raise Unauthenticated
        return await identified(self._tokens, core, call.token, key, entry, millis_to_nanos(call.now))


async def waiting(wrapper: Wrapper, core: ReadView, call: Call, data: Mapping[str, Json]) -> TokenKey:
    """Return the key of the wrapping token in the body, else of the caller's own token.

    Raises `Unauthenticated` where there is no token to look at, `Malformed` for one that is no good.
    """
    own = "token" not in data
    given = call.token.reveal() if own else data["token"]
    if not isinstance(given, str):
        raise Unauthenticated(f"{_PROBLEM}could not decode token in request body")
    if not given:
        raise Unauthenticated(_PROBLEM + ("token is empty" if own else "empty token in request body"))
    try:
        spent = call.spent and (own or given == call.token.reveal())
        found = await wrapper.find(core, given, spent=spent)
    except IllegalSignature:
        raise Unauthenticated(f"{_PROBLEM}wrapping token signature could not be validated") from None
    if found is None:
        raise Malformed(INVALID)
    return found


async def _plain(wrapper: Wrapper, token: str) -> str:
    try:
        return await wrapper.opened(token)
    except IllegalSignature:
        raise Unauthenticated(f"{_PROBLEM}wrapping token signature could not be validated") from None


def _data(call: Call) -> Mapping[str, Json]:
    """Return the request's data, which the pipeline decodes only later. Raises `Malformed`, `TooLarge`."""
    return schema.read_body(call) if call.operation in _BODIED else call.data
