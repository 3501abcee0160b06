# SPDX-License-Identifier: EUPL-1.2
"""What is stored about the seal, outside the barrier: one configuration, and one record per slot.

A record is the SHA-256 of its path and text, then the text in JSON. The digest tells damage from
wrong shares; against someone who can write storage, the slot's encryption binds what matters.
The configuration says which revision of a slot's record counts, so that a new one is written and
tried before it replaces the old one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, TypeAlias, TypeVar

import msgspec

from hsm.key_slot import KeyIdentity
from vault.barrier import envelope
from vault.barrier.failure import BarrierFailure
from vault.barrier.key import Key, Random
from vault.barrier.stored import RecordKind, UnknownFormat
from vault.seal.failure import SealFailure
from vault.values.times import Millis

CONFIG_PATH: Final = "core/seal/config"
SLOTS_PREFIX: Final = "core/seal/slots/"
RECOVERY_PREFIX: Final = "core/seal/recovery/"
LINKS_PREFIX: Final = "core/seal/links/"
SHAMIR_SLOT: Final = "shamir"
"""Name of the slot that `sys/init` makes for people's shares, unless the configuration gives it another."""

_DIGEST_BYTES: Final = 32
_FORMAT: Final = 1
_PURPOSE: Final = "coffre.slot"

_Version = Annotated[int, msgspec.Meta(ge=_FORMAT, le=_FORMAT)]
_Shares = Annotated[int, msgspec.Meta(ge=1, le=255)]


class SlotEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What the configuration says of one slot."""

    kind: str = SHAMIR_SLOT
    """`shamir`, or the kind of the key slot: the name of its stanza."""
    revision: int = 0
    """Which of the slot's records counts."""
    root_version: int = 1
    """Which generation of the root key that record holds; an older one leads to the newest through links."""
    key_version: str = ""
    """Which version of the key slot's key wrapped it."""
    key_label: str = ""
    key_fingerprint: str = ""
    """What that key proves to be the same by; empty in records from before there was one, until the next rewrap."""
    key_authenticator: str = ""
    """The same of its HMAC key; empty where it has none, and in records from before there was one."""
    key_imported: bool = False
    added: Millis = Millis(0)
    """When the record was made, in milliseconds since the epoch; 0 at initialisation."""

    @property
    def key(self) -> KeyIdentity | None:
        """The key that all is wrapped under until the slot is rewrapped; None where it has none."""
        if not self.key_version:
            return None
        return KeyIdentity(
            label=self.key_label,
            version=self.key_version,
            fingerprint=self.key_fingerprint,
            authenticator=self.key_authenticator,
            imported=self.key_imported,
        )


class RecoveryEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """That there are recovery keys, and where they are stored."""

    revision: int
    shares: int
    threshold: int
    """As initialisation was told, which allows 0 or less for a single share."""


class SealConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """That a vault exists here, and which slots open it."""

    v: _Version = msgspec.field(default_factory=lambda: _FORMAT)
    generation: str
    """Random identifier of this initialisation."""
    slots: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    """Names of the slots, in the order in which they are tried."""
    confirmed: bool
    """Whether it was ever unsealed: only until then a new initialisation may replace it."""
    entries: Mapping[str, SlotEntry] = {}
    root_version: int = 1
    """The newest generation of the root key."""
    recovery: RecoveryEntry | None = None

    def entry(self, name: str) -> SlotEntry:
        """Return what is said of slot `name`, which is one of `slots`."""
        return self.entries.get(name, _FIRST)

    @property
    def wrapped(self) -> tuple[str, ...]:
        """Names of the slots that need nobody's share, in order."""
        return tuple(name for name in self.slots if self.entry(name).kind != SHAMIR_SLOT)

    @property
    def shamir(self) -> str | None:
        """Name of the slot that people's shares open, if there is one."""
        return next((name for name in self.slots if self.entry(name).kind == SHAMIR_SLOT), None)

    @property
    def behind(self) -> tuple[str, ...]:
        """Names of the slots that hold an older root key."""
        return tuple(name for name in self.slots if self.entry(name).root_version < self.root_version)

    def with_entry(self, name: str, entry: SlotEntry) -> SealConfig:
        """Return the configuration with `entry` for `name`, which comes last if it is new."""
        slots = self.slots if name in self.slots else (*self.slots, name)
        return msgspec.structs.replace(self, slots=slots, entries={**self.entries, name: entry})

    def without(self, name: str) -> SealConfig:
        """Return the configuration without slot `name`, which is not the only one."""
        return msgspec.structs.replace(
            self,
            slots=tuple(other for other in self.slots if other != name),
            entries={other: entry for other, entry in self.entries.items() if other != name},
        )


