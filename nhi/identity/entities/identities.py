# SPDX-License-Identifier: EUPL-1.2
"""Finds the entity of a login, or of a token that was issued earlier, and what it adds: policies, groups, metadata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

import msgspec

from nhi.identity.records import groups, store
from nhi.identity.records.model import Alias, Entity, Group
from vault.barrier.view import ReadView, View
from vault.cache.follow import BoundedCache, Follower
from vault.framework.call import Call, Namespace
from vault.framework.clock import Clock, Entropy
from vault.framework.errors import Unauthenticated
from vault.framework.identity import AliasFacts, EntityState, GroupFacts, IdentityFacts, LoginAlias
from vault.namespace.ids import bound
from vault.values.ids import EntityId, MountAccessor, NamespaceId

_KEPT: Final = 4096
"""Aliases whose entities are remembered."""


class _EntityLogin(NamedTuple):
    """What a login found: `metadata` is what its authority said then, `era` stands for all that was true."""

    era: object
    metadata: Mapping[str, str] | None
    standing: EntityState


class Identities:
    """The entities of all namespaces, as tokens need them; see `vault.token.entities.Entities`.

    What a login finds is remembered once it is committed, and true for the next one like it while its transaction sees
    the epoch of the follower's era: whatever changes an entity, an alias or a group moves that.
    """

    def __init__(self, clock: Clock, entropy: Entropy, follower: Follower) -> None:
        self._clock = clock
        self._entropy = entropy
        self._follower = follower
        self._entered: BoundedCache[tuple[str, str, str], _EntityLogin] = BoundedCache(_KEPT)

    async def standing(
        self, core: ReadView, namespace_id: NamespaceId, entity_id: EntityId
    ) -> EntityState | None:
        """Return an entity of this namespace, or the one that it was merged into, as it is now; None where it is gone."""
        place = core.space(namespace_id)
        found = await store.lasting(place, entity_id)
        if found is None:
            return None
        direct, inherited = await groups.all_of(place, found.id)
        return stands(found, [*direct, *inherited])

    async def enter(self, call: Call, alias: LoginAlias, accessor: MountAccessor) -> EntityState:
        """Find or make the entity of an alias; see `vault.token.entities.Entities.enter`."""
        core, namespace = call.core, call.namespace.id
        place, metadata = (namespace, accessor, alias.name), dict(alias.metadata) if alias.metadata else None
        era = self._follower.era if core.epoch == self._follower.epoch > 0 else None
        known = self._entered.get(place) if era is not None else None
        if known is not None and known.era is era and known.metadata == metadata:
            groupless = not alias.groups and not known.standing.facts.groups
            if alias.groups is None or groupless:
                return known.standing
        found = await store.by_factor(core, accessor, alias.name)
        if found is None:
            entity = self.fresh(call.namespace)
            first = self.alias(call.namespace, accessor, alias.name, metadata=alias.metadata)
            entity = msgspec.structs.replace(entity, aliases=(first,))
            await store.put(core, namespace, entity, None)
        else:
            entity = await self._refreshed(core, namespace, *found, alias)
        if entity.disabled:
            raise Unauthenticated
        await _assign(core, namespace, entity, accessor, alias.groups)
        direct, inherited = await groups.all_of(core, entity.id)
        standing = stands(entity, [*direct, *inherited])
        if found is not None and found[0] is entity and era is not None and call.after is None:
            call.after = partial(self._remember, place, _EntityLogin(era, metadata, standing))
        return standing

    async def _remember(self, place: tuple[str, str, str], entered: _EntityLogin) -> None:
        self._entered.put(place, entered)

    def fresh(self, namespace: Namespace, name: str = "") -> Entity:
        """Return a new entity, which is not stored."""
        now = self._clock.nanos()
        name = name or self.name("entity", namespace)
        return Entity(id=EntityId(self.id(namespace)), name=name, created=now, updated=now)

    def name(self, kind: str, namespace: Namespace) -> str:
        """Return a name for an entity or a group without one."""
        return f"{kind}_{self._entropy.bytes(4).hex()}.{namespace.id}"

    def id(self, namespace: Namespace) -> str:
        """Return a new id."""
        return bound(self._entropy.uuid(), namespace)

    def alias(
        self,
        namespace: Namespace,
        accessor: MountAccessor,
        name: str,
        *,
        metadata: Mapping[str, str] | None = None,
        custom_metadata: Mapping[str, str] | None = None,
        local: bool = False,
    ) -> Alias:
        """Return a new alias, which is not stored."""
        now = self._clock.nanos()
        return Alias(
            id=self.id(namespace),
            accessor=accessor,
            name=name,
            created=now,
            updated=now,
            metadata=dict(metadata) if metadata else None,
            custom_metadata=custom_metadata,
            local=local,
        )

    async def _refreshed(
        self, core: View, namespace_id: NamespaceId, entity: Entity, alias: Alias, seen: LoginAlias
    ) -> Entity:
        """Keep what the authority says of the entity today."""
        metadata = dict(seen.metadata) if seen.metadata else None
        if metadata == alias.metadata:
            return entity
        changed = msgspec.structs.replace(alias, metadata=metadata, updated=self._clock.nanos())
        others = tuple(changed if one.id == alias.id else one for one in entity.aliases)
        updated = msgspec.structs.replace(entity, aliases=others)
        await store.put(core, namespace_id, updated, entity)
        return updated


async def _assign(
    core: View,
    namespace_id: NamespaceId,
    entity: Entity,
    accessor: MountAccessor,
    names: Sequence[str] | None,
) -> None:
    """Make an entity a member of exactly those external groups of a mount that its authority names; None for no word.

    It leaves those as well that no authority speaks for any more: without an alias, or with one of a mount that does not
    know the entity.
    """
    wanted = [await groups.by_factor(core, accessor, name) for name in names or ()]
    ids = {one.id for one in wanted if one is not None}
    others = {one.accessor for one in entity.aliases if names is None or one.accessor != accessor}
    known = set()
    for group_id in await groups.of_entity(core, entity.id):
        found = await groups.group(core, group_id)
        if (
            found is not None
            and found.external
            and (found.alias is None or found.alias.accessor not in others)
        ):
            known.add(group_id)
    for group_id in known - ids:
        await groups.leave(core, group_id, entity.id)
    for group_id in ids - known:
        await groups.join(core, group_id, entity.id)
    if ids != known:
        await store.changed(core, namespace_id, entity)


def stands(entity: Entity, memberships: Sequence[Group]) -> EntityState:
    """Return what an entity is worth that is in these groups."""
    names = {*entity.policies, *(name for group in memberships for name in group.policies or ())}
    facts = IdentityFacts(
        entity_id=entity.id,
        entity_name=entity.name,
        metadata=entity.metadata or {},
        aliases={
            alias.accessor: AliasFacts(
                alias.id, alias.name, alias.metadata or {}, alias.custom_metadata or {}
            )
            for alias in entity.aliases
        },
        groups={group.id: GroupFacts(group.name, group.metadata or {}) for group in memberships},
    )
    return EntityState(facts, tuple(sorted(names)), entity.disabled, entity.merged)
