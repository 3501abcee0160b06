# SPDX-License-Identifier: EUPL-1.2
"""Service tokens in storage: find, create, use, renew, revoke with the whole tree below.

Every method takes the view of a namespace, so an id or accessor of another tenant cannot even be spelled (SL-09).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec

from vault.barrier.view import ReadView, View
from vault.framework.clock import Entropy
from vault.storage.protocol import Timer
from vault.token.model import PREFIX, TOKEN_KIND, TOKEN_LENGTH, TokenEntry, decode, encode

_SALT: Final = "token/salt"
_ENTRY: Final = "token/id/"
_ACCESSOR: Final = "token/accessor/"
_CHILD: Final = "token/child/"

Purge = Callable[[View, str], Awaitable[None]]
"""Remove what belongs to the token with this key, in the transaction that revokes it."""


class _AccessorEntry(msgspec.Struct, frozen=True):
    accessor: str
    key: str


_decode_accessor = msgspec.msgpack.Decoder(_AccessorEntry).decode


class TokenStore:
    """Service tokens. Loaded at unseal with the salt that keys their hashes."""

    def __init__(self, entropy: Entropy) -> None:
        self._entropy = entropy
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
        """Return the name under which a token is stored: `h` and HMAC-SHA256 of it."""
        return "h" + hmac.digest(self._salt, token.encode(), hashlib.sha256).hex()

    def _accessor_key(self, accessor: str) -> str:
        return hmac.digest(self._salt, b"accessor\0" + accessor.encode(), hashlib.sha256).hex()

    def new_token(self) -> str:
        """Return a new random token."""
        return PREFIX + self._entropy.base62(TOKEN_LENGTH)

    def new_accessor(self) -> str:
        """Return a new random accessor."""
        return self._entropy.base62(TOKEN_LENGTH)

    async def get(self, core: ReadView, key: str) -> TokenEntry | None:
        """Return the stored token, alive or not."""
        value = await core.get(_ENTRY + key)
        return decode(value) if value is not None else None

    async def by_accessor(self, core: ReadView, accessor: str) -> tuple[str, TokenEntry] | None:
        """Return key and entry of the token with this accessor."""
        value = await core.get(_ACCESSOR + self._accessor_key(accessor))
        if value is None:
            return None
        key = _decode_accessor(value).key
        entry = await self.get(core, key)
        return (key, entry) if entry is not None else None

    async def accessors(self, core: ReadView) -> Sequence[str]:
        """Return the accessors of all tokens."""
        found = []
        for name in await core.list(_ACCESSOR):
            value = await core.get(_ACCESSOR + name)
            if value is not None:
                found.append(_decode_accessor(value).accessor)
        return found

    async def create(self, core: View, token: str, entry: TokenEntry) -> str:
        """Store a new token with its indexes and its expiry timer; return its key."""
        key = self.key(token)
        await core.put(_ENTRY + key, encode(entry))
        await core.put(
            _ACCESSOR + self._accessor_key(entry.accessor),
            msgspec.msgpack.encode(_AccessorEntry(entry.accessor, key)),
        )
        if entry.parent:
            await core.put(f"{_CHILD}{entry.parent}/{key}", b"")
        await self._arm(core, key, entry)
        return key

    async def update(self, core: View, key: str, entry: TokenEntry) -> None:
        """Replace a stored token; whoever cached it must ask again."""
        await core.put(_ENTRY + key, encode(entry))
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
        await core.put(_ENTRY + key, encode(entry))
        return entry

    async def revoke_tree(self, core: View, key: str) -> None:
        """Remove a token, everything made with it, and every token below it."""
        pending = [key]
        while pending:
            current = pending.pop()
            pending += [name for name in await core.list(f"{_CHILD}{current}/") if not name.endswith("/")]
            await self._remove(core, current)

    async def revoke_orphaning(self, core: View, key: str) -> None:
        """Remove one token; its children live on as orphans."""
        for child in await core.list(f"{_CHILD}{key}/"):
            entry = await self.get(core, child)
            if entry is not None:
                await self.update(core, child, msgspec.structs.replace(entry, parent="", orphan=True))
        await self._remove(core, key)

    async def _remove(self, core: View, key: str) -> None:
        entry = await self.get(core, key)
        await core.invalidate(TOKEN_KIND, key)
        await core.cancel(TOKEN_KIND, key)
        await core.delete_prefix(f"{_CHILD}{key}/")
        if entry is None:
            return
        if entry.parent:
            await core.delete(f"{_CHILD}{entry.parent}/{key}")
        await core.delete(_ACCESSOR + self._accessor_key(entry.accessor))
        await core.delete(_ENTRY + key)
        for purge in self._purges:
            await purge(core, key)
