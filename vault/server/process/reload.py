# SPDX-License-Identifier: EUPL-1.2
"""What of a configuration a reload takes in, and what waits for the next start."""

from __future__ import annotations

from typing import Final

import msgspec

from vault.server.config.settings import Config

_RELOADED: Final = frozenset({"files", "listeners", "log_file", "log_level", "seals", "storage", "warnings"})
"""What a reload takes in, or speaks of by itself."""


def reloadable(config: Config, wanted: Config) -> Config:
    """Take from `wanted` what may change while running: everything but storage and addresses."""
    listeners = wanted.listeners if where(wanted) == where(config) else config.listeners
    return msgspec.structs.replace(wanted, storage=config.storage, listeners=listeners)


def waiting(started: Config, wanted: Config) -> list[str]:
    """Return the settings of `wanted` that hold after a start only, and are not what they were at the last one."""
    names = (name for name in Config.__struct_fields__ if name not in _RELOADED)
    return [name for name in names if getattr(started, name) != getattr(wanted, name)]


def as_started(started: Config, config: Config, wanted: Config) -> Config:
    """Return `started` with what a reload of `wanted` takes in: what a process has that was started then, and reloaded."""
    taken = reloadable(config, wanted)
    return msgspec.structs.replace(started, **{name: getattr(taken, name) for name in _RELOADED})


def where(config: Config) -> list[tuple[str, str, bool]]:
    """Return where a server listens, and whether without TLS."""
    return [(listener.kind, listener.address, listener.tls_disable) for listener in config.listeners]
