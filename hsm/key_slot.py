# SPDX-License-Identifier: EUPL-1.2
"""The one thing that a seal asks of a key slot: wrap 32 bytes, and give them back."""

from __future__ import annotations

from typing import Protocol

import msgspec

DEK_BYTES: int = 32
"""What a slot wraps: one data encryption key, never a payload (in bytes)."""


class WrappedKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A data encryption key as a key slot gave it."""

    m: str
    """How it was wrapped: `aes-gcm`, `rsa-oaep-sha256`, `rsa-oaep-sha1`, `aes-cbc-hmac`, …"""
    k: str
    """Which version of the slot's key wrapped it: for PKCS#11 the `CKA_ID`, printable or in hexadecimal."""
    iv: bytes = b""
    ct: bytes
    mac: bytes = b""


class KeyIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """One key of a slot: what a record says that it is under, and what the next one is to be under."""

    label: str = ""
    """Empty where the slot's keys have none, and in what was recorded before there was one."""
    version: str
    """As `WrappedKey.k`."""
    fingerprint: str = ""
    """What the key proves to be the same by (`hsm.agent.keys.proof`); empty where that is not known."""
    authenticator: str = ""
    """The same of its HMAC key; empty where it wraps without one, and where that is not known."""
    imported: bool = False
    """Whether it was brought to the token from outside, which a ceremony does on purpose."""


class SlotState(msgspec.Struct, frozen=True, kw_only=True):
    """What a probe of a slot found; everything here may be shown to anybody who may see the seal's status."""

    up: bool
    """Whether a fresh wrap came back as it went in."""
    key_version: str = ""
    key_bits: int = 0
    """Size of its key; 0 where that is not known."""
    reason: str = ""
    """Why it is not up, in a sentence without secrets; empty while it is."""
    software: bool = False
    """Whether the token is a program and protects nothing against the host's administrator."""
    remark: str = ""
    """What is not as it should be although the slot works: objects of its key's name that do not count."""
    description: str = ""
    """Manufacturer, model, serial number and label of the token."""


class KeySlot(Protocol):
    """One way to wrap a data encryption key. Every method raises `hsm.errors` within the slot's deadline."""

    @property
    def name(self) -> str:
        """Name of the slot: unique among a seal's slots."""
        ...

    @property
    def kind(self) -> str:
        """`pkcs11`, `static`, …: the name of its stanza in the configuration."""
        ...

    async def wrap(self, dek: bytes, key: KeyIdentity | None = None) -> WrappedKey:
        """Wrap `dek` (32 bytes) under `key`, or under the newest version of the slot's key.

        A slot whose configuration says which key it is wraps under that one, whatever `key` is.
        """
        ...

    async def identify(self, key: KeyIdentity | None = None) -> KeyIdentity:
        """Have `key`, or the newest version of the slot's key, prove itself, and return all that it is known by.

        Raises `IntegrityError` where another key has taken its place.
        """
        ...

    async def unwrap(self, wrapped: WrappedKey) -> bytes:
        """Return what was wrapped; `IntegrityError` when `wrapped` is not what this slot made."""
        ...

    async def probe(self) -> SlotState:
        """Say whether the slot works, by wrapping and unwrapping something fresh; never raises."""
        ...

    async def close(self) -> None:
        """Release the device; the slot is not used again."""
        ...
