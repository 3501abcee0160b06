# SPDX-License-Identifier: EUPL-1.2
"""What the routes of transit answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from vault.values.times import Seconds


class PublicVersion(msgspec.Struct, frozen=True):
    """A version of a pair. `public_key` is in PEM, or in base64 for Ed25519 and ML-DSA."""

    certificate_chain: str
    creation_time: str
    name: str
    public_key: str


class KeyCopyInfo(msgspec.Struct, frozen=True):
    """When a key was backed up or restored, and which version was its newest."""

    time: str
    version: int


class KeyInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a key; never itself. `keys` are its versions: when they were made, their public halves, or where they are."""

    allow_plaintext_backup: bool
    auto_rotate_period: Seconds
    backup_info: KeyCopyInfo | msgspec.UnsetType = msgspec.UNSET
    convergent_encryption: bool | msgspec.UnsetType = msgspec.UNSET
    convergent_encryption_version: int | msgspec.UnsetType = msgspec.UNSET
    deletion_allowed: bool
    derived: bool
    exportable: bool
    imported_key: bool
    imported_key_allow_rotation: bool | msgspec.UnsetType = msgspec.UNSET
    kdf: str | msgspec.UnsetType = msgspec.UNSET
    kdf_mode: str | msgspec.UnsetType = msgspec.UNSET
    key_size: int | msgspec.UnsetType = msgspec.UNSET
    keys: Mapping[str, int | str | PublicVersion] | msgspec.UnsetType = msgspec.UNSET
    latest_version: int
    min_available_version: int
    min_decryption_version: int
    min_encryption_version: int
    name: str
    restore_info: KeyCopyInfo | msgspec.UnsetType = msgspec.UNSET
    soft_deleted: bool
    supports_decryption: bool
    supports_derivation: bool
    supports_encryption: bool
    supports_signing: bool
    type: str
    usage: Mapping[str, int] | msgspec.UnsetType = msgspec.UNSET
    """Encryptions and signatures by version, where that was asked for."""


class Names(msgspec.Struct, frozen=True):
    """The names of keys, in order."""

    keys: Sequence[str]


class Ciphertext(msgspec.Struct, frozen=True, gc=False):
    """A ciphertext, and which version of the key made it."""

    ciphertext: str
    key_version: int


class Plaintext(msgspec.Struct, frozen=True):
    """A plaintext, in base64."""

    plaintext: str

    def __repr__(self) -> str:
        """Show nothing of it."""
        return "Plaintext(…)"


class DataKey(msgspec.Struct, frozen=True):
    """A key for data: encrypted, and where that was asked for in the clear."""

    ciphertext: str
    key_version: int
    plaintext: str | msgspec.UnsetType = msgspec.UNSET

    def __repr__(self) -> str:
        """Show nothing of it."""
        return "DataKey(…)"


class CiphertextItem(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What became of one plaintext of a batch."""

    ciphertext: str | msgspec.UnsetType = msgspec.UNSET
    key_version: int | msgspec.UnsetType = msgspec.UNSET
    error: str | msgspec.UnsetType = msgspec.UNSET
    reference: str = ""


class PlaintextItem(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What became of one ciphertext of a batch."""

    plaintext: str = ""
    error: str | msgspec.UnsetType = msgspec.UNSET
    reference: str = ""

    def __repr__(self) -> str:
        """Show nothing of it."""
        return "PlaintextItem(…)"


class Ciphertexts(msgspec.Struct, frozen=True):
    """What became of a batch of plaintexts, in their order."""

    batch_results: Sequence[CiphertextItem]


class Plaintexts(msgspec.Struct, frozen=True):
    """What became of a batch of ciphertexts, in their order."""

    batch_results: Sequence[PlaintextItem]


class SignatureInfo(msgspec.Struct, frozen=True):
    """A signature, which version of the key made it, and of a derived pair its public half in base64."""

    signature: str
    key_version: int
    public_key: str | msgspec.UnsetType = msgspec.UNSET


class SignatureItem(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one input of a batch that is signed."""

    signature: str | msgspec.UnsetType = msgspec.UNSET
    key_version: int
    publickey: str | msgspec.UnsetType = msgspec.UNSET
    error: str | msgspec.UnsetType = msgspec.UNSET
    reference: str = ""


class Signatures(msgspec.Struct, frozen=True):
    """What became of a batch that is signed, in its order."""

    batch_results: Sequence[SignatureItem]


class Verdict(msgspec.Struct, frozen=True):
    """Whether a signature or a MAC is good."""

    valid: bool


class VerdictItem(msgspec.Struct, frozen=True, kw_only=True):
    """Whether one signature or MAC of a batch is good; of a MAC that is not, nothing is said."""

    valid: bool | msgspec.UnsetType = msgspec.UNSET
    error: str | msgspec.UnsetType = msgspec.UNSET
    reference: str = ""


class Verdicts(msgspec.Struct, frozen=True):
    """What became of a batch that is verified, in its order."""

    batch_results: Sequence[VerdictItem]


class Hmac(msgspec.Struct, frozen=True):
    """A MAC, after the version of the key that made it."""

    hmac: str


class HmacItem(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one input of a batch of which MACs are made."""

    hmac: str | msgspec.UnsetType = msgspec.UNSET
    error: str | msgspec.UnsetType = msgspec.UNSET
    reference: str = ""


class Hmacs(msgspec.Struct, frozen=True):
    """What became of a batch of which MACs are made, in its order."""

    batch_results: Sequence[HmacItem]


class KeyTexts(msgspec.Struct, frozen=True):
    """A part of a key by version, as it leaves the server."""

    keys: Mapping[str, str]
    name: str
    type: str

    def __repr__(self) -> str:
        """Show nothing of it."""
        return "KeyTexts(…)"


class KeysConfig(msgspec.Struct, frozen=True):
    """What holds for all keys of a mount."""

    disable_upsert: bool


class CacheConfig(msgspec.Struct, frozen=True):
    """How many keys of a mount are kept in memory; 0 for as many as the server keeps."""

    size: int
