# SPDX-License-Identifier: EUPL-1.2
"""`identity/entity`: entities, by id and by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec

from nhi.identity.entities.answers import Answers, checked_metadata, checked_name, checked_policies
from nhi.identity.entities.identities import Identities
from nhi.identity.records import groups, mfa, store
from nhi.identity.records.model import Entity
from nhi.records import nulled
from vault.barrier.view import ReadView
from vault.framework.call import Call
from vault.framework.clock import Clock
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, NotFound
from vault.framework.fields import CommaList, Doc, Json, Pairs
from vault.framework.reply import Reply
from vault.framework.route import Params, delete, list_, read, write
from vault.values.ids import EntityId


class EntityParams(Params, frozen=True, kw_only=True):
    """An entity; what is not given stays."""

    id: Annotated[str, Doc("Id of the entity; without it the name says which.", clear=True)] = ""
    name: Annotated[str, Doc("Name of the entity; a new one gets one made.")] = ""
    metadata: Annotated[Pairs | None, Doc("Metadata, which templates of policies can use.")] = None
    policies: Annotated[CommaList | None, Doc("Policies of all its tokens.", clear=True)] = None
    disabled: Annotated[bool | None, Doc("Whether its tokens are refused.", clear=True)] = None


class EntityIdParams(EntityParams, frozen=True, kw_only=True):
    """An entity by its id; what is not given stays."""

    id: Annotated[str, Doc("Id of the entity.")]


class EntityNameParams(EntityParams, frozen=True, kw_only=True):
    """An entity by its name; what is not given stays."""

    name: Annotated[str, Doc("Name of the entity.")]


class EntityPath(Params, frozen=True):
    """Which entity."""

    id: Annotated[str, Doc("Id of the entity.")]


class EntityName(Params, frozen=True):
    """Which entity."""

    name: Annotated[str, Doc("Name of the entity.")]


class EntityIds(Params, frozen=True):
    """Which entities."""

    entity_ids: Annotated[CommaList, Doc("Ids of the entities.", clear=True)] = ()


class KeyInfo(msgspec.Struct, frozen=True):
    """The answer of a list of ids, with name and more of each."""

    key_info: dict[str, Json]
    keys: Sequence[str]


class Keys(msgspec.Struct, frozen=True):
    """The answer of a list of names."""

    keys: Sequence[str]


def own(call: Call) -> ReadView:
    """Return the data of the call's namespace, in the transaction if there is one."""
    return call.reader.space(call.namespace.id)


