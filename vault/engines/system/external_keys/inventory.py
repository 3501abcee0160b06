# SPDX-License-Identifier: EUPL-1.2
"""External keys, as the crypto inventory has them. Their devices are asked which kind of key it is, seldom and not for long.

What a device said counts for a minute; what it did not say, too. A refusal (a wrong PIN, no such key) counts for an hour,
so that nobody who reads the inventory locks a token. No PIN is told, and none is kept here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from vault.barrier.view import ReadView
from vault.cache.follow import BoundedCache
from vault.engines.system.external_keys import store
from vault.engines.system.external_keys.engine import KeyProvider
from vault.engines.system.external_keys.store import ExternalKeyConfig, ExternalKeyEntry
from vault.framework.concurrency.deadline import within
from vault.framework.errors import Unavailable, VaultError
from vault.framework.fields import Json
from vault.framework.keys.external import PrivateKey, SecretKey
from vault.framework.keys.inventory import KeyState, KeyUse, Purpose, kind_of, kind_of_aes

ASKING: Final = 2.0
"""Seconds for which all devices together may be asked for one answer."""
ANSWERED: Final = 60.0
"""Seconds for which an answer counts, and that there was none."""
REFUSED: Final = 3600.0
"""Seconds for which a refusal counts."""
_MOST: Final = 1024
_TOKEN: Final = ("token_label", "serial", "slot")
_KEY: Final = ("label", "id")


class _DeviceAnswer(msgspec.Struct, frozen=True):
    """What is known of a key: algorithm and bits as of the last answer, and until when nobody asks again."""

    kind: tuple[str, int]
    state: KeyState
    until: float


class ExternalKeyInventory:
    """Describes external keys, and remembers what their devices said of them."""

    def __init__(self, providers: Mapping[str, KeyProvider], now: Callable[[], float]) -> None:
        """`now` is in seconds, and only grows."""
        self._providers = providers
        self._now = now
        self._known: BoundedCache[str, _DeviceAnswer] = BoundedCache(_MOST)
        self._asking = asyncio.Lock()

    async def keys_of(self, core: ReadView) -> Sequence[KeyUse]:
        """Describe each external key of a namespace, given its own data."""
        found: list[KeyUse] = []
        ends = self._now() + ASKING
        for name in await core.list(store.CONFIGS):
            config = await store.load_config(core, name)
            for key in await core.list(store.keys_of(name)) if config is not None else ():
                entry = await store.load_key(core, name, key)
                if entry is not None and config is not None:
                    found.append(await self._described(core.prefix, f"{name}:{key}", config, entry, ends))
        return found

    async def _described(
        self, space: str, ref: str, config: ExternalKeyConfig, entry: ExternalKeyEntry, ends: float
    ) -> KeyUse:
        where = f"{config.plugin}: {_named(config.options, _TOKEN)}, {_named(entry.options, _KEY)}"
        known = await self._kind(f"{space}\0{ref}\0{where}", ref, config, entry, ends)
        algorithm, bits = known.kind
        granted = ", ".join(entry.grants) or "nothing: no mount may use it"
        return KeyUse(
            name=ref,
            purpose=Purpose.EXTERNAL,
            protects=f"what is signed or encrypted by {granted}",
            algorithm=algorithm,
            bits=bits,
            location=where,
            in_hsm=True,
            state=known.state,
        )

    async def _kind(
        self, place: str, ref: str, config: ExternalKeyConfig, entry: ExternalKeyEntry, ends: float
    ) -> _DeviceAnswer:
        """Return what is known of a key, asking its device if that is due and there is time until `ends`."""
        known, provider = self._known.get(place), self._providers.get(config.plugin)
        left = ends - self._now()
        if known is not None and (known.until > self._now() or left <= 0):
            return known
        last = known.kind if known is not None else ("", 0)
        if provider is None or left <= 0:
            return _DeviceAnswer(last, KeyState.ACTIVE if provider is not None else KeyState.UNREACHABLE, 0.0)
        found = await self._asked(provider, ref, config, entry, last, left)
        self._known.put(place, found)
        return found

    async def _asked(
        self,
        provider: KeyProvider,
        ref: str,
        config: ExternalKeyConfig,
        entry: ExternalKeyEntry,
        last: tuple[str, int],
        seconds: float,
    ) -> _DeviceAnswer:
        async def ask() -> tuple[str, int]:
            async with self._asking:
                await provider.check_key(config.options, entry.options)
                key = await provider.open(ref, config.options, entry.options)
                return await key.use_any(None, _kind)

        try:
            return _DeviceAnswer(await within(seconds, ask()), KeyState.ACTIVE, self._now() + ANSWERED)
        except (TimeoutError, Unavailable):
            return _DeviceAnswer(last, KeyState.UNREACHABLE, self._now() + ANSWERED)
        except VaultError:
            return _DeviceAnswer(last, KeyState.UNREACHABLE, self._now() + REFUSED)


def _kind(key: PrivateKey | SecretKey) -> tuple[str, int]:
    if not isinstance(key, PrivateKey):
        return kind_of_aes(key.bits)
    return kind_of(key.public_key())


def _named(options: Mapping[str, Json], names: Sequence[str]) -> str:
    """Return these options and no others: others are secrets, or of no interest."""
    shown = {name: options.get(name) for name in names}
    return " ".join(f"{name} {value}" for name, value in shown.items() if isinstance(value, str) and value)
