# SPDX-License-Identifier: EUPL-1.2
"""Revoking tokens: one transaction makes a token and all that hangs on it worthless, whatever their number.

What hangs on it is worthless because `TokenEntries.ancestor_keys` misses the one that went. Its rows are removed by and
by: so many at once as one transaction may, the rest by timers, which outlive the process. Until then a row says
that the key is not free: a new token with the old id would get the descendants of the old one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec

from vault.barrier.failure import NamespaceSealed
from vault.barrier.stored import MARK, raw
from vault.barrier.view import View
from vault.framework.concurrency.time_slice import TimeSlice
from vault.namespace.parked import ORPHANED_TOKEN, REVOKED_TOKEN, park
from vault.storage.protocol import Timer
from vault.token.entries import (
    ACCESSOR,
    CHILD,
    ENTRY,
    GONE,
    LEASE,
    ORPHANED,
    REVOKED,
    TokenEntries,
    at,
    chain_hook,
    hook_of,
    mount_hook,
)
from vault.token.model import TOKEN, TOKEN_KIND
from vault.values.ids import NO_TOKEN_KEY, NamespaceId, TokenKey
from vault.values.times import Millis

GONE_KIND: Final = "token-gone"
"""Kind of the timer by which what hung on a token that is gone is removed; the key is the token's key."""
_ROUND: Final = 64
"""Tokens that one transaction removes: some 20 milliseconds in which no other transaction writes."""

Purge = Callable[[View, TokenKey], Awaitable[bool]]
"""Remove what belongs to the token with this key, which is gone; the view is its namespace's.

Return whether it has to be asked again, as there was more than one transaction should do.
"""


