# SPDX-License-Identifier: EUPL-1.2
"""Logging in with the certificate of the connection; the handshake has proved that the client has its key."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

import msgspec
from cryptography import x509

from nhi.auth.cert import chain, constraints
from nhi.auth.cert.constraints import Facts
from nhi.auth.cert.crl_routes import RevocationLists
from nhi.auth.cert.model import CONFIG, ROLES, Config, LoginParams, Role
from nhi.auth.cert.ocsp import Ocsp
from vault.barrier.view import ReadView
from vault.framework.call import Call
from vault.framework.clock import Clock
from vault.framework.engine import Engine
from vault.framework.errors import Failed, Malformed, Unauthenticated
from vault.framework.identity import LoginAlias
from vault.framework.reply import Reply
from vault.framework.route import write
from vault.outbound.shares import owner_of
from vault.token.addresses import within
from vault.token.issue import LoginGrant, LoginIssuer, policies_of
from vault.token.model import TokenEntry
from vault.token.terms import TokenTerms
from vault.values.times import millis_to_seconds

_NONE: Final = "no client certificate found"
_WRONG: Final = "invalid certificate or no client certificate supplied"
_UNMET: Final = "no chain matching all constraints could be found for this login certificate"


class CertificateProof(msgspec.Struct, frozen=True):
    """A certificate that this role trusts."""

    role: Role
    certificate: x509.Certificate
    facts: Facts


class LoginEngine(Engine):
    """Logins. `verify` runs before any transaction: it may have to ask whether the certificate was revoked."""

    def __init__(self, issuer: LoginIssuer, lists: RevocationLists, ocsp: Ocsp, clock: Clock) -> None:
        self._issuer = issuer
        self._lists = lists
        self._ocsp = ocsp
        self._clock = clock

    @write("login", public=True, before="verify", event="auth.login")
    async def login(self, call: Call, params: LoginParams) -> Reply[None]:
        """Log in."""
        del params
        proof = call.prepared
        assert isinstance(proof, CertificateProof)
        if await ROLES.find(call.tx, proof.role.name) != proof.role:
            raise Malformed("the role has just changed; log in again")
        config = await CONFIG.find(call.tx) or Config()
        metadata = constraints.metadata(proof.certificate, proof.role, proof.facts)
        grant = LoginGrant(
            proof.role.terms,
            login=f"{proof.role.name}/{thumbprint(call.proofs.certificate)}",
            name=proof.role.display_name,
            metadata=metadata,
            alias=_alias(config, proof.facts.common_name, metadata),
        )
        return await self._issuer.issue(call, grant)

    async def verify(self, call: Call, params: LoginParams) -> CertificateProof:
        """Find the role that trusts the certificate. Raises `Malformed` or `Unauthenticated`."""
        if not call.proofs.certificate:
            raise Malformed(_NONE)
        leaf = chain.read(call.proofs.certificate)
        facts = _facts(leaf)
        now = millis_to_seconds(self._clock.millis())
        between = [chain.read(one) for one in call.proofs.intermediates]
        trusting = [
            (role, path)
            for role in await _candidates(call.reader, params.name)
            if (path := chain.path_of(leaf, role, now, between))
        ]
        if not trusting:
            raise Malformed(_WRONG)
        if not await self._lists.check(call, [one for _, path in trusting for one in path]):
            raise Malformed(_UNMET)
        reasons: list[str] = []
        for role, path in trusting:
            if not constraints.met(role, facts):
                continue
            issuer = path[min(1, len(path) - 1)]
            reason = (
                await self._ocsp.objection(owner_of(call), role, leaf, issuer, now)
                if role.ocsp_enabled
                else ""
            )
            if reason:
                reasons.append(reason)
                continue
            if role.terms.bound_cidrs and not within(call.client_address, role.terms.bound_cidrs):
                raise Unauthenticated
            if not facts.common_name:
                raise Malformed("missing name in alias")
            return CertificateProof(role, leaf, facts)
        if not reasons and all(len(path) == 1 and not chain.signs(leaf) for _, path in trusting):
            raise Malformed(_WRONG)  # one that is pinned is not another's who may demand something else
        raise Malformed(f"{_UNMET}; {reasons[0]}" if reasons else _UNMET)


def _facts(leaf: x509.Certificate) -> Facts:
    """Return what a certificate says. Raises `Malformed` where it says it in no way that can be read."""
    try:
        return Facts(leaf)
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        raise Malformed(_WRONG) from None


async def _candidates(view: ReadView, name: str) -> Sequence[Role]:
    """Return the role with this name, or all of them where it is empty; for a name without a role, one that trusts no certificate.

    That there is no such role takes as long to find out as that it does not trust the certificate (SL-22).
    """
    if not name:
        return list((await ROLES.every(view)).values())
    role = await ROLES.find(view, name)
    return [role or Role(name=name, certificate=chain.nobodys_authority())]


def thumbprint(der: bytes) -> str:
    """Return what a token is bound to: the SHA-256 of the certificate (RFC 8705, section 3.1)."""
    return hashlib.sha256(der).hexdigest()


def _alias(config: Config, name: str, metadata: dict[str, str]) -> LoginAlias:
    return LoginAlias(name, metadata=metadata if config.enable_identity_alias_metadata else None)


async def renewal(view: ReadView, entry: TokenEntry, call: Call) -> TokenTerms | None:
    """Return the terms of the role that a token came from; None where it is gone: nothing is renewed.

    The certificate of the login must be shown again (SL-31), unless the mount says otherwise.
    Raises `Malformed` and `Failed`.
    """
    name, _, bound = entry.login.rpartition("/")
    if not (await CONFIG.find(view) or Config()).disable_binding:
        if not call.proofs.certificate:
            raise Malformed(_NONE)
        if thumbprint(call.proofs.certificate) != bound:
            raise Failed(
                "failed to renew entry: client identity during renewal not matching client identity used during login"
            )
    role = await ROLES.find(view, name)
    if role is None:
        return None
    if policies_of(role.terms) != entry.policies:
        raise Failed("failed to renew entry: policies have changed, not renewing")
    return role.terms
