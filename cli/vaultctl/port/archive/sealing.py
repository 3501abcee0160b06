# SPDX-License-Identifier: EUPL-1.2
"""Parts encrypted to recipients in the age format, in memory: what is not encrypted reaches no disk."""

from __future__ import annotations

from collections.abc import Sequence

from vaultctl.port.ground.extras import Errors


def recipients(texts: Sequence[str], file: str) -> Sequence[object]:
    """The keys to encrypt to: those that are given, and those in a file. CommandError for what is none."""
    with Errors():
        from vault.storage.copies.encryption import recipients_of

        return recipients_of(texts, file)
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
