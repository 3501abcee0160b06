# SPDX-License-Identifier: EUPL-1.2
"""Codes (RFC 6238), and keys as they travel: base32, `otpauth` URLs, QR codes."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec
from cryptography.hazmat.primitives import constant_time, hashes
from cryptography.hazmat.primitives.twofactor.hotp import HOTP

from vault.engines.totp.model import Key, KeyParams
from vault.framework.display.otpauth import otpauth
from vault.framework.errors import Malformed
from vault.framework.names import check_length
from vault.values.times import Seconds

_HASHES: Final[Mapping[str, type[hashes.SHA1 | hashes.SHA256 | hashes.SHA512]]] = {
    "SHA1": hashes.SHA1,
    "SHA256": hashes.SHA256,
    "SHA512": hashes.SHA512,
}
_BASE32: Final = re.compile(r"[A-Z2-7]*")
_LARGEST_KEY: Final = 1024
_LONGEST_KEY: Final = 4096
"""Characters of a key from elsewhere, and of its URL."""
_LARGEST_PICTURE: Final = 2000


def code(key: Key, counter: int) -> str:
    """Return the code of a period."""
    made = HOTP(key.secret, key.digits, _HASHES[key.algorithm](), enforce_key_length=False)
    return made.generate(counter).decode()


def matching(key: Key, given: str, now: Seconds) -> int | None:
    """Return the period that a code is good for at `now` (seconds), or None. Every candidate is compared (SL-23)."""
    current = now // key.period
    found = None
    for counter in range(current - key.skew, current + key.skew + 1):
        if counter >= 0 and constant_time.bytes_eq(code(key, counter).encode(), given.encode()):
            found = counter
    return found


def spend(key: Key, counter: int) -> Key:
    """Return a key that has seen the code of a period."""
    recent = [one for one in key.used if one >= counter - 2 * key.skew - 1]
    return msgspec.structs.replace(key, used=tuple(sorted({*recent, counter})))


def given_key(params: KeyParams) -> Key:
    """Return a key that comes from elsewhere. Raises `Malformed`."""
    fields = _from_url(params) if params.url else params
    check(fields)
    if not fields.key:
        raise Malformed("the key value is required")
    if len(fields.key) > _LONGEST_KEY:
        raise Malformed(f"the key may have at most {_LONGEST_KEY} characters")
    text = fields.key.upper()
    try:
        if not _BASE32.fullmatch(text):
            raise binascii.Error  # noqa: TRY301 -- as b32decode refuses the rest
        secret = base64.b32decode(text + "=" * (-len(text) % 8))
    except binascii.Error:
        raise Malformed("invalid key value: illegal base32 data") from None
    return _key(fields, secret)


def new_key(params: KeyParams, random: bytes) -> Key:
    """Return a key that is made here. Raises `Malformed`."""
    check(params)
    return _key(params, random)


def check(params: KeyParams) -> None:
    """Make sure that a key can be. Raises `Malformed`."""
    check_length(issuer=params.issuer, account_name=params.account_name)
    if params.generate:
        _check_making(params)
    if params.algorithm not in _HASHES:
        raise Malformed("the algorithm value is not valid")
    if params.digits not in {6, 8}:
        raise Malformed("the digits value can only be 6 or 8")
    if params.period <= 0:
        raise Malformed("the period value must be greater than zero")
    if params.skew not in {0, 1}:
        raise Malformed("the skew value must be 0 or 1")


def _check_making(params: KeyParams) -> None:
    if params.url:
        raise Malformed("a url should not be passed if generate is true")
    if params.key:
        raise Malformed("a key should not be passed if generate is true")
    if not params.account_name:
        raise Malformed("the account_name value is required for generated keys")
    if not params.issuer:
        raise Malformed("the issuer value is required for generated keys")
    if params.key_size <= 0:
        raise Malformed("the key_size value must be greater than zero")
    if params.key_size > _LARGEST_KEY:
        raise Malformed(f"the key_size value must be at most {_LARGEST_KEY}")
    if params.qr_size < 0:
        raise Malformed("the qr_size value must be greater than or equal to zero")
    if params.qr_size > _LARGEST_PICTURE:
        raise Malformed(f"the qr_size value must be at most {_LARGEST_PICTURE}")


def _key(params: KeyParams, secret: bytes) -> Key:
    return Key(
        secret=secret,
        account_name=params.account_name,
        issuer=params.issuer,
        algorithm=params.algorithm,
        digits=params.digits,
        period=params.period,
        skew=params.skew,
    )


def _from_url(params: KeyParams) -> KeyParams:
    """Read an `otpauth` URL: its fields go before those that came beside it. Raises `Malformed`."""
    if len(params.url) > _LONGEST_KEY:
        raise Malformed(f"the url may have at most {_LONGEST_KEY} characters")
    try:
        parts = urlsplit(params.url)
    except ValueError:
        raise Malformed("an error occurred while parsing url string") from None
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    prefix, colon, name = unquote(parts.path.lstrip("/")).partition(":")
    return msgspec.structs.replace(
        params,
        key=query.get("secret", ""),
        account_name=name if colon else prefix,
        issuer=query.get("issuer", prefix if colon else ""),
        algorithm=query.get("algorithm", params.algorithm),
        digits=_number(query, "digits", params.digits),
        period=_number(query, "period", params.period),
    )


def _number(query: Mapping[str, str], name: str, usual: int) -> int:
    text = query.get(name)
    if text is None:
        return usual
    if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII):
        raise Malformed(f"an error occurred while parsing {name} value in url")
    return int(text)


def duration(seconds: Seconds) -> str:
    """Return seconds as OpenBao shows them: `30s`, `1m0s`, `24h0m0s`."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{rest}s" if hours else f"{minutes}m{rest}s" if minutes else f"{rest}s"


def url(key: Key) -> str:
    """Return a key as an `otpauth` URL."""
    return otpauth(
        key.issuer,
        key.account_name,
        algorithm=key.algorithm,
        digits=key.digits,
        period=key.period,
        secret=key.secret,
    )
