# SPDX-License-Identifier: EUPL-1.2
"""What operators and their tools ask now and then: log levels, counts and leadership."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Final

import msgspec

from vault.barrier.barrier import Barrier
from vault.barrier.view import ReadView
from vault.framework.call import ROOT, Call, Namespace, Reply
from vault.framework.engine import Engine
from vault.framework.errors import Malformed
from vault.framework.fields import Doc
from vault.framework.quote import quote
from vault.framework.route import Params, delete, read, write
from vault.framework.telemetry.log import LEVELS, MODULES, Log
from vault.namespace.book import Namespaces
from vault.token.authenticator import core_reader
from vault.token.store import TokenStore

_OTHER_WORDS: Final = {"notice": "info", "warning": "warn", "err": "error"}
_NO_INSPECTION: Final = (
    'the Vault configuration must set "introspection_endpoint" to true to enable this endpoint'
)


class LevelParams(Params, frozen=True):
    """From which level on events are logged."""

    level: Annotated[str | None, Doc("trace, debug, info, warn or error.")] = None


class LoggerPath(Params, frozen=True):
    """Which part of the log."""

    name: Annotated[str, Doc("What events are about: audit, background, core, expiration, seal or server.")]


class LoggerParams(LevelParams, frozen=True, kw_only=True):
    """From which level on events of one part are logged."""

    name: Annotated[str, Doc("What events are about: audit, background, core, expiration, seal or server.")]


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


class LoggerEngine(Engine):
    """Levels of the log, until the next start or SIGHUP."""

    def __init__(self, log: Log, configured: str) -> None:
        """`configured` is the level that the configuration names."""
        self._log = log
        self._configured = configured

    @read("loggers")
    async def read_loggers(self, call: Call) -> Reply[Mapping[str, str]]:
        """Show the level of every part of the log."""
        del call
        return Reply({module: self._log.level(module) for module in MODULES})

    @write("loggers", writes=False)
    async def write_loggers(self, call: Call, params: LevelParams) -> None:
        """Set the level of the whole log."""
        del call
        self._log.set_level(_level(params.level))

    @delete("loggers", writes=False)
    async def reset_loggers(self, call: Call) -> None:
        """Return to the level that the configuration names."""
        del call
        self._log.set_level(self._configured)

    @read("loggers/{name}")
    async def read_logger(self, call: Call, params: LoggerPath) -> Reply[Mapping[str, str]]:
        """Show the level of one part of the log; nothing where there is no such part."""
        del call
        known = params.name in MODULES
        return Reply({params.name: self._log.level(params.name)} if known else {})

    @write("loggers/{name}", writes=False)
    async def write_logger(self, call: Call, params: LoggerParams) -> None:
        """Set the level of one part of the log."""
        del call
        level = _level(params.level)
        self._log.set_level(level, _module(params.name))

    @delete("loggers/{name}", writes=False)
    async def reset_logger(self, call: Call, params: LoggerPath) -> None:
        """Return one part of the log to the level that the configuration names."""
        del call
        self._log.set_level(self._configured, _module(params.name))


class OperatingEngine(Engine):
    """Counts and leadership of one server."""

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

    @write("step-down", writes=False)
    async def step_down(self, call: Call) -> None:
        """Give up leadership: nothing happens, as there is nobody else to lead."""
        del call

    @read("internal/inspect/router/{tag}", sudo=True)
    async def inspect_router(self, call: Call, params: InspectPath) -> None:
        """Refuse: the insides of the server are not shown. Needs sudo."""
        del call, params
        raise Malformed(_NO_INSPECTION)

    @read("internal/inspect/request", sudo=True)
    async def inspect_request(self, call: Call) -> None:
        """Refuse: the insides of the server are not shown. Needs sudo."""
        del call
        raise Malformed(_NO_INSPECTION)


def _level(given: str | None) -> str:
    """Return the name of a level. Raises `Malformed`."""
    if given is None:
        raise Malformed("level is required")
    if not given:
        raise Malformed("level is empty")
    word = given.strip().lower()
    level = _OTHER_WORDS.get(word, word)
    if level not in LEVELS:
        raise Malformed(f"invalid level provided: unknown log level: it is one of {', '.join(LEVELS)}")
    return level


def _module(name: str) -> str:
    """Return the name of a part of the log. Raises `Malformed`."""
    if name not in MODULES:
        raise Malformed(f'logger "{quote(name)}" not found')
    return name
