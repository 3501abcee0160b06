# SPDX-License-Identifier: EUPL-1.2
"""The chains that were presented here: one tree for each issued token, with what was true when each was first seen.

A holder makes as many others from a token as they like, offline. So a tree has a largest size: beyond it the tree says
that there is more, and the audit log has the rest. A tree is removed some time after its token has ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from nhi.biscuit.records.model import BISCUIT_KIND, IssuedToken, MountRef
from vault.barrier.stored import MARK, RecordKind, text
from vault.barrier.view import ReadView, View
from vault.storage.protocol import Timer
from vault.values.ids import TokenId
from vault.values.times import DAY, Millis, Seconds, millis_after

TREES: Final = "tree/"
NODES: Final = "node/"
BY_TIME: Final = "at/"
BY_WORKLOAD: Final = "by/"
ORPHANS: Final = "orphans"
CONFIG: Final = "config"
RETENTION: Final = Seconds(30 * DAY)
"""How long a tree is kept after its token has ended, unless the mount says otherwise."""
MOST_NODES: Final = 256
MOST_BYTES: Final = 131_072
"""Bytes of the largest tree."""
MOST_SOURCES: Final = 8
MOST_ORPHANS: Final = 64
_LAST: Final = (1 << 48) - 1

MORE: Final = "more-than-recorded"
ORPHAN: Final = "orphan-signature"
SOURCES: Final = "several-sources"
AFTER: Final = "used-after-revocation"
TOO_DEEP: Final = "too-deep"
REFUSED: Final = "refused-block"


class Node(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A block of a chain, named by its canonical id. `sources` are whence chains came that ended with it."""

    id: str
    parent: str = ""
    index: int = 0
    narrowing: tuple[str, ...] = ()
    approver: str = ""
    first_seen: Millis = Millis(0)
    source: str = ""
    sources: tuple[str, ...] = ()
    anomalies: tuple[str, ...] = ()
    refused: str = ""
    revoked: Millis = Millis(0)
    reason: str = ""


