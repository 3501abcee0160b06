# SPDX-License-Identifier: EUPL-1.2
"""One vault in several workers of a server: open and sealed together, with metrics that are of all of them.

Keys go from worker to worker, and each checks what it is given against the barrier before it uses it. What one worker alone
does by itself, such as opening through a key slot, each of the others does too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, Protocol

import msgspec

from vault.barrier.failure import BarrierFailure
from vault.barrier.key import Key
from vault.framework.telemetry.metrics import Metrics
from vault.framework.telemetry.sum import Sum, measured
from vault.seal.failure import SealFailure
from vault.seal.lifecycle import HeldKeys
from vault.server.application import Answer, Colleagues
from vault.server.compose.groups.ground import Ground
from vault.server.compose.groups.key_slots import KeySlots
from vault.server.config.settings import Listener
from vault.storage.protocol import StorageFailure
from vault.values.ids import NamespaceId


class _State(msgspec.Struct, frozen=True):
    """What a worker is, for another one to become. Without `namespaces` those stay as they are."""

    kept: bool = False
    keys: HeldKeys | None = None
    namespaces: dict[NamespaceId, bytes] | None = None
    levels: tuple[str, dict[str, str]] | None = None

    def __repr__(self) -> str:
        """Show no key."""
        return "_State(…)"


_TIMES: Final = 20
_PAUSE: Final = 0.05
"""How often others are asked for a key that one of them has just stored, and how many seconds pass in between."""
_DECODER: Final = msgspec.msgpack.Decoder(_State)


class Close(Protocol):
    """Seals; with `kept` no key slot opens the vault again."""

    def __call__(self, *, kept: bool = False) -> Awaitable[None]:
        """Do so."""
        ...


class Together:
    """One worker's part in it, and a `Member` for the others; without colleagues nothing happens."""

    def __init__(
        self,
        ground: Ground,
        key_slots: KeySlots,
        turn: asyncio.Lock,
        opened: Callable[[], Awaitable[None]],
        closing: Close,
        colleagues: Colleagues | None,
    ) -> None:
        """`turn` is held while the vault is opened or closed."""
        self._ground = ground
        self._key_slots = key_slots
        self._turn = turn
        self._opened = opened
        self._closing = closing
        self._colleagues = colleagues
        self._missed = False
        """Whether keys were given that could not be used when they came."""
        if colleagues is not None:
            key_slots.sealing.on_change(self._share_all, self._newer_of)
            key_slots.lifecycle.on_replaced(self._newest)

    @property
    def sealed(self) -> bool:
        """See `Member`."""
        return self._ground.barrier.sealed

    async def join(self) -> None:
        """Be one of the workers, open if they are."""
        if self._colleagues is not None:
            await self._colleagues.join(self)

    async def leave(self) -> None:
        """Be none of them any more."""
        if self._colleagues is not None:
            await self._colleagues.leave()

    async def look(self) -> None:
        """Ask for keys once more where they could not be used, as while storage was away."""
        if self._colleagues is not None and self._missed and self.sealed:
            await self._colleagues.look()

    def before(self, answer: Answer, listener: Listener) -> Answer:
        """See `Colleagues`."""
        return answer if self._colleagues is None else self._colleagues.before(answer, listener)

    async def share(self) -> None:
        """Have all workers open, as this one is."""
        if self._colleagues is not None and not self.sealed:
            await self._colleagues.share(
                msgspec.msgpack.encode(_State(keys=self._key_slots.lifecycle.held()))
            )

    async def share_levels(self) -> None:
        """Have all workers log as this one does."""
        if self._colleagues is not None:
            await self._colleagues.share(msgspec.msgpack.encode(_State(levels=self._ground.log.levels)))

    async def _share_all(self) -> None:
        if self._colleagues is not None and not self.sealed:
            await self._colleagues.share(await self.show())

    async def _newest(self, generation: str, version: int) -> Key | None:
        """Return the root key of a version, which another worker has stored just now and is about to use."""
        async for state in self._states():
            keys = state.keys
            if keys is not None and keys.generation == generation and keys.root_version >= version:
                return Key(keys.root_key)
        return None

    async def _newer_of(self, namespace_id: NamespaceId, known: Key) -> Key | None:
        """Return the root key of a namespace that another worker has put in the place of `known`."""
        async for state in self._states():
            value = (state.namespaces or {}).get(namespace_id)
            if value is not None and not known.same(Key(value)):
                return Key(value)
        return None

    async def _states(self) -> AsyncIterator[_State]:
        """Return what the others are, again and again for a while."""
        if self._colleagues is None:
            return
        for _ in range(_TIMES):
            for state in await self._colleagues.states():
                yield _DECODER.decode(state)
            await asyncio.sleep(_PAUSE)

    async def seal_others(self) -> None:
        """Have all other workers seal."""
        if self._colleagues is not None:
            await self._colleagues.seal()

    def collect(self) -> None:
        """Begin to send what a collector is sent, if there is one; the metrics of all workers are sent by the first."""
        feed, colleagues = self._ground.feed, self._colleagues
        if feed is not None:
            feed.start(self.metrics, lambda: colleagues is None or colleagues.first)

    async def metrics(self) -> Metrics:
        """Return the metrics of all workers together."""
        own = self._ground.metrics
        if self._colleagues is None:
            return await own.whole()
        return Sum(own, str(self._colleagues.number), await self._colleagues.measures())

    async def show(self) -> bytes:
        """See `Member`."""
        lifecycle, levels = self._key_slots.lifecycle, self._ground.log.levels
        if self.sealed:
            return msgspec.msgpack.encode(_State(kept=lifecycle.stays_sealed(), levels=levels))
        state = _State(keys=lifecycle.held(), namespaces=self._key_slots.sealing.held(), levels=levels)
        return msgspec.msgpack.encode(state)

    async def take(self, state: bytes) -> None:
        """See `Member`. What is given and cannot be used now is asked for again."""
        told = _DECODER.decode(state)
        if told.levels is not None:
            level, apart = told.levels
            self._ground.log.set_level(level)
            for module, other in apart.items():
                self._ground.log.set_level(other, module)
        if told.keys is None:
            if told.kept:
                await self._closing(kept=True)
            return
        self._missed = True
        try:
            async with self._turn:
                if await self._key_slots.lifecycle.take_over(told.keys):
                    await self._opened()
            if told.namespaces is not None and await self._key_slots.sealing.take_over(told.namespaces):
                await self._ground.follower.begin_anew()
            self._missed = False
        except (SealFailure, BarrierFailure, StorageFailure) as failure:
            self._ground.log.caution("seal", "another worker's keys cannot be used yet", reason=str(failure))

    async def seal(self) -> None:
        """See `Member`."""
        self._missed = False
        await self._closing(kept=True)

    async def measures(self) -> bytes:
        """See `Member`."""
        return measured(self._ground.metrics)
