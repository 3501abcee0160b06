# SPDX-License-Identifier: EUPL-1.2
"""`sys/remount`: moving a mount. The data stays where it is, only the mount's path changes."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from vault.barrier.barrier import Barrier
from vault.engines.system import mount_rules as rules
from vault.framework.call import Call, Reply
from vault.framework.clock import Entropy
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, NotFound
from vault.framework.fields import Doc
from vault.framework.route import Params, read, write
from vault.mount.table import MountTable
from vault.token.authenticator import core_reader

_PREFIX: Final = "remount/"
_QUEUED: Final = (
    "Mount move has been queued. Progress will be reported in OpenBao's server log, tagged with the "
    "returned migration_id"
)


class RemountParams(Params, frozen=True):
    """From where to where."""

    source: Annotated[str, Doc("Path of the mount; auth/… for an auth method.")] = msgspec.field(
        default="", name="from"
    )
    to: Annotated[str, Doc("Where it is to be.")] = ""


class StatusParams(Params, frozen=True):
    """Names a move."""

    id: Annotated[str, Doc("The migration_id that the move answered.")]


class Queued(msgspec.Struct, frozen=True):
    """How to ask for a move's status."""

    migration_id: str


class Migration(msgspec.Struct, frozen=True):
    """A move and how it went."""

    source_mount: str
    target_mount: str
    status: str


class MigrationStatus(msgspec.Struct, frozen=True):
    """A move by its identifier."""

    migration_id: str
    migration_info: Migration


class RemountEngine(Engine):
    """Moves mounts within a namespace, at once and in one transaction."""

    def __init__(self, table: MountTable, barrier: Barrier, entropy: Entropy) -> None:
        self._table = table
        self._barrier = barrier
        self._entropy = entropy

    @write("remount", sudo=True)
    async def remount(self, call: Call, params: RemountParams) -> Reply[Queued]:
        """Move a mount with all its data. Needs sudo.

        Done when it answers; clients that poll `remount/status` find it finished.
        """
        source, target = _paths(params)
        mount = self._table.get(source)
        if mount is None:
            raise Malformed(f'no matching mount at "{source}"')
        taken = self._table.conflict(target)
        if taken:
            raise Malformed(f'path already in use at "{taken}"')
        identifier = self._entropy.uuid()
        done = Migration(source, target, "success")
        await self._table.put(call.core, msgspec.structs.replace(mount.entry, path=target))
        await call.core.put(_PREFIX + identifier, msgspec.msgpack.encode(done))
        return Reply(
            data=Queued(identifier),
            embed=True,
            warnings=[_QUEUED],
        )

    @read("remount/status/{id}")
    async def read_status(self, call: Call, params: StatusParams) -> MigrationStatus:
        """Show how a move went."""
        stored = await core_reader(self._barrier, call.namespace).get(_PREFIX + params.id)
        if stored is None:
            raise NotFound
        return MigrationStatus(params.id, msgspec.msgpack.decode(stored, type=Migration))


def _paths(params: RemountParams) -> tuple[str, str]:
    """Return both paths. Raises `Malformed` where they cannot be moved from or to."""
    if not params.source or not params.to:
        raise Malformed("both 'from' and 'to' path must be specified as a string")
    for name, path in (("from", params.source), ("to", params.to)):
        if path.strip() != path:
            raise Malformed(f"'{name}' path cannot contain trailing whitespace")
        if not path.isprintable() or {"", ".", ".."} & set(path.strip("/").split("/")):
            raise Malformed(f"'{name}' path must have no empty, relative or unprintable parts")
    source, target = rules.directory(params.source.lstrip("/")), rules.directory(params.to.lstrip("/"))
    moving_auth = source.startswith("auth/")
    if moving_auth and not target.startswith("auth/"):
        raise Malformed(f'cannot remount auth mount to non-auth mount "{target}"')
    if source == "auth/token/" or (not moving_auth and source.startswith(rules.OWN)):
        raise Malformed(f'cannot remount "{source}"')
    if target in {"auth/", "auth/token/"} or (not moving_auth and target.startswith(rules.OWN)):
        raise Malformed(f"cannot remount to destination {target}")
    return source, target
