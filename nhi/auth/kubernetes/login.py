# SPDX-License-Identifier: EUPL-1.2
"""Logging in with a service account's token. What it claims is compared with what the API server says of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from nhi.auth.kubernetes import selector
from nhi.auth.kubernetes.model import CONFIG, NAME, ROLES, Config, LoginParams, Role
from nhi.auth.kubernetes.review import ApiServer
from nhi.jose import registered_claims, signature
from vault.barrier.view import ReadView
from vault.framework.call import Call
from vault.framework.clock import Clock
from vault.framework.engine import Engine
from vault.framework.errors import Failed, Forbidden, Malformed, Unauthenticated
from vault.framework.fields import Json
from vault.framework.globs import fits_any
from vault.framework.identity import LoginAlias
from vault.framework.quote import quote
from vault.framework.reply import Reply
from vault.framework.route import write
from vault.outbound.shares import owner_of
from vault.token.addresses import within
from vault.token.issue import LoginGrant, LoginIssuer
from vault.token.model import TokenEntry
from vault.token.terms import TokenTerms
from vault.values.times import millis_to_seconds

_LEGACY: Final = "kubernetes.io/serviceaccount/"
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")


class Account(msgspec.Struct, frozen=True):
    """A service account, as its token names it."""

    name: str
    namespace: str
    uid: str
    secret: str


class AccountProof(msgspec.Struct, frozen=True):
    """A service account that its cluster vouches for, by this configuration and for this role."""

    config: Config
    role: Role
    account: Account


class LoginEngine(Engine):
    """Logins. `verify` runs before any transaction: it asks the API server."""

    def __init__(self, issuer: LoginIssuer, server: ApiServer, clock: Clock) -> None:
        self._issuer = issuer
        self._server = server
        self._clock = clock

    @write("login", public=True, before="verify", event="auth.login")
    async def login(self, call: Call, params: LoginParams) -> Reply[None]:
        """Log in."""
        del params
        proof = call.prepared
        assert isinstance(proof, AccountProof)
        role, account = proof.role, proof.account
        if await CONFIG.find(call.tx) != proof.config or await ROLES.find(call.tx, role.name) != role:
            raise Malformed("the role or the configuration has just changed; log in again")
        metadata = {
            "service_account_name": account.name,
            "service_account_namespace": account.namespace,
            "service_account_secret_name": account.secret,
            "service_account_uid": account.uid,
        }
        by_name = f"{account.namespace}/{account.name}"
        grant = LoginGrant(
            role.terms,
            login=role.name,
            name=f"{account.namespace}-{account.name}",
            metadata={**metadata, "role": role.name},
            alias=LoginAlias(by_name if role.alias_name_source == NAME else account.uid, metadata=metadata),
        )
        return await self._issuer.issue(call, grant)

    async def verify(self, call: Call, params: LoginParams) -> AccountProof:
        """Find out whose token it is. Raises `Malformed` or `Unauthenticated`."""
        if not params.role:
            raise Malformed("missing role")
        if not params.jwt:
            raise Malformed("missing jwt")
        role = await ROLES.find(call.reader, params.role)
        if role is None:
            raise Malformed("invalid role name")
        if role.terms.bound_cidrs and not within(call.client_address, role.terms.bound_cidrs):
            raise Unauthenticated
        config = await CONFIG.find(call.reader)
        if config is None:
            raise Failed("could not load backend configuration", chained=False)
        claims = _claims(config, params.jwt.strip())
        if isinstance(claims.get("aud"), str):
            raise Malformed("'aud' source data must be an array or slice, got string")
        self._check(config, role, claims)
        account = _account(claims)
        await self._admit(call, config, role, account)
        asked = (role.audience,) if role.audience else registered_claims.audience(claims)
        user = await self._server.review(owner_of(call), config, params.jwt.strip(), asked)
        name = f"system:serviceaccount:{account.namespace}:{account.name}"
        if user.get("username") != name or not account.uid or user.get("uid") != account.uid:
            raise Unauthenticated
        return AccountProof(config, role, account)

    def _check(self, config: Config, role: Role, claims: Mapping[str, Json]) -> None:
        expected = registered_claims.ExpectedClaims(
            issuer="" if config.disable_iss_validation else config.issuer,
            audiences=(role.audience,) if role.audience else (),
        )
        now = millis_to_seconds(self._clock.millis())
        if not any(claims.get(name) for name in ("exp", "nbf", "iat")):
            claims = {**claims, "iat": now}  # a secret's token, which is good as long as the secret is there
        try:
            registered_claims.check(claims, expected, now)
        except Malformed as refusal:
            raise Forbidden(refusal.message, chained=False) from None

    async def _admit(self, call: Call, config: Config, role: Role, account: Account) -> None:
        if not _listed(account.name, role.names):
            raise Forbidden("service account name not authorized", chained=False)
        if _listed(account.namespace, role.namespaces or ()):
            return
        if not role.selector:
            raise Forbidden("namespace not authorized", chained=False)
        if not _LABEL.fullmatch(account.namespace):
            raise Forbidden("namespace not authorized", chained=False)
        labels = await self._server.labels(owner_of(call), config, account.namespace)
        if not selector.parse(role.selector).met(labels):
            raise Forbidden("namespace not authorized", chained=False)


def _claims(config: Config, text: str) -> Mapping[str, Json]:
    """Return what a token claims, checked by the configured keys where there are any. Raises `Unauthenticated`."""
    try:
        token = signature.read(text)
        claims = token.claims(signature.from_pem(config.pem_keys)) if config.pem_keys else token.unverified()
    except Malformed:
        raise Unauthenticated from None
    if claims is None:
        raise Unauthenticated
    return claims


def _account(claims: Mapping[str, Json]) -> Account:
    """Return the account that a token names, in the form of secrets or in that of projected volumes."""
    inner = claims.get("kubernetes.io")
    bound = inner if isinstance(inner, dict) else {}
    account = bound.get("serviceaccount")
    account = account if isinstance(account, dict) else {}

    def text(name: str, other: Json) -> str:
        found = claims.get(_LEGACY + name, other)
        return found if isinstance(found, str) else ""

    return Account(
        name=text("service-account.name", account.get("name")),
        namespace=text("namespace", bound.get("namespace")),
        uid=text("service-account.uid", account.get("uid")),
        secret=text("secret.name", None),
    )


def _listed(name: str, globs: Sequence[str]) -> bool:
    """Whether a name is in a list of names and globs; `*` stands for any text. No list holds an empty name."""
    return bool(name) and fits_any(name, globs)


async def renewal(view: ReadView, entry: TokenEntry, call: Call) -> TokenTerms:
    """Return the terms of the role that a token came from. Raises `Failed` where it is gone."""
    del call
    role = await ROLES.find(view, entry.login)
    if role is None:
        raise Failed(f"failed to renew entry: role {quote(entry.login)} does not exist during renewal")
    return role.terms
