# SPDX-License-Identifier: EUPL-1.2
"""The entity behind a request: its identity, and the policies that it gives."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from vault.values.ids import EntityId


class AliasFacts(msgspec.Struct, frozen=True):
    """An entity's alias on one auth mount."""

    id: str
    name: str
    metadata: Mapping[str, str] = {}
    custom_metadata: Mapping[str, str] = {}


class GroupFacts(msgspec.Struct, frozen=True):
    """A group that an entity belongs to, directly or through another group."""

    name: str
    metadata: Mapping[str, str] = {}


class IdentityFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What templates may ask about the entity behind a request.

    `aliases` by mount accessor; `groups` by id, those of the entity's own namespace.
    """

    entity_id: EntityId
    entity_name: str
    metadata: Mapping[str, str] = {}
    aliases: Mapping[str, AliasFacts] = {}
    groups: Mapping[str, GroupFacts] = {}


class EntityState(msgspec.Struct, frozen=True):
    """An entity as it is now, with the policies that it and its groups give, sorted.

    It is read anew for every request that finds nothing in memory, never kept with a token (SL-34). `merged` are the ids
    of those that were merged into it.
    """

    facts: IdentityFacts
    policies: tuple[str, ...] = ()
    disabled: bool = False
    merged: tuple[EntityId, ...] = ()


class LoginAlias(msgspec.Struct, frozen=True):
    """The alias of a login, named by its authority and never as typed by the client (SL-21).

    `groups` are the names of the groups that the authority reports. None means that it reports no groups: then the
    memberships stay as they are.
    """

    name: str
    metadata: Mapping[str, str] | None = None
    groups: tuple[str, ...] | None = None
