# SPDX-License-Identifier: EUPL-1.2
"""The recovery key under every key slot: given to those that join or come back, and kept when one leaves.

The caller holds `changes.lock`, except where a function says that it takes the lock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import suppress
from typing import Protocol

import msgspec

from hsm import envelope
from hsm.errors import HsmError
from hsm.key_slot import KeyIdentity, KeySlot
from vault.barrier.key import Key, Random
from vault.seal.failure import SealFailure, SealRefusal
from vault.seal.records import seal_store
from vault.seal.records.record import RecoveryKey, SealConfig, decode, encode, holding_phrase, recovery_path
from vault.seal.records.slots import Slots
from vault.storage.protocol import ReadTx, Storage, Tx


class VaultSlots(Protocol):
    """What this needs of `SlotChanges`."""

    storage: Storage
    slots: Slots
    random: Random
    lock: asyncio.Lock

    async def config(self, tx: ReadTx | None = None) -> SealConfig:
        """Return the stored configuration."""

    def configured(self, name: str) -> KeySlot:
        """Return the configured slot `name`."""

    async def unchanged(self, tx: Tx, config: SealConfig) -> SealConfig:
        """Return what is stored, unless it is another configuration."""


async def give_recovery(changes: VaultSlots, name: str) -> bool:
    """Wrap the recovery key for key slot `name` too if it lacks that; return whether it did. Takes the lock.

    A slot lacks it that was away when recovery shares were made. Raises `HsmError`, `SealFailure`, `SealRefusal`.
    """
    async with changes.lock:
        config = await changes.config()
        if config.recovery is None or name not in config.wrapped:
            return False
        if name in (await seal_store.recovery_record(changes.storage.reader(), config)).wrapped:
            return False
        await store(changes, config, await _extended(changes, changes.configured(name), config))
        return True


class RecoveryUpdate(msgspec.Struct, frozen=True):
    """The recovery key's record with another wrap: what is at `path` now, and what is to be there."""

    path: str
    before: bytes
    record: RecoveryKey

    async def put(self, tx: Tx) -> None:
        """Store it. Raises `SealFailure` where somebody else changed the record meanwhile: a wrap would be lost."""
        if await tx.get(self.path) != self.before:
            raise SealFailure("the recovery key was wrapped for another slot meanwhile; try again")
        await tx.put(self.path, encode(self.path, self.record))


async def recovery_for(
    changes: VaultSlots, slot: KeySlot, config: SealConfig, identity: KeyIdentity | None
) -> RecoveryUpdate | None:
    """Return the recovery key's record with a wrap under `identity` of `slot`; None where there is none.

    Where no slot gives the recovery key, its record stays as it is. Raises `HsmError`.
    """
    if config.recovery is None:
        return None
    try:
        given = await _given(changes, config)
    except SealFailure:
        return None
    return await _with(changes, slot, config, identity, *given)


async def _given(changes: VaultSlots, config: SealConfig) -> tuple[Key, bytes]:
    """Return the recovery key, and its record as it was stored before. Raises `SealFailure` where no slot gives it."""
    assert config.recovery is not None
    reader = changes.storage.reader()
    data = await reader.get(recovery_path(config.recovery.revision))
    key = await seal_store.unwrap_recovery(reader, config, changes.slots)
    assert data is not None
    return key, data


async def _with(
    changes: VaultSlots,
    slot: KeySlot,
    config: SealConfig,
    identity: KeyIdentity | None,
    key: Key,
    data: bytes,
) -> RecoveryUpdate:
    """Return the record `data` with a wrap of `key`, the recovery key, under `slot`. Raises `HsmError`."""
    assert config.recovery is not None
    path = recovery_path(config.recovery.revision)
    record = decode(path, data, RecoveryKey)
    place = seal_store.recovery_place(slot.name, generation=config.generation, path=path)
    value = await envelope.seal(slot, place, key.reveal(), changes.random, identity)
    more = msgspec.structs.replace(record, wrapped={**record.wrapped, slot.name: value})
    return RecoveryUpdate(path, data, more)


async def recovery_to_leave(
    changes: VaultSlots, config: SealConfig, leaving: Collection[str], *, abandon: bool
) -> RecoveryUpdate | None:
    """Return what to store so that a key slot that stays has the recovery key, where those `leaving` alone have it.

    None where nothing is to be done, or with `abandon` where no slot gives it: `take_recovery` ends it then. Raises
    `SealRefusal` if none that stays can take it.
    """
    staying = [name for name in config.wrapped if name not in leaving]
    if config.recovery is None or not staying or not set(leaving) & set(config.wrapped):
        return None
    held = await seal_store.recovery_record(changes.storage.reader(), config)
    if not held.wrapped.keys().isdisjoint(staying):
        return None
    refusal = SealRefusal(
        f"only {holding_phrase(held.wrapped)} the recovery key, and no slot that stays can take it now; repair one, "
        "rotate the recovery key first, or say abandon where no slot gives it any more: recovery keys end with it"
    )
    try:
        given = await _given(changes, config)
    except SealFailure:
        if abandon and held.wrapped.keys() <= set(leaving):
            return None
        raise refusal from None
    for slot in (changes.slots.get(name) for name in staying):
        if slot is not None:
            with suppress(HsmError):
                return await _with(changes, slot, config, config.entry(slot.name).key, *given)
    raise refusal


async def only_held_by(changes: VaultSlots, config: SealConfig, names: Collection[str]) -> bool:
    """Whether there is a recovery key, and it is wrapped for no slot but `names`. No device is asked."""
    if config.recovery is None:
        return False
    record = await seal_store.recovery_record(changes.storage.reader(), config)
    return record.wrapped.keys() <= set(names)


async def take_recovery(tx: Tx, config: SealConfig, left: Collection[str]) -> SealConfig:
    """Forget within `tx` the recovery key's wraps under the slots `left`, which are no part of `config` any more.

    Returns the configuration to store: without the recovery key where they alone held it, which was abandoned then.
    """
    if config.recovery is None:
        return config
    record = await seal_store.recovery_record(tx, config)
    kept = {name: wrap for name, wrap in record.wrapped.items() if name not in left}
    if record.wrapped and not kept:
        return await seal_store.drop_recovery(tx, config)
    if len(kept) < len(record.wrapped):
        path = recovery_path(config.recovery.revision)
        await tx.put(path, encode(path, msgspec.structs.replace(record, wrapped=kept)))
    return config


async def _extended(changes: VaultSlots, slot: KeySlot, config: SealConfig) -> RecoveryUpdate:
    """Return the recovery key's record, wrapped for `slot` too. Raises `HsmError`, `SealFailure`."""
    record = await recovery_for(changes, slot, config, config.entry(slot.name).key)
    if record is None:
        raise SealFailure("no slot gives the recovery key")
    return record


async def store(changes: VaultSlots, config: SealConfig, record: RecoveryUpdate) -> None:
    """Store the recovery key's record, if nothing has changed since it was made. Raises `SealFailure`."""
    async with changes.storage.write() as tx:
        await changes.unchanged(tx, config)
        await record.put(tx)
