# SPDX-License-Identifier: EUPL-1.2
"""`identity/lookup`: entities and groups by id, name or alias."""

from __future__ import annotations

from typing import Annotated

from nhi.identity.entities.entity_routes import EntityEngine, own
from nhi.identity.entities.group_routes import GroupEngine
from nhi.identity.records import groups, store
from vault.framework.call import Call
from vault.framework.engine import Engine
from vault.framework.errors import Malformed
from vault.framework.fields import Doc, Json
from vault.framework.names import check_length
from vault.framework.route import Params, write
from vault.values.ids import EntityId, GroupId, MountAccessor


class LookupParams(Params, frozen=True):
    """What is known: one of id, name, alias id, or alias name with mount."""

    id: Annotated[str | None, Doc("Its id.", clear=True)] = None
    name: Annotated[str | None, Doc("Its name.")] = None
    alias_id: Annotated[str | None, Doc("Id of an alias of it.", clear=True)] = None
    alias_name: Annotated[str | None, Doc("Name of an alias of it; with alias_mount_accessor.")] = None
    alias_mount_accessor: Annotated[str | None, Doc("Accessor of the mount of that alias.", clear=True)] = (
        None
    )


class LookupEngine(Engine):
    """Lookups. What is not found is no error."""

    def __init__(self, entity_engine: EntityEngine, group_engine: GroupEngine) -> None:
        self._entities = entity_engine
        self._groups = group_engine

    @write("lookup/entity", writes=False, asks=True, event="identity.entity.lookup")
    async def lookup_entity(self, call: Call, params: LookupParams) -> dict[str, Json] | None:
        """Look an entity up."""
        _one(params)
        core = own(call)
        if params.id:
            found = await store.entity(core, EntityId(params.id))
        elif params.name:
            found = await store.by_name(core, params.name)
        else:
            pair = await (
                store.by_alias(core, params.alias_id)
                if params.alias_id
                else store.by_factor(core, _accessor(params), params.alias_name or "")
            )
            found = pair[0] if pair is not None else None
        return await self._entities.show(call, found) if found is not None else None

    @write("lookup/group", writes=False, asks=True, event="identity.group.lookup")
    async def lookup_group(self, call: Call, params: LookupParams) -> dict[str, Json] | None:
        """Look a group up."""
        _one(params)
        core = own(call)
        if params.id:
            found = await groups.group(core, GroupId(params.id))
        elif params.name:
            found = await groups.by_name(core, params.name)
        elif params.alias_id:
            found = await groups.by_alias(core, params.alias_id)
        else:
            found = await groups.by_factor(core, _accessor(params), params.alias_name or "")
        return await self._groups.show(call, found) if found is not None else None


def _accessor(params: LookupParams) -> MountAccessor:
    return MountAccessor(params.alias_mount_accessor or "")


def _one(params: LookupParams) -> None:
    """Refuse anything but one way to find something, and long names; a way that is given empty is given, and finds nothing.

    Raises `Malformed`.
    """
    check_length(name=params.name, alias_name=params.alias_name)
    whole = bool(params.alias_name and params.alias_mount_accessor)
    half = bool(params.alias_name or params.alias_mount_accessor)
    ways = (params.id, params.name, params.alias_id, params.alias_name, params.alias_mount_accessor)
    given = sum(way is not None for way in ways)
    if not given:
        raise Malformed("query parameter not supplied")
    if given > 1 and not (given == 2 and whole):
        raise Malformed("query parameter conflict; please supply distinct set of query parameters")
    if half and not whole:
        raise Malformed("both 'alias_name' and 'alias_mount_accessor' needs to be set")
