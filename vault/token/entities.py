# SPDX-License-Identifier: EUPL-1.2
"""What tokens need of identities: nothing here knows how they are kept."""

from __future__ import annotations

from typing import Final, Protocol

from vault.barrier.view import ReadView
from vault.framework.call import Call
from vault.framework.errors import Unauthenticated
from vault.framework.identity import EntityState, LoginAlias
from vault.values.ids import EntityId, MountAccessor, NamespaceId

ENTITY_KIND: Final = "entity"
"""Kind of the cached fact 'an entity, its aliases and its groups'; see `entity_key`."""


def entity_key(namespace_id: NamespaceId, entity_id: EntityId) -> str:
    """Name one entity of one namespace; with an empty `entity_id`, all of that namespace's."""
    return f"{namespace_id}:{entity_id}"


class Entities(Protocol):
    """The identities of all namespaces."""

    async def standing(
        self, core: ReadView, namespace_id: NamespaceId, entity_id: EntityId
    ) -> EntityState | None:
        """Return an entity of this namespace, or the one that it was merged into, as it is now; None where it is gone."""
        ...

    async def enter(self, call: Call, alias: LoginAlias, accessor: MountAccessor) -> EntityState:
        """Find or make the entity of an alias on the auth mount with this accessor, in the open transaction.

        Raises `Unauthenticated` for an entity that is disabled.
        """
        ...


class NoEntities:
    """A server without identities: no token has an entity."""

    async def standing(
        self, core: ReadView, namespace_id: NamespaceId, entity_id: EntityId
    ) -> EntityState | None:
        """Return None: there are no entities."""
        del core, namespace_id, entity_id
        return None

    async def enter(self, call: Call, alias: LoginAlias, accessor: MountAccessor) -> EntityState:
        """Refuse."""
        del call, alias, accessor
        raise Unauthenticated


async def present(
    entities: Entities, core: ReadView, namespace_id: NamespaceId, entity_id: EntityId
) -> EntityState | None:
    """Return the entity of a token that is about to be used; None for a token without one.

    Raises `Unauthenticated` where it is disabled or gone: its tokens are worth nothing then.
    """
    if not entity_id:
        return None
    standing = await entities.standing(core, namespace_id, entity_id)
    if standing is None or standing.disabled:
        raise Unauthenticated
    return standing
