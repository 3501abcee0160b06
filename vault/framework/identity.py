# SPDX-License-Identifier: EUPL-1.2
"""What is known of the entity behind a request: who it is, and which policies that gives."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class AliasFacts(msgspec.Struct, frozen=True):
    """An entity's alias on one auth mount."""

    id: str
    name: str
    metadata: Mapping[str, str] = {}
    custom_metadata: Mapping[str, str] = {}


class GroupFacts(msgspec.Struct, frozen=True):
    """A group that an entity is in, itself or through another group."""

    name: str
    metadata: Mapping[str, str] = {}


class IdentityFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What templates may ask about the entity behind a request.

    `aliases` by mount accessor; `groups` by id, those of the entity's own namespace.
    """

    entity_id: str
    entity_name: str
    metadata: Mapping[str, str] = {}
    aliases: Mapping[str, AliasFacts] = {}
    groups: Mapping[str, GroupFacts] = {}


class Standing(msgspec.Struct, frozen=True):
    """An entity as it is now, with the policies that it and its groups give, sorted.

    It is read anew for every request that finds nothing in memory, never kept with a token (SL-34). `merged` are the ids
    of those that were merged into it.
    """

    facts: IdentityFacts
    policies: tuple[str, ...] = ()
    disabled: bool = False
    merged: tuple[str, ...] = ()


class LoginAlias(msgspec.Struct, frozen=True):
    """Who logged in, as their authority calls them and never as they were typed (SL-21).

    `groups` are the names of the groups that the authority puts them in; None where it says nothing of groups,
    and then their membership stays as it is.
    """

    name: str
    metadata: Mapping[str, str] | None = None
    groups: tuple[str, ...] | None = None
