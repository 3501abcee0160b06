# SPDX-License-Identifier: EUPL-1.2
"""The keys that sign a mount's tokens: those configured, or those that a key set's address answers with.

A key set is fetched when it is first needed, and used while it is fresh. Later it is fetched anew beside the logins,
which go on with what there is; where its host does not answer they do so for a day, and those that have nothing to go
on with are told why. A token that no known key has signed makes the set be fetched at once, because keys rotate; how
often strangers can cause that is limited.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from nhi.auth.jwt.model import Config
from nhi.auth.jwt.provider import Provider, Providers, document
from nhi.jose.signature import VerifyKey, from_pem, from_set
from vault.cache.follow import Bounded
from vault.framework.clock import Clock
from vault.outbound.failure import Unreachable
from vault.outbound.fetch import Fetcher, Outgoing

FRESH: Final = 600_000
"""Milliseconds for which a key set is used without asking again."""
STALE: Final = 86_400_000
"""Milliseconds for which it is used while its host does not answer."""
_PAUSE: Final = 2_000
"""Milliseconds after a failure in which nobody asks again."""
_BURST: Final = 5
_REFILL: Final = 10_000
_SETS: Final = 1024


@dataclass(slots=True)
class _Set:
    """What is known of one key set. Times in milliseconds since the epoch."""

    keys: tuple[VerifyKey, ...] = ()
    fetched: int = 0
    failed: int = 0
    reason: str = ""
    spare: float = _BURST
    counted: int = 0
    running: asyncio.Task[None] | None = field(default=None, repr=False)


class KeySets:
    """Finds keys. What is remembered lies under all that the answer depends on, the mount included (SL-28)."""

    def __init__(self, fetcher: Fetcher, clock: Clock, providers: Providers) -> None:
        self._fetcher = fetcher
        self._clock = clock
        self._providers = providers
        self._sets: Bounded[tuple[object, ...], _Set] = Bounded(_SETS)

    async def keys(self, mount: str, config: Config) -> Sequence[VerifyKey]:
        """Return the keys of the mount with this uuid. Raises `Unreachable` where there are none to be had."""
        if config.jwt_validation_pubkeys:
            return from_pem(config.jwt_validation_pubkeys)
        one = self._set(mount, config)
        age = self._clock.millis() - one.fetched
        if one.fetched and age < FRESH:
            return one.keys
        if one.fetched and age < STALE:
            self._start(one, config)
            return one.keys
        await self._wait(one, config)
        return one.keys

    async def newer(self, mount: str, config: Config) -> Sequence[VerifyKey]:
        """Return the keys after asking again, because those known did not do; none where that may not be now."""
        if config.jwt_validation_pubkeys:
            return ()
        one = self._set(mount, config)
        now = self._clock.millis()
        one.spare = min(_BURST, one.spare + (now - one.counted) / _REFILL)
        one.counted = now
        if one.spare < 1 and one.running is None:
            return ()
        one.spare -= 1
        try:
            await self._wait(one, config)
        except Unreachable:
            return ()
        return one.keys

    async def check(self, config: Config) -> None:
        """Ask once, whatever is remembered. Raises `Unreachable`."""
        await self._fetch(config)

    def _set(self, mount: str, config: Config) -> _Set:
        key = (
            mount,
            config.jwks_url,
            config.jwks_ca_pem,
            config.oidc_discovery_url,
            config.oidc_discovery_ca_pem,
            config.override_allowed_server_names,
        )
        found = self._sets.get(key)
        if found is None:
            found = _Set()
            self._sets.put(key, found)
        return found

    def _start(self, one: _Set, config: Config) -> asyncio.Task[None] | None:
        """Fetch beside those who wait or do not; one fetch at a time, and none straight after a failure."""
        if one.running is None and self._clock.millis() - one.failed >= _PAUSE:
            one.running = asyncio.get_running_loop().create_task(self._refresh(one, config))
        return one.running

    async def _wait(self, one: _Set, config: Config) -> None:
        running = self._start(one, config)
        if running is not None:
            await asyncio.shield(running)
        if one.reason:
            raise Unreachable(one.reason)

    async def _refresh(self, one: _Set, config: Config) -> None:
        try:
            one.keys = await self._fetch(config)
            one.fetched, one.failed, one.reason = self._clock.millis(), 0, ""
        except Unreachable as failure:
            one.failed, one.reason = self._clock.millis(), str(failure)
        finally:
            one.running = None

    async def _fetch(self, config: Config) -> tuple[VerifyKey, ...]:
        url, authorities = config.jwks_url, config.jwks_ca_pem
        if config.oidc_discovery_url:
            provider: Provider = await self._providers.find(config)
            url, authorities = provider.jwks_uri, config.oidc_discovery_ca_pem
        names = config.override_allowed_server_names
        answer = await self._fetcher.send(Outgoing(url, authorities=authorities, names=names))
        try:
            return from_set(document(answer).get("keys"))
        except ValueError:
            raise Unreachable("the answer is no JSON Web Key Set") from None
