# SPDX-License-Identifier: EUPL-1.2
"""The storage of external keys: configs, their keys, and the mounts that may use each.

A config is stored below `external-keys/config/`, a key below `external-keys/key/<config>/`. Both hold the client's
values, secrets included: only the barrier protects them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from vault.barrier.stored import RecordKind
from vault.barrier.view import ReadView, View
from vault.framework.errors import Malformed
from vault.framework.fields import Json
from vault.framework.quote import quote

CONFIGS: Final = "external-keys/config/"
"""Prefix of the configs, in a namespace's own data."""
_KEYS: Final = "external-keys/key/"


class ExternalKeyConfig(msgspec.Struct, frozen=True):
    """How to reach a device: the plugin and its parameters."""

    plugin: str
    options: dict[str, Json]

    def __repr__(self) -> str:
        """Name the plugin without its parameters, which hold secrets."""
        return f"<Config of {self.plugin}>"


class ExternalKeyEntry(msgspec.Struct, frozen=True):
    """Which key in the device, and the paths of the mounts that may use it, in order, each ending in `/`."""

    options: dict[str, Json]
    grants: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Name the grants without the parameters."""
        return f"<Key granted to {list(self.grants)}>"


_CONFIG: Final = RecordKind("external key configuration", ExternalKeyConfig, json=True)
_KEY: Final = RecordKind("external key", ExternalKeyEntry, json=True)


def keys_of(config: str) -> str:
    """Return the prefix of a config's keys."""
    return f"{_KEYS}{config}/"


async def load_config(view: ReadView, name: str) -> ExternalKeyConfig | None:
    """Return a config, or None."""
    stored = await view.get(CONFIGS + name)
    return None if stored is None else _CONFIG.decode(stored)


async def load_key(view: ReadView, config: str, name: str) -> ExternalKeyEntry | None:
    """Return a key, or None."""
    stored = await view.get(keys_of(config) + name)
    return None if stored is None else _KEY.decode(stored)


async def find_key(view: ReadView, config: str, name: str) -> ExternalKeyEntry:
    """Return a key. Raises `Malformed` where there is none."""
    key = await load_key(view, config, name)
    if key is None:
        raise Malformed(f'key "{quote(name)}" not found')
    return key


async def owner(view: ReadView, name: str) -> ExternalKeyConfig:
    """Return the config of a new key. Raises `Malformed` where there is none."""
    config = await load_config(view, name)
    if config is None:
        raise Malformed(f'config "{quote(name)}" does not exist')
    return config


async def put_config(view: View, name: str, config: ExternalKeyConfig) -> None:
    """Store a config."""
    await view.put(CONFIGS + name, _CONFIG.encode(config))


async def put_key(view: View, config: str, name: str, key: ExternalKeyEntry) -> None:
    """Store a key."""
    await view.put(keys_of(config) + name, _KEY.encode(key))


async def delete_config(view: View, name: str) -> None:
    """Remove a config with its keys and their grants."""
    await view.delete(CONFIGS + name)
    await view.delete_prefix(keys_of(name))


async def delete_key(view: View, config: str, name: str) -> None:
    """Remove a key with its grants."""
    await view.delete(keys_of(config) + name)


def merged(target: Json, change: Json) -> Json:
    """Apply a merge patch (RFC 7396, section 2)."""
    if not isinstance(change, Mapping):
        return change
    result = dict(target) if isinstance(target, Mapping) else {}
    for name, value in change.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result
