# SPDX-License-Identifier: EUPL-1.2
"""The entries of service tokens in storage: found, created, used, renewed. `vault.token.store` revokes tokens.

A token, its accessor and its key say which namespace they belong to, and whatever is kept of a token lies there:
every method finds that place through whichever view it is given. An accessor is looked for in the given view
alone, so that one of another tenant cannot even be spelled (SL-09).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final, NamedTuple

import msgspec

from vault.barrier.failure import BarrierSealed
from vault.barrier.stored import MARK, RecordKind, raw
from vault.barrier.view import ReadView, View
from vault.framework.call import ROOT, Namespace
from vault.framework.clock import Entropy
from vault.framework.keys.hmac import HmacKey
from vault.namespace.ids import bound, namespace_id
from vault.storage.paging import pages
from vault.storage.protocol import Timer
from vault.token.ancestors import Ancestor, Ancestors, NoAncestors
from vault.token.entities import Entities, NoEntities
from vault.token.model import PREFIX, TOKEN, TOKEN_KIND, TOKEN_LENGTH, TokenEntry
from vault.values.ids import NO_TOKEN_KEY, NamespaceId, TokenAccessor, TokenKey
from vault.values.times import Millis, Nanos, nanos_to_millis, nanos_to_millis_up, second_of, time_after

_SALT: Final = "token/salt"
ENTRY: Final = "token/id/"
ACCESSOR: Final = "token/accessor/"
CHILD: Final = "token/child/"
GONE: Final = "token/gone/"
LEASE: Final = "token/lease/"
REVOKED: Final = b"revoked"
"""Kept of a token that is gone while not all that hung on it is removed."""
ORPHANED: Final = b"orphaned"
"""Kept of a token that is gone while not all of its children, which live on, are orphans in writing."""
_USED_UP: Final = Millis(60_000)
"""Milliseconds that a token stays after its last use: longer than the request that made it."""

Mounted = Callable[[Namespace, str], bool]
"""Whether a namespace still has the auth mount whose logins have an id."""
Live = Callable[[NamespaceId], Namespace | None]
"""Finds the namespace with an id, unless there is none or it is being removed."""


class _AccessorEntry(msgspec.Struct, frozen=True, kw_only=True):
    accessor: TokenAccessor
    key: TokenKey


_ACCESSOR: Final = RecordKind("token accessor", _AccessorEntry)


class AncestorKeys(NamedTuple):
    """What a token hangs on: keys, nearest first. `until` is when the first ends, itself included; 0 for never.

    `left` says that its parent is gone and left it behind, which is not written with it yet. `ancestor` is the
    credential, no token of the store, that it was made with.
    """

    above: Sequence[TokenKey]
    until: Nanos
    left: bool
    ancestor: Ancestor | None = None

    def shown(self, entry: TokenEntry) -> TokenEntry:
        """Return the token as it is by now."""
        return msgspec.structs.replace(entry, parent=NO_TOKEN_KEY, orphan=True) if self.left else entry


class TokenEntries:
    """Service tokens. Loaded at unseal with the salt that keys their hashes."""

    def __init__(
        self,
        entropy: Entropy,
        live: Live = {ROOT.id: ROOT}.get,
        entities: Entities | None = None,
        mounted: Mounted = lambda _namespace, _logins: True,
        ancestors: Ancestors | None = None,
    ) -> None:
        """`live` knows the namespaces, without it there is the root one alone; `entities` whose tokens they are.

        `mounted` knows the auth mounts; without it none ever goes. `ancestors` knows the credentials beside tokens.
        """
        self.entities = entities or NoEntities()
        self.ancestors = ancestors or NoAncestors()
        self._entropy = entropy
        self._live = live
        self._mounted = mounted
        self._keyed: HmacKey | None = None

    async def prepare(self, core: View) -> None:
        """Store the salt of a new vault."""
        await core.put(_SALT, raw(self._entropy.bytes(32)))

    async def load(self, core: ReadView) -> None:
        """Read the salt."""
        salt = await core.get(_SALT)
        self._keyed = HmacKey(salt) if salt else None

    def forget(self) -> None:
        """Drop the salt at seal."""
        self._keyed = None

    def key(self, token: str) -> TokenKey:
        """Return the name under which a token is stored: `h`, HMAC-SHA256 of it, and its namespace.

        Raises `BarrierSealed` before `load`: while a vault is being unsealed no token can be called known or unknown.
        """
        digest = "h" + self._hash(token.encode())
        home = namespace_id(token)
        return TokenKey(digest if home in (None, ROOT.id) else f"{digest}.{home}")

    def _hash(self, data: bytes) -> str:
        if self._keyed is None:
            raise BarrierSealed
        return self._keyed.digest(data).hex()

    def namespace(self, token_or_key: str) -> Namespace | None:
        """Return where a token lives; None where no token can."""
        home = namespace_id(token_or_key)
        return None if home is None else self._live(home)

    def reaches(self, namespace: Namespace, token: str) -> bool:
        """Whether `token` is of `namespace` or of one below it: who acts in one has no business with any other."""
        home = self.namespace(token)
        return home is not None and namespace.holds(home)

    def accessor_key(self, accessor: TokenAccessor) -> str:
        """Return the name under which the accessor of a token is stored."""
        return self._hash(b"accessor\0" + accessor.encode())

    def new_token(self, namespace: Namespace = ROOT) -> str:
        """Return a new random token."""
        return bound(PREFIX + self._entropy.base62(TOKEN_LENGTH), namespace)

    def new_accessor(self, namespace: Namespace = ROOT) -> TokenAccessor:
        """Return a new random accessor."""
        return TokenAccessor(bound(self._entropy.base62(TOKEN_LENGTH), namespace))

    async def get(self, core: ReadView, key: TokenKey) -> TokenEntry | None:
        """Return the stored token, alive or not."""
        home = self.namespace(key)
        value = await core.space(home.id).get(ENTRY + key) if home is not None else None
        return TOKEN.decode(value) if value is not None else None

    async def ancestor_keys(
        self, core: ReadView, key: TokenKey, entry: TokenEntry, now: Nanos
    ) -> AncestorKeys | None:
        """Return what a token hangs on; None where any of that is gone, or over at `now` (nanoseconds).

        A token ends with its parent, although what is below a revoked one leaves storage only by and by.
        """
        above: list[TokenKey] = []
        until, left = entry.expires, False
        ancestor = await self.ancestor(core, key, entry, now) if entry.chain else None
        if ancestor is not None:
            until = min(until or ancestor.ends, ancestor.ends)
        elif entry.chain:
            return None
        while hook := hook_of(key, entry):
            above.append(hook)
            if not entry.parent:
                if entry.chain:
                    break
                home = self.namespace(key)
                if home is None or not self._mounted(home, entry.mount):
                    return None
                break
            parent = await self.get(core, hook)
            if parent is None:
                if await core.space(home_of(hook)).get(GONE + hook) != ORPHANED:
                    return None
                left = len(above) == 1
                break
            if not parent.alive(now) or not _parent_of(parent, entry):
                return None
            until = min(until or parent.expires, parent.expires or until)
            key, entry = hook, parent
        return AncestorKeys(above, until, left, ancestor)

    async def ancestor(self, core: ReadView, key: TokenKey, entry: TokenEntry, now: Nanos) -> Ancestor | None:
        """Return what a token was made with that is no token of the store; None where it is not good at `now` (ns)."""
        home = self.namespace(key)
        return None if home is None else await self.ancestors.find(core, home, entry.chain, now)

    async def hanging(
        self, core: ReadView, hook: TokenKey, most: int, now: Nanos
    ) -> Sequence[tuple[TokenKey, TokenEntry]]:
        """Return tokens that hang on something, through others too, of those alive at `now` (ns) at most so many."""
        found: list[tuple[TokenKey, TokenEntry]] = []
        pending = [hook]
        while pending and len(found) < most:
            above = pending.pop(0)
            for name in await core.space(home_of(above)).list(f"{CHILD}{above}/", limit=most):
                key = TokenKey(name)
                entry = await self.get(core, key)
                if entry is not None and entry.alive(now):
                    found.append((key, entry))
                    pending.append(key)
        return found[:most]

    async def living(self, core: ReadView, key: TokenKey, now: Nanos) -> TokenEntry | None:
        """Return a token that may be used at `now` (nanoseconds), as may all that it hangs on; else None."""
        entry = await self.get(core, key)
        return None if entry is None else await self._upheld(core, key, entry, now)

    async def living_by_accessor(
        self, core: ReadView, accessor: TokenAccessor, now: Nanos
    ) -> tuple[TokenKey, TokenEntry] | None:
        """As `by_accessor`, of a token that may be used at `now` (nanoseconds)."""
        found = await self.by_accessor(core, accessor)
        entry = None if found is None else await self._upheld(core, *found, now)
        return None if found is None or entry is None else (found[0], entry)

    async def _upheld(
        self, core: ReadView, key: TokenKey, entry: TokenEntry, now: Nanos
    ) -> TokenEntry | None:
        keys = await self.ancestor_keys(core, key, entry, now) if entry.alive(now) else None
        return None if keys is None else keys.shown(entry)

    async def vacant(self, core: ReadView, key: TokenKey) -> bool:
        """Whether there is no token with this key, and nothing left of an earlier one with the same."""
        place = core.space(home_of(key))
        return await place.get(ENTRY + key) is None and await place.get(GONE + key) is None

    async def by_accessor(
        self, core: ReadView, accessor: TokenAccessor
    ) -> tuple[TokenKey, TokenEntry] | None:
        """Return key and entry of the token with this accessor in the namespace of `core`."""
        value = await core.get(ACCESSOR + self.accessor_key(accessor))
        if value is None:
            return None
        key = _ACCESSOR.decode(value).key
        entry = await self.get(core, key)
        return (key, entry) if entry is not None else None

    async def accessors(self, core: ReadView) -> Sequence[TokenAccessor]:
        """Return the accessors of all tokens in the namespace of `core`."""
        found = []
        async for page in pages(core.list, ACCESSOR):
            for name in page:
                value = await core.get(ACCESSOR + name)
                if value is not None:
                    found.append(_ACCESSOR.decode(value).accessor)
        return found

    async def all(self, core: ReadView) -> AsyncIterator[TokenEntry]:
        """Yield every token in the namespace of `core`, alive or not, a page at a time."""
        async for page in pages(core.list, ENTRY):
            for name in page:
                value = await core.get(ENTRY + name)
                if value is not None:
                    yield TOKEN.decode(value)

    async def count(self, core: ReadView) -> int:
        """Return how many tokens there are in the namespace of `core`."""
        return sum([len(page) async for page in pages(core.list, ACCESSOR)])

    def leases(self, core: ReadView, prefix: str) -> AsyncIterator[Sequence[str]]:
        """Yield, page by page and below `prefix`, the identifiers of the leases that tokens are shown as."""
        return pages(core.scan, LEASE + prefix)

    def lease_names(self, core: ReadView, prefix: str) -> AsyncIterator[Sequence[str]]:
        """Yield, page by page, the names directly below `prefix`; a folder ends in `/`."""
        return pages(core.list, LEASE + prefix)

    async def create(self, core: View, token: str, entry: TokenEntry) -> TokenKey:
        """Store a new token with its indexes and its expiry timer; return its key."""
        key = self.key(token)
        of = home_of(key)
        home = core.space(of)
        await home.put(ENTRY + key, TOKEN.encode(entry))
        await home.put(
            ACCESSOR + self.accessor_key(entry.accessor),
            _ACCESSOR.encode(_AccessorEntry(accessor=entry.accessor, key=key)),
        )
        if hook := hook_of(key, entry):
            above = home if home_of(hook) == of else at(core, hook)
            await above.put(f"{CHILD}{hook}/{key}", MARK)
        if entry.leased:
            await home.put(f"{LEASE}{entry.path}/{key}", MARK)
        await self._arm(core, key, entry)
        return key

    async def update(self, core: View, key: TokenKey, entry: TokenEntry) -> None:
        """Replace a stored token, and invalidate what is cached of it."""
        await at(core, key).put(ENTRY + key, TOKEN.encode(entry))
        await core.invalidate(TOKEN_KIND, key)
        await self._arm(core, key, entry)

    async def _arm(self, core: View, key: TokenKey, entry: TokenEntry) -> None:
        if entry.expires:
            await core.at(Timer(TOKEN_KIND, key, nanos_to_millis_up(entry.expires)))
        else:
            await core.cancel(TOKEN_KIND, key)

    async def spend(self, core: View, key: TokenKey, now: Nanos) -> TokenEntry | None:
        """Take one use off a limited token at `now` (nanoseconds); None when there is none to take.

        At the last use it stays at -1 for as long as the request may take that makes it.
        """
        entry = await self.get(core, key)
        if entry is None or entry.uses < 0:
            return None
        if entry.uses == 0:
            return entry
        entry = msgspec.structs.replace(entry, uses=entry.uses - 1 or -1)
        await at(core, key).put(ENTRY + key, TOKEN.encode(entry))
        if entry.uses < 0:
            await core.at(Timer(TOKEN_KIND, key, time_after(nanos_to_millis(now), _USED_UP)))
        return entry


def _parent_of(parent: TokenEntry, entry: TokenEntry) -> bool:
    """Whether this is the token that made another one, and none that was given its id later.

    Records of before its moment was written with its children say none: then no parent is younger than they are, whose
    own moment may be in whole seconds.
    """
    if entry.parent_created:
        return parent.created == entry.parent_created
    return second_of(parent.created) <= entry.created


def home_of(key: TokenKey) -> NamespaceId:
    """Return the id of the namespace of the token with this key, which we made."""
    return namespace_id(key) or ROOT.id


def at(core: View, key: TokenKey) -> View:
    """Return the place of the token with this key, which we made."""
    return core.space(home_of(key))


def mount_hook(logins: str, home: NamespaceId) -> TokenKey:
    """Return what the tokens of logins on an auth mount hang on: a key as tokens have, of no token."""
    return TokenKey(f"m{logins}" if home == ROOT.id else f"m{logins}.{home}")


def chain_hook(chain: str, home: NamespaceId) -> TokenKey:
    """Return what hangs on a credential that is no token of the store, by its name: a key as tokens have, of no token."""
    own = chain.rpartition("/")[2]
    return TokenKey(f"c{own}" if home == ROOT.id else f"c{own}.{home}")


def hook_of(key: TokenKey, entry: TokenEntry) -> TokenKey:
    """Return the key of what a token hangs on: its parent, a chain, the mount that it logged in on; "" for nothing."""
    if entry.parent:
        return entry.parent
    if entry.chain:
        return chain_hook(entry.chain, home_of(key))
    return mount_hook(entry.mount, home_of(key)) if entry.mount else NO_TOKEN_KEY
