# SPDX-License-Identifier: EUPL-1.2
"""What the TOTP engine keeps, takes and answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from vault.framework.fields import Doc, Span
from vault.framework.route import Params
from vault.values.times import Seconds

KEYS: Final = "key/"
"""Prefix of the keys, in a mount's data."""


class Key(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A key. `period` is in seconds, `skew` in periods; `used` are the latest periods whose code was used."""

    secret: bytes
    account_name: str = ""
    issuer: str = ""
    algorithm: str = "SHA1"
    digits: int = 6
    period: Seconds = Seconds(30)
    skew: int = 1
    used: tuple[int, ...] = ()

    def __repr__(self) -> str:
        """Show nothing of it."""
        return "Key(…)"


class KeyName(Params, frozen=True, kw_only=True):
    """Names a key."""

    name: Annotated[str, Doc("Name of the key.")]


class KeyParams(KeyName, frozen=True):
    """A new key; it replaces the one with this name."""

    account_name: Annotated[str, Doc("Whose key it is; needed where it is made here.")] = ""
    algorithm: Annotated[str, Doc("SHA1, SHA256 or SHA512.", clear=True)] = "SHA1"
    digits: Annotated[int, Doc("Digits of a code: 6 or 8.", clear=True)] = 6
    exported: Annotated[bool, Doc("Whether a key that is made here is shown, this once.", clear=True)] = True
    generate: Annotated[bool, Doc("Whether the key is made here.", clear=True)] = False
    issuer: Annotated[str, Doc("Who the account is with; needed where the key is made here.")] = ""
    key: Annotated[str, Doc("The key, in base32.")] = ""
    key_size: Annotated[int, Doc("Bytes of a key that is made here.", clear=True)] = 20
    period: Annotated[Span, Doc("Seconds for which a code is good.", clear=True)] = Seconds(30)
    qr_size: Annotated[int, Doc("Pixels of the QR code's sides; 0 for none.", clear=True)] = 200
    skew: Annotated[
        int, Doc("Periods before and after the current one whose codes are good too: 0 or 1.", clear=True)
    ] = 1
    url: Annotated[str, Doc("An otpauth URL, instead of the other fields.")] = ""


class CodeParams(KeyName, frozen=True):
    """A code to be checked."""

    code: Annotated[str, Doc("The code.")] = ""


class ListParams(Params, frozen=True):
    """Which part of a list."""

    after: Annotated[str, Doc("Begin after this name.")] = ""
    limit: Annotated[int, Doc("How many names to show at most; 0 or less for all.", clear=True)] = 0


class Keys(msgspec.Struct, frozen=True):
    """The names of keys, in order."""

    keys: Sequence[str]


class KeyInfo(msgspec.Struct, frozen=True):
    """What is shown of a key; never itself."""

    account_name: str
    algorithm: str
    digits: int
    issuer: str
    period: Seconds


class ExportedKey(msgspec.Struct, frozen=True, omit_defaults=True):
    """A new key, for the authenticator: the only time that it is shown."""

    url: str
    barcode: str = ""

    def __repr__(self) -> str:
        """Show nothing of it."""
        return "ExportedKey(…)"


class PreparedKey(msgspec.Struct, frozen=True):
    """A key that is made and not kept yet, and what is shown of it."""

    key: Key
    shown: ExportedKey | None = None


class Code(msgspec.Struct, frozen=True):
    """A code, and when it was made and ends (seconds since the epoch)."""

    code: str
    generated: Seconds
    expire_time: Seconds
    period: str


class Validity(msgspec.Struct, frozen=True):
    """Whether a code is good."""

    valid: bool
