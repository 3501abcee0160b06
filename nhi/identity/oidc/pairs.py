# SPDX-License-Identifier: EUPL-1.2
"""Key pairs are made before a transaction begins, for writers wait for each other; and rotated when it is time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import msgspec

from nhi.identity.records.oidc import KEYS, NamedKey, named_key, put_key
from nhi.jose.signing_key import ALGORITHMS, SigningKey, closed, generate, opened, sign
from vault.barrier.view import ReadView, View
from vault.cache.follow import BoundedCache
from vault.framework.call import Call
from vault.framework.clock import Clock, Entropy
from vault.framework.errors import Limited
from vault.framework.keys.external import AskFirst
from vault.framework.keys.safe import BareKeys, Safe
from vault.values.ids import NamespaceId

WAITING: Final = 32
"""Calls that may wait for their pairs."""
_SURPRISES: Final = 2
"""Algorithms that a key may have had by turns before a call of its own has pairs of all."""
_ROTATIONS: Final = 64
"""Rotations whose pair waits for their transaction."""


class NewPairs(msgspec.Struct, frozen=True):
    """New pairs by their algorithm, as they are kept, for the call that had to wait for them."""

    pairs: Mapping[str, Sequence[SigningKey]]


class KeyPairs:
    """Makes key pairs, signs with them, and rotates the keys that they belong to. They lie in the safe.

    Every method raises `Unavailable` while no slot opens that.
    """

    def __init__(self, clock: Clock, entropy: Entropy, safe: Safe) -> None:
        self._clock = clock
        self._safe = safe
        self._entropy = entropy
        self._next: BoundedCache[str, SigningKey] = BoundedCache(_ROTATIONS)
        self._thread = ThreadPoolExecutor(1, "signing-key")
        self._waiting = 0

    def take(self, call: Call, key: NamedKey, *known: SigningKey) -> tuple[SigningKey, SigningKey]:
        """Return what signs for `key` and what signs next: pairs that are `known`, and new ones of its algorithm.

        Raises `AskFirst` where they are yet to be made: no other write waits for that. A call whose key has
        another algorithm whenever its turn comes has pairs of all of them at last.
        Where too many wait for theirs, that is refused (`Limited`).
        """
        lacking = 2 - len(known)
        made = call.prepared.pairs if isinstance(call.prepared, NewPairs) else {}
        fit = made.get(key.algorithm, ())
        if len(fit) >= lacking:
            current, following = *known, *fit[:lacking]
            return current, following
        wanted = (key.algorithm,) if len(made) < _SURPRISES else ALGORITHMS

        async def make() -> NewPairs:
            if self._waiting >= WAITING:
                raise Limited("too many signing keys are being made; try again")
            self._waiting += 1
            try:
                return NewPairs({**made, **{one: await self._new(one, lacking) for one in wanted}})
            finally:
                self._waiting -= 1

        raise AskFirst(make)

    async def sign(self, key: SigningKey, claims: Mapping[str, Any]) -> str:
        """Return a JWT of these claims."""
        return sign(await opened(self._safe, key), claims)

    def bare(self, namespace_id: NamespaceId) -> BareKeys[NamedKey]:
        """Return what a namespace may have kept without the safe."""

        async def names(view: ReadView) -> Sequence[str]:
            return await view.list(KEYS)

        async def put(view: View, key: NamedKey) -> None:
            await put_key(view, namespace_id, self._kept(key))

        return BareKeys(namespace_id, "", names, named_key, _bare, put)

    def _kept(self, key: NamedKey) -> NamedKey:
        """Return a key with its pairs in the safe. Raises `Unavailable`."""
        current, following = (
            closed(self._safe, pair) if pair is not None and pair.private else pair
            for pair in (key.current, key.following)
        )
        return msgspec.structs.replace(key, current=current, following=following)

    async def rotate(self, core: View, key: str) -> None:
        """Rotate a key whose timer has come. Raises `AskFirst` where the pair that follows is yet to be made."""
        home_id, _, name = key.partition(":")
        namespace_id = NamespaceId(home_id)
        place = core.space(namespace_id)
        found = await named_key(place, name)
        now = self._clock.nanos()
        if found is None or found.following is None:
            return
        if found.rotates <= now:
            fresh = self._next.get(key)
            self._next.drop(key)
            if fresh is None or fresh.algorithm != found.algorithm:
                algorithm = found.algorithm

                async def make() -> None:
                    self._next.put(key, *await self._new(algorithm, 1))

                raise AskFirst(make)
            found = found.with_pairs(found.following, fresh, now, found.verification_ttl)
        await put_key(place, namespace_id, found)

    async def ready(self, call: Call, key: NamedKey) -> NamedKey:
        """Return a key that can sign, in the open transaction: the default one gets its pairs when it is needed.

        Raises `AskFirst` where they are yet to be made.
        """
        if key.current is not None:
            return key
        now = self._clock.nanos()
        made = key.with_pairs(*self.take(call, key), now, key.verification_ttl)
        await put_key(call.core, call.namespace.id, made)
        return made

    async def _new(self, algorithm: str, count: int) -> Sequence[SigningKey]:
        """Make pairs, in a thread that only such work waits for. Raises `BarrierSealed` where that is too late."""
        kids = [self._entropy.uuid() for _ in range(count)]
        work = asyncio.get_running_loop().run_in_executor(
            self._thread, lambda: [generate(algorithm, kid) for kid in kids]
        )
        return [closed(self._safe, pair) for pair in await work]


def _bare(key: NamedKey) -> bool:
    """Whether a private key of it is kept without the safe."""
    return any(pair is not None and bool(pair.private) for pair in (key.current, key.following))
