# SPDX-License-Identifier: EUPL-1.2
"""What opens and seals a vault and its namespaces, and the keys that its key slots wrap."""

from __future__ import annotations

from collections import Counter
from typing import Final

import msgspec

from hsm.errors import HsmError, IntegrityError
from vault.barrier.failure import BarrierFailure
from vault.framework.keys.safe import Safe
from vault.framework.telemetry.log import Log
from vault.namespace.book import Namespaces
from vault.namespace.seal import NamespaceSealing
from vault.seal.failure import SealFailure
from vault.seal.health import SlotHealth
from vault.seal.lifecycle import Lifecycle
from vault.seal.records.sealwrap import SealWrap, ValuesLost
from vault.seal.records.slots import NoSlotAnswers, gist
from vault.server.compose.groups.ground import Ground
from vault.server.seals.slots import make_slots
from vault.storage.protocol import StorageFailure
from vault.wrap.signing_key import SigningKeys, signing_keys

_SIGNING: Final = "a key that signs wrapping tokens"
_SAFE: Final = "a key of the safe"


class KeySlots(msgspec.Struct, frozen=True, kw_only=True):
    """The seal of the vault, those of its namespaces, and what is kept under key slots beside the barrier."""

    lifecycle: Lifecycle
    health: SlotHealth
    sealing: NamespaceSealing
    wraps: SealWrap
    signing: SigningKeys
    safe: Safe


def make_key_slots(ground: Ground, namespaces: Namespaces) -> KeySlots:
    """Make them, sealed. Raises `StartFailure` for a static key that cannot be read."""
    storage, barrier = ground.storage, ground.barrier
    clock, entropy = ground.clock, ground.entropy
    slots = make_slots(ground.config, entropy)
    lifecycle = Lifecycle(storage, barrier, slots, now=clock.millis, random=entropy.bytes)
    wraps = SealWrap(storage, barrier, slots, now=clock.monotonic, random=entropy.bytes)
    signing, safe = signing_keys(wraps, barrier, entropy), Safe(wraps, barrier, entropy.bytes)
    # What a slot wraps changes with the slots, and is forgotten at a seal.
    lifecycle.slot_changes.wraps = wraps
    for forget in (wraps.drop, signing.forget, safe.keys.forget):
        lifecycle.on_seal(forget)
    return KeySlots(
        lifecycle=lifecycle,
        health=SlotHealth(storage, slots, now=clock.millis),
        sealing=NamespaceSealing(
            storage, barrier, namespaces, ground.follower.follow, now=clock.millis, random=entropy.bytes
        ),
        wraps=wraps,
        signing=signing,
        safe=safe,
    )


async def open_numbered(signing: SigningKeys, safe: Safe, log: Log) -> None:
    """Have the keys at hand that sign wrapping tokens, and those of the safe, and tell once of each that does not open.

    Nothing is signed by what no slot opens until one does.
    """
    for keys, what in ((signing, _SIGNING), (safe.keys, _SAFE)):
        try:
            await keys.prepare()
        except BarrierFailure as failure:
            log.failure("seal", f"what is noted of {what} cannot be read", reason=str(failure))
        for number, reason in keys.news().items():
            if number:
                level = log.failure if _damaged(reason) else log.caution
                level("seal", f"{what} does not open", key_version=str(number), reason=str(reason))
            else:
                log.caution("seal", f"no slot takes {what}, and none opens", reason=str(reason))


def _damaged(failure: SealFailure) -> bool:
    """Whether it is the value's fault that it does not open, whatever slot is there."""
    reasons = failure.reasons.values() if isinstance(failure, NoSlotAnswers) else (failure,)
    return any(isinstance(reason, IntegrityError | SealFailure) for reason in reasons)


async def carry_wrapped(lifecycle: Lifecycle, wraps: SealWrap, health: SlotHealth, log: Log) -> None:
    """Bring wrapped values along to the slots that there are now, and forget what others hold of them.

    The vault may have left those others while they were away. It is told once which values they alone hold still.
    """
    config = await lifecycle.config()
    if config is None:
        return
    try:
        left = await wraps.carry(config.wrapped)
        await wraps.forget()
        health.left_to = Counter(holder for one in left.values() for holder in one.holders)
        if left:
            raise ValuesLost(left)
    except (HsmError, SealFailure, StorageFailure) as failure:
        if health.left_why != gist(failure):
            log.caution("seal", "wrapped values are left to slots of before", reason=str(failure))
        health.left_why = gist(failure)
    else:
        health.left_why = ""
