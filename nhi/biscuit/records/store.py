# SPDX-License-Identifier: EUPL-1.2
"""Keys, workloads, registrations, issued tokens and revocations in their mount's data.

Each fact that a cached token rests on has a tag. A change of the fact invalidates the tag in the same transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from nhi.biscuit.format.chain import Key
from nhi.biscuit.records import lineage, renewals, uses
from nhi.biscuit.records.model import (
    BISCUIT_KIND,
    LONGEST_TTL,
    Approver,
    IssuedToken,
    IssuerKey,
    KeptChain,
    LoginCounts,
    MountRef,
    Registration,
    Revocation,
    Workload,
)
from vault.barrier.stored import MARK, RecordKind
from vault.barrier.view import ReadView, View
from vault.framework.call import ROOT
from vault.framework.errors import Malformed
from vault.storage.protocol import Timer
from vault.values.ids import MountId, NamespaceId, TokenId
from vault.values.times import Millis, Seconds, millis_after, millis_to_seconds

KEYS: Final = "key/"
WORKLOADS: Final = "workload/"
REGISTRATIONS: Final = "registration/"
ISSUED: Final = "issued/"
REVOKED: Final = "revoked/"
LOGINS: Final = "logins/"
ENDED: Final = "ended/"
APPROVERS: Final = "approver/"
CHAINS: Final = "chain/"
HANGING: Final = "hanging/"
"""Chains by what they end with."""
MADE: Final = "made/"
"""In keys of timers only."""
_FEW: Final = 32
"""Revocations that are listed sooner than each block is looked for among them."""
_PLACES: Final = "nhi/kid/"
"""In the root namespace's own data: a key number says where to look before anything else is known."""

_KEY: Final = RecordKind("Biscuit key", IssuerKey)
_PLACE: Final = RecordKind("place of a Biscuit key", MountRef)
_WORKLOAD: Final = RecordKind("Biscuit workload", Workload)
_REGISTRATION: Final = RecordKind("Biscuit registration", Registration)
_ISSUED: Final = RecordKind("Biscuit issued", IssuedToken)
_LOGINS: Final = RecordKind("Biscuit logins", LoginCounts)
_APPROVER: Final = RecordKind("Biscuit approver", Approver)
_MOMENT: Final = RecordKind("Biscuit workload ended", int)
_CHAIN: Final = RecordKind("Biscuit chain", KeptChain)
_REVOKED: Final = RecordKind("Biscuit revocation", Revocation)


def key_tag(kid: int) -> str:
    """Return the tag of everything that a key signed."""
    return f"key/{kid}"


def workload_tag(uid: str) -> str:
    """Return the tag of everything that a workload was given."""
    return f"workload/{uid}"


def block_tag(block_id: str) -> str:
    """Return the tag of everything that was made from a block."""
    return f"block/{block_id}"


def mount_tag(logins: str) -> str:
    """Return the tag of everything that a mount has given, by what it calls its logins."""
    return f"mount/{logins}"


async def mount_of_key(core: ReadView, kid: int) -> MountRef | None:
    """Return where a key number belongs; `core` is any view of a namespace's own data."""
    value = await core.space(ROOT.id).get(f"{_PLACES}{kid}")
    return None if value is None else _PLACE.decode(value)


async def claim(core: View, kid: int, owner: MountRef) -> bool:
    """Take a key number for a mount, for ever; False where it is taken."""
    root = core.space(ROOT.id)
    if await root.get(f"{_PLACES}{kid}") is not None:
        return False
    await root.put(f"{_PLACES}{kid}", _PLACE.encode(owner))
    return True


async def key(view: ReadView, kid: int) -> IssuerKey | None:
    """Return an issuer key."""
    value = await view.get(f"{KEYS}{kid}")
    return None if value is None else _KEY.decode(value)


async def keys(view: ReadView) -> list[IssuerKey]:
    """Return all issuer keys of a mount, the oldest first."""
    found = [await key(view, int(name)) for name in await view.list(KEYS)]
    return sorted((one for one in found if one is not None), key=lambda one: (one.created, one.kid))


