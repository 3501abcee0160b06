# SPDX-License-Identifier: EUPL-1.2
"""The keys that encrypt storage: the vault's own, or those of a namespace that is sealed by itself."""

from __future__ import annotations

from collections.abc import Sequence

from vault.barrier.barrier import Barrier
from vault.barrier.keyring import Keyring
from vault.framework.keys.inventory import KeyState, KeyUse, Purpose
from vault.namespace.entry import NamespaceEntry
from vault.values.times import Millis, Seconds

BITS = 256
CIPHER = "aes-256-gcm"


def terms(keyring: Keyring, under: str) -> Sequence[KeyUse]:
    """Describe each term of a keyring, whose keys are stored `under` another one."""
    rotation, newest = keyring.rotation, keyring.active.number
    return [
        KeyUse(
            name=f"{number:010}",
            purpose=Purpose.BARRIER,
            protects="everything that is stored",
            algorithm=CIPHER,
            bits=BITS,
            location=f"memory while unsealed; storage, under {under}",
            version=str(number),
            state=KeyState.ACTIVE if number == newest else KeyState.RETIRED,
            created=term.install_time,
            rotated=term.install_time if number > 1 else Millis(0),
            period=rotation.interval if rotation.enabled and number == newest else Seconds(0),
        )
        for number, term in keyring.terms.items()
    ]


async def barrier_keys(barrier: Barrier) -> Sequence[KeyUse]:
    """Describe the terms of the vault's keyring."""
    return terms(barrier.keyring, "the root key")


async def namespace_barrier_keys(barrier: Barrier, entry: NamespaceEntry) -> Sequence[KeyUse]:
    """Describe the terms of a namespace's own keyring; nothing where it has none."""
    ring = barrier.ring(entry.id)
    return [] if ring is None or entry.seal is None else terms(ring.keyring, "the namespace's root key")


async def namespace_seal_keys(entry: NamespaceEntry) -> Sequence[KeyUse]:
    """Describe a namespace's own root key and the key that its people have shares of; nothing where it has none.

    When they were made is not noted.
    """
    if entry.seal is None:
        return []
    return [
        KeyUse(
            name="root",
            purpose=Purpose.ROOT,
            protects="the namespace's barrier keys",
            algorithm=CIPHER,
            bits=BITS,
            location="memory while unsealed; storage, under the namespace's shares",
        ),
        KeyUse(
            name="shares",
            purpose=Purpose.SEAL_SLOT,
            protects="the namespace's root key",
            algorithm=CIPHER,
            bits=BITS,
            location=f"people: {entry.seal.threshold} of {entry.seal.shares} shares",
        ),
    ]
