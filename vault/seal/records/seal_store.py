# SPDX-License-Identifier: EUPL-1.2
"""The stored seal: reading it, and following it from a slot to the newest root key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hsm import envelope as slot_envelope
from hsm.envelope import RecordAddress
from hsm.errors import HsmError, IntegrityError
from hsm.key_slot import KeyIdentity, KeySlot
from vault.barrier import envelope
from vault.barrier.failure import BarrierFailure
from vault.barrier.key import KEY_BYTES, Key, Random
from vault.seal.failure import SealFailure
from vault.seal.records.record import (
    CONFIG_PATH,
    RecoveryEntry,
    RecoveryKey,
    RootLink,
    SealConfig,
    ShamirSlot,
    SlotEntry,
    WrappedSlot,
    decode,
    encode,
    link_path,
    recovery_path,
    slot_path,
)
from vault.seal.records.slots import NoSlotAnswers, Reasons, Slots, check_canary, unwrap_root
from vault.storage.protocol import ReadTx, Tx

SEAL_KIND: Final = "seal"
"""Kind of the invalidation (key "") when the stored seal changes."""

DAMAGED: Final = "damaged"
"""Stands for the version of a key where a record does not say it; no version of a PKCS#11 key is called so by us."""

_LINK: Final = "coffre.root-link"
_NAMESPACE: Final = "root"


async def read_config(tx: ReadTx) -> SealConfig | None:
    """Return the stored configuration, or None before initialisation; raises `SealFailure`."""
    data = await tx.get(CONFIG_PATH)
    return None if data is None else decode(CONFIG_PATH, data, SealConfig)


async def write_config(tx: Tx, config: SealConfig) -> None:
    """Store the configuration, and say that it changed."""
    await tx.put(CONFIG_PATH, encode(CONFIG_PATH, config))
    await tx.invalidate(SEAL_KIND, "")


async def shamir_slot(tx: ReadTx, config: SealConfig, name: str) -> ShamirSlot:
    """Return the record of the slot for shares; raises `SealFailure`."""
    path = slot_path(name, config.entry(name).revision)
    return decode(path, await _filled(tx, path), ShamirSlot)


async def wrapped_slot(tx: ReadTx, config: SealConfig, name: str) -> WrappedSlot:
    """Return the record of a key slot; raises `SealFailure`."""
    path = slot_path(name, config.entry(name).revision)
    return decode(path, await _filled(tx, path), WrappedSlot)


async def recorded_key(tx: ReadTx, config: SealConfig, slot: KeySlot) -> KeyIdentity:
    """Have the key that the entry of `slot` names prove itself, and return all that it is known by.

    Where the entry says less of it than that, as an older one does, its stored canary tells whether it is the key.
    Raises `HsmError`, `SealFailure`.
    """
    entry = config.entry(slot.name)
    key = await slot.identify(entry.key)
    if (key.fingerprint, key.authenticator) != (entry.key_fingerprint, entry.key_authenticator):
        record = await wrapped_slot(tx, config, slot.name)
        await check_canary(slot, record, generation=config.generation, revision=entry.revision)
    return key


async def unwrap_any(tx: ReadTx, config: SealConfig, slots: Slots) -> tuple[Key, str, Reasons]:
    """Return the newest root key, the name of the slot that gave it, and what went wrong with earlier ones.

    Slots are tried in stored order. Raises `NoSlotAnswers`.
    """
    reasons: Reasons = {}
    for name in config.wrapped:
        slot = slots.get(name)
        if slot is None:
            continue
        try:
            return await unwrap_newest(tx, config, slot), name, reasons
        except (HsmError, SealFailure) as failure:
            reasons[name] = failure
    raise NoSlotAnswers(reasons)


async def unwrap_newest(tx: ReadTx, config: SealConfig, slot: KeySlot) -> Key:
    """Return the newest root key through `slot`. Raises `HsmError`, or `SealFailure` for damaged records."""
    record = await wrapped_slot(tx, config, slot.name)
    revision = config.entry(slot.name).revision
    root_key = await unwrap_root(slot, record, generation=config.generation, revision=revision)
    return await follow_links(tx, config, root_key, record.root_version)


def link(old: Key, new: Key, config: SealConfig, version: int, random: Random) -> bytes:
    """Return the stored link from root key `version` to the next one."""
    path = link_path(version)
    wrapped = envelope.wrap(_link_key(old, config), (_LINK, path), new.reveal(), random)
    return encode(path, RootLink(wrapped=wrapped))


async def follow_links(tx: ReadTx, config: SealConfig, root_key: Key, version: int) -> Key:
    """Return the newest root key, given the one of generation `version`; raises `SealFailure`."""
    for step in range(version, config.root_version):
        path = link_path(step)
        found = decode(path, await _filled(tx, path), RootLink)
        try:
            root_key = Key(envelope.unwrap(_link_key(root_key, config), (_LINK, path), found.wrapped))
        except BarrierFailure:
            raise SealFailure("the stored link between two root keys fails its integrity check") from None
    return root_key


