# SPDX-License-Identifier: EUPL-1.2
"""Keys in use, as the crypto inventory lists them: what each is for, how strong, how old, where it lies. Never the key itself.

Whoever makes keys describes them: an engine by `Kind.keys` (`vault/install.py`), what belongs to the server itself in
`vault/engines/system/crypto`. A key that nobody describes fails `tests/house/test_keys.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from vault.storage.paging import Listing, pages
from vault.values.times import Millis, Seconds

if TYPE_CHECKING:
    from vault.barrier.view import ReadView

MOST_COUNTED: Final = 10_000
"""Keys of one mount that are counted; where there are more, this is how many are told of."""
_CURVES: Final[Mapping[str, str]] = {
    "secp256r1": "ecdsa-p256-sha256",
    "secp384r1": "ecdsa-p384-sha384",
    "secp521r1": "ecdsa-p521-sha512",
}


_AES: Final[Mapping[int, str]] = {128: "aes-128-gcm", 256: "aes-256-gcm"}


class Purpose(StrEnum):
    """What keys are for. `docs/crypto-inventory.md` has a row for each."""

    AUDIT_HASH = "audit-hash"
    BARRIER = "barrier"
    BISCUIT_APPROVER = "biscuit-approver"
    BISCUIT_ROOT = "biscuit-root"
    EXTERNAL = "external"
    IDENTITY_TOKEN = "identity-token"  # noqa: S105 - a name
    LOG_HASH = "log-hash"
    LOG_SIGNATURE = "log-signature"
    RECOVERY = "recovery"
    ROOT = "root"
    SAFE = "safe"
    SEAL_SLOT = "seal-slot"
    SECRET_ID_HASH = "secret-id-hash"  # noqa: S105 - a name
    SECOND_FACTOR = "second-factor"
    SSH_CA = "ssh-ca"
    SSH_OTP_HASH = "ssh-otp-hash"
    TLS_LISTENER = "tls-listener"
    TOKEN_HASH = "token-hash"  # noqa: S105 - a name
    TOTP = "totp"
    TRANSIT = "transit"
    WRAPPING_TOKEN = "wrapping-token"  # noqa: S105 - a name


class KeyState(StrEnum):
    """Whether a key is used: for new things, for old ones only, not yet, or not now as it cannot be reached."""

    ACTIVE = "active"
    NEXT = "next"
    RETIRED = "retired"
    UNREACHABLE = "unreachable"


class KeyUse(msgspec.Struct, frozen=True, kw_only=True):
    """One key, or several of one kind that nobody wants to see one by one (`count`)."""

    name: str
    """Tells it from the others of its owner; it does not change."""
    purpose: Purpose
    protects: str
    algorithm: str
    """A name of `api-spec/registry/crypto-suites.yaml`; empty where it is not known."""
    bits: int = 0
    """Its size; 0 where it is not known, or where several have several."""
    location: str
    in_hsm: bool = False
    version: str = ""
    state: KeyState = KeyState.ACTIVE
    count: int = 1
    created: Millis = Millis(0)
    """When this version was made; 0 where nobody noted it."""
    rotated: Millis = Millis(0)
    """When this version took the place of one before; 0 where it is the first, or nobody noted it."""
    period: Seconds = Seconds(0)
    """How old it may get before it is to be rotated, as its owner was told; 0 for no such rule."""
    ends: Millis = Millis(0)
    """When a certificate for it ends; 0 without one."""


KeysOf = Callable[["ReadView", "ReadView"], Awaitable[Sequence[KeyUse]]]
"""Describes the keys of a mount, given the data of its namespace and its own."""


def kind_of(public: object) -> tuple[str, int]:
    """Return the algorithm and the size in bits of a key pair, by its public half; nothing and 0 for other ones."""
    if isinstance(public, rsa.RSAPublicKey):
        return f"rsa-{public.key_size}", public.key_size
    if isinstance(public, ec.EllipticCurvePublicKey):
        return _CURVES.get(public.curve.name, ""), public.curve.key_size
    if isinstance(public, ed25519.Ed25519PublicKey):
        return "ed25519", 256
    return "", 0


def kind_of_aes(bits: int) -> tuple[str, int]:
    """Return the algorithm of an AES key in a device, and its size in bits; nothing where the device does not tell it."""
    return _AES.get(bits, ""), bits


async def counted(listing: Listing, prefix: str) -> int:
    """Return how many names a listing has below `prefix`, `MOST_COUNTED` at most."""
    found = 0
    async for page in pages(listing, prefix):
        found += len(page)
        if found >= MOST_COUNTED:
            return MOST_COUNTED
    return found
