# SPDX-License-Identifier: EUPL-1.2
"""What is known of single products, and which tokens are programs."""

from __future__ import annotations

from typing import Final

import msgspec


class Quirks(msgspec.Struct, frozen=True, kw_only=True):
    """How a product differs from what PKCS#11 says."""

    software: bool = False
    """A program: it protects nothing against the host's administrator."""
    no_gcm: bool = False
    """It lists `CKM_AES_GCM`, but the call fails with python-pkcs11."""
    one_key_per_id: bool = False
    """A new secret key takes the place of one with the same id, whatever their labels."""
    minimal_template: bool = False
    """It refuses keys that are to be neither modifiable nor copyable."""


_BY_MODEL: Final = (
    ("SoftHSM", Quirks(software=True)),
    ("NSS", Quirks(software=True, no_gcm=True, one_key_per_id=True, minimal_template=True)),
    ("Soft", Quirks(software=True)),  # openCryptoki's soft token
    ("SW", Quirks(software=True)),  # a TPM that is a program
)
_BY_MANUFACTURER: Final = (
    ("SoftHSM", Quirks(software=True)),
    ("Mozilla", Quirks(software=True, no_gcm=True, one_key_per_id=True, minimal_template=True)),
)


def quirks_of(manufacturer: str, model: str) -> Quirks:
    """Return what is known of a token by its `CK_TOKEN_INFO`; nothing is known of most."""
    for start, quirks in _BY_MODEL:
        if model.split(" ", maxsplit=1)[0] == start:
            return quirks
    for start, quirks in _BY_MANUFACTURER:
        if manufacturer.startswith(start):
            return quirks
    return Quirks()
