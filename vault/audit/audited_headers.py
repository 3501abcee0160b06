# SPDX-License-Identifier: EUPL-1.2
"""Which request headers are recorded, and which of them only hashed, as they carry credentials."""

from __future__ import annotations

from typing import Final

from vault.barrier.stored import RecordKind, Stored

_AUDITED: Final = RecordKind("audited headers", dict[str, bool])
_CREDENTIALS: Final = frozenset(
    {"x-vault-token", "x-vault-mfa", "authorization", "proxy-authorization", "cookie", "dpop"}
)
_LOGIN: Final = "x-vault-inline-auth-"
"""How the headers begin that log in with a request: they have its passwords."""


def carries_credentials(header: str) -> bool:
    """Whether a header, in small letters, is never recorded in clear: a reader of the audit log must not be able to act as the caller."""
    return header in _CREDENTIALS or header.startswith(_LOGIN)


def encode(headers: dict[str, bool]) -> Stored:
    """Return how it is stored which headers are recorded, by name in small letters, and whether each is hashed."""
    return _AUDITED.encode(headers)


def decode(stored: bytes | None) -> dict[str, bool]:
    """Return what was stored; what carries credentials is hashed whatever that says, as earlier releases took it otherwise."""
    found = _AUDITED.decode(stored) if stored else {}
    return {name: hashed or carries_credentials(name) for name, hashed in found.items()}
