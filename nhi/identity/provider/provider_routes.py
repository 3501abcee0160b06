# SPDX-License-Identifier: EUPL-1.2
"""`identity/oidc/provider/…`: what clients read, and where people consent (OpenID Connect Core 1.0)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from nhi.identity.entities.entity_routes import KeyInfo, own
from nhi.identity.oidc.token_routes import IdentityTokenEngine, published
from nhi.identity.provider.client_routes import OPENID, NamePath
from nhi.identity.provider.oauth import CHALLENGE, OAuthError, answer, fits
from nhi.identity.records import provider as model
from nhi.identity.records.names import hashed
from nhi.identity.records.provider import Client, Code, Provider
from nhi.jose.signing_key import ALGORITHMS
from vault.barrier.view import ReadView
from vault.framework.call import Call
from vault.framework.clock import Clock, Entropy
from vault.framework.engine import Engine
from vault.framework.errors import NotFound
from vault.framework.fields import Doc, Json
from vault.framework.identity import EntityState
from vault.framework.reply import Reply
from vault.framework.route import Params, list_, read, write
from vault.storage.protocol import Timer
from vault.values.times import Seconds, nanos_after, nanos_to_millis_up, nanos_to_seconds

_CODE: Final = 32


class AuthorizeParams(Params, frozen=True, kw_only=True):
    """An authentication request (OpenID Connect Core 1.0 section 3.1.2.1)."""

    name: Annotated[str, Doc("Name of the provider.")]
    client_id: Annotated[str, Doc("Id of the client.", clear=True)] = ""
    scope: Annotated[str, Doc("Scopes, openid among them, with spaces between.", clear=True)] = ""
    redirect_uri: Annotated[str, Doc("Where the caller is sent back to.")] = ""
    response_type: Annotated[str, Doc("code.", clear=True)] = ""
    state: Annotated[str, Doc("Comes back as it is.")] = ""
    nonce: Annotated[str, Doc("Comes back in the identity token.")] = ""
    max_age: Annotated[int | None, Doc("Seconds since the caller's login, at most.", clear=True)] = None
    code_challenge: Annotated[str, Doc("Challenge (RFC 7636).")] = ""
    code_challenge_method: Annotated[str, Doc("plain or S256.", clear=True)] = ""
    request: Annotated[str, Doc("Not supported.")] = ""
    request_uri: Annotated[str, Doc("Not supported.")] = ""
    prompt: Annotated[str, Doc("Kept for clients.", clear=True)] = ""


class ProviderEngine(Engine):
    """Providers as their clients see them."""

    def __init__(self, tokens: IdentityTokenEngine, address: str, clock: Clock, entropy: Entropy) -> None:
        """`address` is the URL at which clients reach this server."""
        self._tokens = tokens
        self._address = address
        self._clock = clock
        self._entropy = entropy

    @read("oidc/provider/{name:word}", event="identity.oidc.provider.read")
    async def read_provider(self, call: Call, params: NamePath) -> dict[str, Json]:
        """Read a provider."""
        found = await model.provider(own(call), params.name)
        if found is None:
            raise NotFound
        return self._shown(call, found)

    @list_("oidc/provider", event="identity.oidc.provider.list")
    async def list_providers(self, call: Call) -> KeyInfo:
        """List providers by name, with what they are."""
        found = {one.name: self._shown(call, one) for one in await model.providers(own(call))}
        return KeyInfo(found, list(found))

    @read(
        "oidc/provider/{name:word}/.well-known/openid-configuration",
        public=True,
        event="identity.oidc.public.read",
    )
    async def read_discovery(self, call: Call, params: NamePath) -> Reply[Mapping[str, object]]:
        """Describe a provider (OpenID Connect Discovery 1.0 section 3)."""
        provider = await model.provider(own(call), params.name)
        if provider is None:
            raise NotFound
        issuer = self.issuer(call, provider)
        place = f"{call.namespace.path}identity/oidc/provider/{provider.name}"
        document = {
            "issuer": issuer,
            "jwks_uri": f"{issuer}/.well-known/keys",
            "authorization_endpoint": f"{provider.issuer or self._address}/ui/vault/{place}/authorize",
            "token_endpoint": f"{issuer}/token",
            "userinfo_endpoint": f"{issuer}/userinfo",
            "request_parameter_supported": False,
            "request_uri_parameter_supported": False,
            "id_token_signing_alg_values_supported": ALGORITHMS,
            "response_types_supported": ["code"],
            "scopes_supported": [*provider.scopes, OPENID],
            "claims_supported": [],
            "subject_types_supported": ["public"],
            "grant_types_supported": ["authorization_code"],
            "token_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
        }
        return published(document, "max-age=3600")

    @read("oidc/provider/{name:word}/.well-known/keys", public=True, event="identity.oidc.public.read")
    async def read_jwks(self, call: Call, params: NamePath) -> Reply[Mapping[str, object]]:
        """Publish the keys that sign for a provider's clients (RFC 7517)."""
        core = own(call)
        provider = await model.provider(core, params.name)
        if provider is None:
            raise NotFound
        names = {one.key for one in await model.clients(core) if provider.allows(one.client_id)}
        return published({"keys": await self._tokens.jwks(core, names)})

    @read("oidc/provider/{name:word}/authorize", writes=True, event="identity.oidc.authorize")
    async def authorize(self, call: Call, params: AuthorizeParams) -> Reply[Any]:
        """Consent to be signed in to a client: a code is answered, which the client redeems."""
        return await self._authorize(call, params)

    @write("oidc/provider/{name:word}/authorize", event="identity.oidc.authorize")
    async def authorize_by_post(self, call: Call, params: AuthorizeParams) -> Reply[Any]:
        """Consent to be signed in to a client: a code is answered, which the client redeems."""
        return await self._authorize(call, params)

    @read("oidc/provider/{name:word}/authorize/client", public=True, event="identity.oidc.authorize")
    async def read_asking_client(self, call: Call, params: AuthorizeParams) -> Reply[Any]:
        """Name the client of an authentication request, for the page on which people sign in to it.

        A refusal holds `redirect_uri` where it may be told there: the client is known, and so is the address.
        """
        core = own(call)
        try:
            _, client = await _asked(core, params)
        except OAuthError as refused:
            return refused.reply(**await _place_to_tell(core, params))
        return answer({"client": client.name}, **{"cache-control": "no-store"})

    async def _authorize(self, call: Call, params: AuthorizeParams) -> Reply[Any]:
        try:
            provider, client, standing = await self._agreed(call, params)
        except OAuthError as refused:
            early = refused.error.endswith("_not_supported")
            return refused.reply(state="" if early else params.state)
        code = self._entropy.base62(_CODE)
        expires = nanos_after(self._clock.nanos(), model.CODE_LIFE)
        kept = Code(
            provider=provider.name,
            client_id=client.client_id,
            redirect_uri=params.redirect_uri,
            entity=standing.facts.entity_id,
            scopes=tuple(one for one in params.scope.split() if one in {*provider.scopes, OPENID}),
            expires=expires,
            nonce=params.nonce,
            challenge=params.code_challenge,
            method=(params.code_challenge_method or "plain") if params.code_challenge else "",
            auth_time=nanos_to_seconds(call.caller().created) if params.max_age is not None else Seconds(0),
        )
        await model.put_code(call.core, code, kept)
        key = f"{call.namespace.id}:{hashed(code)}"
        await call.core.at(Timer(model.CODE_KIND, key, nanos_to_millis_up(expires)))
        return answer({"code": code, "state": params.state}, **{"cache-control": "no-store"})

    async def _agreed(self, call: Call, params: AuthorizeParams) -> tuple[Provider, Client, EntityState]:
        """Return who signs in whom, and where. Raises `OAuthError` for anything that does not fit."""
        core = call.core
        provider, client = await _asked(core, params)
        caller = call.caller()
        standing = caller.entity
        if standing is None or caller.namespace.id != call.namespace.id:
            raise OAuthError("access_denied", "identity entity must be associated with the request")
        if not await assigned(core, client, standing):
            raise OAuthError("access_denied", "identity entity not authorized by client assignment")
        if (
            params.max_age is not None
            and nanos_after(caller.created, Seconds(params.max_age)) < self._clock.nanos()
        ):
            raise OAuthError("max_age_violation", "active re-authentication is required by max_age")
        return provider, client, standing

    def issuer(self, call: Call, provider: Provider) -> str:
        """Return who a provider's tokens are from."""
        base = provider.issuer or self._address
        return f"{base}/v1/{call.namespace.path}identity/oidc/provider/{provider.name}"

    def _shown(self, call: Call, provider: Provider) -> dict[str, Json]:
        return {
            "allowed_client_ids": provider.allowed_client_ids,
            "issuer": self.issuer(call, provider),
            "scopes_supported": provider.scopes,
        }


