# SPDX-License-Identifier: EUPL-1.2
"""`identity/oidc/token`, `introspect` and `.well-known`: identity tokens, and what verifies them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Final

import msgspec

from nhi.identity.entities.entity_routes import own
from nhi.identity.oidc.pairs import KeyPairs
from nhi.identity.oidc.template import populate
from nhi.identity.records import oidc as model
from nhi.identity.records import store
from nhi.identity.records.oidc import named_key
from nhi.jose.signing_key import ALGORITHMS, BadSignature, verify
from vault.barrier.stored import text
from vault.barrier.view import ReadView
from vault.framework import schema
from vault.framework.call import Call
from vault.framework.clock import Clock
from vault.framework.engine import Engine
from vault.framework.errors import Malformed
from vault.framework.fields import Doc
from vault.framework.quote import quote
from vault.framework.reply import Reply
from vault.framework.route import Params, read, write
from vault.values.ids import EntityId
from vault.values.times import Seconds, nanos_to_seconds

_ISSUER: Final = re.compile(r"https?://(?:\[[0-9A-Fa-f:.]+\]|[^\s/?#@:\[\]]+)(?::[0-9]+)?")
EXPLICIT_ISSUER: Final = (
    'If "issuer" is set explicitly, all tokens must be validated against that address, including those issued '
    'by secondary clusters. Setting issuer to "" will restore the default behavior of using the cluster\'s '
    "api_addr as the issuer."
)
_PARTS: Final = 3
_INVALID: Final = "error validating claims: go-jose/go-jose/jwt: validation failed, "


class ConfigParams(Params, frozen=True):
    """Who tokens say they are from."""

    issuer: Annotated[str, Doc("Scheme, host and port of the issuer; api_addr if it is empty.")] = ""


class ConfigInfo(msgspec.Struct, frozen=True):
    """Who tokens say they are from."""

    issuer: str


class TokenParams(Params, frozen=True):
    """Which role."""

    name: Annotated[str, Doc("Name of the role.")]


class IdentityToken(msgspec.Struct, frozen=True):
    """A signed identity token; TTL in seconds."""

    client_id: str
    token: str
    ttl: Seconds


class IntrospectParams(Params, frozen=True):
    """Which token."""

    token: Annotated[str, Doc("The identity token.")] = ""
    client_id: Annotated[str, Doc("Audience that it must be for.", clear=True)] = ""


def check_issuer(issuer: str) -> None:
    """Refuse an issuer that is more than a server. Raises `Malformed`."""
    if not _ISSUER.fullmatch(issuer):
        raise Malformed(
            "invalid issuer, which must include only a scheme, host, and optional port "
            "(e.g. https://example.com:8200)"
        )


def published(document: Mapping[str, object], caching: str = "no-store") -> Reply[Mapping[str, object]]:
    """Return a document as anybody's library reads it; `caching` is its Cache-Control."""
    return Reply(raw=schema.encode(document), headers={"cache-control": caching})