async def check_shares(tx: ReadTx, config: SealConfig, name: str) -> None:
    """Raise `SealFailure` where no shares could open slot `name`: its record or a link from it is damaged or missing.

    Whether the shares are the right ones, only those who hold them can show.
    """
    slot = await shamir_slot(tx, config, name)
    if (slot.generation, slot.root_version) != (config.generation, config.entry(name).root_version):
        raise SealFailure(f"the stored record of slot {name} belongs to another vault or root key")
    for step in range(slot.root_version, config.root_version):
        path = link_path(step)
        decode(path, await _filled(tx, path), RootLink)


async def recovery_record(tx: ReadTx, config: SealConfig) -> RecoveryKey:
    """Return the record of the recovery key, which there must be; raises `SealFailure`."""
    assert config.recovery is not None
    path = recovery_path(config.recovery.revision)
    return decode(path, await _filled(tx, path), RecoveryKey)


async def unwrap_recovery(tx: ReadTx, config: SealConfig, slots: Slots) -> Key:
    """Return the recovery key. Raises `NoSlotAnswers` or `SealFailure`."""
    assert config.recovery is not None
    path = recovery_path(config.recovery.revision)
    record = decode(path, await _filled(tx, path), RecoveryKey)
    reasons: Reasons = {}
    for name in config.wrapped:
        slot = slots.get(name)
        if slot is None or name not in record.wrapped:
            continue
        place = recovery_place(name, generation=config.generation, path=path)
        try:
            return Key(await slot_envelope.unseal(slot, place, record.wrapped[name]))
        except HsmError as failure:
            reasons[name] = failure
    raise NoSlotAnswers(reasons)


async def wrap_recovery(
    key: Key, generation: str, revision: int, entries: Mapping[str, SlotEntry], slots: Slots, random: Random
) -> RecoveryKey:
    """Wrap the recovery key under each of the slots `entries` that answers; `NoSlotAnswers` when none does."""
    path = recovery_path(revision)
    wrapped: dict[str, bytes] = {}
    reasons: Reasons = {}
    for name, entry in entries.items():
        slot = slots.get(name)
        if slot is None:
            continue
        try:
            place = recovery_place(name, generation=generation, path=path)
            wrapped[name] = await slot_envelope.seal(slot, place, key.reveal(), random, entry.key)
        except HsmError as failure:
            reasons[name] = failure
    if not wrapped:
        raise NoSlotAnswers(reasons)
    return RecoveryKey(generation=generation, wrapped=wrapped)


async def store_recovery(tx: Tx, config: SealConfig, record: RecoveryKey, entry: RecoveryEntry) -> SealConfig:
    """Store the recovery key within `tx`, and return the configuration that names it: store that too."""
    path = recovery_path(entry.revision)
    if config.recovery is not None and config.recovery.revision != entry.revision:
        await tx.delete(recovery_path(config.recovery.revision))
    await tx.put(path, encode(path, record))
    return msgspec.structs.replace(config, recovery=entry)


async def drop_recovery(tx: Tx, config: SealConfig) -> SealConfig:
    """Forget the recovery key within `tx`, and return the configuration without it: store that too."""
    if config.recovery is not None:
        await tx.delete(recovery_path(config.recovery.revision))
    return msgspec.structs.replace(config, recovery=None)


async def references(tx: ReadTx, config: SealConfig) -> dict[str, dict[str, int]]:
    """Count what is stored under each version of each slot's key: a version that holds nothing can be retired."""
    found: dict[str, dict[str, int]] = {name: {} for name in config.wrapped}
    for name in config.wrapped:
        record = await wrapped_slot(tx, config, name)
        for value in (record.root, record.canary):
            count(found[name], value)
    if config.recovery is not None:
        path = recovery_path(config.recovery.revision)
        for name, value in decode(path, await _filled(tx, path), RecoveryKey).wrapped.items():
            count(found.setdefault(name, {}), value)
    return found


def count(found: dict[str, int], value: bytes) -> None:
    """Add one to the version of the key that the record `value` is under, or to `DAMAGED`."""
    try:
        version = slot_envelope.key_version(value)
    except IntegrityError:
        version = DAMAGED
    found[version] = found.get(version, 0) + 1


def recovery_place(name: str, *, generation: str, path: str) -> RecordAddress:
    """Return where the recovery key belongs under slot `name`."""
    return RecordAddress(slot=name, purpose="recovery", cluster=generation, namespace=_NAMESPACE, path=path)


def _link_key(root_key: Key, config: SealConfig) -> Key:
    kdf = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=config.generation.encode(), info=_LINK.encode())
    return Key(kdf.derive(root_key.reveal()))


async def _filled(tx: ReadTx, path: str) -> bytes:
    data = await tx.get(path)
    if data is None:
        raise SealFailure("the stored seal configuration names a slot that is missing")
    return data
