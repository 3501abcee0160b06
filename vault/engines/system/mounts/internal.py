# SPDX-License-Identifier: EUPL-1.2
"""`sys/internal`: what clients and user interfaces look up before a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

import msgspec

from vault.engines.system.mounts import rules
from vault.engines.system.mounts.access import touches
from vault.engines.system.mounts.view import BriefRow, MountRow, show, show_briefly
from vault.engines.system.release import VERSION
from vault.framework.call import Call
from vault.framework.engine import Engine
from vault.framework.errors import Forbidden, Malformed, NotFound, Reason
from vault.framework.fields import Doc
from vault.framework.help.openapi import document
from vault.framework.quote import quote
from vault.framework.reply import Reply
from vault.framework.route import Params, Route, read, write
from vault.framework.schema import encode
from vault.mount.router import Router
from vault.namespace.book import Namespaces
from vault.policy.decision.acl import Acl
from vault.policy.gate import Gate, seen_by
from vault.values.deprecation import OLD
from vault.values.times import millis_to_seconds

_OWN: Final = frozenset({"system", "cubbyhole", "identity", "token"})


class InternalPath(Params, frozen=True):
    """Names a path below a mount."""

    path: Annotated[str, Doc("Path of a mount or of anything below it.")]


class SpecsParams(Params, frozen=True):
    """Options of the document."""

    generic_mount_paths: Annotated[bool, Doc("Write mount paths as parameters.", clear=True)] = False
    context: Annotated[str, Doc("Accepted for compatibility, without effect.")] = ""


class VisibleMounts(msgspec.Struct, frozen=True):
    """Mounts that the caller may know of, by path."""

    auth: Mapping[str, MountRow | BriefRow]
    secret: Mapping[str, MountRow | BriefRow]


class InternalEngine(Engine):
    """Questions of user interfaces on behalf of their users."""

    def __init__(self, router: Router, namespaces: Namespaces, gate: Gate) -> None:
        self._router = router
        self._namespaces = namespaces
        self._gate = gate

    @read("internal/ui/mounts", public=True, event="mount.list")
    async def read_visible_mounts(self, call: Call) -> VisibleMounts:
        """Show the mounts that the token reaches into; without a token, those that are listed for everybody."""
        found: dict[bool, dict[str, MountRow | BriefRow]] = {True: {}, False: {}}
        known = bool(call.token) and call.caller().namespace.holds(call.namespace)
        acl = await self._gate.acl(call.caller(), call.now) if known else None
        for mount in sorted(self._router.of(call.namespace), key=lambda mount: mount.entry.path):
            entry = mount.entry
            visible = entry.config.listing_visibility == "unauth"
            place = entry.path.removeprefix("auth/")
            if acl is None:
                if visible:
                    found[entry.is_auth][place] = show_briefly(entry)
            elif visible or reaches(call, acl, entry.path):
                found[entry.is_auth][place] = show(entry)
        return VisibleMounts(auth=found[True], secret=found[False])

    @read("internal/ui/mounts/{path:path}", public=True, event="mount.read")
    async def read_mount_of_path(self, call: Call, params: InternalPath) -> MountRow:
        """Show the mount that a path belongs to, to a token that reaches into it.

        Clients ask this before a KV request, to learn the version.
        """
        acl = await self._gate.acl(call.caller(), call.now)
        path = rules.directory(params.path)
        found = self._router.find(call.namespace.path + path)
        inner = found[1].namespace.path[len(call.namespace.path) :] if found is not None else ""
        if found is None or not reaches(call, acl, inner + found[0].entry.path):
            raise Forbidden(
                "preflight capability check returned 403, please ensure client's policies grant access to path "
                f'"{quote(path)}"',
                chained=False,
                reason=Reason.NO_RULE,
            )
        entry = found[0].entry
        return show(entry, path=inner + entry.path.removeprefix("auth/"))

    @read("internal/ui/namespaces", public=True, event="namespace.list")
    async def read_namespaces(self, call: Call) -> Reply[dict[str, list[str]]]:
        """Show the namespaces in this one that the token lives in, or that its policies reach into."""
        if not call.token:
            raise Malformed("client token empty")
        caller = call.caller()
        acl = await self._gate.acl(caller, call.now)
        outer = len(call.namespace.path)
        names = [
            name
            for entry in self._namespaces.below(call.namespace.path)
            if not entry.tainted
            for name in [entry.path[outer:]]
            if caller.namespace.path.startswith(entry.path) or reaches(call, acl, name)
        ]
        return Reply(data={"keys": names} if names else {})

    @read("internal/counters/requests", deprecation=OLD)
    async def count_requests(self, call: Call) -> None:
        """Say that this counter is gone, as in OpenBao."""
        del call
        raise NotFound("The functionality has been removed on this path")


def reaches(call: Call, acl: Acl, path: str) -> bool:
    """Whether the caller's policies reach into the mount or namespace at `path` in the call's namespace."""
    seen = seen_by(call.caller(), call.namespace.path + path)
    return seen is not None and touches(acl, seen, now=millis_to_seconds(call.now))


class SpecsEngine(Engine):
    """The OpenAPI document of the mounts as they are now."""

    def __init__(self, router: Router, gate: Gate) -> None:
        self._router = router
        self._gate = gate

    @read("internal/specs/openapi", public=True)
    async def read_openapi(self, call: Call, params: SpecsParams) -> Reply[object]:
        """Describe the API of the mounts that the token reaches into, as OpenAPI 3.1."""
        return await self._document(call, generic=params.generic_mount_paths)

    @write("internal/specs/openapi", public=True, writes=False)
    async def write_openapi(self, call: Call, params: SpecsParams) -> Reply[object]:
        """As reading, for clients that send their options in a body."""
        return await self._document(call, generic=params.generic_mount_paths)

    async def _document(self, call: Call, *, generic: bool) -> Reply[object]:
        mounts: dict[str, list[Route]] = {}
        acl = await self._gate.acl(call.caller(), call.now) if call.token else None
        table = self._router.of(call.namespace)
        for mount in table:
            entry = mount.entry
            if acl is not None and reaches(call, acl, entry.path):
                mounts[entry.path] = list(mount.backend.routes.declared)
        movable = frozenset(
            mount.entry.path for mount in table if mount.entry.kind.removeprefix("ns_") not in _OWN
        )
        answer = document(mounts, generic=movable if generic else frozenset(), version=VERSION)
        return Reply(raw=encode(answer))
