# SPDX-License-Identifier: EUPL-1.2
"""The JSON in which OpenBao backs keys up: names, order and numbers as it writes them, so that backups go both ways.

Numbers of RSA and of curves are JSON integers of any length. What else there may be, from other releases, is ignored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from vault.engines.transit.keys.key_types import KEY_TYPES
from vault.framework.errors import Malformed
from vault.values.times import Nanos, Seconds

TYPES: Final[Mapping[int, str]] = {
    0: "aes256-gcm96",
    1: "ecdsa-p256",
    2: "ed25519",
    3: "rsa-2048",
    4: "rsa-4096",
    5: "chacha20-poly1305",
    6: "ecdsa-p384",
    7: "ecdsa-p521",
    8: "aes128-gcm96",
    9: "rsa-3072",
    10: "hmac",
    11: "xchacha20-poly1305",
    12: "mldsa-44",
    13: "mldsa-65",
    14: "mldsa-87",
}
"""The kinds of keys by the numbers that stand for them."""
NUMBERS: Final[Mapping[str, int]] = {name: number for number, name in TYPES.items()}
COUNTER: Final = 0
"""`kdf` of derived keys that were imported, and of those that are not derived."""
HKDF: Final = 1
CONVERGENT: Final = 3
"""How nonces of convergent keys are made: the third way, which is the newest."""
_MOST_PARTS: Final = 1 << 15
"""Objects in a backup: one of 10,000 versions of AES has 20,000, and twice that is longer than any may be."""
_MOST_VALUES: Final = 1 << 19
"""Values in it: a version has thirteen."""
NEVER: Final = "0001-01-01T00:00:00Z"
"""The time of what never was, as Go writes it."""


class _Form(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a backup."""

    def __repr__(self) -> str:
        """Show nothing of it."""
        return f"{type(self).__name__}(…)"


class RsaShortcuts(_Form, frozen=True, kw_only=True):
    """What makes RSA faster."""

    Dp: int | None = None
    Dq: int | None = None
    Qinv: int | None = None
    CRTValues: Sequence[object] | None = ()


class RsaKey(_Form, frozen=True, kw_only=True):
    """A pair of RSA: modulus, both exponents, and the primes."""

    N: int
    E: int
    D: int
    Primes: Sequence[int]
    Precomputed: RsaShortcuts


class RsaPublic(_Form, frozen=True, kw_only=True):
    """The public half of RSA."""

    N: int
    E: int


class Entry(_Form, frozen=True, kw_only=True):
    """A version. `key` is a symmetric one, or of Ed25519 and ML-DSA what Go keeps; `time` is in RFC 3339."""

    key: bytes | None = None
    hmac_key: bytes | None = None
    time: str = NEVER
    ec_x: int | None = None
    ec_y: int | None = None
    ec_d: int | None = None
    rsa_key: RsaKey | None = None
    rsa_public_key: RsaPublic | None = None
    public_key: str = ""
    convergent_version: int = 0
    creation_time: Seconds = Seconds(0)
    certificate_chain: Sequence[bytes] | None = None
    external_key_ref: str = ""


class CopyInfo(_Form, frozen=True, kw_only=True):
    """When a key was backed up or restored, and which version was its newest."""

    time: str
    version: int


class Policy(
    _Form,
    frozen=True,
    kw_only=True,
    rename={"imported": "Imported", "allow_rotation": "AllowImportedKeyRotation"},
):
    """A key with those versions that may be used, by their numbers. `auto_rotate_period` is in nanoseconds."""

    name: str
    key_size: int | msgspec.UnsetType = msgspec.UNSET
    keys: Mapping[str, Entry]
    derived: bool = False
    kdf: int = COUNTER
    convergent_encryption: bool = False
    exportable: bool = False
    min_decryption_version: int
    min_encryption_version: int = 0
    latest_version: int
    archive_version: int = 0
    archive_min_version: int = 0
    min_available_version: int = 0
    deletion_allowed: bool = False
    convergent_version: int = 0
    type: int
    backup_info: CopyInfo | None = None
    restore_info: CopyInfo | None = None
    allow_plaintext_backup: bool = False
    version_template: str = ""
    storage_prefix: str = ""
    auto_rotate_period: Nanos = Nanos(0)
    imported: bool = False
    allow_rotation: bool = False
    soft_deleted: bool = False


class Archive(_Form, frozen=True, kw_only=True):
    """All versions that there are: the first of the list is `min_available_version`, be it 0, which never was."""

    keys: Sequence[Entry] | None = ()


class KeyData(_Form, frozen=True, kw_only=True):
    """A backup."""

    policy: Policy
    archived_keys: Archive | None = None


_DECODER: Final = msgspec.json.Decoder(KeyData)


def read_backup(data: bytes) -> KeyData:
    """Return what a backup says. Raises `Malformed` for what is none.

    The smallest parts take a hundred times their length in memory, so they are counted first.
    """
    if data.count(b"{") > _MOST_PARTS or data.count(b",") > _MOST_VALUES:
        raise Malformed("the backup has too many parts")
    try:
        found = _DECODER.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Malformed("this is no backup of a key") from None
    if TYPES.get(found.policy.type) not in KEY_TYPES:
        raise Malformed("the backup is of a key of no type that is known")
    return found


def write_backup(data: KeyData) -> bytes:
    """Return a backup as OpenBao writes it."""
    return msgspec.json.encode(data) + b"\n"
