# SPDX-License-Identifier: EUPL-1.2
"""From one kind of seal to another at the next unseal, as the configuration asks: OpenBao's `unseal -migrate`.

The steps are those of `SlotChanges`, in an order that leaves a slot that works after each of them.
"""

from __future__ import annotations

from enum import Enum

from vault.barrier.key import Key
from vault.seal.changes import root_rotation
from vault.seal.changes.slot_changes import SlotChanges
from vault.seal.records.record import SealConfig
from vault.seal.records.slots import Slots


class Migration(Enum):
    """What the next unseal is to do besides."""

    NOTHING = "nothing"
    TO_SLOTS = "to key slots"
    TO_SHAMIR = "to shares"


def pending(config: SealConfig, slots: Slots) -> Migration:
    """Compare what is stored with what is configured."""
    enabled = {slot.name for slot in slots.enabled}
    disabled = {slot.name for slot in slots.disabled}
    stored = set(config.wrapped)
    if stored & enabled:
        return Migration.NOTHING
    if not stored:
        return Migration.TO_SLOTS if enabled and not slots.shamir_kept else Migration.NOTHING
    if enabled:
        return Migration.TO_SLOTS
    return Migration.TO_SHAMIR if stored & disabled else Migration.NOTHING


async def migrate(
    changes: SlotChanges, wanted: Migration, key: Key, shares: int, threshold: int
) -> SealConfig:
    """Do what is pending, with `key` as the shares in people's hands combined to it.

    `changes` holds the root key. Raises what its steps raise; what was done until then stays, and works.
    """
    if wanted is Migration.TO_SHAMIR:
        return await root_rotation.leave_slots(changes, key, shares, threshold)
    return await root_rotation.enter_slots(changes, key, shares, threshold)
