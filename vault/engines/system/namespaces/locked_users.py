# SPDX-License-Identifier: EUPL-1.2
"""`sys/locked-users`: users locked out after failed logins, and their unlocking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec

from vault.barrier.barrier import Barrier
from vault.framework.call import Call
from vault.framework.engine import Engine
from vault.framework.fields import Doc
from vault.framework.route import Params, read, write
from vault.mount.router import Router
from vault.mount.table import MountTable
from vault.token.authenticator import core_reader
from vault.token.lockout import Lockout
from vault.values.ids import MountAccessor, NamespaceId


class LockedParams(Params, frozen=True):
    """The auth method to show."""

    mount_accessor: Annotated[
        str, Doc("Accessor of the auth method; all of them if it is not given.", clear=True)
    ] = ""


class UserUnlockParams(Params, frozen=True):
    """The user to unlock."""

    mount_accessor: Annotated[str, Doc("Accessor of the auth method.")]
    alias_identifier: Annotated[str, Doc("The name, as the auth method has it: user name or role id.")]


class LockedMount(msgspec.Struct, frozen=True):
    """The users locked out of one auth method."""

    mount_accessor: MountAccessor
    counts: int
    alias_identifiers: Sequence[str] | None


class LockedNamespace(msgspec.Struct, frozen=True):
    """The users locked out of one namespace."""

    namespace_id: NamespaceId
    namespace_path: str
    counts: int
    mount_accessors: Sequence[LockedMount]


class LockedUsers(msgspec.Struct, frozen=True):
    """The users locked out, by namespace."""

    by_namespace: Sequence[LockedNamespace]
    total: int


class LockedUsersEngine(Engine):
    """Names that are locked out."""

    def __init__(self, lockout: Lockout, router: Router, barrier: Barrier) -> None:
        self._lockout = lockout
        self._router = router
        self._barrier = barrier

    @read("locked-users", event="auth.lockout.list")
    async def read_locked(self, call: Call, params: LockedParams) -> LockedUsers:
        """Show who is locked out of this namespace, and of namespaces below it with locked users."""
        asked = MountAccessor(params.mount_accessor)
        spaces = []
        for table in self._router.within(call.namespace):
            own = table.namespace.id == call.namespace.id
            if asked and not own:
                continue
            rows = await self._locked(table, asked)
            if own and asked and not rows:
                rows.append(LockedMount(asked, 0, None))
            if own or rows:
                counts = sum(row.counts for row in rows)
                spaces.append(LockedNamespace(table.namespace.id, table.namespace.path, counts, rows))
        spaces.sort(key=lambda space: space.namespace_path)
        return LockedUsers(spaces, sum(space.counts for space in spaces))

    async def _locked(self, table: MountTable, accessor: MountAccessor) -> list[LockedMount]:
        """Return the auth methods of a namespace with locked users."""
        rows = []
        for mount in table:  # a sealed namespace has no mount table here
            entry = mount.entry
            core = core_reader(self._barrier, table.namespace)
            if entry.is_auth and accessor in {"", entry.accessor}:
                names = await self._lockout.locked(core.mount(entry.uuid), entry)
                if names:
                    rows.append(LockedMount(entry.accessor, len(names), names))
        return sorted(rows, key=lambda row: row.mount_accessor)

    @write("locked-users/{mount_accessor}/unlock/{alias_identifier:path}", event="auth.lockout.unlock")
    async def unlock(self, call: Call, params: UserUnlockParams) -> None:
        """Unlock a user; nothing happens where they are not locked."""
        for mount in self._router.of(call.namespace):
            if mount.entry.is_auth and mount.entry.accessor == params.mount_accessor:
                view = call.core.mount(mount.entry.uuid)
                await self._lockout.admit(view, mount.entry.uuid, params.alias_identifier)
                await self._lockout.forget(view, params.alias_identifier)
