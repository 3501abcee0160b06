# SPDX-License-Identifier: EUPL-1.2
"""`revoke` and `revoke/preview`: of a block with everything made from it, of a workload, of a key."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from typing import Annotated, Final

import msgspec

from nhi.biscuit.credential.authenticator import BiscuitAuthenticator
from nhi.biscuit.credential.children import Children
from nhi.biscuit.credential.verdict import Refusal, Verdict
from nhi.biscuit.offline.attenuation import attenuations
from nhi.biscuit.offline.verify import no_biscuit
from nhi.biscuit.records import lineage, renewals, store
from nhi.biscuit.records.lineage import Node, Tree
from nhi.biscuit.records.model import LONGEST_TTL, IssuerKey, KeyState, MountRef, Revocation, Workload
from nhi.biscuit.routes.lineage_params import EndedBlock, RevokePreview
from nhi.biscuit.routes.params import TokenParams
from vault.barrier.barrier import Barrier
from vault.barrier.view import ReadView
from vault.framework.call import Call
from vault.framework.clock import Entropy
from vault.framework.engine import Engine
from vault.framework.errors import Malformed
from vault.framework.fields import Doc, FieldKind
from vault.framework.route import write
from vault.token.authenticator import core_reader
from vault.values.times import Millis, Seconds, millis_after, seconds_to_millis, time_between

_ID: Final = re.compile(r"[0-9a-f]{32}\Z")
_SHOWN: Final = 1000
"""Blocks that a preview names; it counts them all, among those that it looks at."""
_LONGEST_REASON: Final = 500
_OVER: Final = seconds_to_millis(Seconds(2 * LONGEST_TTL))
"""Time after which a token that was presented has ended, however wrong another process's clock was."""


class RevokeParams(TokenParams, frozen=True):
    """What is revoked: one of a token, an id, a workload, a key."""

    block: Annotated[
        int,
        FieldKind("int", keeps=True),
        Doc("Number of the block of `token`, 0 for the authority; the last if not given.", clear=True),
    ] = -1
    id: Annotated[str, Doc("Canonical id of a block, with everything made from it.")] = ""
    workload: Annotated[str, Doc("Name of a workload, with all its tokens.", clear=True)] = ""
    kid: Annotated[
        int, Doc("Number of an issuer key, with all that it signed; it is destroyed.", clear=True)
    ] = 0
    reason: Annotated[str, Doc("Why; kept with the revocation of a block or a workload.")] = ""


class Target(msgspec.Struct, frozen=True):
    """What one request is about: exactly one of these."""

    block: str = ""
    until: Millis = Millis(0)
    verdict: Verdict | None = None
    workload: Workload | None = None
    key: IssuerKey | None = None


class RevocationEngine(Engine):
    """The paths that revoke, and say what that ends."""

    def __init__(
        self,
        biscuits: BiscuitAuthenticator,
        barrier: Barrier,
        entropy: Entropy,
        children: Children,
        *,
        blocks: int,
    ) -> None:
        """A preview looks at so many blocks of credentials, and service tokens."""
        self._blocks = blocks
        self._children = children
        self._biscuits = biscuits
        self._barrier = barrier
        self._entropy = entropy

    @write("revoke/preview", writes=False, event="nhi.revocation.preview")
    async def preview(self, call: Call, params: RevokeParams) -> RevokePreview:
        """Show what a revocation would end, of what was presented here; what was not ends as well."""
        core = core_reader(self._barrier, call.namespace)
        target = await self._target(call, core, params)
        shown = await self._shown(call, target)
        call.reader.epoch = max(core.epoch, call.reader.epoch)
        return shown

    @write("revoke", event="nhi.revoke")
    async def revoke(self, call: Call, params: RevokeParams) -> RevokePreview:
        """Revoke a block, a workload or a key, with everything that was or will be made from it; say what that was."""
        if len(params.reason) > _LONGEST_REASON:
            raise Malformed(f"reason: must have at most {_LONGEST_REASON} characters")
        target = await self._target(call, call.core, params)
        shown = await self._shown(call, target)
        if target.workload is not None:
            await end_workload(call, target.workload, self._entropy, params.reason)
        elif target.key is not None:
            await destroy(call, target.key)
        else:
            row = Revocation(at=call.now, until=target.until, reason=params.reason)
            await store.revoke(call.tx, MountRef(call.namespace.id, call.mount.uuid), target.block, row)
        return shown

    async def _shown(self, call: Call, target: Target) -> RevokePreview:
        """Return what ends, as the call sees it, its service tokens included."""
        shown = await _ends(call.reader, target, call.now, self._blocks)
        tags = await _tags(call.reader, target)
        tokens = len(await self._children.of(call, tags, self._blocks))
        return msgspec.structs.replace(shown, tokens=tokens, more=shown.more or tokens == self._blocks)

    async def _target(self, call: Call, core: ReadView, params: RevokeParams) -> Target:
        given = [bool(params.token), bool(params.id), bool(params.workload), bool(params.kid)]
        if sum(given) != 1:
            raise Malformed("give one of token, id, workload and kid")
        if params.block != -1 and not params.token:
            raise Malformed("block: goes with token")
        if params.workload:
            workload = await store.workload(call.reader, params.workload)
            if workload is None:
                raise Malformed("workload: there is none of this name")
            return Target(workload=workload)
        if params.kid:
            key = await store.key(call.reader, params.kid)
            if key is None or key.state is KeyState.DESTROYED:
                raise Malformed("kid: there is no such key, or it was destroyed already")
            return Target(key=key)
        until = millis_after(call.now, LONGEST_TTL)
        if params.id:
            if not _ID.match(params.id):
                raise Malformed("id: must be the id of a block, 32 hexadecimal digits")
            return Target(block=params.id, until=until)
        verdict = await self._biscuits.judge(core, params.token, call.now)
        here = MountRef(call.namespace.id, call.mount.uuid)
        if verdict is None or verdict.owner != here or verdict.refusal is Refusal.ORPHAN:
            raise Malformed(f"token: {no_biscuit(params.token) or 'is not of this mount'}")
        if not -1 <= params.block < len(verdict.ids):
            raise Malformed("block: the token has no such block")
        if verdict.issued is not None:
            until = verdict.issued.expires
        return Target(verdict.ids[params.block].hex(), until, verdict)


