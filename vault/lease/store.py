# SPDX-License-Identifier: EUPL-1.2
"""Leases in storage, found by identifier, by the token that they belong to, and by having been given up.

A lease's identifier says which namespace it belongs to, and it is kept there: what takes an identifier finds that
place through whichever view it is given, what lists looks in the given view alone (SL-09). Nothing is kept in
memory: what is due is a timer's row (SL-79).
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import suppress
from typing import Final

import msgspec

from vault.barrier.failure import NamespaceSealed
from vault.barrier.stored import RecordKind, text
from vault.barrier.view import ReadView, View
from vault.framework.call import ROOT, Call, Namespace
from vault.framework.clock import Clock, Entropy
from vault.framework.concurrency.time_slice import TimeSlice
from vault.framework.errors import Malformed
from vault.lease.model import LEASE_KIND, Lease
from vault.namespace.ids import bound, namespace_id
from vault.namespace.parked import ENDED_LEASE, park
from vault.storage.paging import pages
from vault.storage.protocol import Timer
from vault.values.ids import LeaseId, NamespaceId, TokenKey
from vault.values.times import Millis, Seconds, millis_to_seconds, nanos_after, nanos_to_millis, time_between

_ID: Final = "lease/id/"
_TOKEN: Final = "lease/token/"  # noqa: S105 -- where the leases of tokens are found, not a token
_PARKED: Final = "lease/parked/"
CHAIN: Final = "chain-"
"""How the key begins of a credential that is no token of the store, but a chain."""
_RANDOM: Final = 24
_LAST_USE: Final = (
    "Secret cannot be returned; token had one use left, so leased credentials were immediately revoked."
)
_ROUND: Final = 64
"""Leases of one token that one transaction ends."""

_KIND: Final = RecordKind("lease", Lease)


class LeaseStore:
    """The leases of a namespace."""

    def __init__(self, clock: Clock, entropy: Entropy) -> None:
        self._clock = clock
        self._entropy = entropy

    def new(
        self, call: Call, *, ttl: Seconds, longest: Seconds, detail: bytes, renewable: bool = True
    ) -> Lease:
        """Return a lease for what `call` makes; it is stored by `issue`. `ttl` and `longest` are in seconds.

        Raises `Malformed` for a caller of one request alone: nothing would end with it. And for one whose token has had
        its last use: what is made for it would be over before it is told.
        A batch token leaves no trace to follow, so what it has made ends with it at the latest, and with the token
        that it was made with.
        """
        caller, mount = call.caller(), call.mount
        if caller.fleeting:
            raise Malformed("inline authentication cannot create leases: log in, and ask with the token")
        if caller.uses < 0:
            raise Malformed(_LAST_USE)
        if caller.kind != "service" and caller.expires:
            longest = min(longest, max(Seconds(0), millis_to_seconds(time_between(call.now, caller.expires))))
        ttl = min(ttl, longest)
        now = self._clock.nanos()
        key = caller.key if caller.kind == "service" else caller.parent
        if caller.revocation_ids:
            key = TokenKey(bound(CHAIN + caller.revocation_ids[0], caller.namespace))
        return Lease(
            id=LeaseId(bound(f"{call.path}/{self._entropy.base62(_RANDOM)}", call.namespace)),
            kind=mount.kind,
            mount=mount.uuid,
            accessor=mount.accessor,
            issued=now,
            expires=nanos_after(now, ttl),
            ttl=ttl,
            longest=longest,
            renewable=renewable,
            token=key,
            chain=caller.revocation_ids,
            detail=detail,
        )

    async def issue(self, core: View, lease: Lease) -> None:
        """Store a new lease, with its timer."""
        await self.replace(core, lease)
        if lease.token:
            await core.space(namespace_of(lease.token)).put(_of_token(lease), text(lease.id))

    async def get(self, core: ReadView, lease_id: LeaseId) -> Lease | None:
        """Return a lease, over or not."""
        value = await core.space(namespace_of(lease_id)).get(_ID + lease_id)
        return None if value is None else _KIND.decode(value)

    async def replace(self, core: View, lease: Lease) -> None:
        """Store a lease that has changed, and move its timer to its end."""
        await core.space(namespace_of(lease.id)).put(_ID + lease.id, _KIND.encode(lease))
        await self.arm(core, lease, nanos_to_millis(lease.expires))

    async def arm(self, core: View, lease: Lease, due: Millis) -> None:
        """Have the lease looked at when `due` (milliseconds)."""
        await core.at(Timer(LEASE_KIND, lease.id, due))

    async def park(self, core: View, lease: Lease) -> None:
        """Give up: keep the lease, count it, and leave it to an operator."""
        place = core.space(namespace_of(lease.id))
        await place.put(_ID + lease.id, _KIND.encode(msgspec.structs.replace(lease, parked=True)))
        await place.put(_PARKED + _digest(lease.id), text(lease.id))
        await core.cancel(LEASE_KIND, lease.id)

    async def remove(self, core: View, lease: Lease) -> None:
        """Remove a lease: what it stood for is gone, or an operator takes that on himself."""
        place = core.space(namespace_of(lease.id))
        await core.cancel(LEASE_KIND, lease.id)
        await place.delete(_ID + lease.id)
        await place.delete(_PARKED + _digest(lease.id))
        if lease.token:
            await core.space(namespace_of(lease.token)).delete(_of_token(lease))

    async def below(self, core: ReadView, prefix: str, *, after: str = "", limit: int = 0) -> Sequence[str]:
        """Return the identifiers below `prefix` (empty, or ends in `/`) without it, in order."""
        return await core.scan(_ID + prefix, after=after, limit=limit)

    async def names(self, core: ReadView, prefix: str) -> Sequence[str]:
        """Return the names directly below `prefix`; a folder ends in `/`."""
        return await core.list(_ID + prefix)

    async def count(self, core: ReadView) -> tuple[int, int]:
        """Return how many leases there are in the namespace of `core`, and how many of them were given up."""
        known = sum([len(page) async for page in pages(core.scan, _ID)])
        return known, sum([len(page) async for page in pages(core.list, _PARKED)])

    async def parked(self, core: ReadView, *, limit: int = 0) -> Sequence[Lease]:
        """Return the leases that were given up, `limit` of them at most; 0 for all."""
        found = []
        for name in await core.list(_PARKED, limit=limit):
            lease_id = await core.get(_PARKED + name)
            lease = await self.get(core, LeaseId(lease_id.decode())) if lease_id is not None else None
            if lease is not None:
                found.append(lease)
        return found

    async def token_gone(self, core: View, token: TokenKey) -> bool:
        """Have what was made for a token that is gone taken back: some of it. Return whether there is more."""
        prefix = f"{_TOKEN}{token}/"
        names = await core.list(prefix, limit=_ROUND)
        for name in names:
            lease_id = await core.get(prefix + name)
            if lease_id is not None:
                await self.end(core, LeaseId(lease_id.decode()))
            await core.delete(prefix + name)
        return len(names) == _ROUND

    async def chains(self, core: ReadView) -> AsyncIterator[tuple[TokenKey, str]]:
        """Yield the keys of all chains that leases of the given view were made for, each with its first block."""
        after = CHAIN
        while names := await core.list(_TOKEN, after=after, limit=_ROUND):
            for name in names:
                if not name.startswith(CHAIN):
                    return
                key = TokenKey(name.removesuffix("/"))
                yield key, key.removeprefix(CHAIN).partition(".")[0]
            after = names[-1]

    async def chain_gone(
        self, core: View, namespace: Namespace, first: str, gone: str
    ) -> Collection[NamespaceId]:
        """Have everything taken back that was made for a credential with `gone` in its chain, which begins with `first`.

        Return the owners of the keys of sealed namespaces with leases that could not be looked at: it is for the caller
        to ask again once these are open.
        """
        prefix = f"{_TOKEN}{bound(CHAIN + first, namespace)}/"
        place = core.space(namespace.id)
        closed: set[NamespaceId] = set()
        for name in await place.list(prefix):
            lease_id = await place.get(prefix + name)
            try:
                lease = await self.get(core, LeaseId(lease_id.decode())) if lease_id is not None else None
            except NamespaceSealed as sealed:
                closed.add(sealed.owner)
                continue
            if lease is not None and gone in lease.chain:
                await self.end(core, lease.id)
        return closed

    async def end(self, core: View, lease_id: LeaseId) -> None:
        """Have one lease taken back, now or once its namespace is open again."""
        try:
            lease = await self.get(core, lease_id)
        except NamespaceSealed as sealed:
            await park(core, sealed.owner, ENDED_LEASE, lease_id)
            return
        if lease is not None and not lease.parked:
            await self.replace(core, self.ended(lease))

    async def end_below(self, core: View, prefix: str) -> None:
        """Have everything taken back whose lease is below `prefix`: what a mount made that is moved or removed."""
        pace = TimeSlice()
        for name in await self.below(core, prefix):
            await self.end(core, LeaseId(prefix + name))
            await pace.step()

    async def drop_strays(self, core: View) -> int:
        """Remove what only points at leases that are gone; return how many there were."""
        gone = 0
        for index in (_TOKEN, _PARKED):
            for name in await core.scan(index):
                lease_id = await core.get(index + name)
                with suppress(NamespaceSealed):  # a lease that cannot be looked at may be there
                    if lease_id is None or await self.get(core, LeaseId(lease_id.decode())) is None:
                        await core.delete(index + name)
                        gone += 1
        return gone

    def ended(self, lease: Lease) -> Lease:
        """Return the lease, over by now."""
        return msgspec.structs.replace(lease, expires=min(lease.expires, self._clock.nanos()))


def namespace_of(lease_id_or_key: LeaseId | TokenKey) -> NamespaceId:
    """Return the id of the namespace that a lease or a token belongs to; the root's for what nobody has made."""
    return namespace_id(lease_id_or_key.rpartition("/")[2]) or ROOT.id


def _of_token(lease: Lease) -> str:
    return f"{_TOKEN}{lease.token}/{_digest(lease.id)}"


def _digest(lease_id: LeaseId) -> str:
    return hashlib.sha256(lease_id.encode()).hexdigest()
