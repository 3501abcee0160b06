# SPDX-License-Identifier: EUPL-1.2
"""Logging in with a token that an identity provider signed."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from nhi.auth.jwt import claims as said
from nhi.auth.jwt import templates
from nhi.auth.jwt.cel import model as cel
from nhi.auth.jwt.model import CONFIG, ROLES, Config, LoginParams, Role
from nhi.auth.jwt.verifier import Verifier
from nhi.jose import registered_claims
from vault.barrier.view import ReadView
from vault.framework.call import Call
from vault.framework.engine import Engine
from vault.framework.errors import Failed, Malformed, Unauthenticated
from vault.framework.fields import Json
from vault.framework.identity import LoginAlias
from vault.framework.quote import quote
from vault.framework.reply import Reply
from vault.framework.route import write
from vault.token.addresses import within
from vault.token.issue import LoginGrant, LoginIssuer
from vault.token.model import TokenEntry
from vault.token.terms import TokenTerms


class JwtProof(msgspec.Struct, frozen=True):
    """A token that was verified by this configuration and is good for this role, and what that gives."""

    config: Config
    role: Role
    grant: LoginGrant


class LoginEngine(Engine):
    """Logins. `verify` runs before any transaction: it may have to ask for keys."""

    def __init__(self, issuer: LoginIssuer, verifier: Verifier) -> None:
        self._issuer = issuer
        self._verifier = verifier

    @write("login", public=True, before="verify", event="auth.login")
    async def login(self, call: Call, params: LoginParams) -> Reply[None]:
        """Log in."""
        del params
        proof = call.prepared
        assert isinstance(proof, JwtProof)
        if (
            await CONFIG.find(call.tx) != proof.config
            or await ROLES.find(call.tx, proof.role.name) != proof.role
        ):
            raise Malformed("the role or the configuration has just changed; log in again")
        return await self._issuer.issue(call, proof.grant)

    async def verify(self, call: Call, params: LoginParams) -> JwtProof:
        """Find out whether the token is good for the role. Raises `Malformed` or `Unauthenticated`."""
        config = await CONFIG.find(call.reader)
        if config is None:
            raise Malformed("could not load configuration")
        role = await granted_role(call, params.role or config.default_role)
        if role.role_type == "oidc":
            raise Malformed("role with oidc role_type is not allowed")
        if role.terms.bound_cidrs and not within(call.client_address, role.terms.bound_cidrs):
            raise Unauthenticated
        if not params.jwt:
            raise Malformed("missing token")
        expected = registered_claims.ExpectedClaims(
            issuer=config.bound_issuer,
            subject=role.bound_subject,
            audiences=role.bound_audiences or (),
            clock_skew_leeway=role.clock_skew_leeway,
            expiration_leeway=role.expiration_leeway,
            not_before_leeway=role.not_before_leeway,
        )
        claims = await self._verifier.claims(call, config, expected, params.jwt)
        if not role.bound_audiences and registered_claims.audience(claims):
            raise Malformed("audience claim found in JWT but no audiences bound to the role")
        granted = grant(role, claims, config)
        try:
            said.check_bound(claims, role)
        except Malformed as refusal:
            raise Malformed(f"error validating claims: {refusal.message}") from None
        return JwtProof(config, role, granted)


async def granted_role(call: Call, name: str) -> Role:
    """Return the role of a login. Raises `Malformed`."""
    if not name:
        raise Malformed("missing role")
    role = await ROLES.find(call.reader, name)
    if role is None:
        raise Malformed("role could not be found")
    return role


def grant(role: Role, claims: Mapping[str, Json], config: Config) -> LoginGrant:
    """Return what a role gives to whom the claims are about. Raises `Malformed`."""
    name = said.user(claims, role)
    metadata = {**said.metadata(claims, role), "role": role.name}
    terms = role.terms
    if role.token_policies_template_claims:
        terms = msgspec.structs.replace(terms, policies=templates.fill(terms.policies, claims))
    alias = LoginAlias(name, metadata=metadata, groups=said.groups(claims, role, config.provider))
    return LoginGrant(terms, login=role.name, name=name, metadata=metadata, alias=alias)


async def renewal(view: ReadView, entry: TokenEntry, call: Call) -> TokenTerms:
    """Return the terms of the role that a token came from. Raises `Failed` where it is gone."""
    del call
    if entry.login.startswith(cel.LOGIN):
        return await cel.renewal(view, entry)
    role = await ROLES.find(view, entry.login)
    if role is None:
        raise Failed(f"failed to renew entry: role {quote(entry.login)} does not exist during renewal")
    return role.terms
