# SPDX-License-Identifier: EUPL-1.2
"""`identity/group`: entities, and groups, that share policies."""

from __future__ import annotations

from typing import Annotated

import msgspec

from nhi.identity.entities.answers import Answers, checked_metadata, checked_name, checked_policies
from nhi.identity.entities.entity_routes import KeyInfo, Keys, own
from nhi.identity.entities.identities import Identities
from nhi.identity.records import groups, store
from nhi.identity.records.model import Group
from nhi.records import nulled
from vault.framework.call import Call
from vault.framework.clock import Clock
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, NotFound
from vault.framework.fields import CommaList, Doc, Json, Pairs
from vault.framework.quote import quote
from vault.framework.reply import Reply
from vault.framework.route import Params, delete, list_, read, write
from vault.values.ids import EntityId, GroupId


class GroupParams(Params, frozen=True, kw_only=True):
    """A group; what is not given stays."""

    id: Annotated[str, Doc("Id of the group; without it the name says which.", clear=True)] = ""
    name: Annotated[str, Doc("Name of the group; a new one gets one made.")] = ""
    type: Annotated[str | None, Doc("internal or external; it cannot be changed.", clear=True)] = None
    metadata: Annotated[Pairs | None, Doc("Metadata.")] = None
    policies: Annotated[CommaList | None, Doc("Policies of all that are in it.", clear=True)] = None
    member_entity_ids: Annotated[CommaList | None, Doc("Ids of the entities that are in it.", clear=True)] = (
        None
    )
    member_group_ids: Annotated[CommaList | None, Doc("Ids of the groups that are in it.", clear=True)] = None


class GroupIdParams(GroupParams, frozen=True, kw_only=True):
    """A group by its id; what is not given stays."""

    id: Annotated[str, Doc("Id of the group.")]


class GroupNameParams(GroupParams, frozen=True, kw_only=True):
    """A group by its name; what is not given stays."""

    name: Annotated[str, Doc("Name of the group.")]


class GroupById(Params, frozen=True):
    """Which group."""

    id: Annotated[str, Doc("Id of the group.")]


class GroupByName(Params, frozen=True):
    """Which group."""

    name: Annotated[str, Doc("Name of the group.")]


