# SPDX-License-Identifier: EUPL-1.2
"""`sys/internal/counters` and `sys/internal/inspect`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Final

import msgspec

from vault.barrier.barrier import Barrier
from vault.barrier.view import ReadView
from vault.framework.call import ROOT, Call, Namespace
from vault.framework.engine import Engine
from vault.framework.errors import Malformed
from vault.framework.fields import Doc
from vault.framework.route import Params, read
from vault.namespace.book import Namespaces
from vault.token.authenticator import core_reader
from vault.token.store import TokenStore

_NO_INSPECTION: Final = (
    'the Vault configuration must set "introspection_endpoint" to true to enable this endpoint'
)


class InspectPath(Params, frozen=True):
    """Which part of the router."""

    tag: Annotated[str, Doc("root, uuid, accessor or storage.")]


class Total(msgspec.Struct, frozen=True):
    """A count."""

    total: int


class TokenCounters(msgspec.Struct, frozen=True):
    """How many service tokens there are."""

    service_tokens: Total


class TokenCounts(msgspec.Struct, frozen=True):
    """How many service tokens there are, as clients unwrap it."""

    counters: TokenCounters


class EntityCounters(msgspec.Struct, frozen=True):
    """How many entities there are."""

    entities: Total


class EntityCounts(msgspec.Struct, frozen=True):
    """How many entities there are, as clients unwrap it."""

    counters: EntityCounters


Counted = Callable[[ReadView], Awaitable[int]]
"""How many of something there are in a namespace, of whose own data the view is."""


class CounterEngine(Engine):
    """Counters of tokens and entities, and the refused inspection of one server."""

    def __init__(
        self, tokens: TokenStore, barrier: Barrier, namespaces: Namespaces, entities: Counted
    ) -> None:
        """`entities` counts those of a namespace."""
        self._tokens = tokens
        self._entities = entities
        self._barrier = barrier
        self._namespaces = namespaces

    @read("internal/counters/tokens")
    async def count_tokens(self, call: Call) -> TokenCounts:
        """Count service tokens."""
        del call
        return TokenCounts(TokenCounters(await self._total(ROOT, self._tokens.count)))

    @read("internal/counters/entities")
    async def count_entities(self, call: Call) -> EntityCounts:
        """Count entities: all of the server for the root namespace, and for another those in it and below (SL-09)."""
        return EntityCounts(EntityCounters(await self._total(call.namespace, self._entities)))

    async def _total(self, namespace: Namespace, count: Counted) -> Total:
        """Count in a namespace and all below it that are open."""
        inner = (entry.as_namespace() for entry in self._namespaces)
        spaces = [
            space for space in (ROOT, *inner) if namespace.holds(space) and not self._namespaces.shut(space)
        ]
        return Total(sum([await count(core_reader(self._barrier, space)) for space in spaces]))

    @read("internal/inspect/router/{tag}", sudo=True, event="sys.inspect.read")
    async def inspect_router(self, call: Call, params: InspectPath) -> None:
        """Refuse: the insides of the server are not shown. Needs sudo."""
        del call, params
        raise Malformed(_NO_INSPECTION)

    @read("internal/inspect/request", sudo=True, event="sys.inspect.read")
    async def inspect_request(self, call: Call) -> None:
        """Refuse: the insides of the server are not shown. Needs sudo."""
        del call
        raise Malformed(_NO_INSPECTION)
