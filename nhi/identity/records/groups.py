# SPDX-License-Identifier: EUPL-1.2
"""Groups in storage. Membership lies in both directions, one entry each, so that a login need not read a group.

Whose groups are asked for at every request (SL-34): an entity's own, and those that these are in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from nhi.identity.records.model import GROUP, Group
from nhi.identity.records.names import former_place, hashed_name, place
from vault.barrier.stored import MARK, text
from vault.barrier.view import ReadView, View
from vault.token.entities import ENTITY_KIND, entity_key
from vault.values.ids import NOBODY, EntityId, GroupId, MountAccessor, NamespaceId

_GROUP: Final = "identity/group/"
_NAME: Final = "identity/group-name/"
_ALIAS: Final = "identity/group-alias/"
_FACTOR: Final = "identity/group-factor/"
_MEMBER: Final = "identity/group-member/"
_OF_ENTITY: Final = "identity/entity-group/"
_INNER: Final = "identity/group-inner/"
_OUTER: Final = "identity/group-outer/"


async def group(core: ReadView, group_id: GroupId) -> Group | None:
    """Return the group with this id."""
    value = await core.get(_GROUP + group_id)
    return GROUP.decode(value) if value is not None else None


async def groups(core: ReadView) -> Sequence[Group]:
    """Return all groups, by id."""
    return await _all(core, await _ids(core, _GROUP))


async def by_name(core: ReadView, name: str) -> Group | None:
    """Return the group with this name."""
    return await _pointed(core, _NAME + hashed_name(name))


async def by_alias(core: ReadView, alias_id: str) -> Group | None:
    """Return the group that has the alias with this id."""
    return await _pointed(core, _ALIAS + alias_id)


async def by_factor(core: ReadView, accessor: MountAccessor, name: str) -> Group | None:
    """Return the group that a mount's authority calls `name`; see `nhi.identity.records.store.by_factor`."""
    found = await _pointed(core, _FACTOR + place(accessor, name))
    former = former_place(accessor, name)
    if found is not None or former is None:
        return found
    found = await _pointed(core, _FACTOR + former)
    alias = found.alias if found is not None else None
    return found if alias is not None and (alias.accessor, alias.name) == (accessor, name) else None


async def put(core: View, namespace_id: NamespaceId, new: Group, old: Group | None) -> None:
    """Write a group, with everything that it is found by; `old` is what was kept of it."""
    await core.put(_GROUP + new.id, GROUP.encode(new))
    if old is not None and hashed_name(old.name) != hashed_name(new.name):
        await core.delete(_NAME + hashed_name(old.name))
    await core.put(_NAME + hashed_name(new.name), text(new.id))
    if old is not None and old.alias is not None and old.alias != new.alias:
        await _unlink(core, old)
    if new.alias is not None:
        await core.put(_ALIAS + new.alias.id, text(new.id))
        await core.put(_FACTOR + place(new.alias.accessor, new.alias.name), text(new.id))
    await changed(core, namespace_id)


async def touch(core: View, group_id: GroupId, *, listed: bool = False, released: bool = False) -> None:
    """Count that an entity of this group was removed (`listed`), or that another group took it in or let it go."""
    found = await group(core, group_id)
    if found is not None:
        new = msgspec.structs.replace(found.next_write(), listed=listed, released=released)
        await core.put(_GROUP + group_id, GROUP.encode(new))


async def changed(core: View, namespace_id: NamespaceId) -> None:
    """Say that everybody's groups are to be asked for again."""
    await core.invalidate(ENTITY_KIND, entity_key(namespace_id, NOBODY))


async def remove(core: View, namespace_id: NamespaceId, old: Group) -> None:
    """Remove a group; its members leave it."""
    for entity_id in await members(core, old.id):
        await core.delete(f"{_OF_ENTITY}{entity_id}/{old.id}")
    for inner in await inner_groups(core, old.id):
        await core.delete(f"{_OUTER}{inner}/{old.id}")
    for outer in await outer_groups(core, old.id):
        await core.delete(f"{_INNER}{outer}/{old.id}")
    for folder in (_MEMBER, _INNER, _OUTER):
        await core.delete_prefix(f"{folder}{old.id}/")
    await core.delete(_GROUP + old.id)
    await core.delete(_NAME + hashed_name(old.name))
    await _unlink(core, old)
    await changed(core, namespace_id)


