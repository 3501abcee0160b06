# SPDX-License-Identifier: EUPL-1.2
"""`sys/mounts` and `sys/auth`: which engine answers where."""

from __future__ import annotations

from typing import Annotated

import msgspec

from vault.engines.system.mounts import rules
from vault.engines.system.mounts.view import MountRow, show
from vault.framework.call import Call
from vault.framework.clock import Entropy
from vault.framework.engine import Engine
from vault.framework.errors import Malformed
from vault.framework.fields import Doc, Map, Pairs
from vault.framework.quote import quote
from vault.framework.reply import Reply
from vault.framework.route import Params, delete, read, write
from vault.mount.entry import SYSTEM_MAX_TTL, MountEntry
from vault.mount.router import Router
from vault.mount.table import Backend, accessor, leave
from vault.token.store import TokenStore
from vault.values.ids import MountId
from vault.values.times import Seconds


class MountPath(Params, frozen=True):
    """Names a mount."""

    path: Annotated[str, Doc("Where the mount is.")]


class EnableParams(Params, frozen=True):
    """A new mount."""

    path: Annotated[str, Doc("Where to mount.")]
    type: Annotated[str, Doc("Kind of engine or auth method, as kv, kv-v2 or userpass.", clear=True)] = ""
    description: Annotated[str, Doc("A description for people.")] = ""
    config: Annotated[Map | None, Doc("Settings: TTLs, audit keys, headers, listing visibility.")] = None
    options: Annotated[Pairs | None, Doc("Options of the kind, as version for kv.")] = None
    local: Annotated[
        bool, Doc("Accepted for compatibility: every mount is local to this cluster.", clear=True)
    ] = False
    seal_wrap: Annotated[
        bool, Doc("Accepted for compatibility: every value is encrypted alike.", clear=True)
    ] = False
    external_entropy_access: Annotated[
        bool, Doc("Accepted for compatibility, without effect.", clear=True)
    ] = False
    plugin_name: Annotated[str, Doc("The kind, where type is plugin.", clear=True)] = ""