async def put_key(view: View, new: IssuerKey) -> None:
    """Keep an issuer key."""
    await view.put(f"{KEYS}{new.kid}", _KEY.encode(new))
    await view.invalidate(BISCUIT_KIND, key_tag(new.kid))


async def workload(view: ReadView, name: str) -> Workload | None:
    """Return a workload."""
    value = await view.get(WORKLOADS + name)
    return None if value is None else _WORKLOAD.decode(value)


async def put_workload(view: View, new: Workload) -> None:
    """Keep a workload."""
    await view.put(WORKLOADS + new.name, _WORKLOAD.encode(new))
    await view.invalidate(BISCUIT_KIND, workload_tag(new.uid))


async def delete_workload(view: View, old: Workload) -> None:
    """Remove a workload; its tokens end with it."""
    await view.delete(WORKLOADS + old.name)
    await view.invalidate(BISCUIT_KIND, workload_tag(old.uid))


async def put_ended(view: View, owner: MountRef, name: str, *, now: Millis, until: Millis) -> None:
    """Keep that all tokens of a workload that were issued up to `now` have ended, until they would have by themselves."""
    await view.put(ENDED + name, _MOMENT.encode(now))
    await view.at(Timer(BISCUIT_KIND, _timer(owner, ENDED + name), until))


async def ended_workloads(view: ReadView) -> dict[str, Seconds]:
    """Return when (seconds) all tokens of which workload ended."""
    found = {}
    for name in await view.list(ENDED):
        value = await view.get(ENDED + name)
        if value is not None:
            found[name] = millis_to_seconds(Millis(_MOMENT.decode(value)))
    return found


async def registration(view: ReadView, name: str) -> Registration | None:
    """Return a registration."""
    value = await view.get(REGISTRATIONS + name)
    return None if value is None else _REGISTRATION.decode(value)


async def put_registration(view: View, new: Registration) -> None:
    """Keep a registration."""
    await view.put(REGISTRATIONS + new.name, _REGISTRATION.encode(new))


async def approver(view: ReadView, name: str) -> Approver | None:
    """Return an approver."""
    value = await view.get(APPROVERS + name)
    return None if value is None else _APPROVER.decode(value)


async def put_approver(view: View, new: Approver) -> None:
    """Keep an approver."""
    await view.put(APPROVERS + new.name, _APPROVER.encode(new))


async def approver_keys(view: ReadView, names: tuple[str, ...]) -> tuple[Key, ...]:
    """Return the public keys of approvers. Raises `Malformed` where one is gone: the others do not replace it."""
    found = [await approver(view, name) for name in names]
    keys = tuple(one.key for one in found if one is not None)
    if len(keys) != len(names):
        raise Malformed("approvers: one of them is not there")
    return keys


async def issued(view: ReadView, token_id: TokenId) -> IssuedToken | None:
    """Return what was issued under an id."""
    value = await view.get(ISSUED + token_id)
    return None if value is None else _ISSUED.decode(value)


async def put_issued(view: View, owner: MountRef, new: IssuedToken) -> None:
    """Keep that a token was issued, until it has expired, and count how its workload proved itself."""
    await view.put(ISSUED + new.token_id, _ISSUED.encode(new))
    await view.at(Timer(BISCUIT_KIND, _timer(owner, ISSUED + new.token_id), new.expires))
    await uses.await_first(view, new)
    old = await logins(view, new.registration)
    count = old.counts.get(new.method, 0) + 1
    counted = LoginCounts({**old.counts, new.method: count}, {**old.last, new.method: new.created})
    await view.put(LOGINS + new.registration, _LOGINS.encode(counted))


async def logins(view: ReadView, registration: str) -> LoginCounts:
    """Return how tokens of a registration came about."""
    value = await view.get(LOGINS + registration)
    return LoginCounts({}, {}) if value is None else _LOGINS.decode(value)


async def revoked(view: ReadView, block_id: str) -> Revocation | None:
    """Return the revocation of a block."""
    value = await view.get(REVOKED + block_id)
    return None if value is None else _REVOKED.decode(value)


async def any_revoked(view: ReadView, block_ids: Sequence[str]) -> bool:
    """Whether one of these blocks was revoked: one look for all of them, where few blocks of the mount were."""
    some = await view.list(REVOKED, limit=_FEW)
    if len(some) < _FEW:
        return not set(some).isdisjoint(block_ids)
    for block_id in block_ids:
        if await revoked(view, block_id) is not None:
            return True
    return False


