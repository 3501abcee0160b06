# SPDX-License-Identifier: EUPL-1.2
"""Tokens of logins: issued and renewed as role, mount and server allow; the narrowest limit counts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

import msgspec

from vault.barrier.view import ReadView
from vault.framework.call import Call, Identity, Namespace
from vault.framework.clock import Clock
from vault.framework.errors import Failed, Malformed
from vault.framework.identity import EntityState, LoginAlias
from vault.framework.reply import Auth, Reply
from vault.framework.secret import Secret
from vault.mount.entry import MountConfig, MountEntry
from vault.policy.names import valid_name
from vault.token.authenticator import to_identity
from vault.token.batch import BatchTokens
from vault.token.factors import Candidate, Factors, NoFactors
from vault.token.lifetime import LifetimeLimits, first_lifetime
from vault.token.model import TokenEntry
from vault.token.store import TokenStore
from vault.token.terms import TokenTerms
from vault.values.ids import NO_ACCESSOR, NOBODY
from vault.values.times import Seconds, nanos_after, second_of


class LoginGrant(msgspec.Struct, frozen=True):
    """What an auth method has found out about the client that logs in.

    `login` is what the method finds the role or user by when the token is renewed; `name` is its part of the
    token's display name. `bound_cidrs` replaces the terms' where it is not empty.
    """

    terms: TokenTerms
    login: str
    metadata: Mapping[str, str]
    name: str = ""
    bound_cidrs: tuple[str, ...] = ()
    alias: LoginAlias | None = None
    """Who logged in: the entity of this alias is found or created, and the token belongs to it. None for a login without entity."""
    renewable: bool = True


class LoginIssuer:
    """Issues tokens to clients that logged in."""

    def __init__(
        self,
        tokens: TokenStore,
        batch: BatchTokens,
        clock: Clock,
        limits: LifetimeLimits,
        config: Callable[[Call], MountConfig],
        factors: Factors | None = None,
    ) -> None:
        """`limits` are the server's; `config` returns how the mount of a call is tuned; `factors` may ask for more."""
        self._factors = factors or NoFactors()
        self._tokens = tokens
        self._batch = batch
        self._clock = clock
        self._limits = limits
        self._config = config

    async def issue(self, call: Call, grant: LoginGrant) -> Reply[None]:
        """Issue a token and store it, in the open transaction, or say which second factor is missing.

        Raises `Malformed` for what no login may get.
        """
        terms = grant.terms
        config = self._config(call)
        kind = _kind(terms.type, config.token_type)
        standing = None
        if grant.alias is not None:
            standing = await self._tokens.entities.enter(call, grant.alias, call.mount.accessor)
        limits = login_limits(terms, config, self._limits)
        life = first_lifetime(
            limits, requested=terms.ttl, period=terms.period, explicit_max=terms.explicit_max_ttl
        )
        batch = kind == "batch"
        now = self._clock.nanos()
        if batch:
            now = second_of(now)
        entry = TokenEntry(
            accessor=NO_ACCESSOR if batch else self._tokens.new_accessor(call.namespace),
            policies=policies_of(terms),
            path=call.path,
            display_name=_display_name(call, grant.name),
            created=now,
            metadata=dict(grant.metadata) or None,
            uses=0 if batch else terms.num_uses,
            granted_uses=terms.num_uses,
            ttl=life.ttl,
            explicit_max_ttl=Seconds(0) if batch else terms.explicit_max_ttl,
            period=terms.period,
            renewable=grant.renewable and not batch,
            expires=nanos_after(now, life.ttl),
            orphan=True,
            bound_cidrs=_bound(call, grant),
            mount=call.mount.logins or call.mount.uuid,
            entity=standing.facts.entity_id if standing is not None else NOBODY,
            login=grant.login,
        )
        candidate = Candidate(entry, kind, standing, tuple(life.warnings))
        demanded = await self._factors.demand(call, candidate)
        return demanded if demanded is not None else await self.complete(call, candidate)

    async def complete(self, call: Call, candidate: Candidate) -> Reply[None]:
        """Issue the token of a login that needs nothing more, in the open transaction."""
        entry, kind = candidate.entry, candidate.kind
        batch = kind == "batch"
        token = self._batch.issue(call.namespace, entry) if batch else self._tokens.new_token(call.namespace)
        if call.login is not None:
            call.login.identity = self._passing(call, token, entry, kind, candidate.standing)
        elif not batch:
            await self._tokens.create(call.core, token, entry)
        auth = to_auth(entry, token, entry.ttl, kind=kind, standing=candidate.standing)
        call.warnings += candidate.warnings  # behind those about what was sent, unlike a handler's own
        return Reply(auth=auth, display_name=entry.display_name)

    def _passing(
        self, call: Call, token: str, entry: TokenEntry, kind: str, standing: EntityState | None
    ) -> Identity:
        """Return who logged in for one request alone: nothing is stored, so no use is counted and nothing revoked."""
        key = self._tokens.key(token)
        identity = to_identity(Secret(token), key, entry, call.namespace, standing, None)
        return replace(identity, kind=kind, fleeting=True)