class EntityEngine(Engine):
    """The paths of entities."""

    def __init__(self, identities: Identities, shapes: Answers, clock: Clock) -> None:
        self._identities = identities
        self._shapes = shapes
        self._clock = clock

    @write("entity", event="identity.entity.write")
    async def write_entity(self, call: Call, params: EntityParams) -> Reply[dict[str, Json]] | None:
        """Make an entity, or change one by its id or name."""
        return await self._write(call, params)

    @write("entity/id/{id:word}", event="identity.entity.write")
    async def write_entity_by_id(self, call: Call, params: EntityIdParams) -> Reply[dict[str, Json]] | None:
        """Change an entity by its id."""
        return await self._write(call, params)

    @write("entity/name/{name:path}", event="identity.entity.write")
    async def write_entity_by_name(
        self, call: Call, params: EntityNameParams
    ) -> Reply[dict[str, Json]] | None:
        """Make an entity, or change one by its name."""
        return await self._write(call, params)

    @read("entity/id/{id:word}", event="identity.entity.read")
    async def read_entity(self, call: Call, params: EntityPath) -> dict[str, Json]:
        """Read an entity with its aliases and groups."""
        return await self.show(call, await store.entity(own(call), EntityId(params.id)))

    @read("entity/name/{name:path}", event="identity.entity.read")
    async def read_entity_by_name(self, call: Call, params: EntityName) -> dict[str, Json]:
        """Read an entity with its aliases and groups."""
        return await self.show(call, await store.by_name(own(call), params.name))

    @delete("entity/id/{id:word}", event="identity.entity.delete")
    async def delete_entity(self, call: Call, params: EntityPath) -> None:
        """Remove an entity with its aliases; its tokens are refused from now on."""
        await remove(call, await store.entity(call.core, EntityId(params.id)))

    @delete("entity/name/{name:path}", event="identity.entity.delete")
    async def delete_entity_by_name(self, call: Call, params: EntityName) -> None:
        """Remove an entity with its aliases; its tokens are refused from now on."""
        await remove(call, await store.by_name(call.core, params.name))

    @write("entity/batch-delete", event="identity.entity.delete")
    async def delete_entities(self, call: Call, params: EntityIds) -> None:
        """Remove entities; those that are not there are passed over."""
        if not params.entity_ids:
            raise Malformed("missing entity ids to delete")
        for entity_id in params.entity_ids:
            await remove(call, await store.entity(call.core, EntityId(entity_id)))

    @list_("entity/id", event="identity.entity.list")
    async def list_entities(self, call: Call) -> KeyInfo:
        """List entities by id, with their names and aliases."""
        found = await store.entities(own(call))
        if not found:
            raise NotFound
        info: dict[str, Json] = {}
        for one in found:
            info[one.id] = {"name": one.name}
            if one.aliases:
                info[one.id]["aliases"] = [self._shapes.brief(call, alias) for alias in one.aliases]
        return KeyInfo(info, list(info))

    @list_("entity/name", event="identity.entity.list")
    async def list_entity_names(self, call: Call) -> Keys:
        """List the names of entities, in the order of their ids."""
        found = await store.entities(own(call))
        if not found:
            raise NotFound
        return Keys([one.name for one in found])

    async def show(self, call: Call, entity: Entity | None) -> dict[str, Json]:
        """Return an entity as it is read. Raises `NotFound` for None."""
        if entity is None:
            raise NotFound
        direct, inherited = await groups.all_of(own(call), entity.id)
        return self._shapes.entity(call, entity, direct, inherited)

    async def _write(self, call: Call, params: EntityParams) -> Reply[dict[str, Json]] | None:
        checked_name(params.name)
        old = await self._meant(call, params)
        new = old.next_write() if old is not None else self._identities.fresh(call.namespace)
        given: dict[str, Json] = {"updated": self._clock.nanos() if old is not None else new.updated}
        if params.name:
            given["name"] = params.name
            other = await store.by_name(call.core, params.name)
            if other is not None and other.id != new.id:
                raise Malformed("entity name is already in use")
        if params.policies is not None:
            given["policies"] = checked_policies(params.policies)
        if params.metadata is not None:
            found = checked_metadata(params.metadata, "entity metadata")
            given["metadata"] = None if nulled(call, "metadata") else found
        if params.disabled is not None:
            given["disabled"] = params.disabled
        new = msgspec.structs.replace(new, **given)
        await store.put(call.core, call.namespace.id, new, old)
        if old is not None:
            return None
        return Reply({"aliases": None, "id": new.id, "name": new.name})

    async def _meant(self, call: Call, params: EntityParams) -> Entity | None:
        """Return the entity that is changed; None for a new one. Raises `Malformed` for an unknown id."""
        if not params.id:
            return await store.by_name(call.core, params.name) if params.name else None
        found = await store.entity(call.core, EntityId(params.id))
        if found is None:
            raise Malformed("entity not found from id")
        return found


async def remove(call: Call, entity: Entity | None) -> None:
    """Remove an entity, and what it shares with authenticators; nothing happens for None."""
    if entity is None:
        return
    for group_id in await groups.of_entity(call.core, entity.id):
        await groups.leave(call.core, group_id, entity.id)
        await groups.touch(call.core, group_id, listed=True)
    for method_id, _ in await mfa.seeds(call.core, entity.id):
        await mfa.delete_seed(call.core, method_id, entity.id)
    await store.remove(call.core, call.namespace.id, entity)
