# SPDX-License-Identifier: EUPL-1.2
"""Issues a token: which policies, which lifetime, and what the caller may not ask for."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from vault.engines.token.biscuit_limits import ancestor_of, capped_limits, refuse_more
from vault.engines.token.model import CreateToken
from vault.engines.token.policies import choose_policies, role_policies
from vault.engines.token.roles import TokenRole
from vault.engines.token.spec import TokenSpec, merged_spec
from vault.framework.call import ROOT, Call, Identity
from vault.framework.clock import Clock
from vault.framework.errors import Malformed, Unauthenticated
from vault.framework.globs import fits_any
from vault.framework.identity import EntityState, LoginAlias
from vault.framework.names import check_length, folded
from vault.framework.reply import Reply
from vault.policy.store import PolicyStore
from vault.token.ancestors import Ancestor
from vault.token.authenticator import bound_to
from vault.token.batch import BatchTokens
from vault.token.issue import to_auth
from vault.token.lifetime import Lifetime, LifetimeLimits, first_lifetime
from vault.token.model import DEEPEST, TokenEntry
from vault.token.store import TokenStore
from vault.values.ids import NO_ACCESSOR, NO_TOKEN_KEY
from vault.values.times import Nanos, nanos_after, second_of

_NAME = re.compile(r"[^a-zA-Z0-9-]")


def limits_of(call: Call, system: LifetimeLimits, *, cap: bool = True) -> LifetimeLimits:
    """Return the lifetimes of the mount that a call came through; with `cap` the default is cut without a word."""
    longest = call.mount.max_ttl or system.longest
    default = call.mount.default_ttl or system.default
    return LifetimeLimits(default=min(default, longest) if cap else default, longest=longest)


class TokenIssuer:
    """Issues tokens to callers that have one already; `vault.token.issue` does so for logins."""

    def __init__(
        self,
        tokens: TokenStore,
        batch: BatchTokens,
        policies: PolicyStore,
        clock: Clock,
        limits: LifetimeLimits,
    ) -> None:
        self._batch = batch
        self._tokens = tokens
        self._policies = policies
        self._clock = clock
        self._limits = limits

    async def issue(
        self, call: Call, params: CreateToken, *, orphan: bool, role: TokenRole | None = None
    ) -> Reply[None]:
        """Issue a token and store it. Raises `Malformed` for what cannot be, or what this caller may not have.

        1. The caller may issue tokens here.
        2. What is asked for can be, and the caller may ask for it.
        3. Request and role are merged: of two limits the lesser counts.
        4. The policies, by the role or by the caller's own.
        5. A caller with a Biscuit gives no more than the Biscuit has.
        6. The entity that the token belongs to.
        7. The token is stored, or sealed into itself where it is a batch token.
        """
        # An empty text is the same as no policies.
        if call.data.get("policies") == "":
            params = msgspec.structs.replace(params, policies=())
        # 1. The caller. A narrowed one is never privileged: its checks may have left it this path alone.
        narrowed = call.caller().narrowing is not None
        privileged = call.decision is not None and (call.decision.sudo or call.decision.root) and not narrowed
        caller = _entitled(call, params, privileged=privileged)
        inherits = caller.namespace.id == call.namespace.id
        # 2. What is asked for.
        _check_kind(params, role)
        _check_privileges(params, privileged=privileged, parent_too=role is None)
        # 3. The spec.
        spec = merged_spec(params, role)
        if spec.own_period and not privileged:
            raise Malformed("root or sudo privileges required to create periodic token")
        # 4. Policies.
        if role is not None and role.restricts:
            policies = role_policies(role, spec.params, caller, inherits=inherits)
        else:
            policies = choose_policies(spec.params, caller, privileged=privileged, inherits=inherits)
        # 5. The Biscuit.
        orphaned = role.orphan if role is not None else orphan or params.no_parent
        ancestor = None
        if narrowed:
            refuse_more(spec, policies, caller, orphaned=orphaned)
            ancestor = await ancestor_of(call, self._tokens, self._clock.nanos())
        if not orphaned and caller.depth >= DEEPEST:
            raise Malformed(f"a token can have {DEEPEST} tokens above it: make an orphan instead")
        # 6. The entity.
        standing = await self._owner(call, params.entity_alias, role, caller, orphan=orphaned)
        entry, warnings = self._entry(call, spec, policies, caller, orphan=orphaned, ancestor=ancestor)
        if standing is not None:
            entry = msgspec.structs.replace(entry, entity=standing.facts.entity_id)
        # 7. The token.
        if spec.batch:
            token = self._batch.issue(call.namespace, entry)
        else:
            token = await self._store(call, params.id, entry)
        warnings = [*spec.warnings, *warnings, *await self._unknown(call, policies)]
        auth = to_auth(entry, token, entry.ttl, kind="batch" if spec.batch else "service", standing=standing)
        return Reply(auth=auth, warnings=warnings, display_name=entry.display_name)

    def _entry(
        self,
        call: Call,
        spec: TokenSpec,
        policies: tuple[str, ...],
        caller: Identity,
        *,
        orphan: bool,
        ancestor: Ancestor | None,
    ) -> tuple[TokenEntry, Sequence[str]]:
        """Return what is kept of the token, and the warnings about its lifetime."""
        params, role, batch = spec.params, spec.role, spec.batch
        if batch and "root" in policies:
            raise Malformed("batch tokens cannot be root tokens")
        as_root = "root" in policies and not (spec.ttl or spec.period)
        endless = as_root and not spec.explicit_max
        if endless and caller.expires:
            raise Malformed("expiring root tokens cannot create non-expiring root tokens")
        life = Lifetime(spec.explicit_max)
        now = second_of(self._clock.nanos()) if batch else self._clock.nanos()
        if not as_root:
            limits = limits_of(call, self._limits, cap=role is None)
            limits = limits if ancestor is None else capped_limits(limits, ancestor, now)
            life = first_lifetime(
                limits, requested=spec.ttl, period=spec.period, explicit_max=spec.explicit_max
            )
        suffix = f"/{role.path_suffix}" if role is not None and role.path_suffix else ""
        entry = TokenEntry(
            accessor=NO_ACCESSOR if batch else self._tokens.new_accessor(call.namespace),
            policies=policies,
            path=f"auth/token/{call.local}{suffix}",
            display_name=_display_name(params.display_name),
            created=now,
            parent=NO_TOKEN_KEY if orphan else caller.key,
            parent_created=Nanos(0) if orphan else caller.created,
            depth=0 if orphan else caller.depth + 1,
            metadata={**(params.meta or {}), **(ancestor.metadata if ancestor is not None else {})} or None,
            uses=0 if batch else spec.uses,
            granted_uses=spec.uses,
            ttl=life.ttl,
            explicit_max_ttl=spec.own_explicit_max,
            period=spec.own_period,
            renewable=spec.renewable and not endless and not batch,
            expires=Nanos(0) if endless else nanos_after(now, life.ttl),
            orphan=orphan,
            bound_cidrs=_bound(role, caller, orphan=orphan),
            role=role.name if role is not None else "",
            chain=ancestor.name if ancestor is not None else "",
        )
        return entry, life.warnings

    async def _owner(
        self, call: Call, alias: str, role: TokenRole | None, caller: Identity, *, orphan: bool
    ) -> EntityState | None:
        """Return whose the new token is: the entity of an alias that the role allows, or whose its parent is."""
        if not alias or role is None:
            within = caller.namespace.id == call.namespace.id
            return caller.entity if within and not orphan else None
        if not fits_any(folded(alias), map(folded, role.allowed_entity_aliases or ())):
            raise Malformed("invalid 'entity_alias' value")
        try:
            return await self._tokens.entities.enter(call, LoginAlias(alias), call.mount.accessor)
        except Unauthenticated:
            raise Unauthenticated("entity from given entity alias is disabled") from None

    async def _store(self, call: Call, wanted: str, entry: TokenEntry) -> str:
        token = wanted or self._tokens.new_token(call.namespace)
        if wanted and not await self._tokens.vacant(call.core, self._tokens.key(wanted)):
            raise Malformed("cannot create a token with a duplicate ID")
        await self._tokens.create(call.core, token, entry)
        return token

    async def _unknown(self, call: Call, policies: Sequence[str]) -> Sequence[str]:
        return [
            f'Policy "{name}" does not exist'
            for name in policies
            if name not in {"root", "default"} and await self._policies.get(call.core, name) is None
        ]


def _bound(role: TokenRole | None, caller: Identity, *, orphan: bool) -> tuple[str, ...]:
    """Return where the new token may be used from: where its role says, or else where its parent may be."""
    if role is not None:
        return role.bound_cidrs
    return () if orphan else bound_to(caller)


def _entitled(call: Call, params: CreateToken, *, privileged: bool) -> Identity:
    """Return the caller that the token is issued to. Raises `Malformed` for callers that get none here."""
    caller = call.caller()
    if caller.kind == "batch":
        raise Malformed("batch tokens cannot create more tokens")
    if caller.fleeting:
        raise Malformed("parent token lookup failed: no parent found")
    if caller.uses:
        raise Malformed("restricted use token cannot generate child tokens")
    inner_root = call.decision is not None and call.decision.root and caller.namespace.id != ROOT.id
    if caller.namespace.id != call.namespace.id and (inner_root or not privileged):
        raise Malformed("root or sudo privileges required to directly generate a token in a child namespace")
    if params.id and call.namespace.path:
        raise Malformed("token IDs can only be manually specified in the root namespace")
    return caller


def _check_kind(params: CreateToken, role: TokenRole | None) -> None:
    check_length(display_name=params.display_name, entity_alias=params.entity_alias)
    if params.type not in {"", "service", "batch"}:
        raise Malformed("invalid 'token_type' value")
    if params.num_uses < 0:
        raise Malformed("number of uses cannot be negative")
    if params.entity_alias and role is None:
        raise Malformed("'entity_alias' is only allowed in combination with token role")


def _check_privileges(params: CreateToken, *, privileged: bool, parent_too: bool) -> None:
    if not privileged:
        if params.id:
            raise Malformed("root or sudo privileges required to specify token id")
        if params.no_parent and parent_too:
            raise Malformed("root or sudo privileges required to create orphan token")
    if params.id.startswith("s."):
        raise Malformed("custom token ID cannot have the 's.' prefix")
    if "." in params.id:
        raise Malformed("custom token ID cannot have a '.' in the value")


def _display_name(wanted: str) -> str:
    name = _NAME.sub("-", wanted).rstrip("-")
    return f"token-{name}" if name else "token"