async def _asked(core: ReadView, params: AuthorizeParams) -> tuple[Provider, Client]:
    """Return who asks for a sign-in, and where. Raises `OAuthError`."""
    provider = await model.provider(core, params.name)
    if provider is None:
        raise OAuthError("invalid_request", "provider not found")
    _check_request(params)
    client = await model.client_by_id(core, params.client_id)
    if client is None:
        raise OAuthError("invalid_client_id", "client with client_id not found")
    if not params.redirect_uri:
        raise OAuthError("invalid_request", "redirect_uri parameter is required")
    if not fits(params.redirect_uri, client.redirect_uris):
        raise OAuthError("invalid_redirect_uri", "redirect_uri is not allowed for the client")
    if not provider.allows(client.client_id):
        raise OAuthError("unauthorized_client", "client is not authorized to use the provider")
    if not client.authorization_code:
        raise OAuthError("unauthorized_client", "client is not authorized to use given credentials flow")
    _check_challenge(params, client)
    return provider, client


async def _place_to_tell(core: ReadView, params: AuthorizeParams) -> Mapping[str, str]:
    """Return where a refusal may be told: at an address of the client that is named (RFC 6749 section 4.1.2.1)."""
    client = await model.client_by_id(core, params.client_id) if params.client_id else None
    if client is None or not fits(params.redirect_uri, client.redirect_uris):
        return {}
    return {"redirect_uri": params.redirect_uri}


