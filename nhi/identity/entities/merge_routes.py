# SPDX-License-Identifier: EUPL-1.2
"""`identity/entity/merge`: entities that turn out to be one are made one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec

from nhi.identity.entities.entity_routes import remove
from nhi.identity.records import groups, mfa, store
from nhi.identity.records.model import Alias, Entity
from vault.framework.call import Call
from vault.framework.engine import Engine
from vault.framework.errors import Malformed
from vault.framework.fields import CommaList, Doc
from vault.framework.quote import quote
from vault.framework.route import Params, write
from vault.values.ids import EntityId


class MergeParams(Params, frozen=True):
    """Which entities become which."""

    to_entity_id: Annotated[str, Doc("Id of the entity that stays.", clear=True)] = ""
    from_entity_ids: Annotated[CommaList, Doc("Ids of the entities that go.", clear=True)] = ()
    conflicting_alias_ids_to_keep: Annotated[
        CommaList,
        Doc(
            "Ids of the aliases that stay where two are on one mount; with one entity that goes.", clear=True
        ),
    ] = ()
    force: Annotated[
        bool, Doc("Take the second factors of the entities that go, where both have one.", clear=True)
    ] = False


class MergeEngine(Engine):
    """Merging. Aliases, groups and second factors go over; policies and metadata of what goes do not."""

    @write("entity/merge", event="identity.entity.merge")
    async def merge_entities(self, call: Call, params: MergeParams) -> None:
        """Give one entity the aliases and groups of others, and remove these."""
        to, sources = await _meant(call, params)
        kept = list(to.aliases)
        taken: list[Alias] = []
        for source in sources:
            for alias in source.aliases:
                rival = next((one for one in (*kept, *taken) if one.accessor == alias.accessor), None)
                moved = msgspec.structs.replace(
                    alias,
                    merged_from=(*alias.merged_from, source.id),
                    custom_metadata=alias.custom_metadata or None,
                )
                if rival is None:
                    taken.append(moved)
                elif _prefers(params, to, source, alias, rival, sources):
                    kept = [one for one in kept if one is not rival]
                    taken = [*(one for one in taken if one is not rival), moved]
        memberships = {one for source in sources for one in await groups.of_entity(call.core, source.id)}
        for source in sources:
            await _share(call, to, source, force=params.force)
            await remove(call, source)
        for group_id in memberships:
            await groups.join(call.core, group_id, to.id)
        merged = (*to.merged, *(one for source in sources for one in (*source.merged, source.id)))
        new = msgspec.structs.replace(to.next_write(), aliases=(*kept, *taken), merged=merged)
        await store.put(call.core, call.namespace.id, new, to)


async def _meant(call: Call, params: MergeParams) -> tuple[Entity, Sequence[Entity]]:
    """Return the entity that stays, and those that go. Raises `Malformed`."""
    if not params.to_entity_id:
        raise Malformed("missing entity id to merge to")
    if not params.from_entity_ids:
        raise Malformed("missing entity ids to merge from")
    to = await store.entity(call.core, EntityId(params.to_entity_id))
    if to is None:
        raise Malformed("entity id to merge to is invalid")
    if to.id in params.from_entity_ids:
        raise Malformed("to_entity_id should not be present in from_entity_ids")
    found = [await store.entity(call.core, EntityId(one)) for one in dict.fromkeys(params.from_entity_ids)]
    sources = [one for one in found if one is not None]
    if len(sources) < len(found):
        raise Malformed("entity id to merge from is invalid")
    return to, sources


async def _share(call: Call, to: Entity, source: Entity, *, force: bool) -> None:
    """Give an entity what another shares with its authenticators. Raises `Malformed` where it has its own."""
    own = {method_id for method_id, _ in await mfa.seeds(call.core, to.id)}
    for method_id, seed in await mfa.seeds(call.core, source.id):
        if method_id in own and not force:
            raise Malformed(
                f'conflicting MFA config ID "{quote(method_id)}" in entity ID "{quote(source.id)}"'
            )
        await mfa.put_seed(call.core, method_id, to.id, seed)


def _prefers(
    params: MergeParams, to: Entity, source: Entity, alias: Alias, rival: Alias, sources: Sequence[Entity]
) -> bool:
    """Whether `alias` takes the place of `rival`. Raises `Malformed` where the caller did not say so exactly."""
    keep = params.conflicting_alias_ids_to_keep
    if not keep or len(sources) > 1:
        raise Malformed(
            "toEntity and at least one fromEntity have aliases with the same mount accessor, repeat the merge "
            "request specifying exactly one fromEntity, clashes: \n"
            f"\t* mountAccessor: {quote(alias.accessor)}, toEntity ID: {quote(to.id)}, fromEntity ID: {quote(source.id)}, "
            f"conflicting toEntity alias ID: {quote(rival.id)}, conflicting fromEntity alias ID: {quote(alias.id)}",
            chained=True,
        )
    if alias.id not in keep and rival.id not in keep:
        raise Malformed(
            "conflicting mount accessors in following alias IDs and neither were present in "
            f"conflicting_alias_ids_to_keep: {quote(alias.id)}, {quote(rival.id)}"
        )
    return alias.id in keep
