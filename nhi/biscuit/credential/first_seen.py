# SPDX-License-Identifier: EUPL-1.2
"""Records each chain when it is first presented, and from each address, before the request is answered.

Attenuation happens offline, so the server learns of a chain only when it is presented: a record says "first presented
by", and never "attenuated by". One that is for a single request (sealed, and bound to its body or gone in two minutes) leaves no
node of its own. When a token was last used is kept to the hour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import Final, NamedTuple

import msgspec

from nhi.biscuit.credential.shared_writes import SharedWrites
from nhi.biscuit.credential.verdict import Refusal, Verdict
from nhi.biscuit.offline.attenuation import Attenuation, attenuations
from nhi.biscuit.offline.deadline import deadline_of
from nhi.biscuit.records import lineage, store, uses
from nhi.biscuit.records.lineage import Node, Orphan, Tree
from nhi.biscuit.records.model import IssuedToken
from vault.barrier.barrier import Barrier
from vault.barrier.view import ReadView, View, core_prefix
from vault.framework.call import Call
from vault.storage.protocol import StorageFailure
from vault.values.ids import MountId, NamespaceId, TokenId
from vault.values.times import Millis, time_after, time_between

_SINGLE_REQUEST: Final = 120_000
"""Milliseconds that a token for one request lasts at most."""
_ENDED: Final = frozenset({Refusal.REVOKED, Refusal.WORKLOAD, Refusal.KEY, Refusal.MOUNT})
"""Refusals of a token that was good once: who presents it then, is told of."""
_NOT_RECORDED: Final = frozenset({Refusal.EXPIRED})
"""What is refused for this says nothing that was not known."""


class Presentation(NamedTuple):
    """The addresses from which a chain is known to come, empty for any; when (ms) it is to be noted again, 0 for never."""

    sources: frozenset[str] = frozenset()
    again: Millis = Millis(0)


class PresentedChain(NamedTuple):
    """A chain that a call presents, and the ids of those of its blocks that are kept."""

    call: Call
    verdict: Verdict
    ids: tuple[str, ...]


class Presentations:
    """Records what is presented for the first time, in transactions of its own."""

    def __init__(self, barrier: Barrier) -> None:
        self._barrier = barrier
        self._shared: SharedWrites[PresentedChain, Presentation] = SharedWrites(self._begin, _write_down)

    async def note(self, call: Call, core: ReadView, verdict: Verdict) -> Presentation:
        """Record what `call` presents, unless that is known, durably: in a transaction that is shared with others who do.

        1. A token that nobody here issued is recorded apart.
        2. One that has expired is not recorded.
        3. Of a chain that is known from this address, its last use is recorded, once an hour.
        4. Any other is added to the tree of its token; in the transaction, as others may have done so meanwhile.
        """
        committed = verdict.view(core)
        # 1. Not issued here.
        if verdict.refusal is Refusal.ORPHAN:
            await self._orphan(call, committed, verdict)
            return Presentation()
        # 2. Expired.
        if verdict.issued is None or verdict.refusal in _NOT_RECORDED:
            return Presentation()
        # 3. Known.
        seen = PresentedChain(call, verdict, _recorded_ids(verdict))
        old = await lineage.tree(committed, verdict.issued.token_id)
        if not _is_new(old, seen) and _grown_tree(old, seen, {}) is None:
            last = await uses.last(committed, old) if old is not None else Millis(0)
            if not verdict.refusal and time_between(last, call.now) >= uses.COARSE:
                await self._used(verdict, verdict.issued, call.now)
                last = call.now
            return Presentation(_sources(old, seen), time_after(last, uses.COARSE))
        # 4. New.
        return await self._shared.add(verdict.owner.namespace, seen)

    def _begin(self, owner: NamespaceId) -> AbstractAsyncContextManager[View]:
        return self._barrier.write(owner, core_prefix(owner))

    async def _used(self, verdict: Verdict, issued: IssuedToken, now: Millis) -> None:
        """Keep that a token is used. A storage that takes nothing now is no reason to refuse it."""
        owner = verdict.owner.namespace
        with suppress(StorageFailure):
            async with self._barrier.write(owner, core_prefix(owner)) as tx:
                await uses.again(verdict.view(tx), issued, now)

    async def _orphan(self, call: Call, committed: ReadView, verdict: Verdict) -> None:
        """Record a token whose signature holds and that nobody here issued."""
        known = await lineage.orphans(committed)
        new = Orphan(
            id=verdict.ids[-1].hex(),
            kid=verdict.kid,
            token_id=verdict.token_id,
            workload=verdict.claimed("workload")[:200],
            first_seen=call.now,
            source=call.client_address,
        )
        if not known.more and all(one.id != new.id for one in known.seen):
            owner = verdict.owner.namespace
            async with self._barrier.write(owner, core_prefix(owner)) as tx:
                await lineage.put_orphan(verdict.view(tx), new)
        told = {"chain": [one.hex() for one in verdict.ids], "anomalies": [lineage.ORPHAN]}
        call.record.noted = {**call.record.noted, "sighting": told}


async def _write_down(tx: View, sightings: Sequence[PresentedChain]) -> list[Presentation]:
    """Add chains to the trees of their tokens, and tell the audit records of the calls. Each tree is written once."""
    of_tree: dict[tuple[MountId, TokenId], list[int]] = {}
    for place, (_, verdict, _) in enumerate(sightings):
        of_tree.setdefault((verdict.owner.mount, verdict.token_id), []).append(place)
    found: dict[int, Presentation] = {}
    for places in of_tree.values():
        together = [sightings[place] for place in places]
        found |= zip(places, await _grow(tx, together), strict=True)
    return [found[place] for place in range(len(sightings))]


async def _grow(tx: View, sightings: Sequence[PresentedChain]) -> list[Presentation]:
    """Add chains to the tree of their one token. Where they are too many for it, as many as it takes."""
    first = sightings[0]
    view = first.verdict.view(tx)
    before = tree = await lineage.tree(view, first.verdict.token_id)
    grown: list[tuple[Tree | None, Tree | None]] = []
    for seen in sightings:
        new = _grown_tree(tree, seen, await _revocations(view, seen.verdict))
        grown.append((tree, new))
        tree = new or tree
    if tree is not None and tree is not before:
        if len(sightings) > 1 and not lineage.fits(tree):
            return [presented for one in sightings for presented in await _grow(tx, [one])]
        await lineage.put(view, first.verdict.owner, before, tree)
        if before is None:
            await uses.first(view, tree.issued, first.call.now)
    found = []
    for seen, (old, new) in zip(sightings, grown, strict=True):
        record, now = seen.call.record, seen.call.now
        if new is not None:
            record.noted = {**record.noted, "sighting": _audit_facts(old, new, seen)}
        found.append(Presentation(_sources(new or old, seen), time_after(now, uses.COARSE)))
    return found


def _is_new(old: Tree | None, seen: PresentedChain) -> bool:
    """Whether there is a block to write down that is not known yet."""
    return old is None or (not old.more and not {node.id for node in old.nodes}.issuperset(seen.ids))


def _grown_tree(
    old: Tree | None, seen: PresentedChain, revoked: Mapping[str, tuple[Millis, str]]
) -> Tree | None:
    """Return what is known with this chain; None where that is what was known before."""
    call, verdict, ids = seen
    if verdict.issued is None:
        return None
    nodes = {node.id: node for node in old.nodes} if old is not None else {}
    if old is not None and old.more and any(one not in nodes for one in ids):
        return None
    found = _attenuations(verdict) if any(one not in nodes for one in ids) else ()
    before = ""
    for index, one in enumerate(ids):
        if one not in nodes:
            attenuation = found[index] if index < len(found) else None
            at, why = revoked.get(one, (Millis(0), ""))
            nodes[one] = Node(
                id=one,
                parent=before,
                index=index,
                narrowing=attenuation.narrowing if attenuation is not None else (),
                approver=attenuation.approver if attenuation is not None else "",
                first_seen=call.now,
                source=call.client_address,
                anomalies=attenuation.anomalies if attenuation is not None else (),
                revoked=at,
                reason=why,
            )
        before = one
    nodes[before] = _with_source(nodes[before], verdict, call.client_address)
    before_all = old or Tree(issued=verdict.issued)
    new = msgspec.structs.replace(before_all, nodes=tuple(nodes.values()))
    return None if old is not None and new.nodes == old.nodes else new


def _attenuations(verdict: Verdict) -> tuple[Attenuation, ...]:
    """Return what each block of a chain does."""
    verified = verdict.verified
    return attenuations(verdict.blocks) if verified is None else verified.content.attenuations


def _with_source(node: Node, verdict: Verdict, address: str) -> Node:
    """Return the last node of a chain that came from an address."""
    odd = set(node.anomalies)
    sources = node.sources
    if verdict.refusal in _ENDED:
        odd.add(lineage.AFTER)
    elif verdict.refusal is Refusal.DEPTH:
        odd.add(lineage.TOO_DEEP)
    elif verdict.refusal is Refusal.BLOCK:
        odd.add(lineage.REFUSED)
    if address not in sources and len(sources) < lineage.MOST_SOURCES:
        sources = (*sources, address)
    if len(sources) > 1:
        odd.add(lineage.SOURCES)
    return msgspec.structs.replace(
        node, sources=sources, anomalies=tuple(sorted(odd)), refused=node.refused or verdict.problem
    )


def _recorded_ids(verdict: Verdict) -> tuple[str, ...]:
    """Return the ids of the blocks that are kept: all but one that is for a single request."""
    ids = tuple(one.hex() for one in verdict.ids)
    if verdict.verified is None or len(ids) < 2 or verdict.verified.chain.final is None:
        return ids
    last = verdict.blocks[-1:]
    asks = {predicate.name for check in last[0].checks for query in check.queries for predicate in query.body}
    end = deadline_of(last)
    single = "body_sha256" in asks or (end and time_between(verdict.now, end) <= _SINGLE_REQUEST)
    return ids[:-1] if single else ids


def _sources(known: Tree | None, seen: PresentedChain) -> frozenset[str]:
    """Return the addresses from which a chain may come without anything to record; empty for any address."""
    node = known.get(seen.ids[-1]) if known is not None else None
    if node is None or len(node.sources) >= lineage.MOST_SOURCES:
        return frozenset()
    return frozenset({*node.sources, seen.call.client_address})


async def _revocations(view: View, verdict: Verdict) -> dict[str, tuple[Millis, str]]:
    """Return when and why blocks of a chain were revoked."""
    found = {}
    for one in verdict.ids if verdict.refusal is Refusal.REVOKED else ():
        row = await store.revoked(view, one.hex())
        if row is not None:
            found[one.hex()] = (row.at, row.reason)
    return found


def _audit_facts(old: Tree | None, new: Tree, seen: PresentedChain) -> Mapping[str, object]:
    """Return what the audit record of a call says of a first sight: names that we gave, nothing that a holder wrote."""
    known = {node.id for node in old.nodes} if old is not None else set()
    leaf = new.get(seen.ids[-1])
    return {
        "token_id": seen.verdict.token_id,
        "chain": [one.hex() for one in seen.verdict.ids],
        "first_seen": [node.id for node in new.nodes if node.id not in known],
        "anomalies": list(leaf.anomalies) if leaf is not None else [],
    }
