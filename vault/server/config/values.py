# SPDX-License-Identifier: EUPL-1.2
"""How one configured value is read: from what HCL or JSON gave to the type that the server uses.

A reader raises `Unreadable` with what was expected. The value itself is in no message: it may be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, NamedTuple

from vault.framework.hcl.syntax_tree import Value
from vault.token.addresses import NoAddress, canonical


class Unreadable(ValueError):
    """The value is not of the expected kind; the text completes "… must be"."""


Reader = Callable[[Value], Any]
"""Turns a parsed value into a setting; raises `Unreadable`."""


class Setting(NamedTuple):
    """What a field of a settings struct is read with, what its documentation says, and how its default looks."""

    read: Reader
    help: str
    shown: str = ""


_UNIT_SECONDS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION: Final = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+")
_PART: Final = re.compile(r"([\d.]+)([a-z]*)")
_ORIGIN: Final = re.compile(r"[A-Za-z0-9.-]{1,253}(?:/[A-Za-z0-9._~-]{1,64}){0,8}")
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,31}")
_HTTPS: Final = re.compile(r"https://[\x21-\x7e]{1,1990}")
_CONTACT: Final = re.compile(r"(?:mailto:|tel:|https://)[\x21-\x7e]{1,500}")
_TRUE: Final = frozenset({"1", "t", "true", "T", "TRUE", "True"})
_FALSE: Final = frozenset({"0", "f", "false", "F", "FALSE", "False"})
_LONGEST_SECONDS: Final = 9_223_372_036


def text(value: Value) -> str:
    """Read a string; numbers are taken as they are written."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Unreadable("a string")
    return str(value)


def filled(value: Value) -> str:
    """Read a string that is not empty."""
    found = text(value)
    if not found:
        raise Unreadable("a string that is not empty")
    return found


def origin(value: Value) -> str:
    """Read the origin of checkpoints: a schema-less URL without white space and plus (C2SP tlog-checkpoint)."""
    found = filled(value)
    if not _ORIGIN.fullmatch(found):
        raise Unreadable("a domain and a path, as vault.example.eu/log")
    return found


def word(value: Value) -> str:
    """Read one short word of letters, digits and hyphens."""
    found = filled(value)
    if not _WORD.fullmatch(found):
        raise Unreadable("one word of at most 32 letters, digits and hyphens")
    return found


def date(value: Value) -> str:
    """Read a day, such as 2031-12-31."""
    found = filled(value)
    try:
        day = datetime.strptime(found, "%Y-%m-%d")  # noqa: DTZ007 - a day has no zone
    except ValueError:
        raise Unreadable("a day such as 2031-12-31") from None
    return day.strftime("%Y-%m-%d")


def https_url(value: Value) -> str:
    """Read a URL that is fetched with TLS."""
    found = filled(value)
    if not _HTTPS.fullmatch(found):
        raise Unreadable("an https:// URL of at most 2,000 characters")
    return found


def contacts(value: Value) -> tuple[str, ...]:
    """Read URIs by which people are reached (RFC 9116, section 2.5.3)."""
    found = words(value)
    if not all(_CONTACT.fullmatch(one) for one in found):
        raise Unreadable("mailto:, tel: or https: URIs")
    return found


def boolean(value: Value) -> bool:
    """Read `true`, `false`, 0, 1 or their quoted forms."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str | int) and str(value) in _TRUE:
        return True
    if isinstance(value, str | int) and str(value) in _FALSE:
        return False
    raise Unreadable("true or false")


def whole(value: Value) -> int:
    """Read an integer of at least 0, quoted or not."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        return int(value)
    raise Unreadable("a whole number of at least 0")


def limit(value: Value) -> int:
    """Read an integer of at least 1: our limits can be raised, not removed."""
    try:
        found = whole(value)
    except Unreadable:
        found = 0
    if found < 1:
        raise Unreadable("a whole number of at least 1 (a limit can be raised, but not switched off)")
    return found


def duration(value: Value) -> float:
    """Read seconds: a number, or a string such as `90s`, `1h30m`, `768h` or `30d`."""
    seconds = -1.0
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number or (isinstance(value, str) and re.fullmatch(r"\d{1,10}", value, re.ASCII)):
        seconds = float(str(value))
    elif isinstance(value, str) and len(value) < 64 and _DURATION.fullmatch(value):
        seconds = sum(float(count) * _UNIT_SECONDS[unit] for count, unit in _PART.findall(value))
    if not 0 <= seconds <= _LONGEST_SECONDS:
        raise Unreadable("a duration such as 90s, 30m or 768h")
    return seconds


def words(value: Value) -> tuple[str, ...]:
    """Read a list of strings, or one string with commas."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, tuple) and all(isinstance(part, str) for part in value):
        return tuple(str(part) for part in value)
    raise Unreadable("a list of strings")


def blocks(value: Value) -> tuple[str, ...]:
    """Read addresses and blocks of addresses, as `words`."""
    try:
        return tuple(canonical(part) for part in words(value))
    except NoAddress:
        raise Unreadable("addresses or blocks of addresses, such as 10.0.0.0/8") from None


def mode(value: Value) -> int:
    """Read permission bits in octal, such as "0600"."""
    written = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not re.fullmatch(r"0?[0-7]{3}", written, re.ASCII):
        raise Unreadable('permission bits in octal, such as "0600"')
    return int(written, 8)


def one_of(*names: str) -> Reader:
    """Make a reader that accepts one of `names` and nothing else."""

    def read(value: Value) -> str:
        if isinstance(value, str) and value.lower() in names:
            return value.lower()
        raise Unreadable("one of " + ", ".join(names))

    return read
