# SPDX-License-Identifier: EUPL-1.2
"""`sys/leases`: leases of secrets, and tokens shown as leases: look up, renew, revoke, count, tidy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import Final

from vault.barrier.barrier import Barrier
from vault.barrier.view import ReadView, core_prefix
from vault.engines.system.clients import lease_params as shapes
from vault.framework.call import Call
from vault.framework.clock import Clock
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, NotFound
from vault.framework.quote import quote
from vault.framework.reply import Reply
from vault.framework.route import list_, read, write
from vault.lease.model import Lease, LeaseFailure, prolonged
from vault.lease.revocation import Endings
from vault.lease.store import LeaseStore
from vault.lease.tidy import Tidy
from vault.lease.tokens import token_of
from vault.storage.paging import pages
from vault.token.authenticator import core_reader
from vault.token.model import TokenEntry
from vault.token.store import TokenStore
from vault.values.ids import LeaseId, NamespaceId, TokenKey
from vault.values.times import Millis, Seconds, nanos_to_seconds, time_after, time_between

_PAGE: Final = 64
"""Leases that are removed in one transaction: other writers wait for it, and the event loop while SQLite takes it."""
_TOKENS: Final = 16
"""Tokens that are revoked in one transaction, likewise."""
_SOON: Final = Millis(60_000)
"""Milliseconds between two checks of a lease whose revocation a caller waits for."""
_STARTED: Final = (
    "Tidy operation successfully started. Any information from the operation will be printed to OpenBao's "
    "server logs."
)
_UNDER_WAY: Final = "Tidy operation already in progress."


class LeaseEngine(Engine):
    """The leases of a namespace. Leases below a prefix are revoked one by one, each in a transaction of its own."""

    def __init__(
        self,
        barrier: Barrier,
        store: LeaseStore,
        endings: Endings,
        tidy: Tidy,
        tokens: TokenStore,
        clock: Clock,
        follow: Callable[[], Awaitable[None]],
    ) -> None:
        """`follow` makes changes of other transactions known to this process."""
        self._barrier = barrier
        self._store = store
        self._endings = endings
        self._tidy = tidy
        self._tokens = tokens
        self._clock = clock
        self._follow = follow

    @write("leases/lookup", writes=False, asks=True, event="lease.lookup")
    async def look_up(self, call: Call, params: shapes.LeaseParams) -> shapes.LeaseView:
        """Show a lease."""
        lease_id = shapes.require_lease_id(params)
        core, now = core_reader(self._barrier, call.namespace), self._clock.nanos()
        lease = await self._find(call, core, lease_id)
        if lease is not None:
            return shapes.show(lease, now)
        found = await self._find_token(call, core, lease_id)
        if found is None:
            raise Malformed("invalid lease")
        return shapes.show_token(lease_id, found[1], now)

    @list_("leases/lookup/{prefix:any}", sudo=True, event="lease.list")
    async def list_leases(self, call: Call, params: shapes.PrefixParams) -> shapes.LeaseNames:
        """List lease ids directly below a prefix. Needs sudo."""
        core = core_reader(self._barrier, call.namespace)
        folder = f"{params.prefix.rstrip('/')}/".lstrip("/")
        names = set(await self._store.names(core, folder))
        async for page in self._tokens.lease_names(core, folder):
            names.update(page)
        if not names:
            raise NotFound
        return shapes.LeaseNames(sorted(names))

    @write("leases/renew", event="lease.renew")
    async def renew(self, call: Call, params: shapes.LeaseRenewParams) -> Reply[None]:
        """Prolong a lease, from now on and never beyond its longest time."""
        return await self._renew(call, shapes.require_lease_id(params), params.increment)

    @write("leases/renew/{url_lease_id:path}", event="lease.renew")
    async def renew_named(self, call: Call, params: shapes.RenewNamedParams) -> Reply[None]:
        """Prolong a lease; one in the body goes before the one in the path."""
        return await self._renew(call, shapes.require_lease_id(params, params.url_lease_id), params.increment)

    @write("leases/revoke", event="lease.revoke")
    async def revoke(self, call: Call, params: shapes.LeaseRevokeParams) -> Reply[None] | None:
        """End a lease; nothing happens where there is none."""
        await self._revoke(call, shapes.require_lease_id(params))
        return _accept(params)

    @write("leases/revoke/{url_lease_id:path}", event="lease.revoke")
    async def revoke_named(self, call: Call, params: shapes.RevokeNamedParams) -> Reply[None] | None:
        """End a lease; one in the body goes before the one in the path."""
        await self._revoke(call, shapes.require_lease_id(params, params.url_lease_id))
        return _accept(params)

    @write("leases/revoke-prefix/{prefix:path}", sudo=True, event="lease.revoke.prefix")
    async def revoke_prefix(self, call: Call, params: shapes.RevokePrefixParams) -> Reply[None] | None:
        """End the lease of this identifier, or all leases below it. Needs sudo."""
        call.after = partial(self._sweep, call, params.prefix, force=False)
        return _accept(params)

    @write("leases/revoke-force/{prefix:path}", sudo=True, event="lease.revoke.force")
    async def revoke_force(self, call: Call, params: shapes.PrefixParams) -> None:
        """Remove the leases below a prefix even where the target system fails. Needs sudo.

        The secrets may stay valid there: an operator has to remove them.
        """
        call.after = partial(self._sweep, call, params.prefix, force=True)

    @write("leases/tidy", event="lease.tidy")
    async def tidy(self, call: Call) -> Reply[None]:
        """Put leases in order, in the background."""
        if self._tidy.running:
            return Reply(status=202, warnings=[_UNDER_WAY], unended=True)
        call.after = partial(self._start_tidy, call.namespace.id)
        return Reply(status=202, warnings=[_STARTED], unended=True)

    @read("leases", sudo=True, event="lease.list")
    async def list_irrevocable(self, call: Call, params: shapes.LeaseListParams) -> shapes.Irrevocable:
        """List the leases that could not be revoked. Needs sudo."""
        limit = shapes.limit_of(params)
        if params.type != "irrevocable":
            raise NotFound
        parked = await self._store.parked(core_reader(self._barrier, call.namespace))
        shown = parked[:limit] if limit else parked
        leases = [shapes.show_irrevocable(lease) for lease in shown]
        return shapes.Irrevocable(len(parked), leases)

    @read("leases/count", event="lease.count")
    async def count_irrevocable(self, call: Call, params: shapes.CountParams) -> shapes.Counts:
        """Count the leases that could not be revoked, by mount."""
        if params.type != "irrevocable":
            raise NotFound
        counts: dict[str, int] = {}
        for lease in await self._store.parked(core_reader(self._barrier, call.namespace)):
            counts[lease.accessor] = counts.get(lease.accessor, 0) + 1
        return shapes.Counts(counts, sum(counts.values()))

    async def _renew(self, call: Call, lease_id: LeaseId, increment: Seconds) -> Reply[None]:
        now = self._clock.nanos()
        lease = await self._find(call, call.core, lease_id)
        if lease is None:
            if await self._find_token(call, call.core, lease_id) is not None:
                raise Malformed("tokens cannot be renewed through this endpoint")
            raise Malformed("lease not found")
        if lease.parked:
            raise Malformed("lease is expired and has failed previous revocation attempts")
        if lease.expires <= now:
            raise Malformed("lease expired")
        if not lease.renewable:
            raise Malformed("lease is not renewable")
        lease, warnings = prolonged(lease, increment, now)
        await self._store.replace(call.core, lease)
        call.after = partial(self._renew_there, lease)
        return Reply(
            lease_id=lease.id,
            renewable=True,
            lease_duration=nanos_to_seconds(time_between(now, lease.expires)),
            warnings=warnings,
        )

    async def _renew_there(self, lease: Lease) -> None:
        """Have the engine renew its secret. The lease is renewed first, so the secret never outlives it."""
        try:
            await self._endings.renew(lease)
        except LeaseFailure as failure:
            raise Malformed(f"failed to renew entry: {failure}") from None

    async def _revoke(self, call: Call, lease_id: LeaseId) -> None:
        lease = await self._find(call, call.core, lease_id)
        if lease is not None:
            await self._store.replace(call.core, self._store.ended(lease))
            await self._store.arm(call.core, lease, time_after(self._clock.millis(), _SOON))
            call.after = partial(self._end, lease_id)
            return
        found = await self._find_token(call, call.core, lease_id)
        if found is not None:
            await self._tokens.revoke_tree(call.core, found[0])

    async def _end(self, lease_id: LeaseId) -> None:
        try:
            await self._endings.end(lease_id)
        except LeaseFailure as failure:
            raise Malformed(f"failed to revoke entry: {failure}") from None

    async def _start_tidy(self, namespace_id: NamespaceId) -> None:
        """Begin, once the request is done: an attempt that is retried has begun nothing."""
        self._tidy.start(namespace_id, self._endings.spawn)

    async def _sweep(self, call: Call, prefix: str, *, force: bool) -> None:
        """Revoke all leases below a prefix. Raises `Malformed` for the first failure, once all were tried."""
        core = core_reader(self._barrier, call.namespace)
        await self._sweep_tokens(call, core, prefix)
        failed: tuple[LeaseId, int, LeaseFailure] | None = None
        tried = 0
        async for page in self._below(call, core, prefix):
            for lease_id, failure in zip(page, await self._endings.end_all(page, force=force), strict=True):
                tried += 1
                if failure is not None and failed is None:
                    failed = lease_id, tried, failure
        if failed is not None:
            lease_id, number, reason = failed
            raise Malformed(
                f'failed to revoke "{quote(lease_id)}" ({number} / {tried}): failed to revoke entry: {reason}'
            )

    async def _find(self, call: Call, core: ReadView, lease_id: LeaseId) -> Lease | None:
        """Return a lease of the call's namespace or of one below it."""
        if not self._tokens.reaches(call.namespace, lease_id.rpartition("/")[2]):
            return None
        return await self._store.get(core, lease_id)

    async def _find_token(
        self, call: Call, core: ReadView, lease_id: LeaseId
    ) -> tuple[TokenKey, TokenEntry] | None:
        """Return key and entry of a token of the call's namespace or of one below it, by its lease."""
        if not self._tokens.reaches(call.namespace, lease_id.rpartition("/")[2]):
            return None
        return await token_of(core, self._tokens, lease_id, self._clock.nanos())

    async def _below(self, call: Call, core: ReadView, prefix: str) -> AsyncIterator[Sequence[LeaseId]]:
        """Yield the lease ids of a prefix, page by page: the lease of that name, or those below it."""
        named = LeaseId(prefix)
        if await self._find(call, core, named) is not None:
            yield [named]
            return
        async for page in pages(partial(self._store.below, core), f"{prefix}/", size=_PAGE):
            yield [LeaseId(f"{prefix}/{name}") for name in page]

    async def _sweep_tokens(self, call: Call, core: ReadView, prefix: str) -> None:
        """Revoke the token that a prefix names, or those below it. They are worthless at once."""
        exact = await self._find_token(call, core, LeaseId(prefix))
        if exact is not None:
            await self._revoke_tokens(call, [exact[0]])
            return
        async for page in self._tokens.leases(core, f"{prefix}/"):
            await self._revoke_tokens(call, [TokenKey(name.rpartition("/")[2]) for name in page])

    async def _revoke_tokens(self, call: Call, keys: Sequence[TokenKey]) -> None:
        for at in range(0, len(keys), _TOKENS):
            async with self._barrier.write(call.namespace.id, core_prefix(call.namespace.id)) as tx:
                await self._tokens.revoke_trees(tx, keys[at : at + _TOKENS])
            await self._follow()


def _accept(params: shapes.LeaseRevokeParams | shapes.RevokePrefixParams) -> Reply[None] | None:
    """Return the answer that OpenBao gives to a caller who does not wait."""
    return None if params.sync else Reply(status=202, raw=b"")
