# SPDX-License-Identifier: EUPL-1.2
"""Revocation lists of a mount: given, or fetched before any transaction, and fetched anew once they are out of date."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from cryptography import x509

from nhi.auth.cert import crl, serials
from nhi.auth.cert.chain import authorities
from nhi.auth.cert.crl import ParsedList
from nhi.auth.cert.model import CRLS, ROLES, CrlParams, RevocationList, Serials
from nhi.records import Keys, ListParams, RoleName
from vault.barrier.barrier import Barrier
from vault.barrier.view import View, core_prefix, mount_prefix
from vault.framework.call import Call
from vault.framework.clock import Clock, Entropy
from vault.framework.concurrency.offload import Pool
from vault.framework.engine import Engine
from vault.framework.errors import Malformed
from vault.framework.quote import quote
from vault.framework.route import delete, list_, read, write
from vault.outbound.failure import Unreachable
from vault.outbound.fetch import Fetcher, OutboundRequest
from vault.outbound.kept import AnswerCache
from vault.outbound.shares import Owner, owner_of
from vault.values.ids import NamespaceId
from vault.values.times import millis_to_seconds

_LARGEST: Final = 16 << 20
_UNFETCHED: Final = "failed to fetch CRL: "
_ANOTHERS: Final = "of another authority than before"
_INSTEAD: Final = "; keep it under a name of its own, or delete that one first"


class RevocationLists:
    """Keeps lists. A serial number on any of them is refused, whichever authority issued the list.

    A list whose time is over is fetched by one login at a time, and not straight after a failure.
    """

    def __init__(self, fetcher: Fetcher, barrier: Barrier, clock: Clock, entropy: Entropy) -> None:
        self._fetcher = fetcher
        self._barrier = barrier
        self._clock = clock
        self._entropy = entropy
        self._pool = Pool(threads=1, name="vault-crl")
        self._asked: AnswerCache[RevocationList] = AnswerCache(clock, fresh=0, stale=0)

    async def check(self, call: Call, path: Sequence[x509.Certificate]) -> bool:
        """Whether no certificate of a path is on a list. Raises `Malformed` where such a list is silent (SL-30)."""
        numbers = {str(one.serial_number) for one in path}
        for name, listed in (await CRLS.every(call.reader)).items():
            current = await self._current(call, name, listed, path)
            view = self._barrier.reader(call.namespace.id, _prefix(call))
            for number in numbers:
                if await serials.holds(view, name, current, number):
                    return False
        return True

    async def read(self, call: Call, params: CrlParams) -> ParsedList:
        """Return the list that was given or named. Raises `Malformed`."""
        owner = owner_of(call)
        if params.crl:
            return await self._judged(owner, partial(crl.read, params.crl.encode()), "crl: it is ")
        if not params.url:
            raise Malformed("one of 'crl' or 'url' must be provided")
        try:
            body = await self._body(owner, params.url)
        except Unreachable as failure:
            raise Malformed(f"{_UNFETCHED}{failure}") from None
        work = partial(crl.read, body, params.url, await _authorities(call))
        return await self._judged(owner, work, f"{_UNFETCHED}it is ")

    async def keep(self, view: View, name: str, found: ParsedList) -> RevocationList:
        """Keep a list. Raises `Malformed` for one that may not stand in the place of the one with this name."""
        old = await CRLS.find(view, name)
        reason = _objection(old, found.kept) if old is not None else ""
        if reason:
            raise Malformed(f"{'url' if found.kept.url else 'crl'}: it is {reason}{_INSTEAD}")
        return await serials.keep(view, name, found.kept, found.serials, self._entropy.uuid())

    async def _current(
        self, call: Call, name: str, listed: RevocationList, path: Sequence[x509.Certificate]
    ) -> RevocationList:
        """Return a list, fetched anew if its time is over and its authority is one that this login trusts."""
        if not listed.url or not self._over(listed):
            return listed
        trusted = (*path, *await _authorities(call))
        signers = tuple(dict.fromkeys(one for one in trusted if one.subject.public_bytes() == listed.issuer))
        if not signers and listed.issuer:
            return listed  # it is about no certificate on this path
        owner, space = owner_of(call).for_all(), (call.namespace.id, _prefix(call))
        key = (owner, name, listed.url, listed.next_update, signers)
        try:
            return await self._asked.get(key, lambda: self._renew(owner, space, name, listed.url, signers))
        except Unreachable as failure:
            raise Malformed(f"{_UNFETCHED}{failure}") from None

    async def _renew(
        self,
        owner: Owner,
        space: tuple[NamespaceId, str],
        name: str,
        url: str,
        signers: Sequence[x509.Certificate],
    ) -> RevocationList:
        """Fetch a list and keep it at once: it counts from now on, also if this login fails. Raises `Unreachable`."""
        body = await self._body(owner, url)
        try:
            found = await self._judged(owner, partial(crl.read, body, url, signers), "it is ")
        except Malformed as refusal:
            raise Unreachable(refusal.message) from None
        async with self._barrier.write(*space) as view:
            old = await CRLS.find(view, name)
            if old is None or old.url != url:
                raise Unreachable("it has just been replaced")
            if old.issuer and old.issuer != found.kept.issuer:
                raise Unreachable(f"it is {_ANOTHERS}")
            reason = crl.objection(old, found.kept)
            if reason:
                raise Unreachable(f"it is {reason}")
            kept = await serials.keep(view, name, found.kept, found.serials, self._entropy.uuid())
        if self._over(kept):
            raise Unreachable("it is out of date")
        return kept

    async def _body(self, owner: Owner, url: str) -> bytes:
        return await self._fetcher.body(OutboundRequest(url, owner=owner, largest=_LARGEST))

    async def _judged(self, owner: Owner, work: partial[ParsedList], prefix: str) -> ParsedList:
        try:
            return await self._pool.run((owner.mount, owner.client), work)
        except Malformed as refusal:
            readable = refusal.message != crl.UNREADABLE
            raise Malformed(f"{prefix}{refusal.message}" if readable else crl.UNREADABLE) from None

    def _over(self, listed: RevocationList) -> bool:
        return bool(listed.next_update) and millis_to_seconds(self._clock.millis()) > listed.next_update


class CrlEngine(Engine):
    """The paths of revocation lists."""

    def __init__(self, kept: RevocationLists) -> None:
        self._lists = kept

    @list_("crls", event="cert.crl.list")
    async def list_crls(self, call: Call, params: ListParams) -> Keys:
        """List the names of all revocation lists."""
        return await CRLS.names(call, params)

    @read("crls/{name:word}", event="cert.crl.read")
    async def read_crl(self, call: Call, params: RoleName) -> Serials:
        """Show the serial numbers on a list."""
        found = await CRLS.find(call.reader, params.name)
        if found is None:
            raise Malformed(f"no such CRL {quote(params.name)}")
        return Serials({serial: {} for serial in await serials.every(call.reader, params.name, found)})

    @write("crls/{name:word}", before="fetch", event="cert.crl.write")
    async def write_crl(self, call: Call, params: CrlParams) -> None:
        """Keep a list, instead of the one with this name; not one that is older, or for other certificates."""
        found = call.prepared
        assert isinstance(found, ParsedList)
        await self._lists.keep(call.tx, params.name, found)

    @delete("crls/{name:word}", event="cert.crl.delete")
    async def delete_crl(self, call: Call, params: RoleName) -> None:
        """Remove a list."""
        found = await CRLS.find(call.tx, params.name)
        if found is None:
            raise Malformed(f"no such CRL {quote(params.name)}")
        await serials.remove(call.tx, params.name, found)

    async def fetch(self, call: Call, params: CrlParams) -> ParsedList:
        """Return what is on the list that was given or named. Raises `Malformed`."""
        return await self._lists.read(call, params)


def _objection(old: RevocationList, new: RevocationList) -> str:
    """Return what speaks against a list that is given in the place of another; empty where nothing does.

    Who gives it may have another authority in mind, but not by the address of before: its host, or whoever is on the
    way, has put another there, and nobody may know whose keys that is signed by.
    """
    if old.issuer == new.issuer:
        return crl.objection(old, new)
    return _ANOTHERS if old.issuer and new.url and old.url == new.url else ""


async def _authorities(call: Call) -> Sequence[x509.Certificate]:
    """Return the authorities that roles trust."""
    return [root for role in (await ROLES.every(call.reader)).values() for root in authorities(role).roots]


def _prefix(call: Call) -> str:
    return core_prefix(call.namespace.id) + mount_prefix(call.mount.uuid)
