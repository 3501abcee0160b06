# SPDX-License-Identifier: EUPL-1.2
"""Parts encrypted to recipients in the age format, in memory: what is not encrypted reaches no disk."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from vaultctl.port.ground.extras import Errors


@dataclass(frozen=True, slots=True)
class Recipients:
    """To whom parts are encrypted; to nobody where `keys` is empty."""

    keys: Sequence[object] = ()
    digest: str = ""
    """Which keys these are."""

    @property
    def encryption(self) -> str:
        """As a manifest says it."""
        return "age" if self.keys else "none"

    @property
    def text(self) -> str:
        """As a journal says it: one archive is encrypted in one way."""
        return f"age:{self.digest}" if self.keys else "none"


def recipients(texts: Sequence[str], file: str) -> Recipients:
    """The keys to encrypt to: those that are given, and those in a file. CommandError for what is none."""
    with Errors():
        from vault.storage.copies.encryption import named_recipients, recipient

        named = named_recipients(texts, file)
        keys = [recipient(where, text) for where, text in named]
        seal(b"", keys)  # whether they go together
        words = sorted({" ".join(text.split()[:2]) for _, text in named})  # without comments of SSH keys
        return Recipients(keys, hashlib.sha256("\n".join(words).encode()).hexdigest())
    raise AssertionError


def identities(file: str) -> Sequence[object]:
    """The private keys in a file. CommandError where none can be used."""
    with Errors():
        from vault.storage.copies.encryption import identities_in

        return identities_in(file)
    raise AssertionError


def seal(plain: bytes, to: Sequence[object]) -> bytes:
    """Encrypt one part. CommandError for recipients that do not go together."""
    with Errors():
        from vault.storage.copies.encryption import encrypt_bytes

        return encrypt_bytes(plain, to)
    raise AssertionError


def unseal(sealed: bytes, by: Sequence[object]) -> bytes:
    """Decrypt one part. CommandError where it does not open."""
    with Errors():
        from vault.storage.copies.encryption import decrypt_bytes

        return decrypt_bytes(sealed, by)
    raise AssertionError
