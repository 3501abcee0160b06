# SPDX-License-Identifier: EUPL-1.2
"""What an agent can be asked, and what it answers. Nothing here ever holds a PIN."""

from __future__ import annotations

from typing import Final

import msgspec

from hsm.key_slot import KeyIdentity, WrappedKey
from hsm.token_info import TokenInfo
from hsm.versions import KeyVersion


class AgentConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The first frame that an agent gets: which module, token and key to open, and how."""

    lib: str
    library_parameters: str = ""
    login: bool = True
    """Whether to find the token and log in; without it only `ListTokens` works."""
    slot: int | None = None
    token_label: str = ""
    token_serial: str = ""
    key_label: str = ""
    key_id: bytes = b""
    mechanism: str = ""
    rsa_oaep_hash: str = "sha256"
    max_sessions: int = 4
    force_pin_final_try: bool = False
    guest: bool = False
    """Whether the PIN came from a client; see `hsm.agent.session.login`."""
    runtime_directory: str = ""


class Wrap(msgspec.Struct, frozen=True, tag="wrap"):
    """Wrap a key; answered by a `WrappedKey`."""

    dek: bytes
    key: KeyIdentity | None = None


class Identify(msgspec.Struct, frozen=True, tag="identify"):
    """Have a key prove itself; answered by its `KeyIdentity`."""

    key: KeyIdentity | None = None


class Unwrap(msgspec.Struct, frozen=True, tag="unwrap"):
    """Unwrap a key; answered by its bytes."""

    wrapped: WrappedKey


class Probe(msgspec.Struct, frozen=True, tag="probe"):
    """Wrap and unwrap something fresh; answered by a `ProbeResult`."""


class Random(msgspec.Struct, frozen=True, tag="random"):
    """Answered by so many bytes of `C_GenerateRandom`."""

    size: int


class Sign(msgspec.Struct, frozen=True, tag="sign"):
    """Sign; answered by the signature as the token gives it (ECDSA: r and s, one after the other)."""

    key_label: str
    key_id: bytes | None
    mechanism: str
    data: bytes


class PublicKey(msgspec.Struct, frozen=True, tag="public_key"):
    """Answered by a `PublicHalf`."""

    key_label: str
    key_id: bytes | None


class PublicHalf(msgspec.Struct, frozen=True, kw_only=True):
    """A key pair as the token has it, which may have been asked for by less than that."""

    label: str
    key_id: bytes
    """Empty where the token gives it none."""
    public: bytes
    """SubjectPublicKeyInfo in DER."""


class SecretKey(msgspec.Struct, frozen=True, tag="secret_key"):
    """Answered by the `SecretKeyInfo` of an AES key."""

    key_label: str
    key_id: bytes | None


class SecretKeyInfo(msgspec.Struct, frozen=True, kw_only=True):
    """An AES key as the token has it; nothing of it can be told from this."""

    label: str
    key_id: bytes
    """Empty where the token gives it none."""
    bits: int
    """0 where the token does not tell."""
    fingerprint: str
    """What it is known by; empty where it only decrypts."""


class Encrypt(msgspec.Struct, frozen=True, tag="encrypt"):
    """Encrypt with an AES key by `CKM_AES_GCM`; answered by nonce (12 bytes), encrypted data and tag (16 bytes).

    The agent makes the nonce, a new one each time.
    """

    key_label: str
    key_id: bytes | None
    data: bytes
    associated_data: bytes

    def __repr__(self) -> str:
        return f"Encrypt({self.key_label!r})"


class Decrypt(msgspec.Struct, frozen=True, tag="decrypt"):
    """Decrypt; answered by the data. `mechanism` is `AES_GCM`, for what `Encrypt` answers, or `RSA_PKCS_OAEP`."""

    key_label: str
    key_id: bytes | None
    mechanism: str
    data: bytes
    associated_data: bytes = b""
    oaep_hash: str = ""
    """Of RSA-OAEP: the hash, also of its mask (RFC 8017 section 7.1)."""


class GenerateKeyPair(msgspec.Struct, frozen=True, tag="generate_key_pair"):
    """Make a key pair that signs; answered by its public half as SubjectPublicKeyInfo in DER."""

    key_label: str
    key_id: bytes
    algorithm: str


class GenerateKek(msgspec.Struct, frozen=True, tag="generate_kek"):
    """Make the next version of the slot's key; answered by a `KeyVersion`. A dry run leaves none on the token."""

    algorithm: str
    modifiable: bool = False
    dry_run: bool = False


class Keys(msgspec.Struct, frozen=True, tag="keys"):
    """Answered by all versions of the slot's key."""


class Retire(msgspec.Struct, frozen=True, tag="retire"):
    """Let a version of the slot's key decrypt only; answered by nothing. A dry run changes nothing."""

    version: str
    dry_run: bool = False


class ListTokens(msgspec.Struct, frozen=True, tag="list_tokens"):
    """Answered by all tokens of the module."""


Operation = (
    Wrap
    | Identify
    | Unwrap
    | Probe
    | Random
    | Sign
    | PublicKey
    | SecretKey
    | Encrypt
    | Decrypt
    | GenerateKeyPair
    | GenerateKek
    | Keys
    | Retire
    | ListTokens
)


class ProbeResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a probe found. It raises nothing: what failed is in `reason`."""

    token: TokenInfo | None
    key_version: str = ""
    way: str = ""
    """How the slot wraps: the `m` of a `WrappedKey`."""
    key_bits: int = 0
    """Size of the key; 0 where the token does not tell."""
    reason: str = ""
    """Empty when the canary passed."""
    kind: str = ""
    """Class of the error behind `reason`."""
    ckr: str = ""
    ignored: list[str] = []
    """Objects of the key's name that do not count, each with the reason."""
    logins: int = 0
    sessions: int = 0


ANSWERS: Final = (
    bytes,
    type(None),
    WrappedKey,
    KeyIdentity,
    ProbeResult,
    PublicHalf,
    SecretKeyInfo,
    KeyVersion,
    list[KeyVersion],
    list[TokenInfo],
)
"""Every type of an answer."""

__all__ = [
    "ANSWERS",
    "AgentConfig",
    "Decrypt",
    "Encrypt",
    "GenerateKek",
    "GenerateKeyPair",
    "Identify",
    "KeyIdentity",
    "KeyVersion",
    "Keys",
    "ListTokens",
    "Operation",
    "Probe",
    "ProbeResult",
    "PublicHalf",
    "PublicKey",
    "Random",
    "Retire",
    "SecretKey",
    "SecretKeyInfo",
    "Sign",
    "TokenInfo",
    "Unwrap",
    "Wrap",
    "WrappedKey",
]