Rule = Callable[[ReadView, TokenEntry, Call], Awaitable[TokenTerms | None]]
"""Finds the terms that a login's token is renewed by, in its mount's data; None where it is left as it is."""
Find = Callable[[Namespace, str], MountEntry | None]
"""Finds a namespace's auth mount by the id of its logins."""


class Renewals:
    """Asks the auth method that a token came from whether it may be renewed, and how far."""

    def __init__(self, find: Find, rules: Mapping[str, Rule]) -> None:
        """`rules` has one rule for each kind of auth method."""
        self._find = find
        self._rules = rules

    async def terms(
        self, call: Call, core: ReadView, home: Namespace, entry: TokenEntry
    ) -> tuple[TokenTerms, MountConfig] | None:
        """Return today's terms and the mount's limits; None where nothing is renewed. Raises `Failed`.

        `core` is any view of the transaction, `home` the token's namespace.
        """
        mount = self._find(home, entry.mount)
        if mount is None:
            raise Failed("failed to renew entry: its auth method is gone")
        terms = await self._rules[mount.kind](core.space(home.id).sub(mount.prefix), entry, call)
        return None if terms is None else (terms, mount.config)


def login_limits(terms: TokenTerms, config: MountConfig, system: LifetimeLimits) -> LifetimeLimits:
    """Return the lifetimes of a login's token: its mount's or the server's, and no longer than its terms allow."""
    longest = config.max_lease_ttl or system.longest
    most = min(terms.max_ttl, longest) if terms.max_ttl else longest
    return LifetimeLimits(default=config.default_lease_ttl or system.default, longest=most)


def policies_of(terms: TokenTerms) -> tuple[str, ...]:
    """Return the policies of a login's token, normalised before they are judged (SL-11). Raises `Malformed`."""
    names = {valid_name(name) for name in terms.policies if name.strip()}
    if None in names:
        raise Malformed("policies: every name must be printable, without dot segments")
    if "root" in names:
        raise Malformed("auth methods cannot create root tokens")
    if "response-wrapping" in names:
        raise Malformed('cannot assign policy "response-wrapping"')
    if not terms.no_default_policy:
        names.add("default")
    return tuple(sorted(name for name in names if name is not None))


def _kind(wanted: str, mount: str) -> str:
    """Return which kind of token is made: a mount may insist, or say what happens where a role leaves it open."""
    if mount in {"service", "batch"}:
        return mount
    if wanted != "default":
        return wanted
    return "batch" if mount == "default-batch" else "service"


def _bound(call: Call, grant: LoginGrant) -> tuple[str, ...]:
    if grant.terms.strictly_bind_ip:
        return (call.client_address,)
    return grant.bound_cidrs or grant.terms.bound_cidrs


def _display_name(call: Call, name: str) -> str:
    path = call.namespace.path + call.mount.path
    mount = path.removeprefix("auth/").strip("/").replace("/", "-")
    return f"{mount}-{name}" if name else mount


def to_auth(
    entry: TokenEntry, token: str, ttl: Seconds, *, kind: str = "service", standing: EntityState | None = None
) -> Auth:
    """Return the wire's description of a token; `ttl` is what is left of its life, `standing` that of its entity."""
    given = standing.policies if standing is not None else ()
    return Auth(
        client_token=token,
        accessor=entry.accessor,
        policies=tuple(sorted({*entry.policies, *given})),
        token_policies=entry.policies or msgspec.UNSET,
        identity_policies=given or msgspec.UNSET,
        metadata=entry.metadata,
        lease_duration=ttl,
        renewable=entry.renewable,
        entity_id=entry.entity,
        token_type=kind,
        orphan=entry.orphan,
        num_uses=entry.granted_uses,
    )
