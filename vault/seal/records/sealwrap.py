# SPDX-License-Identifier: EUPL-1.2
"""Seal wrapping: a value that needs a key slot to be read, besides the barrier that it lies behind.

For the few secrets that should not be readable from memory and storage alone. A value is wrapped for every key
slot of the vault, any of which opens it; without key slots it lies behind the barrier only. Losing all slots
loses these values and nothing else. What was read is kept for at most a minute, and forgotten when sealed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final, TypeAlias

import msgspec

from hsm import envelope
from hsm.envelope import RecordAddress
from hsm.errors import HsmError
from vault.barrier.barrier import Barrier
from vault.barrier.failure import BarrierFailure
from vault.barrier.key import Random
from vault.barrier.stored import NewerFormat, RecordKind, UnknownFormat, version_of
from vault.barrier.view import ReadView, View
from vault.seal.failure import SealFailure
from vault.seal.records import seal_store
from vault.seal.records.record import SealConfig
from vault.seal.records.slots import NoSlotAnswers, Reasons, Slots
from vault.storage.protocol import ReadTx, Storage, Tx
from vault.values.ids import ROOT_ID, NamespaceId

PREFIX: Final = "sealwrap/"
"""Below a namespace's own data: everything that is wrapped for slots."""

KEPT_SECONDS: Final = 60.0
"""How long a value that was read is kept."""

_MOST: Final = 1024
_DAMAGED: Final = "fails its integrity check, or has an unknown format"
_MOVED: Final = "the slots were changed meanwhile; try again"
_CORE: Final = "ns/root/"


