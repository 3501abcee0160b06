# SPDX-License-Identifier: EUPL-1.2
"""Paths that a listener serves by itself, before any mount is asked."""

from __future__ import annotations

from collections.abc import Mapping

from vault.engines.system.seal.legacy_rekey import REKEY_PATHS, ROOT_PATHS
from vault.framework.request.operation import Operation
from vault.mount.table import MountTable
from vault.server.config.settings import Listener


def offered_paths(listener: Listener) -> tuple[str, ...]:
    """Return the paths that a listener lets anybody use to begin what shares then decide."""
    rekey = () if listener.disable_unauthed_rekey_endpoints else REKEY_PATHS
    return rekey if listener.disable_unauthed_generate_root_endpoints else (*rekey, *ROOT_PATHS)


def fixed_paths(mounts: MountTable) -> Mapping[str, set[Operation]]:
    """Return the paths that answer while sealed too, with the operations that they take."""
    found: dict[str, set[Operation]] = {}
    for mount in mounts:
        for route in mount.backend.routes.declared:
            if route.access.when_sealed:
                found.setdefault(mount.entry.path + route.template, set()).add(route.operation)
    return found