async def members(core: ReadView, group_id: GroupId) -> Sequence[str]:
    """Return the ids of the entities that are in a group themselves, sorted."""
    return await core.list(f"{_MEMBER}{group_id}/")


async def inner_groups(core: ReadView, group_id: GroupId) -> Sequence[GroupId]:
    """Return the ids of the groups that are in a group themselves, sorted."""
    return await _ids(core, f"{_INNER}{group_id}/")


async def outer_groups(core: ReadView, group_id: GroupId) -> Sequence[GroupId]:
    """Return the ids of the groups that a group is in itself, sorted."""
    return await _ids(core, f"{_OUTER}{group_id}/")


async def set_members(core: View, group_id: GroupId, wanted: Iterable[str]) -> None:
    """Make exactly these entities the members of a group."""
    await _replace(core, (_MEMBER, _OF_ENTITY), group_id, set(wanted), set(await members(core, group_id)))


async def set_inner_groups(core: View, group_id: GroupId, wanted: Iterable[GroupId]) -> None:
    """Make exactly these groups the inner ones of a group."""
    await _replace(core, (_INNER, _OUTER), group_id, set(wanted), set(await inner_groups(core, group_id)))


async def of_entity(core: ReadView, entity_id: EntityId) -> Sequence[GroupId]:
    """Return the ids of the groups that an entity is in itself, sorted."""
    return await _ids(core, f"{_OF_ENTITY}{entity_id}/")


async def join(core: View, group_id: GroupId, entity_id: EntityId) -> None:
    """Put an entity into a group."""
    await core.put(f"{_MEMBER}{group_id}/{entity_id}", MARK)
    await core.put(f"{_OF_ENTITY}{entity_id}/{group_id}", MARK)


async def leave(core: View, group_id: GroupId, entity_id: EntityId) -> None:
    """Take an entity out of a group."""
    await core.delete(f"{_MEMBER}{group_id}/{entity_id}")
    await core.delete(f"{_OF_ENTITY}{entity_id}/{group_id}")


async def above(core: ReadView, direct: Iterable[GroupId]) -> Sequence[GroupId]:
    """Return the ids of the groups that these are in, however far up, without these themselves."""
    seen = set(direct)
    found: list[GroupId] = []
    pending = list(direct)
    while pending:
        for outer in await outer_groups(core, pending.pop(0)):
            if outer not in seen:
                seen.add(outer)
                found.append(outer)
                pending.append(outer)
    return found


async def all_of(core: ReadView, entity_id: EntityId) -> tuple[Sequence[Group], Sequence[Group]]:
    """Return the groups that an entity is in itself, and those that it is in through them."""
    direct = await of_entity(core, entity_id)
    return await _all(core, direct), await _all(core, await above(core, direct))


async def _replace(
    core: View, places: tuple[str, str], group_id: GroupId, wanted: set[str], known: set[str]
) -> None:
    down, up = places
    for gone in known - wanted:
        await core.delete(f"{down}{group_id}/{gone}")
        await core.delete(f"{up}{gone}/{group_id}")
    for new in wanted - known:
        await core.put(f"{down}{group_id}/{new}", MARK)
        await core.put(f"{up}{new}/{group_id}", MARK)


async def _ids(core: ReadView, folder: str) -> Sequence[GroupId]:
    return [GroupId(name) for name in await core.list(folder)]


async def _all(core: ReadView, ids: Iterable[GroupId]) -> Sequence[Group]:
    found = [await group(core, one) for one in ids]
    return [one for one in found if one is not None]


async def _unlink(core: View, old: Group) -> None:
    if old.alias is not None:
        await core.delete(_ALIAS + old.alias.id)
        await core.delete(_FACTOR + place(old.alias.accessor, old.alias.name))
        former = former_place(old.alias.accessor, old.alias.name)
        if former is not None and await core.get(_FACTOR + former) == old.id.encode():
            await core.delete(_FACTOR + former)


async def _pointed(core: ReadView, path: str) -> Group | None:
    value = await core.get(path)
    return await group(core, GroupId(value.decode())) if value is not None else None
