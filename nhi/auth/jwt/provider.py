# SPDX-License-Identifier: EUPL-1.2
"""What an OpenID provider says of itself (OpenID Connect Discovery 1.0)."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import msgspec

from nhi.auth.jwt.model import Config
from vault.framework import schema
from vault.framework.clock import Clock
from vault.framework.errors import Malformed
from vault.framework.fields import Json
from vault.framework.limits import JsonLimits
from vault.outbound.failure import Unreachable
from vault.outbound.fetch import Answer, Fetcher, OutboundRequest
from vault.outbound.kept import AnswerCache
from vault.outbound.shares import Owner

_LIMITS = JsonLimits(strings=8192, memory=4 << 20)


class Provider(msgspec.Struct, frozen=True):
    """Where a provider does what; empty for what it does not."""

    issuer: str
    jwks_uri: str = ""
    authorization_endpoint: str = ""
    token_endpoint: str = ""
    userinfo_endpoint: str = ""
    device_authorization_endpoint: str = ""


class Providers:
    """Asks providers, and keeps what they say as `vault.outbound.kept` says: strangers may begin sign-ins."""

    def __init__(self, fetcher: Fetcher, clock: Clock) -> None:
        self._fetcher = fetcher
        self.kept: AnswerCache[Provider] = AnswerCache(clock)

    async def find(self, owner: Owner, config: Config) -> Provider:
        """Return what the provider of a configuration says. Raises `Unreachable`, also for another's document."""
        owner = owner.for_all()
        return await self.kept.get(_key(owner, config), lambda: self._ask(owner, config))

    def forget(self, owner: Owner, config: Config) -> None:
        """Ask the provider anew when it is next needed."""
        self.kept.drop(_key(owner.for_all(), config))

    async def _ask(self, owner: Owner, config: Config) -> Provider:
        url = config.oidc_discovery_url.removesuffix("/") + "/.well-known/openid-configuration"
        answer = await self._fetcher.send(
            OutboundRequest(
                url,
                owner=owner,
                authorities=config.oidc_discovery_ca_pem,
                names=config.override_allowed_server_names,
            )
        )
        found = document(answer)
        if found.get("issuer") != config.oidc_discovery_url:
            raise Unreachable("issuer did not match the returned issuer")
        told = {name: text for name in Provider.__struct_fields__ if isinstance(text := found.get(name), str)}
        if url.startswith("https:") and not all(text.startswith("https:") for text in told.values()):
            raise Unreachable("it is asked by https and names an endpoint without it")
        return Provider(**told)


def _key(owner: Owner, config: Config) -> Hashable:
    names = config.override_allowed_server_names
    return (owner, config.oidc_discovery_url, config.oidc_discovery_ca_pem, names)


def document(answer: Answer) -> Mapping[str, Json]:
    """Return the JSON object of a good answer. Raises `Unreachable`."""
    if answer.status != 200:
        raise Unreachable(f"it answers with status {answer.status}")
    try:
        return schema.decode_object(answer.body, limits=_LIMITS)
    except Malformed:
        raise Unreachable("the answer is no JSON object") from None
