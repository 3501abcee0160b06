# SPDX-License-Identifier: EUPL-1.2
"""`sys/remount`: moving a mount. The data stays where it is, only the mount's path changes."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from vault.barrier.barrier import Barrier
from vault.barrier.stored import RecordKind, raw
from vault.barrier.view import View
from vault.engines.system.mounts import rules
from vault.framework.call import Call
from vault.framework.clock import Entropy
from vault.framework.concurrency.time_slice import TimeSlice
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, NotFound
from vault.framework.fields import Doc
from vault.framework.names import check_length
from vault.framework.quote import quote
from vault.framework.reply import Reply
from vault.framework.route import Params, read, write
from vault.mount.entry import MountEntry
from vault.mount.router import Router
from vault.mount.table import MountTable, leave
from vault.namespace.book import Namespaces
from vault.token.authenticator import core_reader
from vault.token.store import TokenStore

_PREFIX: Final = "remount/"
_QUEUED: Final = (
    "Mount move has been queued. Progress will be reported in OpenBao's server log, tagged with the "
    "returned migration_id"
)


class RemountParams(Params, frozen=True):
    """The old and the new path."""

    source: Annotated[str, Doc("Path of the mount; auth/… for an auth method.", clear=True)] = msgspec.field(
        default="", name="from"
    )
    to: Annotated[str, Doc("The new path.", clear=True)] = ""


class StatusParams(Params, frozen=True):
    """Names a move."""

    id: Annotated[str, Doc("The migration_id that the move answered.")]


class RemountResult(msgspec.Struct, frozen=True):
    """The identifier under which the status of the move can be read."""

    migration_id: str


class Migration(msgspec.Struct, frozen=True):
    """A move and how it went."""

    source_mount: str
    target_mount: str
    status: str


_MIGRATION: Final = RecordKind("remount", Migration)


class MigrationStatus(msgspec.Struct, frozen=True):
    """A move by its identifier."""

    migration_id: str
    migration_info: Migration


class MountLocation(msgspec.Struct, frozen=True):
    """The old or new location of a mount: `path` in the table of its namespace, `shown` as the caller sees it."""

    table: MountTable
    path: str
    shown: str


class RemountEngine(Engine):
    """Moves mounts, also from one namespace to another, at once and in one transaction."""

    def __init__(
        self, router: Router, namespaces: Namespaces, barrier: Barrier, entropy: Entropy, tokens: TokenStore
    ) -> None:
        self._router = router
        self._tokens = tokens
        self._namespaces = namespaces
        self._barrier = barrier
        self._entropy = entropy

    @write("remount", sudo=True, event="mount.move")
    async def remount(self, call: Call, params: RemountParams) -> Reply[RemountResult]:
        """Move a mount with all its data. Needs sudo. The tokens that it has issued are revoked.

        The move is complete when this answers; clients that poll `remount/status` find it finished.
        """
        if not params.source or not params.to:
            raise Malformed("both 'from' and 'to' path must be specified as a string")
        check_length(to=params.to)
        source = self._place(call, "from", params.source)
        target = self._place(call, "to", params.to)
        _check(source, target)
        mount = source.table.get(source.path)
        if mount is None:
            raise Malformed(f'no matching mount at "{quote(source.shown)}"')
        taken = target.table.conflict(target.path)
        if taken:
            raise Malformed(f'path already in use at "{quote(target.table.namespace.path)}{quote(taken)}"')
        home = call.core.space(source.table.namespace.id)
        apart = target.table is not source.table
        if apart and any(engine.stays for engine in mount.backend.engines):
            raise Malformed(
                f'mounts of type "{quote(mount.entry.kind)}" cannot be moved into another namespace'
            )
        moved = msgspec.structs.replace(mount.entry, path=target.path, since=self._entropy.uuid())
        if mount.entry.is_auth:
            await self._tokens.revoke_mount(home, mount.entry.logins, source.table.namespace.id)
        await leave(home, source.table.namespace, mount)
        if apart:
            await _carry(call.core, source.table, target.table, moved)
            await source.table.hand_over(home, mount.entry)
        await target.table.put(call.core.space(target.table.namespace.id), moved)
        identifier = self._entropy.uuid()
        above = call.namespace.path
        done = Migration(above + source.shown, above + target.shown, "success")
        await call.core.put(_PREFIX + identifier, _MIGRATION.encode(done))
        return Reply(
            data=RemountResult(identifier),
            embed=True,
            warnings=[_QUEUED],
        )

    @read("remount/status/{id}", event="mount.move.status")
    async def read_status(self, call: Call, params: StatusParams) -> MigrationStatus:
        """Show how a move went."""
        stored = await core_reader(self._barrier, call.namespace).get(_PREFIX + params.id)
        if stored is None:
            raise NotFound
        return MigrationStatus(params.id, _MIGRATION.decode(stored))

    def _place(self, call: Call, name: str, path: str) -> MountLocation:
        """Return the location that a path names, in the caller's namespace or below. Raises `Malformed`."""
        if path.strip() != path:
            raise Malformed(f"'{name}' path cannot contain trailing whitespace")
        if not path.isprintable() or {"", ".", ".."} & set(path.strip("/").split("/")):
            raise Malformed(f"'{name}' path must have no empty, relative or unprintable parts")
        shown = rules.directory(path.lstrip("/"))
        full = call.namespace.path + shown
        namespace = self._namespaces.deepest(full)
        closed = self._namespaces.closed(namespace)
        inside = full[len(namespace.path) :]
        if not inside or closed is not None:
            raise Malformed(
                f'invalid {"destination" if name == "to" else "source"} mount path "{quote(shown)}"'
            )
        return MountLocation(self._router.of(namespace), inside, shown)


async def _carry(core: View, source: MountTable, target: MountTable, entry: MountEntry) -> None:
    """Rewrite a mount's data in another namespace, because each value is encrypted for its own namespace."""
    old = core.space(source.namespace.id).mount(entry.uuid)
    new = core.space(target.namespace.id).mount(entry.uuid)
    turn = TimeSlice()
    for name in await old.scan(""):
        value = await old.get(name)
        if value is not None:
            await new.put(name, raw(value))
        await turn.step()


def _check(source: MountLocation, target: MountLocation) -> None:
    """Raise `Malformed` for locations that cannot be moved from or to."""
    moving_auth = source.path.startswith("auth/")
    if moving_auth and not target.path.startswith("auth/"):
        raise Malformed(f'cannot remount auth mount to non-auth mount "{quote(target.path)}"')
    if source.path == "auth/token/" or (not moving_auth and source.path.startswith(rules.OWN)):
        raise Malformed(f'cannot remount "{quote(source.path)}"')
    if target.path in {"auth/", "auth/token/"} or (not moving_auth and target.path.startswith(rules.OWN)):
        raise Malformed(f"cannot remount to destination {quote(target.path)}")
