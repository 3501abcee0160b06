# SPDX-License-Identifier: EUPL-1.2
"""`identity/group-alias`: by which names mounts know external groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec

from nhi.identity.entities.answers import Answers, checked_name
from nhi.identity.entities.entity_routes import KeyInfo, own
from nhi.identity.entities.group_routes import GroupEngine
from nhi.identity.entities.identities import Identities
from nhi.identity.records import groups
from nhi.identity.records.model import Group
from vault.framework.call import Call
from vault.framework.clock import Clock
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, NotFound
from vault.framework.fields import Doc, Json
from vault.framework.reply import Reply
from vault.framework.route import Params, delete, list_, read, write
from vault.values.ids import GroupId, MountAccessor


class GroupAliasParams(Params, frozen=True, kw_only=True):
    """An alias of an external group."""

    id: Annotated[str, Doc("Id of the alias, to change it.", clear=True)] = ""
    canonical_id: Annotated[str, Doc("Id of the group; without it a new one is made.", clear=True)] = ""
    mount_accessor: Annotated[
        str, Doc("Accessor of the mount that knows the group by this name.", clear=True)
    ] = ""
    name: Annotated[str, Doc("The name.")] = ""


class GroupAliasIdParams(GroupAliasParams, frozen=True, kw_only=True):
    """An alias of an external group, by its id."""

    id: Annotated[str, Doc("Id of the alias.")]


class GroupAliasId(Params, frozen=True):
    """Which alias."""

    id: Annotated[str, Doc("Id of the alias.")]


class GroupAliasEngine(Engine):
    """Aliases of external groups. A group has one; a new one takes the place of the old."""

    def __init__(
        self, identities: Identities, shapes: Answers, group_engine: GroupEngine, clock: Clock
    ) -> None:
        self._identities = identities
        self._shapes = shapes
        self._groups = group_engine
        self._clock = clock

    @write("group-alias", event="identity.alias.write")
    async def write_group_alias(
        self, call: Call, params: GroupAliasParams
    ) -> Reply[Mapping[str, str]] | None:
        """Make an alias of a group, with the group if none is given, or change one by its id."""
        return await self._write(call, params)

    @write("group-alias/id/{id:word}", event="identity.alias.write")
    async def write_group_alias_by_id(
        self, call: Call, params: GroupAliasIdParams
    ) -> Reply[Mapping[str, str]] | None:
        """Change an alias of a group."""
        return await self._write(call, params)

    @read("group-alias/id/{id:word}", event="identity.alias.read")
    async def read_group_alias(self, call: Call, params: GroupAliasId) -> dict[str, Json]:
        """Read an alias of a group."""
        group = await groups.by_alias(own(call), params.id)
        if group is None or group.alias is None:
            raise NotFound
        return self._shapes.alias(call, group.alias, group.id)

    @delete("group-alias/id/{id:word}", event="identity.alias.delete")
    async def delete_group_alias(self, call: Call, params: GroupAliasId) -> None:
        """Remove an alias of a group; the group stays, and who is in it."""
        group = await groups.by_alias(call.core, params.id)
        if group is not None:
            await self._put(call, group, msgspec.structs.replace(group, alias=None))

    @list_("group-alias/id", event="identity.alias.list")
    async def list_group_aliases(self, call: Call) -> KeyInfo:
        """List aliases of groups by id, with what they are."""
        info = {
            group.alias.id: self._shapes.listed(call, group.alias, group.id)
            for group in await groups.groups(own(call))
            if group.alias is not None
        }
        if not info:
            raise NotFound
        keys = sorted(info)
        return KeyInfo({key: info[key] for key in keys}, keys)

    async def _write(self, call: Call, params: GroupAliasParams) -> Reply[Mapping[str, str]] | None:
        name, accessor = checked_name(params.name), MountAccessor(params.mount_accessor)
        known = await groups.by_alias(call.core, params.id) if params.id else None
        if params.id and known is None:
            raise Malformed("invalid group alias ID")
        old = known.alias if known is not None else None
        if not name:
            raise Malformed("missing alias name")
        if not accessor:
            raise Malformed("missing mount_accessor")
        if self._shapes.mount(call, accessor) is None:
            raise Malformed("invalid mount accessor")
        other = await groups.by_factor(call.core, accessor, name)
        group = await self._owner(call, params, known)
        if other is not None and (known is None or other.id != known.id):
            raise Malformed("combination of mount and group alias name is already in use")
        if old is not None and group == known and (old.name, old.accessor) == (name, accessor):
            return None
        alias = self._identities.alias(call.namespace, accessor, name)
        if old is not None:
            alias = msgspec.structs.replace(alias, id=old.id, created=old.created)
        if known is not None and group is not None and known.id != group.id:
            await self._put(call, known, msgspec.structs.replace(known, alias=None))
        before = group
        group = group or self._groups.fresh(call, external=True)
        await self._put(call, before, msgspec.structs.replace(group, alias=alias))
        return Reply({"canonical_id": group.id, "id": alias.id})

    async def _owner(self, call: Call, params: GroupAliasParams, known: Group | None) -> Group | None:
        """Return the group that gets the alias, None for a new one. Raises `Malformed` where it cannot have it."""
        if not params.canonical_id:
            return known
        group = await groups.group(call.core, GroupId(params.canonical_id))
        if group is None:
            raise Malformed("invalid group ID given in 'canonical_id'")
        if not group.external:
            raise Malformed("alias can't be set on an internal group")
        return group

    async def _put(self, call: Call, old: Group | None, new: Group) -> None:
        if old is not None:
            new = msgspec.structs.replace(new.next_write(), updated=self._clock.nanos())
        await groups.put(call.core, call.namespace.id, new, old)
