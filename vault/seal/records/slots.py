# SPDX-License-Identifier: EUPL-1.2
"""The key slots that this server is configured with, and what a record under one of them is."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final, TypeAlias

import msgspec

from hsm import envelope
from hsm.envelope import RecordAddress
from hsm.errors import HsmError, IntegrityError, KeyMissing, SlotUnavailable
from hsm.key_slot import KeyIdentity, KeySlot
from vault.barrier.key import Key, Random
from vault.seal.failure import SealFailure
from vault.seal.records.record import SHAMIR_SLOT, WrappedSlot, slot_path

DRAWN_BYTES: Final = 16_320
"""Bytes that are drawn at a time: 255 shares of a key take 8,383."""

_NAMESPACE: Final = "root"


class Slots(msgspec.Struct):
    """The key slots of the configuration, in the order in which they are to be tried, and how shares go with them.

    With no key slot at all the seal is Shamir's alone. While the server runs only `join` changes it.
    """

    enabled: Sequence[KeySlot] = ()
    disabled: Sequence[KeySlot] = ()
    """Slots that the vault is to leave: they still unwrap, and nothing new is wrapped for them."""
    shamir: str = SHAMIR_SLOT
    """Name of the slot for people's shares."""
    shamir_kept: bool = False
    """Whether the configuration asks for that slot beside key slots."""
    recovery_can_unseal: bool = False
    """Whether recovery shares open the vault too, without any key slot."""
    draw: Callable[[int], Awaitable[bytes]] | None = None
    """Randomness that a token had a part in; raises `HsmError` where that is required and not to be had."""
    fallbacks: Callable[[], int] = int
    """How often a token should have had a part in randomness and had none."""

    def get(self, name: str) -> KeySlot | None:
        """Return the configured slot `name`, disabled or not."""
        return next((slot for slot in self if slot.name == name), None)

    def join(self, slots: Sequence[KeySlot]) -> None:
        """Take in slots that the configuration did not have when the server started."""
        self.enabled = [*self.enabled, *slots]

    async def source(self, local: Random) -> Random:
        """Return what to make keys and shares with: drawn with a token where there is one, else `local`.

        What was drawn at once is enough for a root key, a keyring and the shares of a key; `local` follows it.
        """
        if self.draw is None:
            return local
        drawn = io.BytesIO(await self.draw(DRAWN_BYTES))

        def random(count: int) -> bytes:
            found = drawn.read(count)
            return found + local(count - len(found)) if len(found) < count else found

        return random

    def __iter__(self) -> Iterator[KeySlot]:
        yield from self.enabled
        yield from self.disabled


Reasons: TypeAlias = dict[str, HsmError | SealFailure]
"""What kept each slot from opening, by its name."""


class NoSlotAnswers(SealFailure):
    """No key slot could unwrap; `reasons` says why, by the slot's name, without secrets."""

    def __init__(self, reasons: Reasons) -> None:
        """`reasons` is empty when no slot of the vault is configured here."""
        self.reasons = reasons
        told = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        super().__init__(f"no seal slot answers ({told or 'none of the stored slots is configured'})")

    @property
    def gist(self) -> str:
        return "; ".join(f"{name}: {gist(reason)}" for name, reason in self.reasons.items())


def gist(failure: Exception) -> str:
    """Return what tells `failure` from another one in a log: an outage has other words each time, and is one."""
    if isinstance(failure, SlotUnavailable):
        return "away"
    return failure.gist if isinstance(failure, SealFailure) else str(failure)


async def wrap_root(
    slot: KeySlot,
    root_key: Key,
    *,
    generation: str,
    root_version: int,
    revision: int,
    random: Random,
    key: KeyIdentity,
) -> WrappedSlot:
    """Wrap `root_key` under `key` of `slot`, with a canary. Raises `HsmError`."""
    path = slot_path(slot.name, revision)
    place = _root_place(slot.name, generation, path, root_version)
    canary = RecordAddress(
        slot=slot.name, purpose="canary", cluster=generation, namespace=_NAMESPACE, path=path
    )
    return WrappedSlot(
        generation=generation,
        by=slot.kind,
        root_version=root_version,
        root=await envelope.seal(slot, place, root_key.reveal(), random, key),
        canary=await envelope.seal(slot, canary, b"", random, key),
    )


async def unwrap_root(slot: KeySlot, record: WrappedSlot, *, generation: str, revision: int) -> Key:
    """Return the root key that `record` holds. Raises `HsmError`."""
    place = _root_place(slot.name, generation, slot_path(slot.name, revision), record.root_version)
    try:
        value = await envelope.unseal(slot, place, record.root)
    except (IntegrityError, KeyMissing) as failure:
        raise type(failure)(f"{failure}; {_what_helps(slot.name)}", ckr=failure.ckr) from failure
    try:
        return Key(value)
    except ValueError:
        raise IntegrityError(f"seal slot {slot.name}: what it holds is no root key") from None


async def check_canary(slot: KeySlot, record: WrappedSlot, *, generation: str, revision: int) -> None:
    """Raise `HsmError` unless `slot` still is what the record was made with."""
    path = slot_path(slot.name, revision)
    try:
        await envelope.unseal(
            slot,
            RecordAddress(
                slot=slot.name, purpose="canary", cluster=generation, namespace=_NAMESPACE, path=path
            ),
            record.canary,
        )
    except (IntegrityError, KeyMissing) as failure:
        raise IntegrityError(
            f"seal slot {slot.name}: does not open its stored canary: the key was replaced or erased ({failure}); "
            f"{_what_helps(slot.name)}"
        ) from None


def _what_helps(name: str) -> str:
    """Say what to do where the key of slot `name` is gone, in which order: making another one opens nothing."""
    return (
        "where the key is gone, no new one opens this, but another slot, the recovery shares, or the key from a backup of "
        f"the token does; in the open vault, vaultctl operator seal-slots rewrap {name} takes a new key"
    )


def key_version(record: WrappedSlot) -> str:
    """Return the version of the slot's key that wrapped `record`; raises `IntegrityError`."""
    return envelope.key_version(record.root)


def _root_place(name: str, generation: str, path: str, root_version: int) -> RecordAddress:
    return RecordAddress(
        slot=name,
        purpose="root",
        cluster=generation,
        namespace=_NAMESPACE,
        path=path,
        root_version=root_version,
    )


class SlotView(msgspec.Struct):
    """What is known of one slot at the moment, for status and metrics; never a secret."""

    name: str
    kind: str
    up: bool = True
    key_version: str = ""
    behind: int = 0
    """How many generations of the root key it lags."""
    software: bool = False
    reason: str = ""
    remark: str = ""
    """What somebody should look at although the slot works."""
    description: str = ""
    checked: int = 0
    """When it was last tried, in milliseconds since the epoch; 0 for never."""
    stored: bool = False
    """Whether it is part of the vault, and not only configured: whether it opens anything."""
    refused: bool = False
    """Whether its stored canary did not open: another token, or an erased key."""
    key_bits: int = 0
    """Size of its key in bits; 0 where the token does not tell, and before it was tried."""
