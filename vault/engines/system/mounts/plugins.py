# SPDX-License-Identifier: EUPL-1.2
"""`sys/plugins`: the catalogue of engines that can be mounted. All are part of the server (SL-95)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from vault.engines.system.mounts.view import RUNNING
from vault.framework.call import Call
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, NotFound, UnsupportedOperation
from vault.framework.fields import Doc, StringList
from vault.framework.quote import quote
from vault.framework.reply import Reply
from vault.framework.route import Params, delete, list_, read, write
from vault.mount.router import Router
from vault.values.deprecation import OLD

_KINDS: Final = ("auth", "database", "secret")
_OWN: Final = frozenset({"system", "cubbyhole", "identity", "token"})
_SHA256: Final = 64


class KindParams(Params, frozen=True):
    """Names a kind of plugin."""

    kind: Annotated[str, Doc("auth, database or secret.")]


class PluginParams(Params, frozen=True):
    """Names a plugin."""

    kind: Annotated[str, Doc("auth, database or secret.")]
    name: Annotated[str, Doc("Its name.")]


class PluginLine(msgspec.Struct, frozen=True):
    """One plugin in the catalogue's list."""

    builtin: bool
    deprecation_status: str
    name: str
    type: str
    version: str


class PluginCatalog(msgspec.Struct, frozen=True):
    """What can be mounted."""

    auth: list[str]
    database: list[str]
    detailed: list[PluginLine]
    secret: list[str]


class PluginNames(msgspec.Struct, frozen=True):
    """The plugins of one kind."""

    keys: list[str]


class Plugin(msgspec.Struct, frozen=True, kw_only=True):
    """One plugin: part of the server, never a program of its own."""

    args: None = None
    builtin: bool = True
    command: str = ""
    declarative: bool = False
    deprecation_status: str = "supported"
    name: str
    oci: bool = False
    sha256: str = ""
    version: str = RUNNING


class ReloadParams(Params, frozen=True):
    """Which plugins."""

    plugin: Annotated[str, Doc("Name of the plugin.", clear=True)] = ""
    mounts: Annotated[StringList, Doc("Paths of mounts; not together with plugin.", clear=True)] = ()
    scope: Annotated[str, Doc("Empty or global; there is one server.", clear=True)] = ""


class ProgramParams(KindParams, frozen=True):
    """A program that would be a plugin; `kind` is its name in the older form, which has no kinds."""

    sha256: Annotated[str, Doc("Digest of the program, in hexadecimal.", clear=True)] = ""
    sha_256: Annotated[str, Doc("Older name of sha256.", clear=True)] = ""
    command: Annotated[str, Doc("The program.")] = ""
    args: Annotated[StringList, Doc("Its arguments.")] = ()
    env: Annotated[StringList, Doc("Its environment.")] = ()
    version: Annotated[str, Doc("Its version.", clear=True)] = ""


class RegisterParams(ProgramParams, frozen=True, kw_only=True):
    """A program that would be a plugin of a kind."""

    name: Annotated[str, Doc("Its name.")]


class ReloadResult(msgspec.Struct, frozen=True):
    """The identifier of a reload."""

    reload_id: str


class PluginEngine(Engine):
    """The catalogue of engines that can be mounted: all are part of the server (SL-95)."""

    def __init__(self, router: Router) -> None:
        self._router = router

    @read("plugins/catalog", event="config.plugin.list")
    async def read_catalog(self, call: Call) -> PluginCatalog:
        """Show everything that can be mounted."""
        del call
        names = {kind: self._names(kind) for kind in _KINDS}
        lines = [
            PluginLine(builtin=True, deprecation_status="supported", name=name, type=kind, version=RUNNING)
            for kind in _KINDS
            for name in names[kind]
        ]
        return PluginCatalog(
            auth=names["auth"], database=names["database"], detailed=lines, secret=names["secret"]
        )

    @list_("plugins/catalog/{kind}", sudo=True, event="config.plugin.list")
    async def list_plugins(self, call: Call, params: KindParams) -> PluginNames:
        """List the plugins of one kind. Needs sudo."""
        del call
        if params.kind not in _KINDS:
            raise UnsupportedOperation
        return PluginNames(self._names(params.kind))

    @read("plugins/catalog/{kind}/{name}", sudo=True, event="config.plugin.read")
    async def read_plugin(self, call: Call, params: PluginParams) -> Plugin:
        """Show one plugin. Needs sudo."""
        del call
        if params.kind not in _KINDS or params.name not in self._names(params.kind):
            raise NotFound
        return Plugin(name=params.name)

    def _names(self, kind: str) -> list[str]:
        """Return the kinds that can be mounted, by name; there are no database plugins."""
        if kind == "database":
            return []
        return [name for name in self._router.catalog.names(auth=kind == "auth") if name not in _OWN]


