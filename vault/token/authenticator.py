# SPDX-License-Identifier: EUPL-1.2
"""From the token on a request to the identity behind it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Final, Protocol, cast

from vault.barrier.barrier import Barrier
from vault.barrier.view import ReadView, core_prefix
from vault.cache.follow import BoundedCache, Follower
from vault.framework.call import ROOT, Call, Identity, Namespace, Restriction
from vault.framework.errors import Unauthenticated
from vault.framework.identity import EntityState
from vault.framework.request.operation import Operation
from vault.framework.secret import Secret
from vault.token.addresses import within
from vault.token.ancestors import Ancestor
from vault.token.entities import ENTITY_KIND, entity_key, present
from vault.token.model import TOKEN_KIND, TokenEntry
from vault.token.store import TokenStore
from vault.values.ids import TokenKey
from vault.values.times import Millis, Nanos, millis_to_nanos, nanos_to_millis

MOST_CACHED: Final = 10_000
"""Identities kept in memory."""
_BLOCKS: Final = "blocks"
"""Under which an identity remembers the addresses that it is bound to."""


class Authenticator(Protocol):
    """Authenticates the credentials of one shape."""

    def recognises(self, token: str) -> bool:
        """Whether this credential has the shape that this authenticator verifies."""
        ...

    def known(self, call: Call) -> Identity | None:
        """Return who calls if that is in memory and still true; None to ask `authenticate`."""
        ...

    async def authenticate(self, call: Call) -> Identity:
        """Return who calls. Raises `Unauthenticated` for anything that is not valid now."""
        ...


class Family:
    """Which cached tokens hang on which: when one is dropped, so are all that hang on it."""

    def __init__(self) -> None:
        self._below: dict[TokenKey, set[TokenKey]] = {}

    def join(self, key: TokenKey, above: Sequence[TokenKey]) -> None:
        """Remember what a key hangs on, nearest first."""
        for hook in above:
            self._below.setdefault(hook, set()).add(key)
            key = hook

    def fall(self, key: TokenKey) -> Iterator[TokenKey]:
        """Forget a key and all that hang on it; yield each."""
        falling = [key]
        while falling:
            fallen = falling.pop()
            yield fallen
            falling += self._below.pop(fallen, ())

    def clear(self) -> None:
        """Forget all of them."""
        self._below.clear()

    def __len__(self) -> int:
        """Return how many tokens others hang on."""
        return len(self._below)


class _NothingAllowed:
    """Checks that allow nothing: of a request that its token's own checks refuse. It takes no use of the token."""

    steady = False

    def allows(self, call: Call, operation: str, *, path: str) -> bool:
        """See `Restriction.allows`: nothing, whatever is found out about the request later."""
        del call, operation, path
        return False


class ServiceTokens:
    """Service tokens, looked up in storage and cached by digest until the epoch says otherwise.

    Use-limited tokens are never cached, and none that hangs on a chain, which is; expiry is checked at every use
    (SL-32). A use is taken only where address, proof of possession and checks let the request through.
    """

    def __init__(
        self, store: TokenStore, barrier: Barrier, follower: Follower, *, most: int = MOST_CACHED
    ) -> None:
        """`most` is how many tokens are cached."""
        self._most = most
        self._store = store
        self._barrier = barrier
        self._follower = follower
        self._cache: BoundedCache[bytes, Identity] = BoundedCache(most, _let_go)
        self._digests: dict[TokenKey, bytes] = {}
        self._family = Family()
        self._owned: dict[str, set[bytes]] = {}
        follower.own(TOKEN_KIND, self._drop, marks=True, knows=True)
        follower.own(ENTITY_KIND, self._drop_entity)

    def recognises(self, token: str) -> bool:
        """Everything that no other authenticator claims."""
        return bool(token)

    async def _drop(self, key: str | None) -> None:
        if key is None:
            self._cache.drop(None)
            self._digests.clear()
            self._family.clear()
            self._owned.clear()
        else:
            for fallen in self._family.fall(TokenKey(key)):
                digest = self._digests.pop(fallen, None)
                if digest is not None:
                    self._cache.drop(digest)

    def tidy(self, now: Millis) -> None:
        """Forget who has expired by `now`: nobody is told of it, and the token would stay in memory (SL-58)."""
        self._cache.discard(lambda identity: bool(identity.ends) and now >= identity.ends)

    async def _drop_entity(self, key: str | None) -> None:
        """Forget the tokens of an entity, or of all: what they are worth, or whether they are anything, changed."""
        for owner in list(self._owned) if key is None or key.endswith(":") else [key]:
            for digest in self._owned.pop(owner, ()):
                self._cache.drop(digest)

    def known(self, call: Call) -> Identity | None:
        """See `Authenticator.known`."""
        identity = self._cache.get(_digest(call.token))
        if identity is None or (identity.ends and call.now >= identity.ends):
            return None
        if identity.cache and not within_reach(call, identity):
            return None
        if identity.namespace is not ROOT and self._store.namespace(identity.key) is None:
            return None  # the namespace is gone, and with it everybody in it
        return identity

    async def authenticate(self, call: Call) -> Identity:
        """See `Authenticator.authenticate`."""
        return await self._load(call, call.token.reveal(), _digest(call.token))

    async def _load(self, call: Call, token: str, digest: bytes) -> Identity:
        key = self._store.key(token)
        core = core_reader(self._barrier, call.namespace)
        entry = await self._store.get(core, key)
        seen = core.epoch
        now = millis_to_nanos(call.now)
        if entry is None or (entry.expires and now >= entry.expires) or (entry.uses < 0 and not call.spent):
            raise Unauthenticated
        if entry.bound_cidrs and not within(call.client_address, entry.bound_cidrs):
            raise Unauthenticated
        keys = await self._store.ancestor_keys(core, key, entry, now)
        if keys is None:
            raise Unauthenticated
        if entry.uses and not call.spent:
            if keys.ancestor is None or _lets(call, keys.ancestor.narrowing):
                return await self._spend(call, key, keys.ancestor)
            identity = await self._identity(core, call, key, keys.shown(entry), keys.ancestor)
            identity.narrowing = _NothingAllowed()
            return identity
        identity = await self._identity(core, call, key, keys.shown(entry), keys.ancestor)
        identity.until = nanos_to_millis(keys.until)
        if (
            not (entry.uses or entry.chain) and 0 < self._follower.epoch <= seen
        ):  # what changes from here on is told
            if len(self._digests) > 2 * self._most or len(self._family) > 4 * self._most:
                await self._drop(None)
            self._cache.put(digest, identity)
            identity.held, identity.hooks = True, (key, *keys.above)
            self._digests[key] = digest
            self._family.join(key, keys.above)
            if entry.entity:
                owner = entity_key(identity.namespace.id, entry.entity)
                self._owned.setdefault(owner, set()).add(digest)
        return identity

    async def _spend(self, call: Call, key: TokenKey, ancestor: Ancestor | None) -> Identity:
        """Take one use off, durably, before anything is done with it."""
        async with self._barrier.write(call.namespace.id, core_prefix(call.namespace.id)) as core:
            entry = await self._store.spend(core, key, millis_to_nanos(call.now))
        if entry is None or (entry.expires and millis_to_nanos(call.now) >= entry.expires):
            raise Unauthenticated
        call.spent = True
        return await self._identity(core_reader(self._barrier, call.namespace), call, key, entry, ancestor)

    async def _identity(
        self, core: ReadView, call: Call, key: TokenKey, entry: TokenEntry, ancestor: Ancestor | None
    ) -> Identity:
        home = self._store.namespace(key)
        if home is None:
            raise Unauthenticated
        standing = await present(self._store.entities, core, home.id, entry.entity)
        return to_identity(call.token, key, entry, home, standing, ancestor)


