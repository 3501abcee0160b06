# SPDX-License-Identifier: EUPL-1.2
"""From an authorization code to what the user's ID token says (OpenID Connect Core 1.0, sections 3.1.3 and 5.3)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote_plus, urlencode

from nhi.auth.jwt.keysets import KeySets
from nhi.auth.jwt.model import Config, Role
from nhi.auth.jwt.provider import Provider, Providers, document
from nhi.auth.jwt.states import SignIn
from nhi.jose import registered_claims, signature
from vault.framework import schema
from vault.framework.call import Call
from vault.framework.clock import Clock
from vault.framework.errors import Malformed
from vault.framework.fields import Json
from vault.outbound.failure import Unreachable
from vault.outbound.fetch import Answer, Fetcher, OutboundRequest
from vault.outbound.shares import Owner, owner_of
from vault.values.times import Seconds, millis_to_seconds

_REGISTERED: Final = frozenset({"iss", "sub", "aud", "exp", "nbf", "iat", "nonce", "azp", "auth_time"})
ENDED: Final = "authorization failed: "
"""How the refusal of a device's sign-in begins that ends it."""
WAITING: Final = frozenset({"authorization_pending", "slow_down"})
_ENDED: Final = frozenset(
    {
        "access_denied",
        "expired_token",
        "invalid_client",
        "invalid_grant",
        "invalid_request",
        "unauthorized_client",
    }
)
"""Errors that a device's sign-in ends by (RFC 8628 section 3.5, RFC 6749 section 5.2)."""
_KINDS: Final = ("access_token", "id_token", "refresh_token")
_SKEW: Final = 60


class Exchange:
    """Asks the provider's endpoints with the client's credentials."""

    def __init__(self, fetcher: Fetcher, providers: Providers, sets: KeySets, clock: Clock) -> None:
        self._fetcher = fetcher
        self._providers = providers
        self._sets = sets
        self._clock = clock

    async def begin_device(self, owner: Owner, config: Config, role: Role) -> Mapping[str, Json]:
        """Ask for a device code (RFC 8628 section 3.1). Raises `Unreachable`."""
        provider = await self._providers.find(owner, config)
        fields = {"client_id": config.oidc_client_id, "scope": scope(role)}
        return document(await self._post(owner, config, provider.device_authorization_endpoint, fields))

    async def claims(
        self, call: Call, config: Config, role: Role, sign_in: SignIn, code: str
    ) -> Mapping[str, Json]:
        """Return what provider and userinfo say of the user. Raises `Malformed` and `Unreachable`.

        1. The provider's endpoints are read from its discovery document.
        2. The code is exchanged for tokens, unless the provider posted an ID token itself.
        3. The ID token is checked (`_verified`).
        4. Userinfo adds claims, where it is about the same user.
        5. Tokens that the role wants as metadata are kept beside the claims.

        A device that waits gets `authorization_pending` or `slow_down` as the refusal.
        """
        # 1. The endpoints.
        owner = owner_of(call)
        provider = await self._providers.find(owner, config)
        # 2. The code.
        posted = bool(sign_in.id_token) and not code
        tokens = (
            {"id_token": sign_in.id_token}
            if posted
            else await self._redeem(owner, config, provider, sign_in, code)
        )
        # 3. The ID token.
        verified = await self._verified(owner, config, role, sign_in, provider, tokens.get("id_token"))
        # 4. Userinfo. It is not signed, so none of the registered claims is taken from it.
        found = {**verified, **await self._userinfo(owner, config, provider, tokens, verified)}
        # 5. The provider's tokens.
        for kind in role.oauth2_metadata or ():
            if kind in _KINDS and isinstance(tokens.get(kind), str):
                found[_KEPT + kind] = tokens[kind]
        return found

    async def _redeem(
        self, owner: Owner, config: Config, provider: Provider, sign_in: SignIn, code: str
    ) -> Mapping[str, Json]:
        """Return the tokens that a code is good for. Raises `Malformed` and `Unreachable`."""
        if sign_in.implicit:
            raise Malformed("the provider was not asked for a code")
        fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": sign_in.redirect_uri}
        if sign_in.device_code:
            device = "urn:ietf:params:oauth:grant-type:device_code"
            fields = {"grant_type": device, "device_code": sign_in.device_code}
        else:
            fields["code_verifier"] = sign_in.verifier
        answer = await self._post(owner, config, provider.token_endpoint, fields)
        if answer.status != 200:
            raise Malformed(_refusal(answer, device=bool(sign_in.device_code)))
        return document(answer)

    async def _post(self, owner: Owner, config: Config, url: str, fields: Mapping[str, str]) -> Answer:
        """Send a form, with the client's credentials (RFC 6749 section 2.3.1)."""
        pair = f"{quote_plus(config.oidc_client_id)}:{quote_plus(config.oidc_client_secret)}"
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}",
        }
        body = urlencode(sorted(fields.items())).encode()
        return await self._fetcher.send(self._outgoing(owner, config, url, headers, body))

    def _outgoing(
        self, owner: Owner, config: Config, url: str, headers: Mapping[str, str], body: bytes = b""
    ) -> OutboundRequest:
        return OutboundRequest(
            url,
            owner=owner,
            method="POST" if body else "GET",
            headers=headers,
            body=body,
            authorities=config.oidc_discovery_ca_pem,
            names=config.override_allowed_server_names,
        )

    async def _verified(
        self, owner: Owner, config: Config, role: Role, sign_in: SignIn, provider: Provider, given: Json
    ) -> Mapping[str, Json]:
        """Check an ID token (OpenID Connect Core 1.0, section 3.1.3.7). Raises `Malformed`.

        1. It is there, and its algorithm is one that is configured: the token's own header decides nothing.
        2. A key of the provider has signed it. A set without the key is fetched anew once, as keys rotate.
        3. Issuer, audience and authorised party are those that were asked.
        4. The nonce is that of this sign-in; a device's sign-in has none.
        5. It is good now, and the user signed in recently enough.
        """
        # 1. The algorithm. RS256 where nothing is configured, as OpenID Connect has it.
        if not isinstance(given, str):
            raise Malformed("the provider sent no id_token")
        token = signature.read(given)
        if token.algorithm not in (config.jwt_supported_algs or ("RS256",)):
            raise Malformed("the id_token is signed with an unexpected algorithm")
        # 2. The signature.
        claims = token.claims(signature.named(token, await self._sets.keys(owner, config)))
        if claims is None:
            claims = token.claims(signature.named(token, await self._sets.newer(owner, config)))
        if claims is None:
            raise Malformed("no known key has signed the id_token")
        # 3. Issuer and audience.
        if claims.get("iss") != provider.issuer:
            raise Malformed("the id_token is of another issuer")
        _check_audience(claims, config.oidc_client_id, role)
        # 4. The nonce.
        if not sign_in.device_code and claims.get("nonce") != sign_in.nonce:
            raise Malformed("the id_token has another nonce: it was made for another sign-in")
        # 5. The times.
        _check_moments(claims, role, millis_to_seconds(self._clock.millis()))
        return claims

    async def _userinfo(
        self,
        owner: Owner,
        config: Config,
        provider: Provider,
        tokens: Mapping[str, Json],
        claims: Mapping[str, Json],
    ) -> Mapping[str, Json]:
        """Return what userinfo adds; nothing where it is about another user (section 5.3.2)."""
        access = tokens.get("access_token")
        if not provider.userinfo_endpoint or not isinstance(access, str) or not access.isprintable():
            return {}
        headers = {"Authorization": f"Bearer {access}"}
        try:
            asked = self._outgoing(owner, config, provider.userinfo_endpoint, headers)
            answer = await self._fetcher.send(asked)
            found = document(answer)
        except Unreachable:
            return {}
        if found.get("sub") != claims.get("sub"):
            return {}
        return {name: value for name, value in found.items() if name not in _REGISTERED}