class ProgramEngine(Engine):
    """Operations on plugins that are programs. All are refused, because there are none (SL-95)."""

    def __init__(self, router: Router) -> None:
        self._router = router

    @read("plugins/catalog/{kind}", deprecation=OLD, sudo=True, event="config.plugin.list")
    async def read_untyped(self, call: Call, params: KindParams) -> Reply[None]:
        """Say that a plugin is found by kind and name: this is an older form. Needs sudo."""
        del call
        _check_untyped(params)
        return _older(f'cannot read plugin information from catalog for "{quote(params.kind)}"')

    @write("plugins/catalog/{kind}", deprecation=OLD, sudo=True, writes=False, event="config.plugin.write")
    async def register_untyped(self, call: Call, params: ProgramParams) -> None:
        """Refuse a program, as in the form with a kind. Needs sudo."""
        del call
        _check_untyped(params)
        _refuse_program(params)

    @delete("plugins/catalog/{kind}", deprecation=OLD, sudo=True, writes=False, event="config.plugin.delete")
    async def deregister_untyped(self, call: Call, params: KindParams) -> Reply[None]:
        """Say that a plugin is found by kind and name: this is an older form. Needs sudo."""
        del call
        _check_untyped(params)
        return _older(f'cannot deregister plugin from catalog for "{quote(params.kind)}"')

    @write("plugins/reload/backend", writes=False, event="config.plugin.reload")
    async def reload_plugins(self, call: Call, params: ReloadParams) -> Reply[ReloadResult]:
        """Reload plugins: done at once, as they are part of the server."""
        if params.plugin and params.mounts:
            raise Malformed("plugin and mounts cannot be set at the same time")
        if not params.plugin and not params.mounts:
            raise Malformed("plugin or mounts must be provided")
        if params.scope not in {"", "global"}:
            raise Malformed('scope must be unset or "global"')
        self._check_plugin(params.plugin)
        self._check_mounts(params.mounts)
        return Reply(ReloadResult(call.id))

    @write("plugins/catalog/{kind}/{name}", sudo=True, event="config.plugin.write")
    async def register_plugin(self, call: Call, params: RegisterParams) -> None:
        """Refuse a program: every plugin is part of the server (SL-95). Needs sudo."""
        del call
        _refuse_program(params)

    @delete("plugins/catalog/{kind}/{name}", sudo=True, event="config.plugin.delete")
    async def deregister_plugin(self, call: Call, params: PluginParams) -> None:
        """Remove a program from the catalogue, where there is none. Needs sudo."""
        del call, params

    def _check_plugin(self, plugin: str) -> None:
        if not plugin:
            return
        names = {*self._router.catalog.names(auth=True), *self._router.catalog.names(auth=False)}
        if plugin not in names:
            raise Malformed("plugin not found in the catalog")
        if plugin in _OWN:
            raise Malformed(f'singleton plugin cannot be reloaded: "{quote(plugin)}"')

    def _check_mounts(self, mounts: Sequence[str]) -> None:
        faults = []
        for given in mounts:
            path = given.rstrip("/") + "/"
            mount = self._router.root.get(path)
            if mount is None:
                faults.append(f'cannot fetch mount entry on "{quote(path)}"')
            elif mount.entry.kind in _OWN:
                faults.append(
                    f'cannot reload plugin on "{path}": singleton plugin cannot be reloaded: "{mount.entry.kind}"'
                )
        if faults:
            count = f"{len(faults)} error{'s' if len(faults) > 1 else ''} occurred:"
            raise Malformed(count + "".join(f"\n\t* {fault}" for fault in faults) + "\n\n")


def _check_untyped(params: KindParams) -> None:
    """Refuse names of kinds as names of plugins: such a path is the list of that kind."""
    if params.kind in _KINDS:
        raise UnsupportedOperation


def _older(text: str) -> Reply[None]:
    return Reply(warnings=[f"Deprecated API endpoint, {text}"])


def _refuse_program(params: ProgramParams) -> None:
    """Raise `Malformed` with OpenBao's first complaint about a program, or because there can be none."""
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