async def revoke(view: View, owner: MountRef, block_id: str, new: Revocation) -> None:
    """Revoke a block with everything that was or will be made from it; a token also with what was renewed from it."""
    await _revoke(view, owner, block_id, new)
    for heir in await renewals.heirs(view, block_id):
        if new.at < heir.expires and await revoked(view, heir.block.hex()) is None:
            await _revoke(
                view, owner, heir.block.hex(), Revocation(at=new.at, until=heir.expires, reason=new.reason)
            )


async def _revoke(view: View, owner: MountRef, block_id: str, new: Revocation) -> None:
    await view.put(REVOKED + block_id, _REVOKED.encode(new))
    await view.at(Timer(BISCUIT_KIND, _timer(owner, REVOKED + block_id), new.until))
    await view.invalidate(BISCUIT_KIND, block_tag(block_id))
    await lineage.mark_revoked(view, block_id, new.at, new.reason)
    await end_made(view, owner, f"block-{block_id}", new.at)


async def end_made(view: View, owner: MountRef, what: str, now: Millis) -> None:
    """Have what was made for chains taken back that end: `what` is `block-ID`, `workload-UID-NAME` or `key-KID`."""
    await view.at(Timer(BISCUIT_KIND, _timer(owner, MADE + what), now))


async def keep_chain(view: View, owner: MountRef, leaf: str, new: KeptChain) -> None:
    """Keep a chain that tokens are made with, by its last block, until it expires."""
    if await view.get(CHAINS + leaf) is not None:
        return
    await view.put(CHAINS + leaf, _CHAIN.encode(new))
    for tag in new.tags:
        await view.put(f"{HANGING}{tag}/{leaf}", MARK)
    await view.at(Timer(BISCUIT_KIND, _timer(owner, CHAINS + leaf), new.until))


async def kept_chain(view: ReadView, leaf: str) -> KeptChain | None:
    """Return a chain that tokens were made with."""
    value = await view.get(CHAINS + leaf)
    return None if value is None else _CHAIN.decode(value)


async def chains(view: ReadView, tag: str, *, after: str = "", limit: int = 0) -> Sequence[str]:
    """Return the last blocks of chains that tokens were made with and that end with what has this tag."""
    return await view.list(f"{HANGING}{tag}/", after=after, limit=limit)


async def forget_chain(view: View, leaf: str, tag: str) -> None:
    """Remove a chain: nothing that was made with it is worth anything any more. `tag` is what it ended with."""
    kept = await kept_chain(view, leaf)
    for one in kept.tags if kept is not None else (tag,):
        await view.delete(f"{HANGING}{one}/{leaf}")
    await view.delete(CHAINS + leaf)


def _timer(owner: MountRef, path: str) -> str:
    return f"{owner.namespace}/{owner.mount}/{path}"


async def expire(core: View, timer: str, now: Millis) -> None:
    """Remove what a timer is about if it has ended at `now` (milliseconds). It may be gone."""
    namespace, mount, folder, name = timer.split("/")
    view = core.space(NamespaceId(namespace)).mount(MountId(mount))
    path = f"{folder}/{name}"
    if f"{folder}/" == lineage.TREES:
        if await lineage.forget(view, TokenId(name), now):
            await uses.forget(view, TokenId(name))
        return
    if f"{folder}/" == renewals.LINES:
        await renewals.forget(view, name, now)
        return
    value = await view.get(path)
    if value is None:
        return
    if f"{folder}/" == CHAINS:
        kept = _CHAIN.decode(value)
        if now >= kept.until:
            await forget_chain(view, name, kept.tags[-1])
        return
    if f"{folder}/" == ENDED:
        if now >= millis_after(Millis(_MOMENT.decode(value)), LONGEST_TTL):
            await view.delete(path)
        return
    if f"{folder}/" == ISSUED:
        issued = _ISSUED.decode(value)
        if now >= issued.expires:
            await view.delete(path)
            await uses.overdue(view, issued)
        return
    if now >= _REVOKED.decode(value).until:
        await view.delete(path)
