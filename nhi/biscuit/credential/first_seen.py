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

from nhi.biscuit.credential.cache import BiscuitCache
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

_TREE_BYTES: Final = 4 * 1024 * 1024
"""The most memory, by estimate, for what trees had when they were written."""
_EACH_TREE: Final = 512
_EACH_NODE: Final = 32
"""Bytes of a node's id, which take four times as much in a set."""
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
        self._shared: SharedWrites[PresentedChain, Presentation] = SharedWrites(self._begin, self._write_down)
        self._trees: BiscuitCache[frozenset[str]] = BiscuitCache(_TREE_BYTES, each=_EACH_TREE)
        """The nodes of trees that were written here. Others may have added some since: what is not in one may be known."""

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
        if not self._is_likely_new(seen):
            old = await lineage.tree(committed, verdict.issued.token_id)
            nodes = _nodes_of(old)
            if old is not None and not _changes(nodes, old, seen, {}):
                last = await uses.last(committed, old)
                if not verdict.refusal and time_between(last, call.now) >= uses.COARSE:
                    await self._used(verdict, verdict.issued, call.now)
                    last = call.now
                return Presentation(_sources(nodes.get(seen.ids[-1]), seen), time_after(last, uses.COARSE))
        # 4. New.
        return await self._shared.add(verdict.owner.namespace, seen)

    def _is_likely_new(self, seen: PresentedChain) -> bool:
        """Whether a chain was not in the tree of its token when that was last written here."""
        nodes = self._trees.get(_place(seen.verdict.owner.mount, seen.verdict.token_id))
        return nodes is not None and len(nodes) > 0 and seen.ids[-1] not in nodes

    def forget(self) -> None:
        """Forget what is remembered of trees."""
        self._trees.drop(None)

    async def _write_down(self, tx: View, sightings: Sequence[PresentedChain]) -> list[Presentation]:
        """Add chains to the trees of their tokens. Each tree is written once."""
        of_tree: dict[tuple[MountId, TokenId], list[int]] = {}
        for place, (_, verdict, _) in enumerate(sightings):
            of_tree.setdefault((verdict.owner.mount, verdict.token_id), []).append(place)
        found: dict[int, Presentation] = {}
        for tree, places in of_tree.items():
            presentations, nodes = await _grow(tx, [sightings[place] for place in places])
            found |= zip(places, presentations, strict=True)
            self._trees.put(_place(*tree), nodes, (), _EACH_NODE * len(nodes))
        return [found[place] for place in range(len(sightings))]

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


async def _grow(tx: View, sightings: Sequence[PresentedChain]) -> tuple[list[Presentation], frozenset[str]]:
    """Add chains to the tree of their one token, and tell the audit records of the calls; return the nodes it has then.

    Where they are too many for it, as many as it takes; what it has is not told of one that takes no more.
    """
    first = sightings[0]
    view = first.verdict.view(tx)
    before = await lineage.tree(view, first.verdict.token_id)
    nodes = _nodes_of(before)
    grown: list[tuple[list[str], Node | None]] = []
    changed = False
    grows = before is None or not before.more
    for seen in sightings:
        changes = _changes(nodes, before, seen, await _revocations(view, seen.verdict))
        fresh = [one for one in changes if one not in nodes]
        nodes.update(changes)
        changed = changed or bool(changes)
        grown.append((fresh, nodes.get(seen.ids[-1]) if changes else None))
    if changed and first.verdict.issued is not None:
        tree = msgspec.structs.replace(
            before or Tree(issued=first.verdict.issued), nodes=tuple(nodes.values())
        )
        if len(sightings) > 1 and not lineage.fits(tree):
            each = [(await _grow(tx, [one]))[0][0] for one in sightings]
            return each, frozenset()
        grows = await lineage.put(view, first.verdict.owner, before, tree) and grows
        if before is None:
            await uses.first(view, tree.issued, first.call.now)
    found = []
    for seen, (fresh, leaf) in zip(sightings, grown, strict=True):
        record = seen.call.record
        if leaf is not None:
            record.noted = {**record.noted, "sighting": _audit_facts(seen, fresh, leaf)}
        known = leaf or nodes.get(seen.ids[-1])
        found.append(Presentation(_sources(known, seen), time_after(seen.call.now, uses.COARSE)))
    return found, frozenset(nodes) if grows else frozenset()


def _place(mount: MountId, token_id: TokenId) -> bytes:
    return f"{mount}/{token_id}".encode()


def _nodes_of(tree: Tree | None) -> dict[str, Node]:
    return {node.id: node for node in tree.nodes} if tree is not None else {}


def _changes(
    nodes: Mapping[str, Node],
    old: Tree | None,
    seen: PresentedChain,
    revoked: Mapping[str, tuple[Millis, str]],
) -> dict[str, Node]:
    """Return what a chain adds to the `nodes` of a tree, and changes in them; nothing where they stay as they are.

    The tree was `old`: one that says that there is more takes nothing.
    """
    call, verdict, ids = seen
    unknown = any(one not in nodes for one in ids)
    if unknown and old is not None and old.more:
        return {}
    found = _attenuations(verdict) if unknown else ()
    changes: dict[str, Node] = {}
    before = ""
    for index, one in enumerate(ids):
        if one not in nodes:
            attenuation = found[index] if index < len(found) else None
            at, why = revoked.get(one, (Millis(0), ""))
            changes[one] = Node(
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
    last = changes.get(before) or nodes[before]
    leaf = _with_source(last, verdict, call.client_address)
    if leaf != last:
        changes[before] = leaf
    return changes


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


def _sources(node: Node | None, seen: PresentedChain) -> frozenset[str]:
    """Return the addresses from which a chain may come without anything to record; empty for any address."""
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


def _audit_facts(seen: PresentedChain, fresh: Sequence[str], leaf: Node) -> Mapping[str, object]:
    """Return what the audit record of a call says of a first sight: names that we gave, nothing that a holder wrote."""
    return {
        "token_id": seen.verdict.token_id,
        "chain": [one.hex() for one in seen.verdict.ids],
        "first_seen": fresh,
        "anomalies": list(leaf.anomalies),
    }
