# SPDX-License-Identifier: EUPL-1.2
"""The text of stored secrets. Version 1 stores numbers as they were spelled, version 2 as 64-bit floats."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

import msgspec

from vault.framework.errors import Malformed
from vault.framework.fields import Json

_SAFE: Final = 1 << 53
_WRITTEN_OUT: Final = 1e21

encode: Final = msgspec.json.Encoder(order="sorted").encode
"""Encode a value as compact JSON with sorted keys."""


def _as_spelled(text: str) -> float | msgspec.Raw:
    """Return a number that is no integer so that it is written as it was stored."""
    number, spelled = float(text), text.encode()
    return number if encode(number) == spelled else msgspec.Raw(spelled)


def _as_float(text: str) -> float | msgspec.Raw:
    """Return a number that is no integer so that it is written as OpenBao writes 64-bit floats."""
    number = float(text)
    if number == 0:
        return msgspec.Raw(b"-0") if text[0] == "-" else msgspec.Raw(b"0")
    return msgspec.Raw(repr(number).encode()) if abs(number) >= _WRITTEN_OUT else number


decode_spelled: Final = msgspec.json.Decoder(float_hook=_as_spelled).decode
"""Decode a secret of version 1."""
decode: Final = msgspec.json.Decoder(float_hook=_as_float).decode
"""Decode a secret of version 2."""
_MARK: Final = "-0.0e-000000000000000000"
"""Stands for `-0`, the one number that an integer does not keep."""
_NEGATIVE_ZERO: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|-0(?![0-9.eE])')
_decode_all_spelled: Final = msgspec.json.Decoder(
    float_hook=lambda text: msgspec.Raw(b"-0" if text == _MARK else text.encode())
).decode


def to_floats(value: Json) -> Json:
    """Return `value` with each number as a 64-bit float would keep it; whole ones stay integers.

    Raises `Malformed` for a number beyond the range of a float.
    """
    if isinstance(value, dict):
        return {key: item if type(item) is str else to_floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [to_floats(item) for item in value]
    if isinstance(value, msgspec.Raw):
        value = float(bytes(value))
    if isinstance(value, float):
        return _whole(value)
    if isinstance(value, int) and not -_SAFE <= value <= _SAFE:
        try:
            return _whole(float(value))
        except OverflowError:
            raise Malformed(
                "failed to decode JSON input: json: cannot unmarshal number into Go value of type float64"
            ) from None
    return value


def as_floats(value: Json) -> bytes:
    """Return the text of a secret of version 2. Raises `Malformed`, as `to_floats`."""
    return encode(to_floats(value))


def _whole(value: float) -> int | float:
    """Return a whole number as the integer that its shortest spelling names, as OpenBao prints it."""
    written_out = abs(value) < _WRITTEN_OUT and value.is_integer() and str(value) != "-0.0"
    return int(Decimal(repr(value))) if written_out else value


def normal_object(body: bytes) -> bytes:
    """Return an object's text with sorted keys and without blanks, every number spelled as it came."""
    if b"-0" in body:
        body = _NEGATIVE_ZERO.sub(lambda found: found[0] if found[0] != b"-0" else _MARK.encode(), body)
    return encode(_decode_all_spelled(body))
