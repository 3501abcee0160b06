# SPDX-License-Identifier: EUPL-1.2
"""Logging in by a role whose program decides."""

from __future__ import annotations

from typing import Final

import msgspec

from nhi.auth.jwt.cel.model import CEL_ROLES, LOGIN, CelRole
from nhi.auth.jwt.cel.programs import Programs, tenant_of
from nhi.auth.jwt.cel.protocol import Answer, ProgramAuth
from nhi.auth.jwt.model import CONFIG, Config, LoginParams
from nhi.auth.jwt.verifier import Verifier
from nhi.jose.registered_claims import ExpectedClaims
from vault.framework.call import Call
from vault.framework.clock import Clock
from vault.framework.engine import Engine
from vault.framework.errors import Malformed
from vault.framework.identity import LoginAlias
from vault.framework.quote import quote
from vault.framework.reply import Reply
from vault.framework.route import write
from vault.token import terms
from vault.token.issue import LoginGrant, LoginIssuer
from vault.token.terms import TokenTerms
from vault.values.times import Nanos, Seconds, nanos_to_seconds

_TYPES: Final = {0: "default", 1: "service", 3: "service"}
"""Kinds of tokens by their number in a program; every other makes a batch token."""
_FAILED: Final = "error executing cel program: "
_UNFIT: Final = "error converting proto auth: "


class ProgramGrant(msgspec.Struct, frozen=True):
    """What a program gives to whom its token is about."""

    config: Config
    role: CelRole
    grant: LoginGrant


class CelLoginEngine(Engine):
    """Logins by programs. The token is verified and the program run before any transaction."""

    def __init__(self, issuer: LoginIssuer, verifier: Verifier, programs: Programs, clock: Clock) -> None:
        self._issuer = issuer
        self._verifier = verifier
        self._programs = programs
        self._clock = clock

    @write("cel/login", public=True, before="judge", event="auth.login")
    async def cel_login(self, call: Call, params: LoginParams) -> Reply[None]:
        """Log in by a role whose program decides."""
        del params
        judged = call.prepared
        assert isinstance(judged, ProgramGrant)
        role = await CEL_ROLES.find(call.tx, judged.role.name)
        if await CONFIG.find(call.tx) != judged.config or role != judged.role:
            raise Malformed("the role or the configuration has just changed; log in again")
        return await self._issuer.issue(call, judged.grant)

    async def judge(self, call: Call, params: LoginParams) -> ProgramGrant:
        """Find out what the token is good for. Raises `Malformed`."""
        config = await CONFIG.find(call.reader)
        if config is None:
            raise Malformed("could not load configuration")
        name = params.role or config.default_role
        if not name:
            raise Malformed("missing role")
        role = await CEL_ROLES.find(call.reader, name)
        if role is None:
            raise Malformed("role could not be found")
        if not params.jwt:
            raise Malformed("missing token")
        expected = ExpectedClaims(
            issuer=config.bound_issuer,
            audiences=role.bound_audiences,
            clock_skew_leeway=role.clock_skew_leeway,
            expiration_leeway=role.expiration_leeway,
            not_before_leeway=role.not_before_leeway,
        )
        claims = await self._verifier.claims(call, config, expected, params.jwt)
        question = msgspec.structs.replace(
            role.cel_program.question(), claims=claims, now=self._clock.nanos()
        )
        answer = await self._programs.run(tenant_of(call), question)
        return ProgramGrant(config, role, granted(role.name, answer))


def granted(name: str, answer: Answer) -> LoginGrant:
    """Return what the program of a role gives. Raises `Malformed`, with its reason where it has one."""
    if answer.text is not None:
        raise Malformed(
            f"{_FAILED}CEL role '{quote(name)}' blocked authorization with message: {answer.text}"
        )
    if answer.false:
        raise Malformed(f"{_FAILED}CEL role '{quote(name)}' blocked authorization with boolean false return")
    made = answer.auth
    if made is None:
        raise Malformed(f"{_FAILED}CEL program '{quote(name)}' returned unexpected type: {answer.type}")
    if made.timeless:
        raise Malformed(f"{_UNFIT}proto:\u00a0invalid nil Timestamp")
    if made.entity_id:
        raise Malformed(f"{_UNFIT}an entity is entered by its alias, and not named")
    found = _terms(made)
    return LoginGrant(
        found,
        login=f"{LOGIN}{found.max_ttl}/{name}",
        metadata=made.metadata,
        name=made.display_name,
        alias=_alias(made),
        renewable=made.renewable,
    )


def _terms(made: ProgramAuth) -> TokenTerms:
    """Return the terms of a token that holds together. Raises `Malformed`."""
    try:
        found = TokenTerms(
            bound_cidrs=terms.addresses(made.bound_cidrs),
            explicit_max_ttl=_seconds("explicit_max_ttl", made.explicit_max_ttl),
            max_ttl=_seconds("MaxTTL", made.max_ttl),
            no_default_policy=made.no_default_policy,
            num_uses=made.num_uses,
            period=_seconds("period", made.period),
            policies=made.policies,
            ttl=_seconds("TTL", made.ttl),
            type=_TYPES.get(made.token_type, "batch"),
        )
    except Malformed as refusal:
        raise Malformed(_UNFIT + refusal.message) from None
    if found.num_uses < 0 or (found.type == "batch" and (found.num_uses or found.period)):
        raise Malformed(f"{_UNFIT}a token has no uses below 0, and a batch token none and no period")
    return found


def _seconds(name: str, given: int) -> Seconds:
    """Return a duration in seconds, 0 for none. Raises `Malformed` where so little is asked for that none is left."""
    seconds = nanos_to_seconds(Nanos(max(given, 0)))
    if given > 0 and not seconds:
        raise Malformed(f"{quote(name)} is less than a second: durations of programs are in nanoseconds")
    return seconds


def _alias(made: ProgramAuth) -> LoginAlias | None:
    if made.alias is None:
        return None
    if not made.alias:
        raise Malformed("missing name in alias")
    if not all(made.groups):
        raise Malformed("missing alias name")
    return LoginAlias(made.alias, metadata=made.alias_metadata or None, groups=made.groups)