class WrappedValue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A value as it lies behind the barrier: in the clear, or under each slot."""

    v: Annotated[int, msgspec.Meta(ge=1, le=1)] = 1
    plain: bytes | None = None
    slots: Mapping[str, bytes] = {}


_WRAPPED: Final = RecordKind("seal-wrapped value", WrappedValue, json=True)


@dataclass(frozen=True, slots=True)
class LostValue:
    """A value that no slot opens now."""

    data: bytes = field(repr=False)
    """What is stored for it."""
    holders: tuple[str, ...]
    """The slots that it is wrapped for."""
    failure: SealFailure


LostValues: TypeAlias = Mapping[str, LostValue]
"""Values that no slot opens, by their paths."""


class SealWrap:
    """Writes and reads wrapped values of namespaces. Every method raises `BarrierSealed` while sealed."""

    def __init__(
        self, storage: Storage, barrier: Barrier, slots: Slots, *, now: Callable[[], float], random: Random
    ) -> None:
        """`now` gives seconds that only grow, `random` entropy. Call `drop` when the vault is sealed."""
        self._storage = storage
        self._barrier = barrier
        self._slots = slots
        self._now = now
        self._random = random
        self._kept: dict[bytes, tuple[float, bytes]] = {}
        self.memories: list[Callable[[str, bytes], bytes | None]] = []
        """Asked for the value at a path and what is stored there: who has it in memory gives it to other slots."""

    async def wrap(self, namespace_id: NamespaceId, path: str, value: bytes) -> bytes:
        """Return `value` wrapped for every slot that answers, to be stored with `put`.

        It asks devices, so call it outside transactions. Raises `NoSlotAnswers` when there are slots and none answers.
        """
        config = await self._config(self._storage.reader())
        return _WRAPPED.encode(await self._wrapped(config.wrapped, config, (namespace_id, path), value))

    async def _wrapped(
        self, names: tuple[str, ...], config: SealConfig, where: tuple[NamespaceId, str], value: bytes
    ) -> WrappedValue:
        """Return `value` for those of the slots `names` that answer; `where` is its namespace and path."""
        if not names:
            return WrappedValue(plain=value)
        found: dict[str, bytes] = {}
        reasons: Reasons = {}
        for name in names:
            slot = self._slots.get(name)
            if slot is None:
                continue
            try:
                found[name] = await envelope.seal(
                    slot, _place(name, config, *where), value, self._random, config.entry(name).key
                )
            except HsmError as failure:
                reasons[name] = failure
        if not found:
            raise NoSlotAnswers(reasons)
        return WrappedValue(slots=found)

    async def put(self, core: View, path: str, wrapped: bytes) -> None:
        """Store what `wrap` gave for the namespace of `core` and `path`.

        Raises `SealFailure` where the slots it was wrapped for are not the vault's any more: nobody could read it.
        """
        names = (await self._config(core.transaction)).wrapped
        found = _decoded(wrapped)
        held = {name: wrap for name, wrap in found.slots.items() if name in names}
        if bool(held) != bool(names):
            raise SealFailure(_MOVED)
        await core.put(PREFIX + path, _WRAPPED.encode(WrappedValue(plain=found.plain, slots=held)))

    async def get(self, core: ReadView, namespace_id: NamespaceId, path: str) -> bytes | None:
        """Return the value at `path`, or None. Raises `NoSlotAnswers`, or `SealFailure` for a damaged one."""
        data = await self.stored(core, path)
        return None if data is None else await self._open(namespace_id, path, data)

    async def stored(self, core: ReadView, path: str) -> bytes | None:
        """Return what is stored for the value at `path`, wrapped as it is, or None; asks no slot. Raises `SealFailure`."""
        try:
            return await core.get(PREFIX + path)
        except BarrierFailure:
            raise SealFailure(f"{path}: a seal-wrapped value {_DAMAGED}") from None

    async def delete(self, core: View, path: str) -> None:
        """Remove the value at `path`."""
        await core.delete(PREFIX + path)

    def drop(self) -> None:
        """Forget everything that was read."""
        self._kept.clear()

    async def lost(self) -> LostValues:
        """Try every value of the root namespace; return those that no slot opens now."""
        found: dict[str, LostValue] = {}
        for path in await self._paths():
            data = await self._row(path)
            if data is not None:
                await self._try(path, data, found)
        return found

    async def rewrap(self, name: str, *, missing: bool = False) -> tuple[int, LostValues]:
        """Wrap every value of the root namespace anew for slot `name`; return how many, and those that no slot opens.

        With `missing` only those that the slot lacks: it was away when they were written, or its joining was
        interrupted. Raises `HsmError` where the slot takes none, `SealFailure` once it is removed.
        """
        lost: dict[str, LostValue] = {}
        slot = self._slots.get(name)
        if slot is None:
            return 0, lost
        done = 0
        config = await self._config(self._storage.reader())
        for path in await self._paths():
            data = await self._row(path)
            if data is None or (missing and name in _holders(data)):
                continue
            value = await self._try(path, data, lost)
            if value is None:
                continue
            wrap = await envelope.seal(
                slot, _place(name, config, ROOT_ID, path), value, self._random, config.entry(name).key
            )
            async with self._barrier.write(ROOT_ID, _CORE) as core:
                if name not in (await self._config(core.transaction)).wrapped:
                    raise SealFailure(_MOVED)  # it was removed, and what it held was taken from it
                if await core.get(PREFIX + path) != data:
                    continue  # written anew meanwhile, and so under the newest key
                slots = {**_decoded(data).slots, name: wrap}
                await core.put(PREFIX + path, _WRAPPED.encode(WrappedValue(slots=slots)))
            done += 1
        return done, lost

    async def carry(self, names: tuple[str, ...], *, dry_run: bool = False) -> LostValues:
        """Give every value that none of the slots `names` holds to those that answer; to the barrier if there are none.

        For slots that are about to be all there are, or have become so. Return the values that nobody could be given,
        because no slot opens them. Raises `NoSlotAnswers` where a value cannot be taken; then what was done until
        then stays, and every value opens as before. With `dry_run` nothing is stored.
        """
        lost: dict[str, LostValue] = {}
        config = await self._config(self._storage.reader())
        for path in await self._paths():
            data = await self._row(path)
            held = _holders(data) if data is not None else ()
            if data is None or not held or not set(held).isdisjoint(names):
                continue
            value = await self._try(path, data, lost)
            if value is None:
                continue
            taken = await self._wrapped(names, config, (ROOT_ID, path), value)
            if dry_run:
                continue
            async with self._barrier.write(ROOT_ID, _CORE) as core:
                if await core.get(PREFIX + path) == data:
                    more = WrappedValue(slots={**_decoded(data).slots, **taken.slots}) if names else taken
                    await core.put(PREFIX + path, _WRAPPED.encode(more))
        return lost

    async def take(self, tx: Tx, leaving: Collection[str], abandoned: LostValues) -> None:
        """Remove within `tx` what is wrapped for the slots `leaving`, and the values `abandoned` for good.

        Raises `SealFailure` where those slots alone hold another value: it was made after the others were given theirs.
        """
        core = self._barrier.view(tx, ROOT_ID, _CORE)
        for path in await core.scan(PREFIX):
            data = await self._row(path, core)
            if data is None or set(_holders(data)).isdisjoint(leaving):
                continue
            slots = {name: wrap for name, wrap in _decoded(data).slots.items() if name not in leaving}
            if slots:
                await core.put(PREFIX + path, _WRAPPED.encode(WrappedValue(slots=slots)))
            elif path in abandoned and abandoned[path].data == data:
                await core.delete(PREFIX + path)
            else:
                raise SealFailure(_MOVED)

    async def forget(self, *leaving: str) -> None:
        """Remove what is wrapped for the slots `leaving` where others hold it too.

        Without any: for slots that are no part of the vault, where one that is holds it too.
        """
        for path in await self._paths():
            data = await self._row(path)
            config = await self._config(self._storage.reader())
            if data is None or not self._stale(data, config, leaving):
                continue
            async with self._barrier.write(ROOT_ID, _CORE) as core:
                data = await core.get(PREFIX + path)
                stale = self._stale(data or b"", await self._config(core.transaction), leaving)
                if data is not None and stale:
                    slots = {name: wrap for name, wrap in _decoded(data).slots.items() if name not in stale}
                    await core.put(PREFIX + path, _WRAPPED.encode(WrappedValue(slots=slots)))

    @staticmethod
    def _stale(data: bytes, config: SealConfig, leaving: Collection[str]) -> set[str]:
        held = set(_holders(data))
        stale = held & set(leaving) if leaving else held - set(config.wrapped)
        return stale if stale < held else set()

    async def count(self, found: dict[str, dict[str, int]]) -> None:
        """Add to `found` how many values each version of each slot's key holds."""
        for path in await self._paths():
            data = await self._row(path)
            for name, wrap in _found(data).slots.items() if data is not None else ():
                seal_store.count(found.setdefault(name, {}), wrap)

    async def stuck(self, working: Collection[str]) -> dict[str, int]:
        """Return how many values each slot holds that none of the slots `working` holds; asks no slot."""
        found: dict[str, int] = {}
        for path in await self._paths():
            data = await self._row(path)
            held = _holders(data) if data is not None else ()
            for name in held if set(held).isdisjoint(working) else ():
                found[name] = found.get(name, 0) + 1
        return found

    async def lacking(self, name: str) -> int:
        """Return how many values slot `name` does not hold."""
        found = [await self._row(path) for path in await self._paths()]
        return sum(data is not None and name not in _holders(data) for data in found)

    async def _try(self, path: str, data: bytes, lost: dict[str, LostValue]) -> bytes | None:
        """Return the value that `data` holds; where no slot opens it and nobody has it in memory, add it to `lost`."""
        try:
            return await self._open(ROOT_ID, path, data)
        except SealFailure as failure:
            known = next((value for memory in self.memories if (value := memory(path, data))), None)
            if known is None:
                lost[path] = LostValue(data, _holders(data), failure)
            return known

    async def _open(self, namespace_id: NamespaceId, path: str, data: bytes) -> bytes:
        found = _decoded(data)
        if found.plain is not None:
            return found.plain
        digest = hashlib.sha256(f"{namespace_id}\0{path}\0".encode() + data).digest()
        kept = self._kept.get(digest)
        now = self._now()
        if kept is not None and now - kept[0] < KEPT_SECONDS:
            return kept[1]
        value = await self._unwrap(namespace_id, path, found)
        self._keep(digest, now, value)
        return value

    async def _unwrap(self, namespace_id: NamespaceId, path: str, found: WrappedValue) -> bytes:
        config = await self._config(self._storage.reader())
        reasons: Reasons = {}
        for name in (*(n for n in config.wrapped if n in found.slots), *found.slots):
            slot = self._slots.get(name)
            if slot is None or name in reasons:
                continue
            try:
                place = _place(name, config, namespace_id, path)
                return await envelope.unseal(slot, place, found.slots[name])
            except HsmError as failure:
                reasons[name] = failure
        raise NoSlotAnswers(reasons)

    def _keep(self, digest: bytes, now: float, value: bytes) -> None:
        if self._barrier.sealed:
            return
        self._kept.pop(digest, None)
        self._kept[digest] = (now, value)
        for old in [key for key, (since, _) in self._kept.items() if now - since >= KEPT_SECONDS]:
            del self._kept[old]
        while len(self._kept) > _MOST:
            del self._kept[next(iter(self._kept))]

    async def _row(self, path: str, core: ReadView | None = None) -> bytes | None:
        """Return what is stored at `path`, or None; nothing of what is damaged, which is in no other value's way."""
        try:
            return await (core or self._barrier.reader(ROOT_ID, _CORE)).get(PREFIX + path)
        except BarrierFailure:
            return b""

    async def _paths(self) -> list[str]:
        return list(await self._barrier.reader(ROOT_ID, _CORE).scan(PREFIX))

    @staticmethod
    async def _config(tx: ReadTx) -> SealConfig:
        config = await seal_store.read_config(tx)
        if config is None:
            raise SealFailure("storage holds no seal configuration")
        return config


