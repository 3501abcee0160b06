# SPDX-License-Identifier: EUPL-1.2
"""What a change of the slots meets, found out without making it: its refusals, and the configuration after it.

Each function refuses what the change itself would refuse now, in the same words, and asks the same devices. They
serve who only wants to know, and the answer to a change, which is recorded before the change is made.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from hsm.errors import HsmError, SlotUnavailable
from hsm.key_slot import KeyIdentity, KeySlot
from vault.barrier.key import KEY_BYTES, Key
from vault.seal.changes import recovery_key
from vault.seal.changes.root_rotation import check_dropped
from vault.seal.changes.slot_changes import SlotChanges
from vault.seal.failure import SealFailure, SealRefusal
from vault.seal.records import seal_store
from vault.seal.records.record import SHAMIR_SLOT, SealConfig, SlotEntry
from vault.seal.records.sealwrap import LostValues
from vault.seal.records.slots import unwrap_root, wrap_root


async def add(changes: SlotChanges, name: str) -> SealConfig:
    """As `SlotChanges.add`."""
    async with changes.lock:
        config = await changes.config()
        return _with(changes, config, name, await _newest(changes.new_slot(config, name)))


async def add_shamir(changes: SlotChanges) -> SealConfig:
    """As `SlotChanges.add_shamir`."""
    async with changes.lock:
        config = await changes.config()
        changes.check_shares_wanted(config)
        await seal_store.unwrap_recovery(changes.storage.reader(), config, changes.slots)
        entry = SlotEntry(
            kind=SHAMIR_SLOT, revision=1, root_version=config.root_version, added=changes.timestamp()
        )
        return config.with_entry(changes.slots.shamir, entry)


async def remove(changes: SlotChanges, name: str, *, abandon: bool = False) -> tuple[SealConfig, LostValues]:
    """As `SlotChanges.remove`; return also the values that would be deleted."""
    async with changes.lock:
        config = await changes.config()
        await changes.leaving(config, name)
        more = await recovery_key.recovery_to_leave(changes, config, {name}, abandon=abandon)
        lost = await changes.hand_values_over(config, {name}, dry_run=True, abandon=abandon)
        ends = more is None and await recovery_key.only_held_by(changes, config, {name})
        config = config.without(name)
        return msgspec.structs.replace(config, recovery=None) if ends or not config.wrapped else config, lost


async def move(changes: SlotChanges, name: str, *, first: bool) -> SealConfig:
    """As `SlotChanges.move`."""
    return changes.reordered(await changes.config(), name, first=first)


async def renew(changes: SlotChanges, name: str) -> SealConfig:
    """As `SlotChanges.renew`."""
    async with changes.lock:
        config = await changes.config()
        return _with(changes, config, name, await _newest(changes.vault_slot(config, name)))


async def rotate_root(
    changes: SlotChanges, *, links: bool, drop: Collection[str] = (), abandon: bool = False
) -> tuple[Sequence[str], LostValues]:
    """As `root_rotation.rotate_root`; return the slots that it drops, and the values that it deletes.

    Raises `SealRefusal` also for a name in `drop` that no slot has.
    """
    async with changes.lock:
        config = await changes.config()
        unknown = sorted(set(drop) - set(config.slots))
        if unknown:
            there = ", ".join(config.slots)
            raise SealRefusal(f"drop: names a seal slot that is not there; the vault has {there}")
        await changes.slots.source(changes.random)
        if links:
            return (), {}
        renewed = [
            name for name in config.wrapped if name not in drop and await _takes(changes, config, name)
        ]
        dropped = [name for name in config.slots if name not in renewed]
        check_dropped(config, dropped, drop)
        if not dropped:
            return dropped, {}
        return dropped, await changes.hand_over(config, dropped, dry_run=True, abandon=abandon)


async def _newest(slot: KeySlot) -> KeyIdentity:
    """Return the key that the slot would be put under. Raises `HsmError`."""
    state = await slot.probe()
    if not state.up:
        raise SlotUnavailable(state.reason)
    return await slot.identify()


async def _takes(changes: SlotChanges, config: SealConfig, name: str) -> bool:
    """Whether slot `name` wraps a key now and gives it back, as a record that nobody stores."""
    slot = changes.slots.get(name)
    if slot is None:
        return False
    key, revision = Key(changes.random(KEY_BYTES)), config.entry(name).revision + 1
    try:
        identity = await seal_store.recorded_key(changes.storage.reader(), config, slot)
        record = await wrap_root(
            slot,
            key,
            generation=config.generation,
            root_version=config.root_version + 1,
            revision=revision,
            random=changes.random,
            key=identity,
        )
        opened = await unwrap_root(slot, record, generation=config.generation, revision=revision)
    except (HsmError, SealFailure):
        return False
    return opened.same(key)


def _with(changes: SlotChanges, config: SealConfig, name: str, key: KeyIdentity) -> SealConfig:
    """Return `config` once slot `name` holds the newest root key under the newest version of its own."""
    old = config.entry(name).revision if name in config.slots else 0
    slot = changes.configured(name)
    entry = SlotEntry(
        kind=slot.kind,
        revision=old + 1,
        root_version=config.root_version,
        key_version=key.version,
        key_label=key.label,
        key_fingerprint=key.fingerprint,
        key_authenticator=key.authenticator,
        key_imported=key.imported,
        added=changes.timestamp(),
    )
    return config.with_entry(name, entry)
