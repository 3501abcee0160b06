# SPDX-License-Identifier: EUPL-1.2
"""Ends what a mount has issued: the Biscuits of an `nhi` mount, or of a login mount, that is moved or removed.

They are refused as soon as that is committed, on every node, and so is what was issued with them; timers remove the rows.
"""

from __future__ import annotations

from collections.abc import Callable

from nhi.biscuit.records import lineage, store
from nhi.biscuit.records.model import BISCUIT_KIND, IssuedToken, MountRef
from vault.barrier.view import View
from vault.lease.store import LeaseStore
from vault.token.store import TokenStore


class MountRemoval:
    """Ends the tokens and leases of a mount that is removed."""

    def __init__(self, tokens: TokenStore, leases: LeaseStore) -> None:
        self._tokens = tokens
        self._leases = leases

    async def end(self, core: View, owner: MountRef, logins: str) -> None:
        """End everything of the mount `owner` that ends with a mount that calls its logins so, in the open transaction.

        `core` is any view of a namespace's own data.
        """
        view = core.space(owner.namespace).mount(owner.mount)
        tag = store.mount_tag(logins)
        await view.invalidate(BISCUIT_KIND, tag)
        for leaf in await store.chains(view, tag):
            await self._tokens.revoke_made(core, f"{owner.mount}/{leaf}", owner.namespace)
            await store.forget_chain(view, leaf, tag)
        await give_back(
            core, owner, self._tokens, self._leases, lambda issued: logins in issued.hangs_on(owner)
        )


async def give_back(
    core: View, owner: MountRef, tokens: TokenStore, leases: LeaseStore, ended: Callable[[IssuedToken], bool]
) -> None:
    """Have the leases taken back that were made for Biscuits of a mount that have `ended`, in the open transaction.

    It looks at those that have leases, however many others were issued.
    """
    home = core.space(owner.namespace)
    view = home.mount(owner.mount)
    async for key, first in leases.chains(home):
        token_id = await lineage.owner_of(view, first)
        tree = await lineage.tree(view, token_id) if token_id is not None else None
        if tree is not None and ended(tree.issued):
            await tokens.revoke_hanging(core, key)
