# SPDX-License-Identifier: EUPL-1.2
"""What the timers of an `nhi` mount do: remove expired rows, and take back what was issued with chains that ended."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from nhi.biscuit.credential.children import end_children
from nhi.biscuit.records import lineage, single_use, store
from nhi.biscuit.records.model import BISCUIT_KIND, IssuedToken, MountRef
from nhi.biscuit.revocation.mount_removal import give_back
from vault.barrier.view import View
from vault.framework.call import Namespace
from vault.framework.clock import Clock
from vault.lease.store import LeaseStore
from vault.namespace.parked import TIMER, park
from vault.token.store import TokenStore
from vault.values.ids import MountId, NamespaceId

_UUID: Final = 36


class ExpiryTimers:
    """Handles the timers of all `nhi` mounts; the key of each says what it is about."""

    def __init__(
        self,
        clock: Clock,
        leases: LeaseStore,
        tokens: TokenStore,
        live: Callable[[NamespaceId], Namespace | None],
    ) -> None:
        """`live` finds namespaces by id."""
        self._clock = clock
        self._tokens = tokens
        self._leases = leases
        self._live = live

    async def due(self, core: View, timer: str) -> None:
        """Do what a timer says."""
        home_id, uuid, folder, name = timer.split("/")
        namespace, mount = NamespaceId(home_id), MountId(uuid)
        if f"{folder}/" == single_use.ONCE:
            await single_use.forget(core, MountRef(namespace, mount), name, self._tokens)
            return
        if f"{folder}/" != store.MADE:
            await store.expire(core, timer, self._clock.millis())
            return
        home = self._live(namespace)
        if home is None:
            return  # with its namespace went all that was made in it
        view = core.space(namespace).mount(mount)
        owner = MountRef(namespace, mount)
        what, _, of = name.partition("-")
        if what == "block":
            for first in await self._firsts(view, core.space(namespace), of):
                for closed in await self._leases.chain_gone(core, home, first, of):
                    await park(core, closed, TIMER + BISCUIT_KIND, timer)
        else:
            await give_back(core, owner, self._tokens, self._leases, partial(_ended, what, of))
        if await end_children(core, self._tokens, owner, _tag(what, of)):
            await store.end_made(view, owner, name, self._clock.millis())

    async def _firsts(self, view: View, home: View, block: str) -> list[str]:
        """Return with which blocks chains begin that may have this one: all that have leases, where no tree holds it."""
        token_id = await lineage.owner_of(view, block)
        tree = await lineage.tree(view, token_id) if token_id is not None else None
        if tree is not None:
            return [tree.issued.ids]
        return [first async for _, first in self._leases.chains(home)]


def _tag(what: str, of: str) -> str:
    """Return the tag of a block, a workload (by uid and name) or a key."""
    if what == "block":
        return store.block_tag(of)
    return store.workload_tag(of[:_UUID]) if what == "workload" else store.key_tag(int(of))


def _ended(what: str, of: str, issued: IssuedToken) -> bool:
    """Whether a token ends with a workload (by uid and name) or a key."""
    return issued.uid == of[:_UUID] if what == "workload" else str(issued.kid) == of
