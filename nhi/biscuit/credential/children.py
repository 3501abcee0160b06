# SPDX-License-Identifier: EUPL-1.2
"""Service tokens that were issued with a Biscuit. Its chain is kept for them, and they are good as long as it is.

A chain is found by its last block, and by all that it ends with: its key, its workload, each of its blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from nhi.biscuit.credential.authenticator import BiscuitAuthenticator
from nhi.biscuit.credential.presented_biscuit import PresentedBiscuit, identity_facts, tags_of
from nhi.biscuit.offline.verify import from_text
from nhi.biscuit.records import store
from nhi.biscuit.records.model import KeptChain, MountRef
from vault.barrier.barrier import Barrier
from vault.barrier.view import ReadView, View
from vault.framework.call import Call, Namespace
from vault.token.ancestors import Ancestor
from vault.token.authenticator import core_reader
from vault.token.entries import chain_hook, hook_of
from vault.token.model import TokenEntry
from vault.token.store import TokenStore
from vault.values.ids import MountId
from vault.values.times import Nanos, millis_to_nanos, nanos_to_millis

_ROUND: Final = 64
"""Chains of which one transaction ends what was made with them."""


class BiscuitAncestors:
    """See `vault.token.ancestors.Ancestors`."""

    def __init__(
        self, biscuits: BiscuitAuthenticator, mounts: Callable[[Namespace], Sequence[MountId]]
    ) -> None:
        """`mounts` lists those of a namespace that issue Biscuits, and raises `Unavailable` where nobody can tell."""
        self._biscuits = biscuits
        self._mounts = mounts

    async def keep(self, call: Call) -> Ancestor | None:
        """See `Ancestors.keep`."""
        token = call.token.reveal()
        presented = await self._biscuits.present(call.core, token, call.now)
        if presented is None or call.now >= presented.expires:
            return None
        view = call.core.space(presented.owner.namespace).mount(presented.owner.mount)
        kept = KeptChain(from_text(token), tags_of(presented), presented.issued.expires)
        await store.keep_chain(view, presented.owner, presented.verified.ids[-1].hex(), kept)
        return _origin(presented)

    async def find(self, core: ReadView, home: Namespace, name: str, now: Nanos) -> Ancestor | None:
        """See `Ancestors.find`."""
        mount, _, leaf = name.partition("/")
        moment = nanos_to_millis(now)
        presented = await self._biscuits.find_kept_chain(
            core, MountRef(home.id, MountId(mount)), leaf, moment
        )
        return _origin(presented) if presented is not None and moment < presented.expires else None

    async def lives(self, core: ReadView, home: Namespace, chain: Sequence[str], now: Nanos) -> bool:
        """See `Ancestors.lives`. A lease does not say of which mount its credential is, so each is asked."""
        core.space(home.id)  # of a sealed namespace no mount is known, which must not pass for none
        for mount in self._mounts(home):
            good = await self._biscuits.lives(core, MountRef(home.id, mount), chain, nanos_to_millis(now))
            if good is not None:
                return good
        return False


def _origin(presented: PresentedBiscuit) -> Ancestor:
    leaf = presented.verified.ids[-1].hex()
    issued = presented.issued
    return Ancestor(
        name=f"{presented.owner.mount}/{leaf}",
        ends=millis_to_nanos(presented.expires),
        metadata={"workload": issued.workload, "token_id": issued.token_id, "chain": leaf},
        narrowing=presented.checks,
        facts=identity_facts(issued),
    )


class Child(NamedTuple):
    """A service token that lives, and the last block of the chain, or the accessor of the token, that made it."""

    parent: str
    entry: TokenEntry


class Children:
    """Looks at the service tokens that were made with the chains of a mount."""

    def __init__(self, tokens: TokenStore, barrier: Barrier) -> None:
        self._tokens = tokens
        self._barrier = barrier

    async def of(self, call: Call, tags: Sequence[str], most: int) -> list[Child]:
        """Return tokens that end with any of these tags of the mount of `call`, each after its parent; at most so many."""
        core = core_reader(self._barrier, call.namespace)
        now = millis_to_nanos(call.now)
        found: list[Child] = []
        seen: set[str] = set()
        for tag in tags:
            for leaf in await store.chains(call.reader, tag):
                if leaf in seen or len(found) >= most:
                    continue
                seen.add(leaf)
                hook = chain_hook(leaf, call.namespace.id)
                names = {hook: leaf}
                for key, entry in await self._tokens.hanging(core, hook, most - len(found), now):
                    names[key] = entry.accessor
                    found.append(Child(names[hook_of(key, entry)], entry))
        call.reader.epoch = max(core.epoch, call.reader.epoch)
        return found


async def end_children(core: View, tokens: TokenStore, owner: MountRef, tag: str) -> bool:
    """Revoke what was made with chains that end with `tag`: some of it. Return whether there is more."""
    view = core.space(owner.namespace).mount(owner.mount)
    leaves = await store.chains(view, tag, limit=_ROUND)
    for leaf in leaves:
        await tokens.revoke_made(core, f"{owner.mount}/{leaf}", owner.namespace)
        await store.forget_chain(view, leaf, tag)
    return len(leaves) == _ROUND