class GroupEngine(Engine):
    """The paths of groups, internal and external ones."""

    def __init__(self, identities: Identities, shapes: Answers, clock: Clock) -> None:
        self._identities = identities
        self._shapes = shapes
        self._clock = clock

    @write("group", event="identity.group.write")
    async def write_group(self, call: Call, params: GroupParams) -> Reply[dict[str, Json]] | None:
        """Make a group, or change one by its id or name."""
        return await self._write(call, params)

    @write("group/id/{id:word}", event="identity.group.write")
    async def write_group_by_id(self, call: Call, params: GroupIdParams) -> Reply[dict[str, Json]] | None:
        """Change a group by its id."""
        return await self._write(call, params)

    @write("group/name/{name:path}", event="identity.group.write")
    async def write_group_by_name(self, call: Call, params: GroupNameParams) -> Reply[dict[str, Json]] | None:
        """Make a group, or change one by its name."""
        return await self._write(call, params)

    @read("group/id/{id:word}", event="identity.group.read")
    async def read_group(self, call: Call, params: GroupById) -> dict[str, Json]:
        """Read a group with what is in it."""
        return await self.show(call, await groups.group(own(call), GroupId(params.id)))

    @read("group/name/{name:path}", event="identity.group.read")
    async def read_group_by_name(self, call: Call, params: GroupByName) -> dict[str, Json]:
        """Read a group with what is in it."""
        return await self.show(call, await groups.by_name(own(call), params.name))

    @delete("group/id/{id:word}", event="identity.group.delete")
    async def delete_group(self, call: Call, params: GroupById) -> None:
        """Remove a group; what was in it stays."""
        await _remove(call, await groups.group(call.core, GroupId(params.id)))

    @delete("group/name/{name:path}", event="identity.group.delete")
    async def delete_group_by_name(self, call: Call, params: GroupByName) -> None:
        """Remove a group; what was in it stays."""
        await _remove(call, await groups.by_name(call.core, params.name))

    @list_("group/id", event="identity.group.list")
    async def list_groups(self, call: Call) -> KeyInfo:
        """List groups by id, with their names and sizes."""
        core = own(call)
        info: dict[str, Json] = {}
        for one in await groups.groups(core):
            info[one.id] = {
                "name": one.name,
                "num_member_entities": len(await groups.members(core, one.id)),
                "num_parent_groups": len(await groups.outer_groups(core, one.id)),
            }
        if not info:
            raise NotFound
        return KeyInfo(info, list(info))

    @list_("group/name", event="identity.group.list")
    async def list_group_names(self, call: Call) -> Keys:
        """List the names of groups, in the order of their ids."""
        found = await groups.groups(own(call))
        if not found:
            raise NotFound
        return Keys([one.name for one in found])

    async def show(self, call: Call, group: Group | None) -> dict[str, Json]:
        """Return a group as it is read. Raises `NotFound` for None."""
        if group is None:
            raise NotFound
        core = own(call)
        return self._shapes.group(
            call,
            group,
            members=await groups.members(core, group.id),
            inner=await groups.inner_groups(core, group.id),
            outer=await groups.outer_groups(core, group.id),
        )

    def fresh(self, call: Call, *, external: bool, name: str = "") -> Group:
        """Return a new group, which is not stored."""
        now = self._clock.nanos()
        return Group(
            id=GroupId(self._identities.id(call.namespace)),
            name=name or self._identities.name("group", call.namespace),
            created=now,
            updated=now,
            external=external,
        )

    async def _write(self, call: Call, params: GroupParams) -> Reply[dict[str, Json]] | None:
        checked_name(params.name)
        old = await self._meant(call, params)
        if old is not None and params.type not in {None, "external" if old.external else "internal"}:
            raise Malformed("group type cannot be changed")
        if params.type not in {None, "", "internal", "external"}:
            raise Malformed("invalid group type")
        group = old.next_write() if old is not None else self.fresh(call, external=params.type == "external")
        if group.external and params.member_entity_ids is not None:
            raise Malformed("member entities can't be set manually for external groups")
        if group.external and params.member_group_ids is not None:
            raise Malformed("member groups can't be set for external groups")
        group = await self._changed(call, group, params)
        if old is not None:
            group = msgspec.structs.replace(group, updated=self._clock.nanos())
        await self._fill(call, group, params)
        await groups.put(call.core, call.namespace.id, group, old)
        return Reply({"id": group.id, "name": group.name}) if old is None else None

    async def _changed(self, call: Call, group: Group, params: GroupParams) -> Group:
        given: dict[str, Json] = {}
        if params.policies is not None:
            given["policies"] = checked_policies(params.policies)
        if params.name:
            given["name"] = params.name
            other = await groups.by_name(call.core, params.name)
            if other is not None and other.id != group.id:
                raise Malformed("group name is already in use")
        if params.metadata is not None:
            found = checked_metadata(params.metadata, "group metadata")
            given["metadata"] = None if nulled(call, "metadata") else found
        return msgspec.structs.replace(
            group, listed=params.member_entity_ids is not None, released=False, **given
        )

    async def _fill(self, call: Call, group: Group, params: GroupParams) -> None:
        """Say what is in a group. Raises `Malformed` for what is not there, and for a group within itself."""
        core = call.core
        if params.member_entity_ids is not None:
            for entity_id in params.member_entity_ids:
                if await store.entity(core, EntityId(entity_id)) is None:
                    raise Malformed("invalid entity ID", chained=True)
            await groups.set_members(core, group.id, params.member_entity_ids)
        if params.member_group_ids is None:
            return
        above = {group.id, *await groups.above(core, [group.id])}
        wanted = [GroupId(inner) for inner in params.member_group_ids]
        for inner in wanted:
            if inner == group.id:
                raise Malformed(
                    f'member group ID "{quote(inner)}" is same as the ID of the group', chained=True
                )
            if await groups.group(core, inner) is None:
                raise Malformed("invalid member group ID", chained=True)
            if inner in above:
                raise Malformed(f'cyclic relationship detected for member group ID "{quote(inner)}"')
        before = set(await groups.inner_groups(core, group.id))
        await groups.set_inner_groups(core, group.id, wanted)
        for inner in before ^ set(wanted):
            await groups.touch(core, inner, released=inner in before)

    async def _meant(self, call: Call, params: GroupParams) -> Group | None:
        """Return the group that is changed; None for a new one. Raises `Malformed` for an id that none has."""
        if not params.id:
            return await groups.by_name(call.core, params.name) if params.name else None
        found = await groups.group(call.core, GroupId(params.id))
        if found is None:
            raise Malformed("invalid group ID")
        return found


async def _remove(call: Call, group: Group | None) -> None:
    if group is not None:
        await groups.remove(call.core, call.namespace.id, group)