_KEPT: Final = "\0"
"""Begins the names of the provider's tokens among the claims: no claim of the provider's can have it."""


def kept_tokens(claims: Mapping[str, Json]) -> Mapping[str, str]:
    """Return the provider's tokens that the role wants as metadata."""
    return {f"oauth2_{name[1:]}": value for name, value in claims.items() if name.startswith(_KEPT)}


def scope(role: Role) -> str:
    """Return the scopes that are asked for, `openid` first."""
    return " ".join(dict.fromkeys(("openid", *(role.oidc_scopes or ()))))


def _refusal(answer: Answer, *, device: bool) -> str:
    """Return why there are no tokens. Only errors that a device waits or ends by are repeated (SL-35)."""
    try:
        error = schema.decode_object(answer.body).get("error")
    except Malformed:
        error = None
    if device and isinstance(error, str) and error in WAITING | _ENDED:
        return error if error in WAITING else f"{ENDED}{error}"
    return f"the provider answers with status {answer.status}"


def _check_audience(claims: Mapping[str, Json], client_id: str, role: Role) -> None:
    audiences = registered_claims.audience(claims)
    azp = claims.get("azp")
    if client_id not in audiences or (azp is not None and azp != client_id):
        raise Malformed("the id_token is for another client")
    if len(audiences) > 1 and azp != client_id:
        raise Malformed("the id_token is for several clients and does not say that it was made for this one")
    if role.bound_audiences and not set(role.bound_audiences) & set(audiences):
        raise Malformed("the id_token is for none of the role's audiences")


def _check_moments(claims: Mapping[str, Json], role: Role, now: Seconds) -> None:
    expires, issued = registered_claims.moment(claims, "exp"), registered_claims.moment(claims, "iat")
    if not expires or now > expires + _SKEW:
        raise Malformed("the id_token has expired")
    if now + _SKEW < issued or now + _SKEW < registered_claims.moment(claims, "nbf"):
        raise Malformed("the id_token is from the future")
    if role.max_age:
        at = registered_claims.moment(claims, "auth_time")
        if not at or now > at + role.max_age + _SKEW:
            raise Malformed("the user signed in at the provider longer ago than max_age")
