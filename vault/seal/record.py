# SPDX-License-Identifier: EUPL-1.2
"""What is stored about the seal, outside the barrier: one configuration, and one record per slot.

A record is the SHA-256 of its path and text, then the text in JSON. The digest tells damage from
wrong shares; against someone who can write storage, the slot's encryption binds what matters.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Final, TypeVar

import msgspec

from vault.barrier import envelope
from vault.barrier.failure import BarrierFailure
from vault.barrier.key import Key, Random
from vault.seal.failure import SealFailure

CONFIG_PATH: Final = "core/seal/config"
SLOTS_PREFIX: Final = "core/seal/slots/"
SHAMIR_SLOT: Final = "shamir"
"""Name of the slot that `sys/init` makes."""

_DIGEST_BYTES: Final = 32
_FORMAT: Final = 1
_PURPOSE: Final = "coffre.slot"

_Version = Annotated[int, msgspec.Meta(ge=_FORMAT, le=_FORMAT)]


class SealConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """That a vault exists here, and which slots open it."""

    v: _Version = _FORMAT
    generation: str
    """Random identifier of this initialisation."""
    slots: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    """Names of the slots, in the order in which they are tried."""
    confirmed: bool
    """Whether it was ever unsealed: only until then a new initialisation may replace it."""


class ShamirSlot(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="shamir", tag_field="kind"
):
    """The root key under a key that is split into shares. Further slot kinds become a tagged union."""

    v: _Version = _FORMAT
    generation: str
    shares: Annotated[int, msgspec.Meta(ge=1, le=255)]
    threshold: Annotated[int, msgspec.Meta(ge=1, le=255)]
    wrapped: bytes
    """The root key, encrypted under the combined key; bound to every other field and the slot's path."""


_Record = TypeVar("_Record", SealConfig, ShamirSlot)


def slot_path(name: str) -> str:
    """Return where the record of slot `name` is stored."""
    return SLOTS_PREFIX + name


def encode(path: str, record: SealConfig | ShamirSlot) -> bytes:
    """Return `record` as it is stored at `path`."""
    text = msgspec.json.encode(record)
    return _digest(path, text) + text


def decode(path: str, data: bytes, kind: type[_Record]) -> _Record:
    """Return the record stored at `path`; `SealFailure` when it is damaged or of an unknown version."""
    text = data[_DIGEST_BYTES:]
    if data[:_DIGEST_BYTES] != _digest(path, text):
        raise SealFailure("the stored seal record fails its integrity check")
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError:
        raise SealFailure("the stored seal record has an unknown format") from None


def make_shamir_slot(
    root_key: Key, key: Key, *, generation: str, shares: int, threshold: int, random: Random
) -> ShamirSlot:
    """Wrap `root_key` under the combined `key`."""
    place = _place(generation, shares, threshold)
    wrapped = envelope.wrap(key, place, root_key.reveal(), random)
    return ShamirSlot(generation=generation, shares=shares, threshold=threshold, wrapped=wrapped)


def open_shamir_slot(slot: ShamirSlot, key: Key) -> Key | None:
    """Return the root key, or None when `key` is not the one it was wrapped under."""
    try:
        return Key(envelope.unwrap(key, _place(slot.generation, slot.shares, slot.threshold), slot.wrapped))
    except BarrierFailure:
        return None


def _place(generation: str, shares: int, threshold: int) -> tuple[str, ...]:
    path = slot_path(SHAMIR_SLOT)
    return (_PURPOSE, str(_FORMAT), path, generation, str(shares), str(threshold))


def _digest(path: str, text: bytes) -> bytes:
    return hashlib.sha256(envelope.bind(path) + text).digest()