class Tree(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was seen of one issued token. The first node is its authority block."""

    issued: IssuedToken
    nodes: tuple[Node, ...] = ()
    more: bool = False
    until: Millis = Millis(0)
    """When it is removed (ms)."""

    @property
    def first_seen(self) -> Millis:
        """When anything of it was first presented (ms)."""
        return self.nodes[0].first_seen

    @property
    def anomalies(self) -> tuple[str, ...]:
        """Everything odd about any of it."""
        found = {odd for node in self.nodes for odd in node.anomalies}
        return tuple(sorted(found | {MORE} if self.more else found))

    def get(self, block_id: str) -> Node | None:
        """Return the node of a block."""
        return next((node for node in self.nodes if node.id == block_id), None)

    def alive(self, block_id: str) -> list[Node]:
        """Return those of `below` of which neither they nor what they were made from was revoked."""
        dead: set[str] = set()
        for node in self.nodes:
            if node.revoked or node.parent in dead:
                dead.add(node.id)
        return [node for node in self.below(block_id) if node.id not in dead]

    def below(self, block_id: str) -> tuple[Node, ...]:
        """Return a node and all that were made from it, as far as they were seen."""
        found: dict[str, Node] = {}
        for node in self.nodes:
            if node.id == block_id or node.parent in found:
                found[node.id] = node
        return tuple(found.values())


def unseen(issued: IssuedToken) -> Tree:
    """Return the tree of a token that was never presented."""
    return Tree(issued=issued, nodes=(Node(id=issued.ids),))


class LineageSettings(msgspec.Struct, frozen=True):
    """Settings of a mount. `lineage_ttl` in seconds."""

    lineage_ttl: Seconds = RETENTION


class Orphan(msgspec.Struct, frozen=True, kw_only=True):
    """A token whose signature holds and that was not issued here: another party may have the key."""

    id: str
    kid: int
    token_id: TokenId
    workload: str
    first_seen: Millis
    source: str


class Orphans(msgspec.Struct, frozen=True):
    """The first of them, and whether there were others."""

    seen: tuple[Orphan, ...] = ()
    more: bool = False


_TREE: Final = RecordKind("Biscuit tree", Tree)
_SETTINGS: Final = RecordKind("Biscuit settings", LineageSettings)
_ORPHANS: Final = RecordKind("Biscuit orphans", Orphans)


async def tree(view: ReadView, token_id: TokenId) -> Tree | None:
    """Return what was seen of a token."""
    value = await view.get(TREES + token_id)
    return None if value is None else _TREE.decode(value)


async def settings(view: ReadView) -> LineageSettings:
    """Return the settings of a mount."""
    value = await view.get(CONFIG)
    return LineageSettings() if value is None else _SETTINGS.decode(value)


async def put_settings(view: View, new: LineageSettings) -> None:
    """Keep the settings of a mount."""
    await view.put(CONFIG, _SETTINGS.encode(new))


async def owner_of(view: ReadView, block_id: str) -> TokenId | None:
    """Return the id of the token that a block belongs to; None for one that was not seen."""
    value = await view.get(NODES + block_id)
    return None if value is None else TokenId(value.decode())


async def orphans(view: ReadView) -> Orphans:
    """Return the tokens that were presented and not issued here."""
    value = await view.get(ORPHANS)
    return Orphans() if value is None else _ORPHANS.decode(value)


async def put_orphan(view: View, new: Orphan) -> None:
    """Keep that a token was presented that was not issued here."""
    old = await orphans(view)
    if old.more or any(one.id == new.id for one in old.seen):
        return
    full = len(old.seen) == MOST_ORPHANS
    await view.put(ORPHANS, _ORPHANS.encode(Orphans(old.seen if full else (*old.seen, new), full)))


def fits(new: Tree) -> bool:
    """Whether a tree is not too large to be kept whole."""
    return _fits(new, _TREE.encode(new))


def _fits(new: Tree, encoded: bytes) -> bool:
    return len(new.nodes) <= MOST_NODES and len(encoded) <= MOST_BYTES


async def put(view: View, owner: MountRef, old: Tree | None, new: Tree) -> bool:
    """Keep a tree; False where it has become too large, and only that was kept."""
    if old is None:
        kept_for = (await settings(view)).lineage_ttl
        new = msgspec.structs.replace(new, until=millis_after(new.issued.expires, kept_for))
    encoded = _TREE.encode(new)
    kept = _fits(new, encoded)
    if not kept:
        new = msgspec.structs.replace(old or new, more=True)
        encoded = _TREE.encode(new)
    token_id = new.issued.token_id
    await view.put(TREES + token_id, encoded)
    known = {node.id for node in old.nodes} if old is not None else set()
    for node in new.nodes:
        if node.id not in known:
            await view.put(NODES + node.id, text(token_id))
    if old is None:
        for path in _places(new):
            await view.put(path, MARK)
        key = f"{owner.namespace}/{owner.mount}/{TREES}{token_id}"
        await view.at(Timer(BISCUIT_KIND, key, new.until))
    return kept


async def mark_revoked(view: View, block_id: str, now: Millis, reason: str) -> None:
    """Note in its tree that a block was revoked, if it is in one."""
    token_id = await owner_of(view, block_id)
    old = await tree(view, token_id) if token_id is not None else None
    if old is None:
        return
    nodes = tuple(
        msgspec.structs.replace(node, revoked=now, reason=reason)
        if node.id == block_id and not node.revoked
        else node
        for node in old.nodes
    )
    await view.put(TREES + old.issued.token_id, _TREE.encode(msgspec.structs.replace(old, nodes=nodes)))


async def forget(view: View, token_id: TokenId, now: Millis) -> bool:
    """Remove a tree if its time is over; return whether it was."""
    old = await tree(view, token_id)
    if old is None or now < old.until:
        return False
    for node in old.nodes:
        await view.delete(NODES + node.id)
    for path in _places(old):
        await view.delete(path)
    await view.delete(TREES + token_id)
    return True


async def page(view: ReadView, workload: str, after: str, limit: int) -> Sequence[str]:
    """Return names in the index, the newest first: those of one workload, or all. See `token_of`."""
    return await view.list(f"{BY_WORKLOAD}{workload}/" if workload else BY_TIME, after=after, limit=limit)


def token_of(name: str) -> TokenId:
    """Return the id of the token that a name in the index stands for."""
    return TokenId(name.partition("-")[2])


def since(first_seen: Millis) -> str:
    """Return what stands in the index directly before everything first seen at `first_seen` (ms) or earlier."""
    return f"{_LAST - first_seen:012x}"


def _places(new: Tree) -> tuple[str, str]:
    name = f"{since(new.first_seen)}-{new.issued.token_id}"
    return f"{BY_TIME}{name}", f"{BY_WORKLOAD}{new.issued.workload}/{name}"
