# SPDX-License-Identifier: EUPL-1.2
"""The engines of `identity/`, put together."""

from __future__ import annotations

from collections.abc import Sequence

from nhi.identity.alias_routes import AliasEngine
from nhi.identity.entering import Identities
from nhi.identity.entity_routes import EntityEngine
from nhi.identity.group_alias_routes import GroupAliasEngine
from nhi.identity.group_routes import GroupEngine
from nhi.identity.lookup_routes import LookupEngine
from nhi.identity.merge_routes import MergeEngine
from nhi.identity.shapes import Shapes
from vault.framework.clock import Clock
from vault.framework.engine import Engine
from vault.mount.router import Router


def identity_store(identities: Identities, router: Router, clock: Clock) -> Sequence[Engine]:
    """Return the engines of entities, groups and their aliases."""
    shapes = Shapes(router)
    entities = EntityEngine(identities, shapes, clock)
    groups = GroupEngine(identities, shapes, clock)
    return (
        entities,
        MergeEngine(),
        AliasEngine(identities, shapes, clock),
        groups,
        GroupAliasEngine(identities, shapes, groups, clock),
        LookupEngine(entities, groups),
    )