class MountsEngine(Engine):
    """Enabling, showing and disabling secrets engines and auth methods."""

    def __init__(
        self, router: Router, entropy: Entropy, tokens: TokenStore, *, max_ttl: Seconds = SYSTEM_MAX_TTL
    ) -> None:
        """`max_ttl` is the server's longest TTL in seconds."""
        self._router = router
        self._tokens = tokens
        self._entropy = entropy
        self._max_ttl = max_ttl

    @read("mounts", event="mount.list")
    async def read_mounts(self, call: Call) -> Reply[dict[str, MountRow]]:
        """Show all secrets engines."""
        entries = [mount.entry for mount in self._router.of(call.namespace) if not mount.entry.is_auth]
        rows = {entry.path: show(entry) for entry in sorted(entries, key=lambda entry: entry.path)}
        return Reply(data=rows, embed=True)

    @read("auth", event="mount.list")
    async def read_auths(self, call: Call) -> Reply[dict[str, MountRow]]:
        """Show all auth methods."""
        entries = [mount.entry for mount in self._router.of(call.namespace) if mount.entry.is_auth]
        rows = {entry.path[5:]: show(entry) for entry in sorted(entries, key=lambda entry: entry.path)}
        return Reply(data=rows, embed=True)

    @read("mounts/{path:path}", event="mount.read")
    async def read_mount(self, call: Call, params: MountPath) -> Reply[MountRow]:
        """Show the secrets engine that serves a path."""
        path = rules.directory(params.path)
        mount = self._router.of(call.namespace).find(path)
        if mount is None:
            raise Malformed(f"No secret engine mount at {quote(path)}")
        return Reply(data=show(mount.entry), embed=True)

    @read("auth/{path:path}", sudo=True, event="mount.read")
    async def read_auth(self, call: Call, params: MountPath) -> Reply[MountRow]:
        """Show one auth method. Needs sudo."""
        path = rules.directory(params.path)
        mount = self._router.of(call.namespace).get(f"auth/{path}")
        if mount is None:
            raise Malformed(f"No auth engine at {quote(path)}")
        return Reply(data=show(mount.entry), embed=True)

    @write("mounts/{path:path}", event="mount.enable")
    async def enable(self, call: Call, params: EnableParams) -> None:
        """Enable a secrets engine at a path that is free."""
        path = rules.new_directory(params.path)
        config = rules.read_config(params.config or {}, auth=False, longest=self._max_ttl)
        kind, options = rules.choose_kind(params.type, params.plugin_name, params.options or {})
        if (params.config or {}).get("plugin_version"):
            raise Malformed("plugin_version: cannot select non-builtin version of secrets plugin")
        rules.check_place(path)
        inner = self._router.overlap(call.namespace, path)
        if inner:
            raise Malformed(
                f"existing mount at {quote(inner)}auth/token/"
                if inner == path
                else f"existing mount at {quote(inner)}"
            )
        taken = self._router.of(call.namespace).conflict(path)
        if taken:
            raise Malformed(f"path is already in use at {quote(taken)}")
        rules.check_secrets_kind(self._router.catalog, kind, options)
        rules.check_terms(kind, config)
        entry = self._entry(path, kind, params)
        await self._add(call, msgspec.structs.replace(entry, options=options, config=config))

    @write("auth/{path:path}", sudo=True, event="mount.enable")
    async def enable_auth(self, call: Call, params: EnableParams) -> None:
        """Enable an auth method at a path that is free. Needs sudo."""
        path = "auth/" + rules.new_directory(params.path)
        config = rules.read_config(params.config or {}, auth=True, longest=self._max_ttl)
        kind, options = rules.choose_kind(params.type, params.plugin_name, params.options or {})
        if (params.config or {}).get("plugin_version"):
            raise Malformed("plugin_version: cannot select non-builtin version of auth plugin")
        rules.check_single_auth(kind)
        taken = self._router.of(call.namespace).conflict(path)
        if taken:
            raise Malformed(f"path is already in use at {quote(taken.removeprefix('auth/'))}")
        rules.check_auth_kind(self._router.catalog, kind, options)
        rules.check_terms(kind, config)
        entry = self._entry(path, kind, params)
        await self._add(call, msgspec.structs.replace(entry, options=options, config=config))

    @delete("mounts/{path:path}", event="mount.disable")
    async def disable(self, call: Call, params: MountPath) -> None:
        """Disable a secrets engine and remove all its data; nothing happens where there is none."""
        path = rules.directory(params.path)
        mount = self._router.of(call.namespace).get(path)
        if mount is None:
            return
        if path.startswith(rules.OWN):
            raise Malformed(f'cannot unmount "{quote(path)}"')
        await leave(call.core, call.namespace, mount)
        await self._router.of(call.namespace).remove(call.core, mount.entry)

    @delete("auth/{path:path}", sudo=True, event="mount.disable")
    async def disable_auth(self, call: Call, params: MountPath) -> None:
        """Disable an auth method; its data and the tokens of its logins go too. Needs sudo."""
        path = "auth/" + rules.directory(params.path)
        mount = self._router.of(call.namespace).get(path)
        if mount is None:
            return
        if mount.entry.kind in {"token", "ns_token"}:
            raise Malformed("token credential backend cannot be disabled")
        await self._tokens.revoke_mount(call.core, mount.entry.logins, call.namespace.id)
        await leave(call.core, call.namespace, mount)
        await self._router.of(call.namespace).remove(call.core, mount.entry)

    def _entry(self, path: str, kind: str, params: EnableParams) -> MountEntry:
        return MountEntry(
            uuid=MountId(self._entropy.uuid()),
            path=path,
            kind=kind,
            accessor=accessor(kind, self._entropy, auth=path.startswith("auth/")),
            description=params.description,
            local=params.local,
            seal_wrap=params.seal_wrap,
            external_entropy_access=params.external_entropy_access,
        )

    async def _add(self, call: Call, entry: MountEntry) -> None:
        if not entry.options and call.data.get("options", {}) is None:
            entry = msgspec.structs.replace(entry, options=None)  # kept as given, because clients show it
        backend: Backend | None = self._router.catalog.find(
            entry.kind, entry.options or {}, auth=entry.is_auth
        )
        for engine in backend.engines if backend else ():
            await engine.mounted(call.core.mount(entry.uuid))
        await self._router.of(call.namespace).put(call.core, entry)
