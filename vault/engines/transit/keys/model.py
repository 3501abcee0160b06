# SPDX-License-Identifier: EUPL-1.2
"""What transit keeps: the settings of a key, and each of its versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from vault.barrier.stored import RecordKind, UpgradeUnderWay
from vault.values.times import Nanos, Seconds

KEYS: Final = "key/"
"""Prefix of keys by their names, in a mount's data."""
VERSIONS: Final = "version/"
"""Prefix of versions, by the id of their key and their number."""
USES: Final = "uses/"
"""Prefix of how often versions were used, by the id of their key."""
SETTINGS: Final = "settings"
"""Where the settings of a mount lie."""
SOFT_DELETED: Final = "refusing to use soft-deleted key"
"""What whoever would use a key that was put away is told."""


class KeyCopy(msgspec.Struct, frozen=True):
    """That a key was backed up or restored: when, and which version was its newest."""

    time: Nanos
    version: int


class TransitKey(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A key without its versions. `id` is its own and is never used again; `latest` is its newest version."""

    id: str
    type: str
    latest: int = 1
    first: int = 1
    """The oldest version that is kept."""
    min_decryption: int = 1
    min_encryption: int = 0
    """The oldest version that encrypts where one is asked for; 0 for any that decrypts."""
    min_available: int = 0
    derived: bool = False
    convergent: bool = False
    exportable: bool = False
    plaintext_backup: bool = False
    deletion_allowed: bool = False
    soft_deleted: bool = False
    imported: bool = False
    """Whether its versions were brought, or agreed on with somebody: it ends with the first that is made here."""
    allow_rotation: bool = False
    """Whether an imported key may get versions that are made here."""
    counter_kdf: bool = False
    """Whether keys for contexts are derived as OpenBao derives those of imported keys, and not by HKDF."""
    auto_rotate: Seconds = Seconds(0)
    key_size: int = 0
    """Bytes of a key of kind `hmac`."""
    backed_up: KeyCopy | None = None
    restored: KeyCopy | None = None

    @property
    def rotates(self) -> bool:
        """Whether versions may be made here."""
        return self.allow_rotation or not self.imported


class InDevice(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of a key in a device beside its public half, and tells nothing of it."""

    oaep: str = ""
    """The hash with which an RSA key decrypts RSA-OAEP; empty for what does not decrypt so."""
    bits: int = 0
    """Size of an AES key; 0 where the device does not tell."""
    fingerprint: str = ""
    """What an AES key is known by; empty for one that only decrypts."""


class KeyVersion(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One version of a key. Its secret (`held`) and its key for MACs (`mac`) lie in the safe.

    Nothing is held of a pair of which the public half alone was imported.
    """

    created: Nanos
    held: bytes
    mac: bytes
    public: bytes = b""
    """SubjectPublicKeyInfo of a pair; nothing for an AES key in a device."""
    chain: tuple[bytes, ...] = ()
    """Certificates for it in DER: its own first, then each that signed the one before."""
    external: str = ""
    """Of a key in a device: its reference `<config>:<key>`; nothing of it is here."""
    device: InDevice = InDevice()

    def __repr__(self) -> str:
        """Show nothing of it."""
        return "KeyVersion(…)"


class KeyUses(msgspec.Struct, frozen=True):
    """How often each version of a key was used, by its number."""

    counts: Mapping[int, int] = {}


class MountSettings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What holds for a mount. `cache_size` is how many keys are kept in memory; 0 for no limit of its own."""

    disable_upsert: bool = False
    cache_size: int = 0


def _before_devices_encrypted(version: KeyVersion) -> bytes:
    """Encode what a release takes that knows devices as ones that sign. Raises `UpgradeUnderWay` for another version."""
    if version.device != InDevice():
        raise UpgradeUnderWay(
            "an older release serves on this database, and knows no key in a device that encrypts: "
            "bring every server to this release first"
        )
    return msgspec.msgpack.encode(version)


KEY: Final = RecordKind("transit key", TransitKey, version=3, older={1: None, 2: None})
VERSION: Final = RecordKind(
    "transit key version",
    KeyVersion,
    version=3,
    older={1: None, 2: None},
    former=_before_devices_encrypted,
)
USES_RECORD: Final = RecordKind("transit key uses", KeyUses)
MOUNT_SETTINGS: Final = RecordKind("transit settings", MountSettings)


def version_path(key: TransitKey, number: int) -> str:
    """Return where a version lies: in order of their numbers."""
    return f"{VERSIONS}{key.id}/{number:010d}"
