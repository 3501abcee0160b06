# SPDX-License-Identifier: EUPL-1.2
"""The one spelling that a record has: RFC 8785 (JCS), within what a record may hold.

A record holds no fractions, and no integers that a double would round; so of JCS's rules for numbers none is needed
but that integers have no needless digits.
"""

from __future__ import annotations

from typing import Final, NoReturn

import msgspec

LARGEST_INTEGER: Final = (1 << 53) - 1
"""The largest integer of a record; larger ones are written as texts."""
LONGEST_RECORD: Final = 65_535
"""Bytes of the longest record, without its newline."""

_DIGITS: Final = bytes(48 if 48 <= byte < 58 else 32 for byte in range(256))
_SIXTEEN: Final = b"0" * 16
"""Digits of the smallest integer that is too large, each made a zero by `_DIGITS`."""
_BELOW_SURROGATES: Final = bytes(range(0xEE))
"""What there is in the UTF-8 of characters below U+E000, up to which UTF-16 sorts as Unicode does."""


class NotCanonical(ValueError):
    """A line is no record, or not in the one spelling that it has."""


class _Fraction(ValueError):
    """A number has a point or an exponent."""


def decode_record(line: bytes) -> dict[str, object]:
    """Return the members of a record; `line` has no newline. Raises `NotCanonical`."""
    if len(line) > LONGEST_RECORD:
        raise NotCanonical(f"it has more than {LONGEST_RECORD} bytes")
    try:
        record = _DECODER.decode(line)
        problem = _problem(record, line)
    except RecursionError:
        raise NotCanonical("it is nested too deep") from None
    except (ValueError, msgspec.DecodeError) as failure:
        fraction = isinstance(failure.__cause__, _Fraction)
        raise NotCanonical("it has a fraction" if fraction else "it is no JSON object") from None
    if problem:
        raise NotCanonical(problem)
    return record  # type: ignore[no-any-return]  # an object, or there was a problem


def _problem(record: object, line: bytes) -> str:
    """Return why a line is not the canonical form of what was read from it; "" where it is."""
    if not isinstance(record, dict):
        return "it is no JSON object"
    plain = line.isascii() or not line.translate(None, _BELOW_SURROGATES)
    if (_SORTED.encode(record) if plain else _AS_IT_IS.encode(_ordered(record))) != line:
        return "it is not in canonical form"
    if _SIXTEEN in line.translate(_DIGITS) and _too_large(record):
        return "it has an integer that a double would round"
    return ""


def encode_record(record: dict[str, object]) -> bytes:
    """Return the canonical form of a record, without a newline. Raises `NotCanonical` for what a record can't hold."""
    try:
        ordered = _ordered(record)
        line = _AS_IT_IS.encode(ordered)
    except (UnicodeEncodeError, AttributeError, TypeError, RecursionError):
        raise NotCanonical("it holds what JSON has not") from None
    if decode_record(line) != ordered:
        raise NotCanonical("it holds what JSON has not")
    return line


def _refuse(text: str) -> NoReturn:
    raise _Fraction(text)


_DECODER: Final = msgspec.json.Decoder(float_hook=_refuse)
_SORTED: Final = msgspec.json.Encoder(order="sorted")
_AS_IT_IS: Final = msgspec.json.Encoder()


def _ordered(value: object) -> object:
    """Return a value with its members in the order of JCS, which is that of their UTF-16."""
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        return {name: _ordered(value[name]) for name in names}
    if isinstance(value, list | tuple):
        return [_ordered(each) for each in value]
    return value


def _too_large(value: object) -> bool:
    if isinstance(value, dict):
        return any(map(_too_large, value.values()))
    if isinstance(value, list):
        return any(map(_too_large, value))
    return isinstance(value, int) and not -LARGEST_INTEGER <= value <= LARGEST_INTEGER