class IdentityTokenEngine(Engine):
    """Identity tokens of callers that have an entity."""

    def __init__(self, address: str, pairs: KeyPairs, clock: Clock) -> None:
        """`address` is the URL at which clients reach this server."""
        self._address = address
        self._pairs = pairs
        self._clock = clock

    @read("oidc/config", event="identity.oidc.config.read")
    async def read_config(self, call: Call) -> ConfigInfo:
        """Show who tokens say they are from."""
        return ConfigInfo((await own(call).get(model.CONFIG) or b"").decode())

    @write("oidc/config", event="identity.oidc.config.write")
    async def write_config(self, call: Call, params: ConfigParams) -> Reply[None] | None:
        """Say who tokens are from."""
        if params.issuer:
            check_issuer(params.issuer)
        await call.core.put(model.CONFIG, text(params.issuer))
        return Reply(warnings=[EXPLICIT_ISSUER]) if params.issuer else None

    @read("oidc/token/{name:word}", event="identity.oidc.token.issue")
    async def read_token(self, call: Call, params: TokenParams) -> IdentityToken:
        """Sign a token that says who the caller is."""
        core = own(call)
        standing = call.caller().entity
        role = await model.role(core, params.name)
        if role is None:
            raise Malformed(f'role "{quote(params.name)}" not found')
        key = await named_key(core, role.key)
        if key is None or key.current is None:
            raise Malformed(f'key "{quote(role.key)}" not found')
        if not key.allows(role.client_id):
            raise Malformed(
                f'the key "{quote(role.key)}" does not list the client ID of the role "{quote(role.name)}" as an allowed client ID'
            )
        if standing is None or call.caller().namespace.id != call.namespace.id:
            raise Malformed("no entity associated with the request's token")
        now = nanos_to_seconds(self._clock.nanos())
        claims: dict[str, Any] = {
            **populate(role.template, standing.facts, now),
            "iss": await self.issuer(call, core),
            "sub": standing.facts.entity_id,
            "aud": role.client_id,
            "namespace": call.namespace.id,
            "iat": now,
            "exp": now + role.ttl,
        }
        return IdentityToken(role.client_id, await self._pairs.sign(key.current, claims), role.ttl)

    @write("oidc/introspect", writes=False, event="identity.oidc.introspect")
    async def introspect(self, call: Call, params: IntrospectParams) -> Reply[Mapping[str, object]]:
        """Say whether an identity token is good now."""
        problem = await self._problem(call, params)
        answer: dict[str, object] = {"active": not problem}
        return published({**answer, "error": problem} if problem else answer)

    async def _problem(self, call: Call, params: IntrospectParams) -> str:
        core = own(call)
        if params.token.count(".") != _PARTS - 1:
            return "error parsing token: go-jose/go-jose: compact JWS format must have three parts"
        try:
            claims = verify(params.token, await self.jwks(core, await _signing(core)))
        except BadSignature:
            return "unable to validate the token signature"
        if claims.get("iss") != await self.issuer(call, core):
            return _INVALID + "invalid issuer claim (iss)"
        if params.client_id and claims.get("aud") != params.client_id:
            return _INVALID + "invalid audience claim (aud)"
        if claims.get("exp", 0) <= nanos_to_seconds(self._clock.nanos()):
            return _INVALID + "token is expired (exp)"
        entity = await store.entity(core, EntityId(str(claims.get("sub"))))
        if entity is None:
            return "entity was not found"
        return "entity is disabled" if entity.disabled else ""

    @read("oidc/.well-known/openid-configuration", public=True, event="identity.oidc.public.read")
    async def read_discovery(self, call: Call) -> Reply[Mapping[str, object]]:
        """Describe the issuer (OpenID Connect Discovery 1.0 section 3)."""
        issuer = await self.issuer(call, own(call))
        found = {
            "issuer": issuer,
            "jwks_uri": f"{issuer}/.well-known/keys",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ALGORITHMS,
        }
        return published(found, "max-age=3600")

    @read("oidc/.well-known/keys", public=True, event="identity.oidc.public.read")
    async def read_jwks(self, call: Call) -> Reply[Mapping[str, object]]:
        """Publish the keys that sign for a role (RFC 7517), the next ones too."""
        core = own(call)
        return published({"keys": await self.jwks(core, await _signing(core))})

    async def issuer(self, call: Call, core: ReadView) -> str:
        """Return who tokens of a namespace are from."""
        configured = (await core.get(model.CONFIG) or b"").decode()
        return f"{configured or self._address}/v1/{call.namespace.path}identity/oidc"

    async def jwks(self, core: ReadView, names: Iterable[str]) -> Sequence[Mapping[str, str]]:
        """Return the public keys of the signing keys with these names."""
        found: list[Mapping[str, str]] = []
        for name in sorted(set(names)):
            key = await named_key(core, name)
            if key is not None:
                found += key.published(self._clock.nanos())
        return found


async def _signing(core: ReadView) -> Sequence[str]:
    """Return the names of the keys that sign for a role."""
    roles = [await model.role(core, name) for name in await core.list(model.ROLES)]
    return [role.key for role in roles if role is not None]