class TokenStore(TokenEntries):
    """Service tokens, and how they end."""

    _purges: Sequence[Purge] = ()

    def on_revoke(self, purge: Purge) -> None:
        """Register what must disappear with a token."""
        self._purges = [*self._purges, purge]

    async def revoke_tree(self, core: View, key: TokenKey) -> None:
        """Revoke a token and every token below it, with all that was made with them."""
        await self.revoke_trees(core, [key])

    async def revoke_trees(self, core: View, keys: Sequence[TokenKey]) -> None:
        """Revoke several tokens, as `revoke_tree`. Readers get a turn in between; writers wait."""
        pace = TimeSlice()
        for key in keys:
            if await self._end(core, key):
                await self.go_on(core, key, REVOKED)
            await pace.step()

    async def consume(self, core: View, key: TokenKey) -> None:
        """Remove a token of few uses that hangs on nothing, and that nothing can hang on: no process has it in a cache.

        Such a token is in no cache, nor what it may do; see `vault.token.authenticator`.
        """
        entry = await self.get(core, key)
        if entry is None or not entry.uses or hook_of(key, entry):
            await self.revoke_tree(core, key)
        elif await self._end(core, key, known=True) and await self._purge(core, key):
            await self._later(core, key, REVOKED, Millis(1))

    async def revoke_mount(self, core: View, logins: str, namespace_id: NamespaceId) -> None:
        """Revoke every token of a login on an auth mount, which is going, or whose `logins` get another id."""
        hook = mount_hook(logins, namespace_id)
        await core.invalidate(TOKEN_KIND, hook)
        await self.go_on(core, hook, REVOKED)

    async def revoke_made(self, core: View, chain: str, namespace_id: NamespaceId) -> None:
        """Have every token removed that was made with a credential of this name, no token of the store, which has ended."""
        await self.revoke_hanging(core, chain_hook(chain, namespace_id))

    async def revoke_hanging(self, core: View, hook: TokenKey) -> None:
        """Have everything removed that hangs on what has ended, and so is worth nothing already: timers do, by rounds."""
        await self._later(core, hook, REVOKED, Millis(1))

    async def revoke_orphaning(self, core: View, key: TokenKey) -> None:
        """Revoke one token; its children live on as orphans."""
        if await self._end(core, key):
            await self.go_on(core, key, ORPHANED)

    async def due(self, core: View, key: TokenKey, now: Millis) -> None:
        """Go on at `now` (milliseconds) with what hung on a token; called in a transaction, possibly repeatedly."""
        how = await at(core, key).get(GONE + key)
        if how is not None:
            await self.go_on(core, key, how, now)

    async def adopt(self, core: View, key: TokenKey) -> None:
        """Write down with a token that it is an orphan: its parent is gone and left it behind.

        It goes on hanging on the chain that it was made with.
        """
        entry = await self.get(core, key)
        if entry is not None and await self.get(core, entry.parent) is None:
            entry = msgspec.structs.replace(entry, parent=NO_TOKEN_KEY, orphan=True)
            await at(core, key).put(ENTRY + key, TOKEN.encode(entry))
            if hook := hook_of(key, entry):
                await at(core, hook).put(f"{CHILD}{hook}/{key}", MARK)

    async def go_on(self, core: View, key: TokenKey, how: bytes, now: Millis = Millis(1)) -> None:
        """Do one round of what is left to do for a token that is gone, and have the rest done after `now`."""
        more = await self._purge(core, key)
        if how == ORPHANED:
            more = await self._release(core, key) or more
        else:
            more = await self._sweep(core, key, now) or more
        if more:
            await self._later(core, key, how, now)
        else:
            await at(core, key).delete(GONE + key)

    async def _sweep(self, core: View, top: TokenKey, now: Millis) -> bool:
        """Remove some of what is below a token; return whether there is more directly below it."""
        pending, left, more, pace = [top], _ROUND, False, TimeSlice()
        while pending:
            key = pending.pop()
            names = await at(core, key).list(f"{CHILD}{key}/", limit=max(left, 1))
            if names and left <= 0:
                if key == top:
                    more = True
                else:
                    await self._later(core, key, REVOKED, now)
                continue
            for name in map(TokenKey, names):
                await at(core, key).delete(f"{CHILD}{key}/{name}")
                if await self._end(core, name, known=True):
                    pending.append(name)
                    if await self._purge(core, name):
                        await self._later(core, name, REVOKED, now)
                await pace.step()
            if names:
                left -= len(names)
                pending.append(key)
        return more

    async def _release(self, core: View, key: TokenKey) -> bool:
        """Make orphans of some that are directly below a token; return whether there are more."""
        names = await at(core, key).list(f"{CHILD}{key}/", limit=_ROUND)
        for name in map(TokenKey, names):
            await at(core, key).delete(f"{CHILD}{key}/{name}")
            try:
                await self.adopt(core, name)
            except NamespaceSealed as sealed:
                await park(core, sealed.owner, ORPHANED_TOKEN, name)
        return len(names) == _ROUND

    async def _later(self, core: View, key: TokenKey, how: bytes, now: Millis) -> None:
        await at(core, key).put(GONE + key, raw(how))
        await core.at(Timer(GONE_KIND, key, now))

    async def _purge(self, core: View, key: TokenKey) -> bool:
        return any([await purge(at(core, key), key) for purge in self._purges])

    async def _end(self, core: View, key: TokenKey, *, known: bool = False) -> bool:
        """Remove the rows of a token itself; return whether that could be done, and what hung on it is to follow.

        `known` says that every process was told of a token above it, which drops this one from memory too.
        """
        try:
            entry, home = await self.get(core, key), at(core, key)
        except NamespaceSealed as sealed:
            await park(core, sealed.owner, REVOKED_TOKEN, key)
            return False
        if entry is None:
            return known
        if not known:
            await core.invalidate(TOKEN_KIND, key)
            if hook := hook_of(key, entry):
                await at(core, hook).delete(f"{CHILD}{hook}/{key}")
        await core.cancel(TOKEN_KIND, key)
        if entry.leased:
            await home.delete(f"{LEASE}{entry.path}/{key}")
        await home.delete(ACCESSOR + self.accessor_key(entry.accessor))
        await home.delete(ENTRY + key)
        return True
