# SPDX-License-Identifier: EUPL-1.2
"""What operators and their tools ask now and then: log levels, counts, plugins, leadership, and what is not offered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Final

import msgspec

from vault.barrier.barrier import Barrier
from vault.engines.system.words import shown
from vault.framework.call import ROOT, Call, Reply
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, UnsupportedOperation
from vault.framework.fields import Doc, StringList
from vault.framework.log import LEVELS, MODULES, Log
from vault.framework.route import Params, delete, read, write
from vault.mount.router import Router
from vault.namespace.book import Namespaces
from vault.token.authenticator import core_reader
from vault.token.store import TokenStore

_OTHER_WORDS: Final = {"notice": "info", "warning": "warn", "err": "error"}
_SINGLE: Final = frozenset({"system", "cubbyhole", "identity", "token"})
"""Kinds of mount of which there is one, and which nothing can reload."""
_SHA256: Final = 64
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


class ReloadParams(Params, frozen=True):
    """Which plugins."""

    plugin: Annotated[str, Doc("Name of the plugin.")] = ""
    mounts: Annotated[StringList, Doc("Paths of mounts; not together with plugin.")] = ()
    scope: Annotated[str, Doc("Empty or global; there is one server.")] = ""


class RegisterParams(Params, frozen=True):
    """A program that would be a plugin."""

    kind: Annotated[str, Doc("auth, database or secret.")]
    name: Annotated[str, Doc("Its name.")]
    sha256: Annotated[str, Doc("Digest of the program, in hexadecimal.")] = ""
    sha_256: Annotated[str, Doc("Older name of sha256.")] = ""
    command: Annotated[str, Doc("The program.")] = ""
    args: Annotated[StringList, Doc("Its arguments.")] = ()
    env: Annotated[StringList, Doc("Its environment.")] = ()
    version: Annotated[str, Doc("Its version.")] = ""


class PluginPath(Params, frozen=True):
    """Names a plugin."""

    kind: Annotated[str, Doc("auth, database or secret.")]
    name: Annotated[str, Doc("Its name.")]


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


class Reloaded(msgspec.Struct, frozen=True):
    """What to call this reload."""

    reload_id: str


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
    """Counts, plugins and leadership of one server whose plugins are all part of it."""

    def __init__(self, tokens: TokenStore, barrier: Barrier, router: Router, namespaces: Namespaces) -> None:
        self._tokens = tokens
        self._barrier = barrier
        self._router = router
        self._namespaces = namespaces

    @read("internal/counters/tokens")
    async def count_tokens(self, call: Call) -> TokenCounts:
        """Count service tokens."""
        del call
        spaces = [ROOT, *(entry.as_namespace() for entry in self._namespaces)]
        counts = [await self._tokens.count(core_reader(self._barrier, space)) for space in spaces]
        return TokenCounts(TokenCounters(Total(sum(counts))))

    @write("step-down", writes=False)
    async def step_down(self, call: Call) -> None:
        """Give up leadership: nothing happens, as there is nobody else to lead."""
        del call

    @write("plugins/reload/backend", writes=False)
    async def reload_plugins(self, call: Call, params: ReloadParams) -> Reply[Reloaded]:
        """Reload plugins: done at once, as they are part of the server."""
        if params.plugin and params.mounts:
            raise Malformed("plugin and mounts cannot be set at the same time")
        if not params.plugin and not params.mounts:
            raise Malformed("plugin or mounts must be provided")
        if params.scope not in {"", "global"}:
            raise Malformed('scope must be unset or "global"')
        self._check_plugin(params.plugin)
        self._check_mounts(params.mounts)
        return Reply(Reloaded(call.id))

    @write("plugins/catalog/{kind}/{name}", sudo=True)
    async def register_plugin(self, call: Call, params: RegisterParams) -> None:
        """Refuse a program: every plugin is part of the server (SL-95). Needs sudo."""
        del call
        digest = params.sha256 or params.sha_256
        if not digest:
            raise Malformed("missing SHA-256 value")
        if not params.command:
            raise Malformed("missing command value")
        try:
            decoded = bytes.fromhex(digest)
        except ValueError:
            raise Malformed("Could not decode SHA-256 value from Hex") from None
        if len(decoded) * 2 != _SHA256:
            raise Malformed("Decoded SHA-256 value is not 32 bytes")
        raise Malformed("could not set plugin, plugin directory is not configured", chained=True)

    @delete("plugins/catalog/{kind}/{name}", sudo=True)
    async def deregister_plugin(self, call: Call, params: PluginPath) -> None:
        """Remove a program from the catalogue, where there is none. Needs sudo."""
        del call, params

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

    def _check_plugin(self, plugin: str) -> None:
        if not plugin:
            return
        names = {*self._router.catalog.names(auth=True), *self._router.catalog.names(auth=False)}
        if plugin not in names:
            raise Malformed(f'plugin not found in the catalog: "{shown(plugin)}"')
        if plugin in _SINGLE:
            raise Malformed(f'singleton plugin cannot be reloaded: "{plugin}"')

    def _check_mounts(self, mounts: Sequence[str]) -> None:
        faults = []
        for given in mounts:
            path = given.rstrip("/") + "/"
            mount = self._router.root.get(path)
            if mount is None:
                told = "/".join(shown(part) for part in path[:-1].split("/")) if path != "/" else ""
                faults.append(f'cannot fetch mount entry on "{told}/"')
            elif mount.entry.kind in _SINGLE:
                faults.append(
                    f'cannot reload plugin on "{path}": singleton plugin cannot be reloaded: "{mount.entry.kind}"'
                )
        if faults:
            count = f"{len(faults)} error{'s' if len(faults) > 1 else ''} occurred:"
            raise Malformed(count + "".join(f"\n\t* {fault}" for fault in faults) + "\n\n")


class WithoutToken(Engine):
    """The endpoints by which anybody could begin to make new shares or root tokens: off, as in the field (SL-72)."""

    @read("rekey/init", public=True)
    @read("rekey/verify", public=True)
    @read("rekey/update", public=True)
    @read("generate-root/attempt", public=True)
    @read("generate-root/update", public=True)
    @write("rekey/init", public=True, writes=False)
    @write("rekey/verify", public=True, writes=False)
    @write("rekey/update", public=True, writes=False)
    @write("generate-root/attempt", public=True, writes=False)
    @write("generate-root/update", public=True, writes=False)
    @delete("rekey/init", public=True, writes=False)
    @delete("rekey/verify", public=True, writes=False)
    @delete("rekey/update", public=True, writes=False)
    @delete("generate-root/attempt", public=True, writes=False)
    @delete("generate-root/update", public=True, writes=False)
    async def refuse(self, call: Call) -> None:
        """Refuse, whoever asks: `sys/rotate` and `sys/generate-root-token` do the same for those with a token."""
        del call
        raise UnsupportedOperation(chained=False)


def _level(given: str | None) -> str:
    """Return the name of a level. Raises `Malformed`."""
    if given is None:
        raise Malformed("level is required")
    if not given:
        raise Malformed("level is empty")
    word = given.strip().lower()
    level = _OTHER_WORDS.get(word, word)
    if level not in LEVELS:
        raise Malformed(f"invalid level provided: unknown log level: {shown(word)}")
    return level


def _module(name: str) -> str:
    """Return the name of a part of the log. Raises `Malformed`."""
    if name not in MODULES:
        raise Malformed(f'logger "{shown(name)}" not found')
    return name