class ValuesLost(SealFailure):
    """No slot opens these wrapped values."""

    def __init__(self, lost: LostValues) -> None:
        super().__init__(lost_phrase(lost))
        self._lost = lost

    @property
    def gist(self) -> str:
        return "; ".join(f"{path}: {one.failure.gist}" for path, one in sorted(self._lost.items()))


def lost_phrase(lost: LostValues) -> str:
    """Return a sentence on values that no slot opens."""
    told = "; ".join(
        f"{path}, held by {', '.join(one.holders) or 'nobody'}: {one.failure}"
        for path, one in sorted(lost.items())
    )
    return f"no slot opens these wrapped values: {told}"


def deleted(lost: LostValues) -> list[str]:
    """Return a warning for wrapped values that go for good."""
    return [f"deleted for good, since no slot opens them: {', '.join(sorted(lost))}"] if lost else []


def _place(name: str, config: SealConfig, namespace_id: NamespaceId, path: str) -> RecordAddress:
    return RecordAddress(
        slot=name, purpose="sealwrap", cluster=config.generation, namespace=namespace_id, path=PREFIX + path
    )


def _decoded(data: bytes) -> WrappedValue:
    """Read what `put` stored; there is one spelling of it. Raises `SealFailure`."""
    try:
        found = _WRAPPED.decode(data)
    except NewerFormat as failure:
        raise SealFailure(str(failure)) from None
    except UnknownFormat:
        raise SealFailure(f"a seal-wrapped value {_DAMAGED}") from None
    if version_of(data) == _WRAPPED.version and _WRAPPED.encode(found) != data:
        raise SealFailure(f"a seal-wrapped value {_DAMAGED}")
    return found


def _found(data: bytes) -> WrappedValue:
    """As `_decoded`, but nothing of what has an unknown format."""
    try:
        return _decoded(data)
    except SealFailure:
        return WrappedValue()


def _holders(data: bytes) -> tuple[str, ...]:
    return tuple(_found(data).slots)
