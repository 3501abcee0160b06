# SPDX-License-Identifier: EUPL-1.2
"""Entities in storage. Every path is of one namespace: an id of another one is like an unknown id (SL-09).

What must be unique is a path of its own, so that two writers cannot both have it (SL-34): the name of an entity,
and an alias by mount and name. Names lie hashed, in the form of their kind (`nhi.identity.records.names`): storage reads none
of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final

from nhi.identity.records.model import ENTITY, Alias, Entity
from nhi.identity.records.names import former_place, hashed_name
from nhi.identity.records.names import place as place_of
from vault.barrier.stored import text
from vault.barrier.view import ReadView, View
from vault.storage.paging import pages
from vault.token.entities import ENTITY_KIND, entity_key
from vault.values.ids import EntityId, MountAccessor, NamespaceId

_ENTITY: Final = "identity/entity/"
_NAME: Final = "identity/entity-name/"
_ALIAS: Final = "identity/entity-alias/"
_FACTOR: Final = "identity/entity-factor/"
_MERGED: Final = "identity/entity-merged/"


async def entity(core: ReadView, entity_id: EntityId) -> Entity | None:
    """Return the entity with this id."""
    value = await core.get(_ENTITY + entity_id)
    return ENTITY.decode(value) if value is not None else None


async def lasting(core: ReadView, entity_id: EntityId) -> Entity | None:
    """Return the entity that had this id when a token was made: itself, or the one that it was merged into."""
    return await entity(core, entity_id) or await _pointed(core, _MERGED + entity_id)


async def entities(core: ReadView) -> Sequence[Entity]:
    """Return all entities, by id."""
    found = [await entity(core, EntityId(name)) for name in await core.list(_ENTITY)]
    return [one for one in found if one is not None]


async def aliases(core: ReadView) -> AsyncIterator[tuple[Alias, ...]]:
    """Yield the aliases of every entity, a page of these at a time."""
    async for page in pages(core.list, _ENTITY):
        for name in page:
            found = await entity(core, EntityId(name))
            yield () if found is None else found.aliases


async def count(core: ReadView) -> int:
    """Return how many entities there are in the namespace of `core`."""
    return sum([len(page) async for page in pages(core.list, _ENTITY)])


async def by_name(core: ReadView, name: str) -> Entity | None:
    """Return the entity with this name."""
    return await _pointed(core, _NAME + hashed_name(name))


async def by_alias(core: ReadView, alias_id: str) -> tuple[Entity, Alias] | None:
    """Return the entity that has the alias with this id, and the alias."""
    found = await _pointed(core, _ALIAS + alias_id)
    alias = next((one for one in found.aliases if one.id == alias_id), None) if found is not None else None
    return (found, alias) if found is not None and alias is not None else None


async def by_factor(core: ReadView, accessor: MountAccessor, name: str) -> tuple[Entity, Alias] | None:
    """Return the entity that a mount's authority calls `name`, and that alias.

    Where exact names lie as they did when all were folded, an alias is found by its own spelling alone.
    """
    value = await core.get(_FACTOR + place_of(accessor, name))
    if value is not None:
        return await by_alias(core, value.decode())
    former = former_place(accessor, name)
    value = await core.get(_FACTOR + former) if former is not None else None
    found = await by_alias(core, value.decode()) if value is not None else None
    return found if found is not None and (found[1].accessor, found[1].name) == (accessor, name) else None


async def put(core: View, namespace_id: NamespaceId, new: Entity, old: Entity | None) -> None:
    """Write an entity, with everything that it is found by; `old` is what was kept of it, None for a new one.

    A new one cannot be cached anywhere, so only changes are invalidated.
    """
    await core.put(_ENTITY + new.id, ENTITY.encode(new))
    if old is None or hashed_name(old.name) != hashed_name(new.name):
        if old is not None:
            await core.delete(_NAME + hashed_name(old.name))
        await core.put(_NAME + hashed_name(new.name), text(new.id))
    before = old.aliases if old is not None else ()
    for alias in before:
        if alias not in new.aliases:
            await _unlink(core, alias)
    for alias in new.aliases:
        if alias not in before:
            await core.put(_ALIAS + alias.id, text(new.id))
            await core.put(_FACTOR + place_of(alias.accessor, alias.name), text(alias.id))
    for gone in new.merged[len(old.merged) if old is not None else 0 :]:
        await core.put(_MERGED + gone, text(new.id))
    if old is not None:
        await changed(core, namespace_id, new)


async def changed(core: View, namespace_id: NamespaceId, entity: Entity) -> None:
    """Say that an entity is to be asked for again, under the ids too that were merged into it."""
    for one in (entity.id, *entity.merged):
        await core.invalidate(ENTITY_KIND, entity_key(namespace_id, one))


async def remove(core: View, namespace_id: NamespaceId, old: Entity) -> None:
    """Remove an entity and its aliases; see `nhi.identity.records.groups.leave` for its groups."""
    await core.delete(_ENTITY + old.id)
    await core.delete(_NAME + hashed_name(old.name))
    for alias in old.aliases:
        await _unlink(core, alias)
    for gone in old.merged:
        await core.delete(_MERGED + gone)
    await changed(core, namespace_id, old)


async def _unlink(core: View, alias: Alias) -> None:
    await core.delete(_ALIAS + alias.id)
    await core.delete(_FACTOR + place_of(alias.accessor, alias.name))
    former = former_place(alias.accessor, alias.name)
    if former is not None and await core.get(_FACTOR + former) == alias.id.encode():
        await core.delete(_FACTOR + former)


async def _pointed(core: ReadView, path: str) -> Entity | None:
    value = await core.get(path)
    return await entity(core, EntityId(value.decode())) if value is not None else None
