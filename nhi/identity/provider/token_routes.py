# SPDX-License-Identifier: EUPL-1.2
"""`identity/oidc/provider/…/token` and `userinfo`: a code becomes tokens, and an access token becomes claims."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Annotated, Any, Final

from nhi.identity.entities.entity_routes import own
from nhi.identity.oidc.pairs import KeyPairs
from nhi.identity.oidc.template import populate
from nhi.identity.provider.client_routes import OPENID, NamePath
from nhi.identity.provider.oauth import DENIED, OAuthError, answer, basic, half, proves
from nhi.identity.provider.provider_routes import ProviderEngine, assigned
from nhi.identity.records import provider as model
from nhi.identity.records.names import hashed
from nhi.identity.records.oidc import named_key
from nhi.identity.records.provider import Client, Code, Provider
from nhi.jose.signing_key import SigningKey
from vault.barrier.view import ReadView
from vault.framework.call import Call
from vault.framework.clock import Clock, Entropy
from vault.framework.engine import Engine
from vault.framework.fields import Doc
from vault.framework.identity import EntityState
from vault.framework.reply import Reply
from vault.framework.route import Params, read, write
from vault.namespace.ids import namespace_id
from vault.token.batch import BatchTokens
from vault.token.entities import Entities
from vault.token.model import TokenEntry
from vault.values.ids import NO_ACCESSOR, EntityId
from vault.values.times import Seconds, nanos_after, nanos_to_seconds, second_of

_FRESH: Final = {"cache-control": "no-store", "pragma": "no-cache"}


class TokenParams(Params, frozen=True, kw_only=True):
    """A token request (RFC 6749 sections 4.1.3 and 4.4.2)."""

    name: Annotated[str, Doc("Name of the provider.")]
    grant_type: Annotated[str, Doc("authorization_code or client_credentials.", clear=True)] = ""
    code: Annotated[str, Doc("The code.")] = ""
    redirect_uri: Annotated[str, Doc("Where the code was sent to.")] = ""
    code_verifier: Annotated[str, Doc("What the challenge was made of (RFC 7636).")] = ""
    client_id: Annotated[
        str, Doc("Id of the client, unless it is in the Authorization header.", clear=True)
    ] = ""
    client_secret: Annotated[str, Doc("Secret of the client, unless it is in the header.")] = ""
    scope: Annotated[str, Doc("Scopes of a client's own token.", clear=True)] = ""


class TokenEndpointEngine(Engine):
    """Tokens of clients. An access token is a batch token without any rights: it shows claims, and no more."""

    def __init__(
        self,
        providers: ProviderEngine,
        entities: Entities,
        batch: BatchTokens,
        pairs: KeyPairs,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._providers = providers
        self._entities = entities
        self._batch = batch
        self._pairs = pairs
        self._clock = clock
        self._entropy = entropy

    @write("oidc/provider/{name:word}/token", public=True, event="identity.oidc.token.issue")
    async def redeem(self, call: Call, params: TokenParams) -> Reply[Any]:
        """Redeem a code, or sign a client in itself. What is refused here is refused in OAuth's words."""
        try:
            return await self._granted(call, params)
        except OAuthError as refused:
            reply = refused.reply()
            reply.headers = {**(reply.headers or {}), **_FRESH}
            return reply

    @read("oidc/provider/{name:word}/userinfo", public=True, event="identity.oidc.userinfo")
    async def read_userinfo(self, call: Call, params: NamePath) -> Reply[Any]:
        """Show the claims that an access token is for (OpenID Connect Core 1.0 section 5.3)."""
        return await self._userinfo(call, params)

    @write("oidc/provider/{name:word}/userinfo", public=True, writes=False, event="identity.oidc.userinfo")
    async def read_userinfo_by_post(self, call: Call, params: NamePath) -> Reply[Any]:
        """Show the claims that an access token is for (OpenID Connect Core 1.0 section 5.3)."""
        return await self._userinfo(call, params)

    async def wrong_verb(self, call: Call) -> Reply[object] | None:
        """Refuse at `userinfo` what no access token is for, as OpenBao does, before it looks at the verb."""
        asked = call.local.startswith("oidc/provider/") and call.local.endswith("/userinfo")
        return OAuthError("invalid_token", DENIED, 401).reply() if asked else None

    async def _granted(self, call: Call, params: TokenParams) -> Reply[Any]:
        """Return the tokens of a request. Raises `OAuthError`."""
        provider = await model.provider(call.core, params.name)
        if provider is None:
            raise OAuthError("invalid_request", "provider not found")
        client = await self._client(call, params)
        if not provider.allows(client.client_id):
            raise OAuthError("invalid_client", "client is not authorized to use the provider", 401)
        key = await named_key(call.core, client.key)
        if key is None or not key.allows(client.client_id):
            raise OAuthError("invalid_client", "client is not authorized to use the key", 401)
        if params.grant_type == "authorization_code":
            return await self._by_code(call, params, provider, client)
        if params.grant_type == "client_credentials":
            return await self._by_itself(call, params, provider, client)
        raise OAuthError("unsupported_grant_type", "unsupported grant_type or parameter is empty value")

    async def _client(self, call: Call, params: TokenParams) -> Client:
        """Return the client that asks, once it has proven to be it; a public one has nothing to. Raises `OAuthError`."""
        header = basic(call.proofs.basic.reveal()) if call.proofs.basic else None
        client_id, secret = header or (params.client_id, params.client_secret)
        if not client_id:
            raise OAuthError("invalid_request", "client_id parameter is required")
        client = await model.client_by_id(call.core, client_id)
        known = client.secret if client is not None else ""
        good = hmac.compare_digest(known.encode(), secret.encode())
        if client is None or not (good or client.public):
            raise OAuthError("invalid_client", "client failed to authenticate", 401)
        return client

    async def _by_code(
        self, call: Call, params: TokenParams, provider: Provider, client: Client
    ) -> Reply[Any]:
        if not client.authorization_code:
            raise OAuthError("invalid_grant", "client is not authorized to use given credentials flow")
        code = await self._redeemed(call, params, client)
        standing = await self._entities.standing(call.core, call.namespace.id, code.entity)
        if standing is None or standing.disabled:
            raise OAuthError("invalid_request", "identity entity associated with request not found")
        if not await assigned(call.core, client, standing):
            raise OAuthError("invalid_request", "identity entity not authorized by client assignment")
        access = self._access(call, client, code.entity, code.scopes)
        key = await self._key(call, client)
        claims: dict[str, Any] = {
            **await self._claims(call.core, provider, code.scopes, standing),
            **self._said(call, provider, client, client.id_token_ttl),
            "sub": code.entity,
            "at_hash": half(access, key.algorithm),
            "c_hash": half(params.code, key.algorithm),
            **({"nonce": code.nonce} if code.nonce else {}),
            **({"auth_time": code.auth_time} if code.auth_time else {}),
        }
        body = {
            "access_token": access,
            "expires_in": client.access_token_ttl,
            "id_token": await self._pairs.sign(key, claims),
            "token_type": "Bearer",
        }
        return answer(body, **_FRESH)

    async def _by_itself(
        self, call: Call, params: TokenParams, provider: Provider, client: Client
    ) -> Reply[Any]:
        """Sign a client in itself (RFC 6749 section 4.4): its access token is a JWT that says no more than that."""
        if not client.client_credentials or client.public:
            raise OAuthError("invalid_grant", "client is not authorized to use given credentials flow")
        if OPENID not in params.scope.split():
            raise OAuthError("invalid_request", f'scope parameter must contain the "{OPENID}" value')
        claims = {
            **self._said(call, provider, client, client.access_token_ttl),
            "sub": client.client_id,
            "jti": self._entropy.uuid(),
        }
        access = await self._pairs.sign(await self._key(call, client), claims)
        body = {
            "access_token": access,
            "expires_in": client.access_token_ttl,
            "token_type": "Bearer",
        }
        return answer(body, **_FRESH)

    async def _key(self, call: Call, client: Client) -> SigningKey:
        key = await named_key(call.core, client.key)
        if key is None or key.current is None:
            raise OAuthError("server_error", "the client's signing key is gone", 500)
        return key.current

    def _said(self, call: Call, provider: Provider, client: Client, ttl: Seconds) -> dict[str, Any]:
        """Return what every token says of where it is from, and for whom, and how long."""
        now = nanos_to_seconds(self._clock.nanos())
        return {
            "iss": self._providers.issuer(call, provider),
            "aud": client.client_id,
            "namespace": call.namespace.id,
            "iat": now,
            "exp": now + ttl,
        }

    async def _redeemed(self, call: Call, params: TokenParams, client: Client) -> Code:
        """Return what a code stands for, which is gone with it. Raises `OAuthError`."""
        if not params.code:
            raise OAuthError("invalid_request", "code parameter is required")
        code = await model.code(call.core, params.code)
        if code is None or code.expires <= self._clock.nanos() or code.provider != params.name:
            raise OAuthError("invalid_grant", "authorization grant is invalid or expired")
        await model.delete_code(call.core, params.code)
        await call.core.cancel(model.CODE_KIND, f"{call.namespace.id}:{hashed(params.code)}")
        if code.client_id != client.client_id:
            raise OAuthError("invalid_grant", "authorization code was not issued to the client")
        if not params.redirect_uri:
            raise OAuthError("invalid_request", "redirect_uri parameter is required")
        if code.redirect_uri != params.redirect_uri:
            raise OAuthError(
                "invalid_grant",
                "redirect_uri does not match the redirect_uri used in the authorization request",
            )
        if code.challenge and not params.code_verifier:
            raise OAuthError("invalid_request", "expected code_verifier for token exchange")
        if params.code_verifier and not code.challenge:
            raise OAuthError("invalid_request", "unexpected code_verifier for token exchange")
        if code.challenge and not proves(params.code_verifier, challenge=code.challenge, method=code.method):
            raise OAuthError("invalid_grant", "invalid code_verifier for token exchange")
        return code

    def _access(self, call: Call, client: Client, entity: EntityId, scopes: Sequence[str]) -> str:
        now = second_of(self._clock.nanos())
        entry = TokenEntry(
            accessor=NO_ACCESSOR,
            policies=(),
            path=call.path,
            display_name=f"oidc-{client.name}",
            created=now,
            metadata={"client_id": client.client_id, "scopes": " ".join(scopes)},
            ttl=client.access_token_ttl,
            expires=nanos_after(now, client.access_token_ttl),
            orphan=True,
            entity=entity,
            claims_only=True,
        )
        return self._batch.issue(call.namespace, entry)

    async def _userinfo(self, call: Call, params: NamePath) -> Reply[Any]:
        try:
            return await self._described(call, params.name)
        except OAuthError as refused:
            return refused.reply()

    async def _described(self, call: Call, name: str) -> Reply[Any]:
        """Return the claims that the caller's access token is for. Raises `OAuthError`.

        It must have been issued by the token endpoint of this very provider, for claims only. It comes as OAuth sends it, so that no client learns to send access tokens where tokens of ours belong.
        """
        core = own(call)
        if call.token and not call.proofs.bearer:
            raise OAuthError("invalid_token", "access token must be sent as a Bearer token", 401)
        token = call.token.reveal()
        entry = await self._batch.open(core, token, self._clock.nanos()) if token else None
        provider = await model.provider(core, name)
        here = f"identity/oidc/provider/{name}/token"
        if (
            entry is None
            or not entry.claims_only
            or provider is None
            or entry.path != here
            or namespace_id(token) != call.namespace.id
        ):
            raise OAuthError("invalid_token", DENIED, 401)
        metadata = entry.metadata or {}
        client = await model.client_by_id(core, metadata.get("client_id", ""))
        if client is None or not provider.allows(client.client_id):
            raise OAuthError("access_denied", "client not found", 403)
        standing = await self._present(call, core, entry)
        if not await assigned(core, client, standing):
            raise OAuthError("access_denied", "identity entity not authorized by client assignment", 403)
        claims = await self._claims(core, provider, metadata.get("scopes", "").split(), standing)
        return answer({**claims, "sub": entry.entity}, **{"cache-control": "no-store"})

    async def _present(self, call: Call, core: ReadView, entry: TokenEntry) -> EntityState:
        standing = await self._entities.standing(core, call.namespace.id, entry.entity)
        if standing is None or standing.disabled:
            raise OAuthError("invalid_token", DENIED, 401)
        return standing

    async def _claims(
        self, core: ReadView, provider: Provider, scopes: Sequence[str], standing: EntityState
    ) -> dict[str, Any]:
        """Return the claims of scopes that the provider knows; where two say something of one claim, the first does."""
        found: dict[str, Any] = {}
        for name in scopes:
            scope = await model.scope(core, name) if name != OPENID and name in provider.scopes else None
            if scope is not None:
                now = nanos_to_seconds(self._clock.nanos())
                found = {**populate(scope.template, standing.facts, now), **found}
        return found
