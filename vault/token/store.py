# SPDX-License-Identifier: EUPL-1.2
"""Service tokens in storage: find, create, use, renew, revoke with the whole tree below.

A token, its accessor and its key say which namespace they belong to, and whatever is kept of a token lies there:
every method finds that place through whichever view it is given. An accessor is looked for in the given view
alone, so that one of another tenant cannot even be spelled (SL-09).
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final

import msgspec

from vault.barrier.failure import NamespaceSealed
from vault.barrier.view import ReadView, View
from vault.framework.call import ROOT, Namespace
from vault.framework.clock import Entropy
from vault.namespace.ids import bound, namespace_id
from vault.namespace.waiting import REVOKED_TOKEN, park
from vault.storage.paging import pages
from vault.storage.protocol import Timer
from vault.token.entities import Entities, NoEntities
from vault.token.model import PREFIX, TOKEN_KIND, TOKEN_LENGTH, TokenEntry, decode, encode

_SALT: Final = "token/salt"
_ENTRY: Final = "token/id/"
_ACCESSOR: Final = "token/accessor/"
_CHILD: Final = "token/child/"
_MOUNT: Final = "token/mount/"
_LEASE: Final = "token/lease/"
_BREATH: Final = 16
"""Tokens that are removed before readers get their turn, some milliseconds; the transaction stays open."""

Purge = Callable[[View, str], Awaitable[None]]
"""Remove what belongs to the token with this key, in the transaction that revokes it; the view is its namespace's."""
Live = Callable[[str], Namespace | None]
"""Finds the namespace with an id, unless there is none or it is being removed."""


class _AccessorEntry(msgspec.Struct, frozen=True):
    accessor: str
    key: str


_decode_accessor = msgspec.msgpack.Decoder(_AccessorEntry).decode


