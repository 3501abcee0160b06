# SPDX-License-Identifier: EUPL-1.2
"""The keys that sign a mount's tokens: those configured, or those that a key set's address answers with.

A key set is kept as `vault.outbound.kept` says. A token that no known key has signed makes the set be fetched at once,
because keys rotate; how often strangers can cause that is limited.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from nhi.auth.jwt.model import Config
from nhi.auth.jwt.provider import Providers, document
from nhi.jose.signature import VerifyKey, from_pem, from_set
from vault.framework.clock import Clock
from vault.outbound.failure import Unreachable
from vault.outbound.fetch import Fetcher, OutboundRequest
from vault.outbound.kept import AnswerCache
from vault.outbound.shares import Owner

Keys = tuple[VerifyKey, ...]


class KeySets:
    """Finds keys. `name` tells several configurations of one mount apart."""

    def __init__(self, fetcher: Fetcher, clock: Clock, providers: Providers) -> None:
        self._fetcher = fetcher
        self._providers = providers
        self.kept: AnswerCache[Keys] = AnswerCache(clock)

    async def keys(self, owner: Owner, config: Config, name: str = "") -> Sequence[VerifyKey]:
        """Return the keys of a mount. Raises `Unreachable` where there are none to be had."""
        if config.jwt_validation_pubkeys:
            return from_pem(config.jwt_validation_pubkeys)
        owner = owner.for_all()
        return await self.kept.get(_key(owner, config, name), lambda: self._fetch(owner, config))

    async def newer(self, owner: Owner, config: Config, name: str = "") -> Sequence[VerifyKey]:
        """Return the keys after asking again, because those known did not do; none where that may not be now."""
        if config.jwt_validation_pubkeys:
            return ()
        owner = owner.for_all()
        found = await self.kept.newer(_key(owner, config, name), lambda: self._fetch(owner, config))
        return found or ()

    async def check(self, owner: Owner, config: Config) -> None:
        """Ask once, whatever is kept, which counts no longer if there is an answer. Raises `Unreachable`."""
        owner = owner.for_all()
        self._providers.forget(owner, config)
        await self._fetch(owner, config)
        self.kept.drop(_key(owner, config, ""))

    async def _fetch(self, owner: Owner, config: Config) -> Keys:
        url, authorities = config.jwks_url, config.jwks_ca_pem
        if config.oidc_discovery_url:
            provider = await self._providers.find(owner, config)
            url, authorities = provider.jwks_uri, config.oidc_discovery_ca_pem
        names = config.override_allowed_server_names
        answer = await self._fetcher.send(
            OutboundRequest(url, owner=owner, authorities=authorities, names=names)
        )
        try:
            return from_set(document(answer).get("keys"))
        except ValueError:
            raise Unreachable("the answer is no JSON Web Key Set") from None


def _key(owner: Owner, config: Config, name: str) -> Hashable:
    return (
        owner,
        name,
        config.jwks_url,
        config.jwks_ca_pem,
        config.oidc_discovery_url,
        config.oidc_discovery_ca_pem,
        config.override_allowed_server_names,
    )