async def identified(
    store: TokenStore, core: ReadView, token: Secret, key: TokenKey, entry: TokenEntry, now: Nanos
) -> Identity:
    """Return who a token that was found `living` stands for at `now` (nanoseconds).

    Raises `Unauthenticated` where its entity may do nothing, or what it was made with is not good.
    """
    home = store.namespace(key)
    ancestor = await store.ancestor(core, key, entry, now) if entry.chain else None
    if home is None or (entry.chain and ancestor is None):
        raise Unauthenticated
    standing = await present(store.entities, core, home.id, entry.entity)
    return to_identity(token, key, entry, home, standing, ancestor)


def _let_go(identity: Identity) -> None:
    identity.held = False


def _digest(token: Secret) -> bytes:
    """Return what identities are cached by: a digest, so that the cache's keys hold no tokens."""
    return hashlib.sha256(token.reveal().encode()).digest()


def _lets(call: Call, narrowing: Restriction) -> bool:
    """Whether the checks of a token let a request through, as far as is known of it before its policies are asked."""
    operations = [call.operation]
    if call.bound.exists is not None and call.operation is Operation.UPDATE:
        operations.append(Operation.CREATE)
    return any(narrowing.allows(call, one, path=call.namespace.path + call.path) for one in operations)


def within_reach(call: Call, identity: Identity) -> bool:
    """Whether a call comes from where its token may be used."""
    blocks = bound_to(identity)
    return not blocks or within(call.client_address, blocks)


def bound_to(identity: Identity) -> tuple[str, ...]:
    """Return the addresses that a token may be used from; none where it may be from anywhere."""
    return cast("tuple[str, ...]", identity.cache.get(_BLOCKS, ()))


def core_reader(barrier: Barrier, namespace: Namespace) -> ReadView:
    """Return a view of a namespace's own data."""
    return barrier.reader(namespace.id, core_prefix(namespace.id))


def to_identity(
    token: Secret,
    key: TokenKey,
    entry: TokenEntry,
    namespace: Namespace,
    standing: EntityState | None,
    ancestor: Ancestor | None,
) -> Identity:
    """Return the identity that a stored token of `namespace` stands for; `standing` is that of its entity.

    `ancestor` is what it was made with, whose checks are then its own.
    """
    identity = Identity(
        token=token,
        key=key,
        accessor=entry.accessor,
        policies=entry.policies,
        display_name=entry.display_name,
        metadata=entry.metadata,
        entity_id=entry.entity,
        entity=standing,
        orphan=entry.orphan,
        depth=entry.depth,
        created=entry.created,
        expires=nanos_to_millis(entry.expires),
        ttl=entry.ttl,
        uses=entry.uses,
        namespace=namespace,
    )
    if entry.bound_cidrs:
        identity.cache[_BLOCKS] = entry.bound_cidrs
    if ancestor is not None:
        identity.narrowing, identity.template_facts, identity.ancestor = (
            ancestor.narrowing,
            ancestor.facts,
            ancestor.name,
        )
    return identity