async def end_workload(call: Call, old: Workload, entropy: Entropy, reason: str = "") -> None:
    """End all tokens of a workload, and give it no others until it is written again."""
    await forget_workload(call, old)
    ended = msgspec.structs.replace(old, uid=entropy.uuid(), disabled=True, reason=reason)
    await store.put_workload(call.tx, ended)


async def forget_workload(call: Call, old: Workload) -> None:
    """Remove a workload, and tell verifiers elsewhere that its tokens have ended."""
    await store.delete_workload(call.tx, old)
    owner = MountRef(call.namespace.id, call.mount.uuid)
    await store.put_ended(call.tx, owner, old.name, now=call.now, until=millis_after(call.now, LONGEST_TTL))
    await store.end_made(call.tx, owner, f"workload-{old.uid}-{old.name}", call.now)


async def destroy(call: Call, key: IssuerKey) -> IssuerKey:
    """End all tokens that a key signed, and forget it."""
    gone = msgspec.structs.replace(
        key, state=KeyState.DESTROYED, changed=call.now, private=b"", held=b"", external=""
    )
    await store.put_key(call.tx, gone)
    owner = MountRef(call.namespace.id, call.mount.uuid)
    await store.end_made(call.tx, owner, f"key-{key.kid}", call.now)
    return gone


async def _ends(view: ReadView, target: Target, now: Millis, most: int) -> RevokePreview:
    what, name = "block", target.block
    if target.workload is not None:
        what, name = "workload", target.workload.name
    elif target.key is not None:
        what, name = "key", str(target.key.kid)
    dying: list[EndedBlock] = []
    credentials = blocks = looked = 0
    more = False
    async for tree in _trees(view, target, now):
        if looked >= most:
            more = True
            break
        looked += len(tree.nodes)
        issued = tree.issued
        if now >= issued.expires or (target.key is not None and issued.kid != target.key.kid):
            continue
        if target.workload is not None and issued.uid != target.workload.uid:
            continue
        first = target.block if tree.get(target.block) is not None else tree.nodes[0].id
        nodes = tree.alive(first)
        credentials += bool(nodes)
        blocks += len(nodes)
        dying += [_dying(tree, node) for node in nodes[: _SHOWN - len(dying)]]
        more = more or tree.more
    return RevokePreview(
        what=what,
        name=name,
        credentials=credentials,
        blocks=blocks,
        tokens=0,
        dying=dying,
        more=more or blocks > len(dying),
    )


async def _tags(view: ReadView, target: Target) -> list[str]:
    """Return the tags of everything that a revocation ends."""
    if target.workload is not None:
        return [store.workload_tag(target.workload.uid)]
    if target.key is not None:
        return [store.key_tag(target.key.kid)]
    heirs = [one.block.hex() for one in await renewals.heirs(view, target.block)]
    return [store.block_tag(one) for one in (target.block, *heirs)]


def _dying(tree: Tree, node: Node) -> EndedBlock:
    return EndedBlock(
        id=node.id,
        token_id=tree.issued.token_id,
        workload=tree.issued.workload,
        index=node.index,
        narrowing=node.narrowing,
        sources=node.sources,
    )


async def _trees(view: ReadView, target: Target, now: Millis) -> AsyncGenerator[Tree]:
    """Yield every tree that a revocation may reach into, but for those of tokens that have ended for certain."""
    if target.block:
        token_id = await lineage.owner_of(view, target.block)
        found = await lineage.tree(view, token_id) if token_id is not None else None
        if found is None:
            found = _of(target.verdict)
        if found is not None:
            yield found
        for heir in await renewals.heirs(view, target.block):
            issued = await store.issued(view, heir.token_id)
            if issued is not None and await store.revoked(view, issued.ids) is None:
                yield await lineage.tree(view, heir.token_id) or lineage.unseen(issued)
        return
    workload = target.workload.name if target.workload is not None else ""
    after, latest = "", lineage.since(max(time_between(_OVER, now), Millis(0)))
    while names := await lineage.page(view, workload, after, 256):
        for name in names:
            if name > latest:
                return
            found = await lineage.tree(view, lineage.token_of(name))
            if found is not None:
                yield found
        after = names[-1]


def _of(verdict: Verdict | None) -> Tree | None:
    """Return a token that was shown but never presented as a tree of its own."""
    if verdict is None or verdict.issued is None:
        return None
    found = attenuations(verdict.blocks)
    ids = [one.hex() for one in verdict.ids]
    return Tree(
        issued=verdict.issued,
        nodes=tuple(
            Node(
                id=one,
                parent=ids[place - 1] if place else "",
                index=place,
                narrowing=found[place].narrowing if place < len(found) else (),
            )
            for place, one in enumerate(ids)
        ),
    )
