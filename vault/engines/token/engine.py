# SPDX-License-Identifier: EUPL-1.2
"""The paths of `auth/token`, but for those of roles."""

from __future__ import annotations

import msgspec

from vault.barrier.barrier import Barrier
from vault.barrier.view import ReadView
from vault.engines.token.biscuit_limits import capped_lifetime
from vault.engines.token.issue import TokenIssuer, limits_of
from vault.engines.token.model import (
    AccessorParams,
    CreateToken,
    CreateWithRole,
    Keys,
    RenewAccessorParams,
    RenewParams,
    TokenInfo,
    TokenParams,
)
from vault.engines.token.roles import RoleRoutes, role_named
from vault.engines.token.spec import lesser
from vault.framework.call import Call, Namespace
from vault.framework.clock import Clock, remembered_rfc3339
from vault.framework.errors import Failed, Malformed, NotFound, Unauthenticated
from vault.framework.identity import EntityState
from vault.framework.quote import quote
from vault.framework.reply import Reply
from vault.framework.route import BISCUITS, list_, read, write
from vault.policy.store import PolicyStore
from vault.token.authenticator import core_reader
from vault.token.batch import BatchTokens
from vault.token.issue import Renewals, login_limits, to_auth
from vault.token.lifetime import LifetimeLimits, renewed_lifetime
from vault.token.model import TokenEntry
from vault.token.other_credentials import NoOtherCredentials, OtherCredentials
from vault.token.store import TokenStore
from vault.values.ids import TokenAccessor, TokenKey
from vault.values.times import Seconds, nanos_after, nanos_to_nearest_second, nanos_to_seconds, time_between


