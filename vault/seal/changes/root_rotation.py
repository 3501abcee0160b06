# SPDX-License-Identifier: EUPL-1.2
"""Changes that concern all slots of a vault at once: another root key, other shares, another kind of seal."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import msgspec

from hsm.errors import HsmError
from vault.barrier.key import KEY_BYTES, Key
from vault.seal.changes.slot_changes import SealChanged, SlotChanges
from vault.seal.failure import SealFailure, SealRefusal
from vault.seal.records import seal_store
from vault.seal.records.record import (
    SHAMIR_SLOT,
    RecoveryEntry,
    RecoveryKey,
    SealConfig,
    SlotEntry,
    WrappedSlot,
    link_path,
    slot_path,
)
from vault.seal.records.slots import NoSlotAnswers, Reasons
from vault.storage.protocol import Tx

NewRecords = dict[str, tuple[SlotEntry, WrappedSlot]]
"""What was written for the slots that answered, by their names."""


async def rotate_root(
    changes: SlotChanges, *, links: bool = True, drop: Collection[str] | None = None, abandon: bool = False
) -> SealConfig:
    """Replace the root key under all slots at once.

    1. Draw the new root key, with a device's randomness where there is one.
    2. Write a record of it for each key slot that answers, read it back and open it. None of them counts yet.
    3. Find out which slots are dropped, and give what they alone hold to those that stay.
    4. In one transaction: see that nothing changed since, encrypt the keyring under the new root key, store the link
       that leads from the old one, let the new records count, forget what was wrapped for dropped slots.
    5. After the commit, and only then, use the new root key in memory.

    Until 4 commits the old records open the vault, so a crash at any point leaves one set of slots that works.

    A slot that does not answer, and the one for shares, keeps the old key and a link that leads from it to the
    new one, until it is renewed or an unseal with shares brings it up to date. So until then the
    old key and the storage together give the new one. With `links` off such slots are dropped instead: after a
    compromise. What they alone hold goes to those that stay, as in `SlotChanges.remove`, `abandon` too. `drop` names those
    that are dropped, whether they answer or not; with None those that do not. Raises `SealRefusal` when another one
    would be, when no slot would be left or none can take what they hold; then nothing has changed.
    """
    return await changes.shield(_rotate_root(changes, links=links, drop=drop, abandon=abandon))


async def _rotate_root(
    changes: SlotChanges, *, links: bool, drop: Collection[str] | None, abandon: bool
) -> SealConfig:
    async with changes.lock:
        config = await changes.config()
        # 1. A device that answers mixes its randomness into the operating system's.
        random = await changes.slots.source(changes.random)
        new, version = Key(random(KEY_BYTES)), config.root_version + 1
        # 2. Devices are asked outside transactions: a slow one must not hold the storage's writer.
        renewed = await _wrap_everywhere(changes, config, new, version, drop or ())
        # 3. With links, a slot that is away stays: its record leads to the new root key.
        dropped = [] if links else [name for name in config.slots if name not in renewed]
        check_dropped(config, dropped, drop)
        lost = await changes.hand_over(config, dropped, abandon=abandon) if dropped else {}
        # 4.
        try:
            async with changes.storage.write() as tx:
                written = {slot_path(name, renewed[name][0].revision): renewed[name][1] for name in renewed}
                config = await changes.unchanged(tx, config, written)
                old = await changes.barrier.replace_root_in(tx, new)
                if links:
                    step = seal_store.link(old, new, config, version - 1, changes.random)
                    await tx.put(link_path(version - 1), step)
                config = await _switch(tx, config, renewed, dropped, version)
                config = await changes.take(tx, config, dropped, lost)
                await seal_store.write_config(tx, config)
        except BaseException:  # cancelled or not: what did not commit must not be used
            changes.barrier.keep_root()
            raise
        # 5.
        changes.barrier.adopt_root(new)
        changes.root_version = version
        return config


def check_dropped(config: SealConfig, dropped: Collection[str], drop: Collection[str] | None) -> None:
    """Raise `SealRefusal` where a rotation would drop all slots, or one that is not in `drop`; None for any."""
    if len(dropped) == len(config.slots):
        which = "no other seal slot" if drop else "no seal slot"
        raise SealRefusal(f"{which} answers, so nothing could open the vault under a new root key")
    unnamed = sorted(set(dropped) - set(drop)) if drop is not None else []
    if unnamed:
        why = ["people's shares" if config.entry(name).kind == SHAMIR_SLOT else "away" for name in unnamed]
        told = ", ".join(f"{name} ({reason})" for name, reason in zip(unnamed, why, strict=True))
        raise SealRefusal(
            f"without links these slots would be dropped, and open the vault no more: {told}; name them in drop to "
            "have that"
        )


async def replace_shares(changes: SlotChanges, key: Key, shares: int, threshold: int) -> SealConfig:
    """Make `key`, split into `shares`, the one that people hold: for recovery, for unsealing, or both.

    Raises `NoSlotAnswers` when the vault has key slots and none can keep the recovery key.
    """
    async with changes.lock:
        config = await changes.config()
        entry = _next_recovery(config, shares, threshold)
        record = await _recovery(changes, config, key, entry) if config.wrapped else None
        async with changes.storage.write() as tx:
            config = await changes.unchanged(tx, config)
            if record is not None:
                config = await seal_store.store_recovery(tx, config, record, entry)
            if config.shamir is not None:
                config = await changes.put_shamir(tx, config, key, shares, threshold)
            await seal_store.write_config(tx, config)
        return config


async def enter_slots(changes: SlotChanges, key: Key, shares: int, threshold: int) -> SealConfig:
    """Move the vault to the enabled key slots; the shares of `key` become recovery shares.

    Raises `NoSlotAnswers` when no slot can be entered; then nothing counts that did not before.
    """
    reasons: Reasons = {}
    async with changes.lock:
        for slot in changes.slots.enabled:
            try:
                await changes.renew_held(slot)
            except HsmError as failure:
                reasons[slot.name] = failure
        if len(reasons) == len(changes.slots.enabled):
            raise NoSlotAnswers(reasons)
        config = await changes.config()
        entry = _next_recovery(config, shares, threshold)
        left = {slot.name for slot in changes.slots.disabled}
        staying = msgspec.structs.replace(
            config, slots=tuple(name for name in config.slots if name not in left)
        )
        record = await _recovery(changes, staying, key, entry)
        async with changes.storage.write() as tx:
            config = await changes.unchanged(tx, config)
            config = await seal_store.store_recovery(tx, config, record, entry)
            config = _without(config, left & set(config.slots))
            if changes.slots.recovery_can_unseal or changes.slots.shamir_kept:
                config = await changes.put_shamir(tx, config, key, shares, threshold)
            elif config.shamir is not None:
                config = config.without(config.shamir)
            await seal_store.write_config(tx, await changes.tidy(tx, config))
        return config


async def leave_slots(changes: SlotChanges, key: Key, shares: int, threshold: int) -> SealConfig:
    """Move the vault from its key slots to shares of `key`, in one transaction."""
    async with changes.lock:
        config = await changes.config()
        async with changes.storage.write() as tx:
            config = await changes.unchanged(tx, config)
            config = await changes.put_shamir(tx, config, key, shares, threshold)
            config = _without(config, set(config.wrapped))
            config = await seal_store.drop_recovery(tx, config)
            await seal_store.write_config(tx, await changes.tidy(tx, config))
        return config


async def bring_shares_up(changes: SlotChanges, key: Key) -> None:
    """Give the slot for shares the newest root key, now that its shares were given and `key` is known."""
    async with changes.lock:
        config = await changes.config()
        name = config.shamir
        if name is None or name not in config.behind:
            return
        slot = await seal_store.shamir_slot(changes.storage.reader(), config, name)
        async with changes.storage.write() as tx:
            config = await changes.unchanged(tx, config)
            config = await changes.put_shamir(tx, config, key, slot.shares, slot.threshold)
            await seal_store.write_config(tx, config)


async def _wrap_everywhere(
    changes: SlotChanges, config: SealConfig, root_key: Key, version: int, drop: Collection[str]
) -> NewRecords:
    """Write records, which do not count yet, for the key slots that answer, but for `drop`; return their entries too.

    Raises `SealChanged`.
    """
    renewed: NewRecords = {}
    for name in config.wrapped:
        slot = changes.slots.get(name)
        if slot is None or name in drop:
            continue
        revision = config.entry(name).revision + 1
        try:
            identity = await seal_store.recorded_key(changes.storage.reader(), config, slot)
            record = await changes.write(slot, root_key, config, identity, version=version, revision=revision)
        except SealChanged:
            raise
        except (HsmError, SealFailure):
            continue
        renewed[name] = (changes.entry(record, identity, version=version, revision=revision), record)
    return renewed


async def _switch(
    tx: Tx, config: SealConfig, renewed: NewRecords, dropped: Iterable[str], version: int
) -> SealConfig:
    for name, (entry, _) in renewed.items():
        config = config.with_entry(name, entry)
    config = msgspec.structs.replace(_without(config, dropped), root_version=version)
    return await SlotChanges.tidy(tx, config)


def _without(config: SealConfig, names: Iterable[str]) -> SealConfig:
    for name in names:
        config = config.without(name)
    return config


def _next_recovery(config: SealConfig, shares: int, threshold: int) -> RecoveryEntry:
    revision = config.recovery.revision + 1 if config.recovery is not None else 1
    return RecoveryEntry(revision=revision, shares=shares, threshold=threshold)


async def _recovery(changes: SlotChanges, config: SealConfig, key: Key, entry: RecoveryEntry) -> RecoveryKey:
    entries = {name: config.entry(name) for name in config.wrapped}
    return await seal_store.wrap_recovery(
        key, config.generation, entry.revision, entries, changes.slots, changes.random
    )