class ShamirSlot(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    kw_only=True,
    tag="shamir",
    tag_field="kind",
):
    """The root key under a key that is split into shares."""

    v: _Version = msgspec.field(default_factory=lambda: _FORMAT)
    generation: str
    shares: _Shares
    threshold: _Shares
    wrapped: bytes
    """The root key, encrypted under the combined key; bound to every other field and the slot's path."""
    root_version: int = 1


class WrappedSlot(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="wrapped", tag_field="kind"
):
    """The root key under a key slot, and a canary that the same slot must open as long as it is the same."""

    v: _Version = _FORMAT
    generation: str
    by: str
    """Kind of the key slot."""
    root_version: int
    root: bytes
    """The record of `hsm.envelope` with the root key."""
    canary: bytes
    """One with nothing in it, for the same slot."""


class RecoveryKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The key that the recovery shares combine to, under every key slot."""

    v: _Version = _FORMAT
    generation: str
    wrapped: Mapping[str, bytes]
    """Slot name -> its record of `hsm.envelope`."""


class RootLink(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One root key under the one before it, for slots that were away when it changed."""

    v: _Version = _FORMAT
    wrapped: bytes


_KINDS: Final[Mapping[type, RecordKind[Any]]] = {
    kind.form: kind
    for kind in (
        RecordKind("seal configuration", SealConfig, version=3, older={1: None, 2: None}, json=True),
        RecordKind("seal slot for shares", ShamirSlot, json=True),
        RecordKind("key slot", WrappedSlot, json=True),
        RecordKind("recovery key", RecoveryKey, json=True),
        RecordKind("link between root keys", RootLink, json=True),
    )
}
SlotRecord: TypeAlias = ShamirSlot | WrappedSlot
_FIRST: Final = SlotEntry()
_Record = TypeVar("_Record")
_Storable: TypeAlias = SealConfig | ShamirSlot | WrappedSlot | RecoveryKey | RootLink


def slot_path(name: str, revision: int = 0) -> str:
    """Return where a record of slot `name` is stored."""
    return f"{SLOTS_PREFIX}{name}/{revision}" if revision else SLOTS_PREFIX + name


def holding_phrase(names: Iterable[str]) -> str:
    """Return the beginning of a sentence on what these slots hold."""
    first, *more = sorted(names)
    return f"slots {', '.join([first, *more[:-1]])} and {more[-1]} hold" if more else f"slot {first} holds"


def recovery_path(revision: int) -> str:
    """Return where the recovery key is stored."""
    return f"{RECOVERY_PREFIX}{revision}"


def link_path(version: int) -> str:
    """Return where the link is stored that leads from root key `version` to the next."""
    return f"{LINKS_PREFIX}{version}"


def encode(path: str, record: _Storable) -> bytes:
    """Return `record` as it is stored at `path`."""
    text = _KINDS[type(record)].encode(record)
    return _digest(path, text) + text


def decode(path: str, data: bytes, form: type[_Record]) -> _Record:
    """Return the record stored at `path`; `SealFailure` when it is damaged or of an unknown version."""
    text = data[_DIGEST_BYTES:]
    if data[:_DIGEST_BYTES] != _digest(path, text):
        raise SealFailure("the stored seal record fails its integrity check")
    try:
        record: _Record = _KINDS[form].decode(text)
    except UnknownFormat as failure:
        raise SealFailure(str(failure)) from None
    return record


def make_shamir_slot(
    root_key: Key,
    key: Key,
    *,
    generation: str,
    shares: int,
    threshold: int,
    random: Random,
    name: str = SHAMIR_SLOT,
    root_version: int = 1,
) -> ShamirSlot:
    """Wrap `root_key` under the combined `key`, for the slot `name`."""
    place = _place(name, generation, shares, threshold, root_version)
    return ShamirSlot(
        generation=generation,
        shares=shares,
        threshold=threshold,
        wrapped=envelope.wrap(key, place, root_key.reveal(), random),
        root_version=root_version,
    )


def open_shamir_slot(slot: ShamirSlot, key: Key, name: str = SHAMIR_SLOT) -> Key | None:
    """Return the root key, or None when `key` is not the one it was wrapped under."""
    place = _place(name, slot.generation, slot.shares, slot.threshold, slot.root_version)
    try:
        return Key(envelope.unwrap(key, place, slot.wrapped))
    except BarrierFailure:
        return None


def _place(name: str, generation: str, shares: int, threshold: int, root_version: int) -> tuple[str, ...]:
    later = () if root_version == 1 else (str(root_version),)
    return (_PURPOSE, str(_FORMAT), slot_path(name), generation, str(shares), str(threshold), *later)


def _digest(path: str, text: bytes) -> bytes:
    return hashlib.sha256(envelope.bind(path) + text).digest()
