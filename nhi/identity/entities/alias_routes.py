# SPDX-License-Identifier: EUPL-1.2
"""`identity/entity-alias`: by which names mounts know entities. `alias` and `persona` are older names of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec

from nhi.identity.entities.answers import Answers, checked_metadata, checked_name
from nhi.identity.entities.entity_routes import KeyInfo, own
from nhi.identity.entities.identities import Identities
from nhi.identity.records import store
from nhi.identity.records.model import Alias, Entity
from nhi.records import nulled
from vault.framework.call import Call
from vault.framework.clock import Clock
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, NotFound
from vault.framework.fields import Doc, Json, Pairs
from vault.framework.reply import Reply
from vault.framework.route import Params, delete, list_, read, write
from vault.values.deprecation import OLD
from vault.values.ids import EntityId, MountAccessor


class AliasParams(Params, frozen=True, kw_only=True):
    """An alias of an entity; what is not given stays."""

    id: Annotated[str, Doc("Id of the alias; without it mount and name say which.", clear=True)] = ""
    canonical_id: Annotated[str, Doc("Id of the entity; without it a new one is made.", clear=True)] = ""
    entity_id: Annotated[str, Doc("Old name of canonical_id.", clear=True, deprecation=OLD)] = ""
    mount_accessor: Annotated[
        str, Doc("Accessor of the mount that knows the entity by this name.", clear=True)
    ] = ""
    name: Annotated[str, Doc("The name.")] = ""
    custom_metadata: Annotated[Pairs | None, Doc("Metadata that logins leave alone.")] = None


class AliasIdParams(AliasParams, frozen=True, kw_only=True):
    """An alias by its id; what is not given stays."""

    id: Annotated[str, Doc("Id of the alias.")]


class OldAliasParams(Params, frozen=True, kw_only=True):
    """An alias, as it was written before it had metadata of its own."""

    id: Annotated[str, Doc("Id of the alias; without it mount and name say which.", clear=True)] = ""
    canonical_id: Annotated[str, Doc("Id of the entity; without it a new one is made.", clear=True)] = ""
    entity_id: Annotated[str, Doc("Old name of canonical_id.", clear=True, deprecation=OLD)] = ""
    mount_accessor: Annotated[
        str, Doc("Accessor of the mount that knows the entity by this name.", clear=True)
    ] = ""
    name: Annotated[str, Doc("The name.")] = ""

    def today(self) -> AliasParams:
        """Return them as they are written now."""
        return AliasParams(
            id=self.id,
            canonical_id=self.canonical_id,
            entity_id=self.entity_id,
            mount_accessor=self.mount_accessor,
            name=self.name,
        )


class OldAliasIdParams(OldAliasParams, frozen=True, kw_only=True):
    """An alias by its id, as it was written before it had metadata of its own."""

    id: Annotated[str, Doc("Id of the alias.")]


class AliasId(Params, frozen=True):
    """Which alias."""

    id: Annotated[str, Doc("Id of the alias.")]


class AliasEngine(Engine):
    """The paths of the aliases of entities."""

    def __init__(self, identities: Identities, shapes: Answers, clock: Clock) -> None:
        self._identities = identities
        self._shapes = shapes
        self._clock = clock

    @write("alias", event="identity.alias.write")
    @write("persona", event="identity.alias.write")
    async def write_old_alias(self, call: Call, params: OldAliasParams) -> Reply[Mapping[str, str]] | None:
        """Make an alias, with an entity if none is given, or change one by its id or by mount and name."""
        return await self._write(call, params.today())

    @write("alias/id/{id:word}", event="identity.alias.write")
    @write("persona/id/{id:word}", event="identity.alias.write")
    async def write_old_alias_by_id(
        self, call: Call, params: OldAliasIdParams
    ) -> Reply[Mapping[str, str]] | None:
        """Change an alias by its id."""
        return await self._write(call, params.today())

    @write("entity-alias", event="identity.alias.write")
    async def write_alias(self, call: Call, params: AliasParams) -> Reply[Mapping[str, str]] | None:
        """Make an alias, with an entity if none is given, or change one by its id or by mount and name."""
        return await self._write(call, params)

    @write("entity-alias/id/{id:word}", event="identity.alias.write")
    async def write_alias_by_id(self, call: Call, params: AliasIdParams) -> Reply[Mapping[str, str]] | None:
        """Change an alias by its id."""
        return await self._write(call, params)

    @read("entity-alias/id/{id:word}", event="identity.alias.read")
    @read("alias/id/{id:word}", event="identity.alias.read")
    @read("persona/id/{id:word}", event="identity.alias.read")
    async def read_alias(self, call: Call, params: AliasId) -> dict[str, Json]:
        """Read an alias."""
        found = await store.by_alias(own(call), params.id)
        if found is None:
            raise NotFound
        return self._shapes.alias(call, found[1], found[0].id)

    @delete("entity-alias/id/{id:word}", event="identity.alias.delete")
    @delete("alias/id/{id:word}", event="identity.alias.delete")
    @delete("persona/id/{id:word}", event="identity.alias.delete")
    async def delete_alias(self, call: Call, params: AliasId) -> None:
        """Remove an alias; its entity stays."""
        found = await store.by_alias(call.core, params.id)
        if found is not None:
            entity, alias = found
            left = tuple(one for one in entity.aliases if one.id != alias.id)
            await self._put(call, msgspec.structs.replace(entity, aliases=left), entity)

    @list_("entity-alias/id", event="identity.alias.list")
    @list_("alias/id", event="identity.alias.list")
    @list_("persona/id", event="identity.alias.list")
    async def list_aliases(self, call: Call) -> KeyInfo:
        """List aliases by id, with what they are."""
        info = {
            alias.id: self._shapes.listed(call, alias, entity.id)
            for entity in await store.entities(own(call))
            for alias in entity.aliases
        }
        if not info:
            raise NotFound
        keys = sorted(info)
        return KeyInfo({key: info[key] for key in keys}, keys)

    async def _write(self, call: Call, params: AliasParams) -> Reply[Mapping[str, str]] | None:
        given = checked_name(params.name)
        if not (params.id or (given and params.mount_accessor)):
            raise Malformed("'id' or 'mount_accessor' and 'name' must be provided")
        found = await store.by_alias(call.core, params.id) if params.id else None
        if params.id and found is None:
            raise Malformed("invalid alias ID provided")
        accessor = MountAccessor(params.mount_accessor or (found[1].accessor if found is not None else ""))
        name = given or (found[1].name if found is not None else "")
        mount = self._shapes.mount(call, accessor)
        if mount is None:
            raise Malformed("invalid mount accessor")
        other = await store.by_factor(call.core, accessor, name)
        if params.id and other is not None and found is not None and other[1].id != found[1].id:
            raise Malformed("Alias already exists for requested entity and mount accessor")
        by_id, found = found is not None, found or other
        custom = params.custom_metadata
        if nulled(call, "custom_metadata"):
            custom = None
        elif custom is not None:
            custom = checked_metadata(custom, "custom_metadata")
        elif found is not None and by_id:
            custom = found[1].custom_metadata or None
        else:
            custom = {}
        if found is None:
            return await self._create(call, params, accessor, name, custom, local=mount.local)
        return await self._change(call, params, found, accessor, name, custom)

    async def _create(
        self,
        call: Call,
        params: AliasParams,
        accessor: MountAccessor,
        name: str,
        custom: Mapping[str, str] | None,
        *,
        local: bool,
    ) -> Reply[Mapping[str, str]]:
        owner = await self._owner(call, params, accessor)
        alias = self._identities.alias(call.namespace, accessor, name, custom_metadata=custom, local=local)
        entity = owner or self._identities.fresh(call.namespace)
        await self._put(call, msgspec.structs.replace(entity, aliases=(*entity.aliases, alias)), owner)
        return Reply({"canonical_id": entity.id, "id": alias.id})

    async def _change(
        self,
        call: Call,
        params: AliasParams,
        found: tuple[Entity, Alias],
        accessor: MountAccessor,
        name: str,
        custom: Mapping[str, str] | None,
    ) -> Reply[Mapping[str, str]] | None:
        entity, old = found
        to = params.canonical_id or params.entity_id
        moved = bool(to) and to != entity.id
        new = msgspec.structs.replace(
            old,
            accessor=accessor,
            name=name,
            custom_metadata=custom,
            updated=self._clock.nanos(),
        )
        same = (new.accessor, new.name, new.custom_metadata or None)
        if not moved and same == (old.accessor, old.name, old.custom_metadata or None):
            return None
        if not moved and accessor != old.accessor and entity.on(accessor) is not None:
            raise Malformed("Alias already exists for requested entity and mount accessor")
        if not moved:
            aliases = tuple(new if one.id == old.id else one for one in entity.aliases)
            await self._put(call, msgspec.structs.replace(entity, aliases=aliases), entity)
            return Reply({"canonical_id": entity.id, "id": new.id})
        owner = await self._owner(call, params, accessor)
        if owner is None:
            raise AssertionError("it was named")
        left = tuple(one for one in entity.aliases if one.id != old.id)
        await self._put(call, msgspec.structs.replace(entity, aliases=left), entity)
        await self._put(call, msgspec.structs.replace(owner, aliases=(*owner.aliases, new)), owner)
        return Reply({"canonical_id": owner.id, "id": new.id})

    async def _owner(self, call: Call, params: AliasParams, accessor: MountAccessor) -> Entity | None:
        """Return the entity that gets an alias; None for a new one. Raises `Malformed` where it cannot have it."""
        to = params.canonical_id or params.entity_id
        if not to:
            return None
        owner = await store.entity(call.core, EntityId(to))
        if owner is None and params.id:
            raise Malformed("given 'canonical_id' is not associated with an entity")
        if owner is None:
            raise Malformed("invalid canonical ID")
        if owner.on(accessor) is not None:
            raise Malformed("Alias already exists for requested entity and mount accessor")
        return owner

    async def _put(self, call: Call, new: Entity, old: Entity | None) -> None:
        await store.put(call.core, call.namespace.id, new if old is None else new.next_write(), old)
