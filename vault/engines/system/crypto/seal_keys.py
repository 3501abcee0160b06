# SPDX-License-Identifier: EUPL-1.2
"""The root key, the keys of the seal slots that wrap it, and the recovery key. No device is asked: the watch over the slots did that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from hsm.envelope import wrapped_by
from hsm.errors import IntegrityError
from vault.barrier.barrier import Barrier
from vault.engines.system.crypto.barrier_keys import BITS, CIPHER
from vault.framework.keys.inventory import KeyState, KeyUse, Purpose
from vault.seal.failure import SealFailure
from vault.seal.health import SlotHealth
from vault.seal.lifecycle import Lifecycle
from vault.seal.records import seal_store
from vault.seal.records.record import SHAMIR_SLOT, RecoveryEntry, SealConfig, SlotEntry
from vault.seal.records.slots import SlotView
from vault.storage.protocol import ReadTx
from vault.values.times import Millis

_ALGORITHMS: Final[Mapping[str, str]] = {"aes-gcm": CIPHER, "aes-cbc-hmac": "aes-256-cbc-hmac-sha256"}
"""What slots call their symmetric mechanisms. Those of RSA have the name of the registry."""
_NOT_TRIED: Final = SlotView("", "", up=True)


async def seal_keys(
    lifecycle: Lifecycle, health: SlotHealth, barrier: Barrier, reader: ReadTx
) -> Sequence[KeyUse]:
    """Describe the root key, one key for each slot, and the recovery key."""
    config = await lifecycle.config()
    if config is None:
        return []
    first = barrier.keyring.terms.get(1)
    began = first.install_time if first is not None else Millis(0)
    views = {view.name: view for view in await health.shown()}
    found = [_root(config, began)]
    for name in config.slots:
        entry = config.entry(name)
        created = entry.added or began
        if entry.kind == SHAMIR_SLOT:
            found.append(await _shares(reader, config, name, created))
        else:
            view = views.get(name, _NOT_TRIED)
            away = not view.up and (view.checked > 0 or lifecycle.slots.get(name) is None)
            found.append(await _slot(reader, config, name, view, away=away))
    if config.recovery is not None:
        found.append(_recovery(config.recovery))
    return found


def _root(config: SealConfig, began: Millis) -> KeyUse:
    newest = [config.entry(name) for name in config.slots]
    times = [one.added for one in newest if one.root_version == config.root_version and one.added]
    rotated = min(times, default=Millis(0)) if config.root_version > 1 else Millis(0)
    return KeyUse(
        name="root",
        purpose=Purpose.ROOT,
        protects="the barrier keys",
        algorithm=CIPHER,
        bits=BITS,
        location="memory while unsealed; storage, under each seal slot",
        version=str(config.root_version),
        created=began if config.root_version == 1 else rotated,
        rotated=rotated,
    )


async def _shares(reader: ReadTx, config: SealConfig, name: str, created: Millis) -> KeyUse:
    try:
        slot = await seal_store.shamir_slot(reader, config, name)
        where = f"people: {slot.threshold} of {slot.shares} shares"
    except SealFailure:
        where = "people: shares"
    return KeyUse(
        name=f"slot/{name}",
        purpose=Purpose.SEAL_SLOT,
        protects="the root key",
        algorithm=CIPHER,
        bits=BITS,
        location=where,
        created=created,
    )


async def _slot(reader: ReadTx, config: SealConfig, name: str, view: SlotView, *, away: bool) -> KeyUse:
    entry = config.entry(name)
    in_hsm = entry.kind == "pkcs11"
    algorithm, bits = await _mechanism(reader, config, name)
    return KeyUse(
        name=f"slot/{name}",
        purpose=Purpose.SEAL_SLOT,
        protects="the root key, and what is wrapped beside the barrier",
        algorithm=algorithm,
        bits=view.key_bits if in_hsm and not algorithm.startswith("rsa") else bits,
        location=_place(name, entry, view.description)
        if in_hsm
        else f"the server's environment, for seal slot {name}",
        in_hsm=in_hsm,
        version=entry.key_version,
        state=KeyState.UNREACHABLE if away else KeyState.ACTIVE,
    )


async def _mechanism(reader: ReadTx, config: SealConfig, name: str) -> tuple[str, int]:
    """Return the algorithm and the size that the slot's record shows; nothing where it is damaged."""
    try:
        wrapped = wrapped_by((await seal_store.wrapped_slot(reader, config, name)).root)
    except (IntegrityError, SealFailure):
        return "", 0
    symmetric = _ALGORITHMS.get(wrapped.m)
    return (wrapped.m, len(wrapped.ct) * 8) if symmetric is None else (symmetric, BITS)


def _place(name: str, entry: SlotEntry, description: str) -> str:
    where = [f"seal slot {name}", f"key {entry.key_label}" if entry.key_label else "", description]
    return ", ".join(filter(None, where))


def _recovery(entry: RecoveryEntry) -> KeyUse:
    return KeyUse(
        name="recovery",
        purpose=Purpose.RECOVERY,
        protects="what operators do together: it proves that enough of them agree",
        algorithm="shamir",
        bits=BITS,
        location=f"people: {max(entry.threshold, 1)} of {max(entry.shares, 1)} shares; storage, under each seal slot",
    )
