# SPDX-License-Identifier: EUPL-1.2
"""What holds for a mount: whether encrypt makes keys, and how many are kept in memory."""

from __future__ import annotations

from typing import Final

import msgspec

from vault.engines.transit.answers import CacheConfig, KeysConfig
from vault.engines.transit.keys.key_ring import KEY_FACT, mount_settings
from vault.engines.transit.keys.model import MOUNT_SETTINGS, SETTINGS
from vault.engines.transit.params import CacheParams, KeysConfigParams
from vault.framework.call import Call
from vault.framework.engine import Engine
from vault.framework.errors import Malformed
from vault.framework.route import read, write

_SMALLEST_CACHE: Final = 10


class SettingsEngine(Engine):
    """Settings of a mount."""

    @read("config/keys", event="transit.config.read")
    async def read_config(self, call: Call) -> KeysConfig:
        """Show what holds for all keys."""
        return KeysConfig((await mount_settings(call.reader)).disable_upsert)

    @write("config/keys", contained=True, event="transit.config.write")
    async def write_config(self, call: Call, params: KeysConfigParams) -> KeysConfig:
        """Say what holds for all keys."""
        settings = msgspec.structs.replace(
            await mount_settings(call.tx), disable_upsert=params.disable_upsert
        )
        await call.tx.put(SETTINGS, MOUNT_SETTINGS.encode(settings))
        return KeysConfig(params.disable_upsert)

    @read("cache-config", event="transit.cache.read")
    async def read_cache(self, call: Call) -> CacheConfig:
        """Show how many keys are kept in memory."""
        return CacheConfig((await mount_settings(call.reader)).cache_size)

    @write("cache-config", contained=True, event="transit.cache.write")
    async def write_cache(self, call: Call, params: CacheParams) -> CacheConfig:
        """Say how many keys are kept in memory."""
        if params.size != 0 and params.size < _SMALLEST_CACHE:
            raise Malformed("size must be 0 or a value greater or equal to 10")
        settings = msgspec.structs.replace(await mount_settings(call.tx), cache_size=params.size)
        await call.tx.put(SETTINGS, MOUNT_SETTINGS.encode(settings))
        await call.tx.invalidate(KEY_FACT, call.mount.uuid)
        return CacheConfig(params.size)
