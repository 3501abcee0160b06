# SPDX-License-Identifier: EUPL-1.2
"""What answers where, and for whom."""

from __future__ import annotations

import msgspec

from vault.mount.router import Router
from vault.mount.table import Catalog
from vault.namespace.book import Namespaces
from vault.server.compose.groups.ground import Ground


class Mounts(msgspec.Struct, frozen=True, kw_only=True):
    """The namespaces, and what is mounted in each."""

    namespaces: Namespaces
    router: Router


def make_mounts(ground: Ground) -> Mounts:
    """Make them. The router knows no kind of mount before it is given the catalog."""
    namespaces = Namespaces(ground.barrier)
    return Mounts(
        namespaces=namespaces, router=Router(ground.barrier, namespaces, Catalog({}, {}), ground.log)
    )
