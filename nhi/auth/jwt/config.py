# SPDX-License-Identifier: EUPL-1.2
"""Where a mount's tokens come from. The address is asked before it is kept, and before any transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from nhi.auth.jwt.keysets import KeySets
from nhi.auth.jwt.model import CONFIG, PROVIDERS, Config, ConfigParams
from nhi.jose.signature import ALGORITHMS, from_pem
from vault.framework.call import Call
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, NotFound
from vault.framework.fields import Json
from vault.framework.reply import Reply
from vault.framework.route import read, write
from vault.outbound import tls
from vault.outbound.failure import Unreachable
from vault.outbound.shares import owner_of

_WAYS: Final = (
    "exactly one of 'jwt_validation_pubkeys', 'jwks_url', 'jwks_pairs', 'oidc_discovery_url', or 'provider_config' "
    "must be set"
)
_ELSEWHERE: Final = {
    "gsuite": "groups of Google's directory are not fetched; map a claim of the token",
    "kubernetes": "use the kubernetes method, or oidc_discovery_url with the cluster's issuer",
}
"""Providers that would be asked by interfaces of their own, and what to do instead."""
_HIDDEN: Final = "oidc_client_secret"


class ConfigEngine(Engine):
    """The path of the configuration. A new one is tried before it is kept."""

    def __init__(self, sets: KeySets) -> None:
        self._sets = sets

    @read("config", event="jwt.config.read")
    async def read_config(self, call: Call) -> Reply[dict[str, Json]]:
        """Show the configuration, and whether the provider answers. The client secret is not shown."""
        config = await CONFIG.find(call.reader)
        if config is None:
            raise NotFound
        shown: dict[str, Json] = {
            name: getattr(config, name) for name in Config.__struct_fields__ if name != _HIDDEN
        }
        shown["status"] = "valid"
        warnings = []
        if config.oidc_discovery_url:
            try:
                await self._sets.keys(owner_of(call), config)
            except Unreachable as failure:
                shown["status"] = "invalid"
                warnings = [f"failed to construct JWK validator: keyset configuration error: {failure}"]
        return Reply(data=shown, warnings=warnings)

    @write("config", before="ask", event="jwt.config.write")
    async def write_config(self, call: Call, params: ConfigParams) -> Reply[None] | None:
        """Change the configuration as a whole; what is not given is empty from now on."""
        old = await CONFIG.find(call.tx)
        in_state = params.namespace_in_state
        if in_state is None:
            in_state = old.namespace_in_state if old is not None else True
        new = Config(
            **{
                name: getattr(params, name)
                for name in Config.__struct_fields__
                if name not in {"namespace_in_state", "jwt_validation_pubkeys", "provider_config"}
            },
            provider_config=params.provider_config or {},
            jwt_validation_pubkeys=tuple(key.strip() for key in params.jwt_validation_pubkeys),
            namespace_in_state=in_state,
        )
        await CONFIG.keep(call.tx, new)
        warnings = call.prepared
        assert isinstance(warnings, tuple)
        return Reply(warnings=list(warnings)) if warnings else None

    async def ask(self, call: Call, params: ConfigParams) -> tuple[str, ...]:
        """Check what is given, the address too; return what there is to warn of. Raises `Malformed`."""
        check(params)
        if params.jwt_validation_pubkeys:
            from_pem(params.jwt_validation_pubkeys)
            return ()
        what = "oidc discovery URL" if params.oidc_discovery_url else "jwks URL"
        config = Config(
            jwks_url=params.jwks_url,
            jwks_ca_pem=params.jwks_ca_pem,
            oidc_discovery_url=params.oidc_discovery_url,
            oidc_discovery_ca_pem=params.oidc_discovery_ca_pem,
            override_allowed_server_names=params.override_allowed_server_names,
        )
        try:
            await self._sets.check(owner_of(call), config)
        except Unreachable as failure:
            if params.skip_jwks_validation:
                return (f"error checking {what}",)
            raise Malformed(f"error checking {what}: {failure}") from None
        return ()


def check(params: ConfigParams) -> None:
    """Make sure that a configuration holds together. Raises `Malformed`."""
    ways = (
        params.jwt_validation_pubkeys,
        params.jwks_url,
        params.oidc_discovery_url,
        (params.provider_config or {}).get("provider") == "kubernetes",
    )
    if sum(map(bool, ways)) != 1:
        raise Malformed(_WAYS)
    if bool(params.oidc_client_id) != bool(params.oidc_client_secret):
        raise Malformed("both 'oidc_client_id' and 'oidc_client_secret' must be set for OIDC")
    if params.oidc_client_id and not params.oidc_discovery_url:
        raise Malformed("'oidc_discovery_url' must be set for OIDC")
    if params.provider_config:
        _check_provider(params.provider_config)
    if params.oidc_response_mode not in {"", "query", "form_post"}:
        raise Malformed("invalid response_mode")
    if not set(params.oidc_response_types) <= {"code", "id_token"}:
        raise Malformed("invalid response_types")
    if "id_token" in params.oidc_response_types and params.oidc_response_mode != "form_post":
        raise Malformed("query response_mode may not be used with an id_token response_type")
    if not set(params.jwt_supported_algs) <= set(ALGORITHMS):
        raise Malformed("invalid jwt_supported_algs: unsupported signing algorithm")
    for name in ("jwks_ca_pem", "oidc_discovery_ca_pem"):
        _check_authorities(name, getattr(params, name))


def _check_provider(settings: Mapping[str, Json]) -> None:
    name = settings.get("provider")
    if not isinstance(name, str):
        raise Malformed("invalid provider_config: 'provider' field not found in provider_config")
    if name in _ELSEWHERE:
        raise Malformed(f"invalid provider_config: {name} is not supported: {_ELSEWHERE[name]}")
    if name not in PROVIDERS:
        raise Malformed(f"invalid provider_config: 'provider' must be one of {', '.join(sorted(PROVIDERS))}")


def _check_authorities(name: str, text: str) -> None:
    if text:
        try:
            tls.context(text, own_names=False)
        except Unreachable:
            raise Malformed(f"error checking {name}") from None