class TokenEngine(RoleRoutes):
    """The paths of `auth/token`: create, look up, renew and revoke."""

    def __init__(
        self,
        tokens: TokenStore,
        batch: BatchTokens,
        policies: PolicyStore,
        barrier: Barrier,
        clock: Clock,
        limits: LifetimeLimits,
        renewals: Renewals | None = None,
        others: OtherCredentials | None = None,
    ) -> None:
        """`renewals` knows the auth methods; without it there are no tokens of logins. `others` knows Biscuits."""
        super().__init__(limits)
        self._others = others or NoOtherCredentials()
        self._renewals = renewals
        self._batch = batch
        self._tokens = tokens
        self._barrier = barrier
        self._clock = clock
        self._limits = limits
        self._issuer = TokenIssuer(tokens, batch, policies, clock, limits)

    @write("create", contained=True, event="auth.token.issue")
    async def create(self, call: Call, params: CreateToken) -> Reply[None]:
        """Issue a token, a child of the caller's own."""
        return await self._issuer.issue(call, params, orphan=False)

    @write("create-orphan", contained=True, event="auth.token.issue")
    async def create_orphan(self, call: Call, params: CreateToken) -> Reply[None]:
        """Issue a token without a parent: the right to this path is all that it takes."""
        return await self._issuer.issue(call, params, orphan=True)

    @write("create/{role_name}", contained=True, event="auth.token.issue")
    async def create_with_role(self, call: Call, params: CreateWithRole) -> Reply[None]:
        """Issue a token as a role says."""
        role = await role_named(call.core, params.role_name)
        if role is None:
            raise Malformed(f"unknown role {quote(params.role_name)}")
        return await self._issuer.issue(call, params, orphan=False, role=role)

    @write("lookup", writes=False, event="auth.token.lookup")
    async def lookup(self, call: Call, params: TokenParams) -> Reply[TokenInfo]:
        """Show a token; the caller's own if none is given."""
        return await self._lookup(call, params.token or call.caller().token.reveal())

    @read("lookup", event="auth.token.lookup")
    async def lookup_by_query(self, call: Call, params: TokenParams) -> Reply[TokenInfo]:
        """Show a token; the caller's own if none is given."""
        return await self._lookup(call, params.token or call.caller().token.reveal())

    @read("lookup-self", own=True, free_for=BISCUITS, event="auth.token.lookup")
    async def lookup_self(self, call: Call) -> Reply[TokenInfo]:
        """Show the caller's own token."""
        return await self._lookup(call, call.caller().token.reveal())

    @write("lookup-self", writes=False, own=True, free_for=BISCUITS, event="auth.token.lookup")
    async def lookup_self_by_post(self, call: Call) -> Reply[TokenInfo]:
        """Show the caller's own token."""
        return await self._lookup(call, call.caller().token.reveal())

    @write("lookup-accessor", writes=False, asks=True, event="auth.token.lookup")
    async def lookup_accessor(self, call: Call, params: AccessorParams) -> TokenInfo:
        """Show a token by its accessor, without the token itself."""
        _, entry = await self._by_accessor(self._core(call), TokenAccessor(params.accessor))
        standing = await self._standing(self._core(call), call.namespace, entry)
        return self._info(entry, "", call.namespace, standing)

    @write("renew", event="auth.token.renew")
    async def renew(self, call: Call, params: RenewParams) -> Reply[None] | None:
        """Extend a token's life."""
        if not params.token:
            raise Malformed("missing token ID")
        return await self._renew(call, params.token, params.increment)

    @write("renew-self", own=True, free_for=BISCUITS, event="auth.token.renew")
    async def renew_self(self, call: Call, params: RenewParams) -> Reply[None] | None:
        """Extend the life of the caller's own token."""
        return await self._renew(call, call.caller().token.reveal(), params.increment)

    @write("renew-accessor", event="auth.token.renew")
    async def renew_accessor(self, call: Call, params: RenewAccessorParams) -> Reply[None] | None:
        """Extend a token's life by its accessor."""
        key, entry = await self._by_accessor(call.core, TokenAccessor(params.accessor))
        return await self._extend(call, key, entry, params.increment, "")

    @write("revoke", event="auth.token.revoke")
    async def revoke(self, call: Call, params: TokenParams) -> None:
        """Revoke a token and every token below it."""
        if not params.token:
            raise Malformed("missing token ID")
        await self._check_revocable(call, params.token)
        if self._others.recognises(params.token):
            await self._others.revoke(call, params.token)
        elif self._tokens.reaches(call.namespace, params.token):
            await self._tokens.revoke_tree(call.core, self._tokens.key(params.token))

    @write("revoke-self", own=True, free_for=BISCUITS, event="auth.token.revoke")
    async def revoke_self(self, call: Call) -> None:
        """Revoke the caller's own token and every token below it."""
        if call.caller().kind == "batch":
            raise Malformed("batch tokens cannot be revoked")
        own = call.caller().token.reveal()
        if self._others.recognises(own):
            await self._others.revoke(call, own)
            return
        await self._tokens.revoke_tree(call.core, call.caller().key)

    @write("revoke-accessor", event="auth.token.revoke")
    async def revoke_accessor(self, call: Call, params: AccessorParams) -> Reply[None] | None:
        """Revoke a token by its accessor, and every token below it."""
        if not params.accessor:
            raise Malformed("missing accessor", chained=True)
        accessor = TokenAccessor(params.accessor)
        found = await self._tokens.living_by_accessor(call.core, accessor, self._clock.nanos())
        if found is None:
            return Reply(warnings=["No token found with this accessor"])
        await self._tokens.revoke_tree(call.core, found[0])
        return None

    @write("revoke-orphan", event="auth.token.revoke")
    async def revoke_orphan(self, call: Call, params: TokenParams) -> None:
        """Revoke one token; its children become orphans. Needs update and sudo."""
        if call.decision is None or not (call.decision.sudo or call.decision.root):
            raise Malformed("root or sudo privileges required to revoke and orphan")
        if not params.token:
            raise Malformed("missing token ID")
        await self._check_revocable(call, params.token)
        key = self._tokens.key(params.token)
        found = self._tokens.reaches(call.namespace, params.token)
        if not found or await self._tokens.living(call.core, key, self._clock.nanos()) is None:
            raise Malformed("token to revoke not found")
        await self._tokens.revoke_orphaning(call.core, key)

    async def _check_revocable(self, call: Call, token: str) -> None:
        """Raise `Malformed` for a batch token that is good, of this namespace or one below it."""
        if self._batch.recognises(token) and self._tokens.reaches(call.namespace, token):
            if await self._batch.open(call.core, token, self._clock.nanos()) is not None:
                raise Malformed("batch tokens cannot be revoked")

    @list_("accessors", sudo=True, event="auth.token.list")
    async def list_accessors(self, call: Call) -> Keys:
        """List the accessors of all tokens."""
        found = await self._tokens.accessors(self._core(call))
        if not found:
            raise NotFound
        return Keys(found)

    @write("tidy", writes=False, event="auth.token.tidy")
    async def tidy(self, call: Call) -> Reply[None]:
        """Look for entries that lost their token. Ours are removed with it, so there is nothing to find."""
        del call
        text = (
            "Tidy operation successfully started. Any information from the operation will be printed to "
            "OpenBao's server logs."
        )
        return Reply(warnings=[text], status=202, unended=True)

    def _core(self, call: Call) -> ReadView:
        return core_reader(self._barrier, call.namespace)

    async def _lookup(self, call: Call, token: str) -> Reply[TokenInfo]:
        core = self._core(call)
        caller = call.identity
        now = self._clock.nanos()
        own = caller is not None and caller.token.matches(token)
        if self._others.recognises(token):
            known = await self._others.look(call, token)
            if known is None:
                raise Unauthenticated("bad token")
            return Reply(self._info(known.entry, token, known.home, None, kind=known.identity.kind))
        home = self._tokens.namespace(token)
        if home is None or not (own or call.namespace.holds(home)):
            raise Unauthenticated("bad token")
        if self._batch.recognises(token):
            batch = await self._batch.open(core, token, now)
            if batch is None:
                raise Unauthenticated("bad token")
            standing = await self._standing(core, home, batch)
            return Reply(self._info(batch, token, home, standing, kind="batch"))
        key = caller.key if own and caller is not None else self._tokens.key(token)
        spent = own and caller is not None and caller.uses
        entry = await (self._tokens.get(core, key) if spent else self._tokens.living(core, key, now))
        call.reader.epoch = core.epoch
        if entry is None:
            raise Unauthenticated("bad token")
        standing = await self._standing(core, home, entry)
        given = standing.policies if standing is not None else ()
        same = (key, entry.created, entry.uses, entry.expires, entry.orphan, entry.remaining(now), given)
        return Reply(self._info(entry, token, home, standing), same=same)

    async def _standing(self, core: ReadView, home: Namespace, entry: TokenEntry) -> EntityState | None:
        """Return the entity of a token as it is now, disabled or not; None without one, or without a right of it."""
        if not entry.entity or entry.claims_only:
            return None
        return await self._tokens.entities.standing(core, home.id, entry.entity)

    async def _by_accessor(self, core: ReadView, accessor: TokenAccessor) -> tuple[TokenKey, TokenEntry]:
        if not accessor:
            raise Malformed("missing accessor", chained=True)
        found = await self._tokens.living_by_accessor(core, accessor, self._clock.nanos())
        if found is None:
            raise Malformed("invalid accessor", chained=True)
        return found

    def _info(
        self,
        entry: TokenEntry,
        token: str,
        namespace: Namespace,
        standing: EntityState | None,
        *,
        kind: str = "service",
    ) -> TokenInfo:
        unset = msgspec.UNSET
        given = standing.policies if standing is not None else ()
        return TokenInfo(
            accessor=entry.accessor,
            bound_cidrs=entry.bound_cidrs or unset,
            chain=entry.chain.rpartition("/")[2] or unset,
            creation_time=nanos_to_seconds(entry.created),
            creation_ttl=entry.ttl,
            display_name=entry.display_name,
            entity_id=entry.entity,
            external_namespace_policies={} if given else unset,
            identity_policies=given or unset,
            expire_time=remembered_rfc3339(entry.expires) if entry.expires else None,
            explicit_max_ttl=entry.explicit_max_ttl,
            id=token,
            issue_time=remembered_rfc3339(entry.created) if entry.leased else unset,
            last_renewal=remembered_rfc3339(entry.renewed) if entry.renewed else unset,
            last_renewal_time=nanos_to_seconds(entry.renewed) if entry.renewed else unset,
            meta=entry.metadata,
            namespace_path=namespace.path or unset,
            num_uses=entry.uses,
            orphan=entry.orphan,
            path=entry.path,
            period=entry.period or unset,
            policies=entry.policies,
            renewable=entry.renewable if entry.leased else unset,
            role=entry.role or unset,
            ttl=entry.remaining(self._clock.nanos()),
            type=kind,
        )

    async def _renew(self, call: Call, token: str, increment: Seconds) -> Reply[None] | None:
        if self._batch.recognises(token):
            raise Malformed("batch tokens cannot be renewed")
        if self._others.recognises(token):
            return await self._others.renew(call, token, increment)
        key = self._tokens.key(token)
        reached = self._tokens.reaches(call.namespace, token)
        entry = await self._tokens.living(call.core, key, self._clock.nanos()) if reached else None
        if entry is None:
            raise Malformed("token not found")
        return await self._extend(call, key, entry, increment, token)

    async def _extend(
        self, call: Call, key: TokenKey, entry: TokenEntry, increment: Seconds, token: str
    ) -> Reply[None] | None:
        """Renew a token, in the open transaction; None where its auth method leaves it as it is. Raises `Malformed`.

        1. The token is one that can be renewed.
        2. The limits are those of `auth/token`; of a login's token those of its auth method today.
        3. A token role may shorten the longest lifetime and the period.
        4. The new lifetime follows from what was asked, the limits and the age.
        5. A token that was issued with a Biscuit does not outlive it.
        6. The entry is replaced, which invalidates what is cached of it.
        """
        # 1. Renewable. The words are OpenBao's, whose tokens have a lease each.
        if not entry.leased:
            raise Malformed("invalid lease ID")
        if not entry.renewable:
            raise Malformed("lease is not renewable")
        now = self._clock.nanos()
        age = nanos_to_nearest_second(time_between(entry.created, now))
        # 2. Limits.
        limits = limits_of(call, self._limits)
        current = entry.current_ttl or entry.ttl
        if entry.mount and self._renewals is not None:
            home = self._tokens.namespace(key) or call.namespace
            found = await self._renewals.terms(call, call.core, home, entry)
            if found is None:
                return None
            terms, config = found
            limits, current = login_limits(terms, config, self._limits), terms.ttl
            entry = msgspec.structs.replace(entry, period=terms.period)
        explicit_max, period = entry.explicit_max_ttl, entry.period
        # 3. The role. Without it the token is not renewed: its limits are not known any more.
        if entry.role:
            place = call.core.space((self._tokens.namespace(key) or call.namespace).id)
            role = await role_named(place, entry.role)
            if role is None:
                raise Failed(
                    f'failed to renew entry: original token role "{quote(entry.role)}" could not be found, not renewing'
                )
            explicit_max, period = lesser(explicit_max, role.explicit_max_ttl), lesser(period, role.period)
        # 4. and 5. The lifetime.
        life = renewed_lifetime(
            limits, increment=increment, current=current, period=period, explicit_max=explicit_max, age=age
        )
        if entry.chain:
            life = capped_lifetime(life, await self._tokens.ancestor(call.core, key, entry, now), now)
        # 6. The entry.
        extended = msgspec.structs.replace(
            entry, expires=nanos_after(now, life.ttl), renewed=now, current_ttl=life.ttl
        )
        await self._tokens.update(call.core, key, extended)
        home = self._tokens.namespace(key) or call.namespace
        standing = await self._standing(call.core, home, extended)
        born = msgspec.structs.replace(extended, orphan=extended.orphan and not extended.depth)
        return Reply(
            auth=to_auth(born, token, life.ttl, standing=standing),
            warnings=list(life.warnings),
            display_name=entry.display_name,
            issued=entry.created,
        )