async def assigned(core: ReadView, client: Client, standing: EntityState) -> bool:
    """Whether an entity may sign in to a client: it, or a group that it is in, is assigned."""
    for name in client.assignments:
        found = await model.assignment(core, name)
        if found is None:
            continue
        if "*" in found.entities or standing.facts.entity_id in found.entities:
            return True
        if "*" in found.groups or not standing.facts.groups.keys().isdisjoint(found.groups):
            return True
    return False


def _check_request(params: AuthorizeParams) -> None:
    """Refuse a request that says too little, or more than is understood. Raises `OAuthError`."""
    for wrong, error, description in (
        (params.request, "request_not_supported", "request parameter is not supported"),
        (params.request_uri, "request_uri_not_supported", "request_uri parameter is not supported"),
        (
            OPENID not in params.scope.split(),
            "invalid_request",
            f'scope parameter must contain the "{OPENID}" value',
        ),
        (not params.response_type, "invalid_request", "response_type parameter is required"),
        (params.response_type != "code", "unsupported_response_type", "unsupported response_type value"),
        (not params.client_id, "invalid_client_id", "client_id parameter is required"),
        (
            params.max_age is not None and params.max_age < 1,
            "invalid_request",
            "max_age must be greater than zero",
        ),
    ):
        if wrong:
            raise OAuthError(error, description)


def _check_challenge(params: AuthorizeParams, client: Client) -> None:
    """Refuse a challenge that is none, and none where one is needed. Raises `OAuthError`."""
    if not params.code_challenge:
        if client.public:
            raise OAuthError("invalid_request", "PKCE is required for public clients")
        return
    if params.code_challenge_method not in {"", "plain", "S256"}:
        raise OAuthError("invalid_request", "invalid code_challenge_method")
    if not CHALLENGE.fullmatch(params.code_challenge):
        raise OAuthError("invalid_request", "invalid code_challenge")
