# SPDX-License-Identifier: EUPL-1.2
"""From one kind of seal to another at the next unseal, as the configuration asks: OpenBao's `unseal -migrate`.

The steps are the keeper's, in an order that leaves a slot that works after each of them.
"""

from __future__ import annotations

from enum import Enum

from vault.barrier.key import Key
from vault.seal.changes import root_rotation
from vault.seal.changes.slot_changes import Keeper
from vault.seal.stored.record import SealConfig
from vault.seal.stored.slots import Slots


class Pending(Enum):
    """What the next unseal is to do besides."""

    NOTHING = "nothing"
    TO_SLOTS = "to key slots"
    TO_SHAMIR = "to shares"


def pending(config: SealConfig, slots: Slots) -> Pending:
    """Compare what is stored with what is configured."""
    enabled = {slot.name for slot in slots.enabled}
    disabled = {slot.name for slot in slots.disabled}
    stored = set(config.wrapped)
    if stored & enabled:
        return Pending.NOTHING
    if not stored:
        return Pending.TO_SLOTS if enabled and not slots.shamir_kept else Pending.NOTHING
    if enabled:
        return Pending.TO_SLOTS
    return Pending.TO_SHAMIR if stored & disabled else Pending.NOTHING


async def migrate(keeper: Keeper, wanted: Pending, key: Key, shares: int, threshold: int) -> SealConfig:
    """Do what is pending, with `key` as the shares in people's hands combined to it.

    `keeper` holds the root key. Raises what its steps raise; what was done until then stays, and works.
    """
    if wanted is Pending.TO_SHAMIR:
        return await root_rotation.leave_slots(keeper, key, shares, threshold)
    return await root_rotation.enter_slots(keeper, key, shares, threshold)