class TokenStore:
    """Service tokens. Loaded at unseal with the salt that keys their hashes."""

    def __init__(
        self, entropy: Entropy, live: Live = {ROOT.id: ROOT}.get, entities: Entities | None = None
    ) -> None:
        """`live` knows the namespaces, without it there is the root one alone; `entities` whose tokens they are."""
        self.entities = entities or NoEntities()
        self._entropy = entropy
        self._live = live
        self._salt = b""
        self._purges: list[Purge] = []

    def on_revoke(self, purge: Purge) -> None:
        """Register what must disappear with a token."""
        self._purges.append(purge)

    async def prepare(self, core: View) -> None:
        """Store the salt of a new vault."""
        await core.put(_SALT, self._entropy.bytes(32))

    async def load(self, core: ReadView) -> None:
        """Read the salt."""
        self._salt = await core.get(_SALT) or b""

    def forget(self) -> None:
        """Drop the salt at seal."""
        self._salt = b""

    def key(self, token: str) -> str:
        """Return the name under which a token is stored: `h`, HMAC-SHA256 of it, and its namespace."""
        digest = "h" + hmac.digest(self._salt, token.encode(), hashlib.sha256).hex()
        home = namespace_id(token)
        return digest if home in (None, ROOT.id) else f"{digest}.{home}"

    def namespace(self, token_or_key: str) -> Namespace | None:
        """Return where a token lives; None where no token can."""
        home = namespace_id(token_or_key)
        return None if home is None else self._live(home)

    def reaches(self, namespace: Namespace, token: str) -> bool:
        """Whether `token` is of `namespace` or of one below it: who acts in one has no business with any other."""
        home = self.namespace(token)
        return home is not None and namespace.holds(home)

    def _accessor_key(self, accessor: str) -> str:
        return hmac.digest(self._salt, b"accessor\0" + accessor.encode(), hashlib.sha256).hex()

    def new_token(self, namespace: Namespace = ROOT) -> str:
        """Return a new random token."""
        return bound(PREFIX + self._entropy.base62(TOKEN_LENGTH), namespace)

    def new_accessor(self, namespace: Namespace = ROOT) -> str:
        """Return a new random accessor."""
        return bound(self._entropy.base62(TOKEN_LENGTH), namespace)

    async def get(self, core: ReadView, key: str) -> TokenEntry | None:
        """Return the stored token, alive or not."""
        home = self.namespace(key)
        value = await core.space(home.id).get(_ENTRY + key) if home is not None else None
        return decode(value) if value is not None else None

    async def by_accessor(self, core: ReadView, accessor: str) -> tuple[str, TokenEntry] | None:
        """Return key and entry of the token with this accessor in the namespace of `core`."""
        value = await core.get(_ACCESSOR + self._accessor_key(accessor))
        if value is None:
            return None
        key = _decode_accessor(value).key
        entry = await self.get(core, key)
        return (key, entry) if entry is not None else None

    async def accessors(self, core: ReadView) -> Sequence[str]:
        """Return the accessors of all tokens in the namespace of `core`."""
        found = []
        async for page in pages(core.list, _ACCESSOR):
            for name in page:
                value = await core.get(_ACCESSOR + name)
                if value is not None:
                    found.append(_decode_accessor(value).accessor)
        return found

    async def count(self, core: ReadView) -> int:
        """Return how many tokens there are in the namespace of `core`."""
        return sum([len(page) async for page in pages(core.list, _ACCESSOR)])

    def leases(self, core: ReadView, prefix: str) -> AsyncIterator[Sequence[str]]:
        """Yield, page by page and below `prefix`, the identifiers of the leases that tokens are shown as."""
        return pages(core.scan, _LEASE + prefix)

    def lease_names(self, core: ReadView, prefix: str) -> AsyncIterator[Sequence[str]]:
        """Yield, page by page, the names directly below `prefix`; a folder ends in `/`."""
        return pages(core.list, _LEASE + prefix)

    async def create(self, core: View, token: str, entry: TokenEntry) -> str:
        """Store a new token with its indexes and its expiry timer; return its key."""
        key = self.key(token)
        home = _at(core, key)
        await home.put(_ENTRY + key, encode(entry))
        await home.put(
            _ACCESSOR + self._accessor_key(entry.accessor),
            msgspec.msgpack.encode(_AccessorEntry(entry.accessor, key)),
        )
        if entry.parent:
            await _at(core, entry.parent).put(f"{_CHILD}{entry.parent}/{key}", b"")
        if entry.mount:
            await home.put(f"{_MOUNT}{entry.mount}/{key}", b"")
        if entry.leased:
            await home.put(f"{_LEASE}{entry.path}/{key}", b"")
        await self._arm(core, key, entry)
        return key

    async def update(self, core: View, key: str, entry: TokenEntry) -> None:
        """Replace a stored token; whoever cached it must ask again."""
        await _at(core, key).put(_ENTRY + key, encode(entry))
        await core.invalidate(TOKEN_KIND, key)
        await self._arm(core, key, entry)

    async def _arm(self, core: View, key: str, entry: TokenEntry) -> None:
        if entry.expires:
            await core.at(Timer(TOKEN_KIND, key, -(-entry.expires // 1_000_000)))
        else:
            await core.cancel(TOKEN_KIND, key)

    async def spend(self, core: View, key: str) -> TokenEntry | None:
        """Take one use off a limited token; None when there is none to take. At the last use it stays at -1."""
        entry = await self.get(core, key)
        if entry is None or entry.uses < 0:
            return None
        if entry.uses == 0:
            return entry
        entry = msgspec.structs.replace(entry, uses=entry.uses - 1 or -1)
        await _at(core, key).put(_ENTRY + key, encode(entry))
        return entry

    async def revoke_tree(self, core: View, key: str) -> None:
        """Remove a token, everything made with it, and every token below it."""
        await self.revoke_trees(core, [key])

    async def revoke_trees(self, core: View, keys: Sequence[str]) -> None:
        """Remove several tokens, as `revoke_tree`. Whoever reads gets a turn in between; whoever writes waits."""
        pending, removed = list(keys), 0
        while pending:
            current = pending.pop()
            try:
                below = await _at(core, current).list(f"{_CHILD}{current}/")
            except NamespaceSealed as sealed:
                await park(core, sealed.owner, REVOKED_TOKEN, current)
                continue
            pending += [name for name in below if not name.endswith("/")]
            await self._remove(core, current)
            removed += 1
            if removed % _BREATH == 0:
                await asyncio.sleep(0)

    async def revoke_orphaning(self, core: View, key: str) -> None:
        """Remove one token; its children live on as orphans."""
        for child in await _at(core, key).list(f"{_CHILD}{key}/"):
            try:
                entry = await self.get(core, child)
            except NamespaceSealed:
                continue  # it lives on all the same, and nobody is above it any more
            if entry is not None:
                await self.update(core, child, msgspec.structs.replace(entry, parent="", orphan=True))
        await self._remove(core, key)

    async def revoke_mount(self, core: View, uuid: str) -> None:
        """Remove every token that came from a login on this auth mount, which is going."""
        await self.revoke_trees(core, await core.list(f"{_MOUNT}{uuid}/"))

    async def _remove(self, core: View, key: str) -> None:
        entry = await self.get(core, key)
        await core.invalidate(TOKEN_KIND, key)
        await core.cancel(TOKEN_KIND, key)
        home = _at(core, key)
        await home.delete_prefix(f"{_CHILD}{key}/")
        if entry is None:
            return
        if entry.parent:
            await _at(core, entry.parent).delete(f"{_CHILD}{entry.parent}/{key}")
        if entry.mount:
            await home.delete(f"{_MOUNT}{entry.mount}/{key}")
        if entry.leased:
            await home.delete(f"{_LEASE}{entry.path}/{key}")
        await home.delete(_ACCESSOR + self._accessor_key(entry.accessor))
        await home.delete(_ENTRY + key)
        for purge in self._purges:
            await purge(home, key)


def _at(core: View, key: str) -> View:
    """Return the place of the token with this key, which we made."""
    home = namespace_id(key)
    return core.space(home if home is not None else ROOT.id)
