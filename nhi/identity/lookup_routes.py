# SPDX-License-Identifier: EUPL-1.2
"""`identity/lookup`: entities and groups by whatever is known of them."""

from __future__ import annotations

from typing import Annotated

from nhi.identity import groups, store
from nhi.identity.entity_routes import EntityEngine, own
from nhi.identity.group_routes import GroupEngine
from vault.framework.call import Call
from vault.framework.engine import Engine
from vault.framework.errors import Malformed
from vault.framework.fields import Doc, Json
from vault.framework.route import Params, write


class LookupParams(Params, frozen=True):
    """What is known: one of id, name, alias id, or alias name with mount."""

    id: Annotated[str, Doc("Its id.")] = ""
    name: Annotated[str, Doc("Its name.")] = ""
    alias_id: Annotated[str, Doc("Id of an alias of it.")] = ""
    alias_name: Annotated[str, Doc("Name of an alias of it; with alias_mount_accessor.")] = ""
    alias_mount_accessor: Annotated[str, Doc("Accessor of the mount of that alias.")] = ""


class LookupEngine(Engine):
    """Lookups. What is not found is no error."""

    def __init__(self, entity_engine: EntityEngine, group_engine: GroupEngine) -> None:
        self._entities = entity_engine
        self._groups = group_engine

    @write("lookup/entity", writes=False, asks=True)
    async def lookup_entity(self, call: Call, params: LookupParams) -> dict[str, Json] | None:
        """Look an entity up."""
        _one(params)
        core = own(call)
        if params.id:
            found = await store.entity(core, params.id)
        elif params.name:
            found = await store.by_name(core, params.name)
        else:
            pair = await (
                store.by_alias(core, params.alias_id)
                if params.alias_id
                else store.by_factor(core, params.alias_mount_accessor, params.alias_name)
            )
            found = pair[0] if pair is not None else None
        return await self._entities.show(call, found) if found is not None else None

    @write("lookup/group", writes=False, asks=True)
    async def lookup_group(self, call: Call, params: LookupParams) -> dict[str, Json] | None:
        """Look a group up."""
        _one(params)
        core = own(call)
        if params.id:
            found = await groups.group(core, params.id)
        elif params.name:
            found = await groups.by_name(core, params.name)
        elif params.alias_id:
            found = await groups.by_alias(core, params.alias_id)
        else:
            found = await groups.by_factor(core, params.alias_mount_accessor, params.alias_name)
        return await self._groups.show(call, found) if found is not None else None


def _one(params: LookupParams) -> None:
    """Refuse anything but one way to find something. Raises `Malformed`."""
    factor = bool(params.alias_name or params.alias_mount_accessor)
    ways = sum(map(bool, (params.id, params.name, params.alias_id, factor)))
    if not ways:
        raise Malformed("query parameter not supplied")
    if ways > 1:
        raise Malformed("query parameter conflict; please supply distinct set of query parameters")
    if factor and not (params.alias_name and params.alias_mount_accessor):
        raise Malformed("both 'alias_name' and 'alias_mount_accessor' needs to be set")
