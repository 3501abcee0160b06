# SPDX-License-Identifier: EUPL-1.2
"""What is kept of entities, groups and their aliases. Times are nanoseconds since the epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from vault.barrier.stored import RecordKind
from vault.values.ids import EntityId, GroupId, MountAccessor
from vault.values.times import Nanos


class Alias(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A name by which the authority of one mount knows an entity or, for `Group.alias`, a group."""

    id: str
    accessor: MountAccessor
    name: str
    created: Nanos
    updated: Nanos
    metadata: Mapping[str, str] | None = None
    custom_metadata: Mapping[str, str] | None = None
    local: bool = False
    merged_from: tuple[str, ...] = ()


class Entity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A client, whichever way it logs in. It has at most one alias for each mount."""

    id: EntityId
    name: str
    created: Nanos
    updated: Nanos
    metadata: Mapping[str, str] | None = None
    policies: tuple[str, ...] = ()
    disabled: bool = False
    merged: tuple[EntityId, ...] = ()
    aliases: tuple[Alias, ...] = ()

    def on(self, accessor: MountAccessor) -> Alias | None:
        """Return the alias on the mount with this accessor."""
        return next((alias for alias in self.aliases if alias.accessor == accessor), None)

    def next_write(self) -> Entity:
        """Return what its next write begins with. Metadata that was given as empty is then none, as in OpenBao."""
        return msgspec.structs.replace(self, metadata=self.metadata or None)


class Group(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Entities, and groups, that share policies. Who is in it lies beside it; see `nhi.identity.records.groups`.

    An external group's members are those whom the authority of its alias puts into it.
    """

    id: GroupId
    name: str
    created: Nanos
    updated: Nanos
    index: int = 1
    """How often it was written."""
    external: bool = False
    metadata: Mapping[str, str] | None = None
    policies: tuple[str, ...] | None = None
    alias: Alias | None = None
    listed: bool = False
    """Whether its last write said which entities are in it: where none are, it then reads as an empty list."""
    released: bool = False
    """Whether its last write was that another group let it go: where it is in none, that reads as an empty list."""

    def next_write(self) -> Group:
        """Return what its next write begins with. What was empty when it was given is then nothing, as in OpenBao."""
        return msgspec.structs.replace(
            self, index=self.index + 1, metadata=self.metadata or None, policies=self.policies or None
        )


ENTITY: Final = RecordKind("entity", Entity)
GROUP: Final = RecordKind("group", Group)
