# SPDX-License-Identifier: EUPL-1.2
"""The one spelling of an entry (RFC 8785), and digests of it that nobody can guess from: they have a key."""

from __future__ import annotations

import hashlib
import hmac
import json
import math
from decimal import Decimal
from typing import TypeVar

from vaultctl.errors import CommandError, DepthError
from vaultctl.text.json import Number, parse

DEEPEST = 100
"""Levels of a value: OpenBao takes any number, Coffre fewer than this."""
_LARGEST = 2**53
"""Whole numbers from here on are rounded where numbers are doubles (RFC 8785, section 3.2.2.3)."""


_Value = TypeVar("_Value")


def bounded(value: _Value) -> _Value:
    """The value, which others nested. DepthError where it has more levels than are looked at."""
    level: list[object] = [value]
    for _ in range(DEEPEST):
        level = [
            inner
            for one in level
            if isinstance(one, (dict, list))
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return value
    raise DepthError


def value_of(text: object) -> object:
    """What a secret's text in an archive says. DepthError where it is nested too deep, ValueError where it is no JSON."""
    return bounded(parse(str(text)))


def encode(value: object) -> bytes:
    """The canonical form, in UTF-8. CommandError for what JSON has not, or has in no canonical form."""
    try:
        return _text(value).encode()
    except (RecursionError, UnicodeEncodeError):
        raise CommandError("a value is nested too deep, or has half a pair of surrogates") from None


def exact(value: object) -> str:
    """JSON text with sorted names and every number as it was spelled: how values travel in an archive."""
    if isinstance(value, dict):
        inner = (f"{_quoted(str(name))}:{exact(value[name])}" for name in sorted(value, key=_utf16))
        return "{" + ",".join(inner) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(exact, value)) + "]"
    return value.raw if isinstance(value, Number) else json.dumps(value, ensure_ascii=False)


def inexact(value: object) -> bool:
    """Whether a number within is one that a server with doubles rounds."""
    if isinstance(value, dict):
        return any(map(inexact, value.values()))
    if isinstance(value, list):
        return any(map(inexact, value))
    return isinstance(value, int) and abs(value) >= _LARGEST


def digest(key: bytes, value: object) -> str:
    """HMAC-SHA-256 of the canonical form, in hexadecimal."""
    return hmac.new(key, encode(value), hashlib.sha256).hexdigest()


def decode(line: bytes) -> dict[str, object]:
    """The object that a canonical line spells. CommandError where it is none, or spelled otherwise."""
    try:
        value = bounded(parse(line))
    except ValueError:
        raise CommandError("a line of the archive is no JSON") from None
    except DepthError:
        raise CommandError("a line of the archive is nested too deep") from None
    if not isinstance(value, dict) or encode(value) != line:
        raise CommandError("a line of the archive is not in canonical form")
    return value


def _text(value: object) -> str:
    if isinstance(value, dict):
        inner = (f"{_quoted(str(name))}:{_text(value[name])}" for name in sorted(value, key=_utf16))
        return "{" + ",".join(inner) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(_text, value)) + "]"
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, (int, float)):
        return _number(value)
    return _quoted(str(value))


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _utf16(name: object) -> bytes:
    """Names are sorted by the units of UTF-16 (RFC 8785, section 3.2.3)."""
    return str(name).encode("utf-16-be", "surrogatepass")


def _number(value: float) -> str:
    """A double as ECMAScript spells it (RFC 8785, section 3.2.2.3): the same digits as Python's, and another form."""
    if isinstance(value, int) and abs(value) < _LARGEST:
        return str(value)
    try:
        double = float(value)
    except OverflowError:
        double = math.inf
    if not math.isfinite(double):
        raise CommandError("a number is larger than any that JSON can carry between servers")
    sign, digits, exponent = Decimal(repr(double)).normalize().as_tuple()
    text, point = "".join(map(str, digits)), len(digits) + int(exponent)
    return ("-" if sign and double else "") + _spelled(text, point)


def _spelled(digits: str, point: int) -> str:
    """Digits, with a point behind so many of them, as ECMAScript writes a number (ECMA-262, Number::toString)."""
    if len(digits) <= point <= 21:
        return digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return "0." + "0" * -point + digits
    rest = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{rest}e{point - 1:+d}"
