# SPDX-License-Identifier: EUPL-1.2
"""Bytes to values and back: the only module that calls msgspec's converters.

Limits come before parsing (SL-70), and every message is our own: msgspec quotes its input (SL-51).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from vault.framework.call import USUAL_LIMITS, JsonLimits, Operation
from vault.framework.errors import Malformed, TooLarge
from vault.framework.fields import EMPTY, Json, coerce
from vault.framework.route import Params, Route

MAX_STRINGS: Final = USUAL_LIMITS.strings
"""Strings (keys and values) in one body, and fields of a form or query, unless the listener says otherwise."""
MAX_DEPTH: Final = 100
"""Nested objects and arrays in one body."""
MAX_DIGITS: Final = 308
"""Digits in a row in one number: more do not fit into a 64-bit float."""

_VALUE_BYTES: Final = 40
"""Bytes of memory that a value takes beside its text: an object, and its place in a list or a dictionary."""

_decode: Final = msgspec.json.Decoder().decode
_decode_raw: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
encode: Final = msgspec.json.Encoder().encode
"""Encode a value as JSON. Structs keep their fields' order."""
to_plain: Final = partial(msgspec.to_builtins, builtin_types=(msgspec.Raw,))
"""Turn structs into dicts, lists and scalars; numbers that have a spelling of their own keep it."""

_LONG = re.compile(rb"[0-9]{%d}" % (MAX_DIGITS + 1))
_STRUCTURE = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]|[0-9]{%d,}' % (MAX_DIGITS + 1), re.DOTALL)


def check_limits(body: bytes, limits: JsonLimits = USUAL_LIMITS) -> None:
    """Refuse a body that would be costly to parse. Raises `Malformed`."""
    quotes = body.count(b'"')
    opened = body.count(b"{") + body.count(b"[")
    if len(body) + _VALUE_BYTES * (body.count(b",") + opened) > limits.memory:
        raise Malformed("refused JSON input due to high complexity: exceeded maximum estimated memory limits")
    if quotes <= 2 * limits.strings and opened <= MAX_DEPTH and not _LONG.search(body):
        return
    strings = depth = 0
    for match in _STRUCTURE.finditer(body):
        first = match.group()[0]
        if first == 0x22:
            strings += 1
            if strings > limits.strings:
                raise Malformed(
                    "refused JSON input due to high complexity: exceeded maximum number of strings"
                )
        elif first in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise Malformed("refused JSON input due to high complexity: exceeded maximum depth")
        elif first in b"]}":
            depth -= 1
        else:
            raise Malformed(
                "failed to decode JSON input: json: cannot unmarshal number into Go value of type float64"
            )


_TYPES: Final = {
    list: "array",
    str: "string",
    int: "number",
    float: "number",
    bool: "bool",
}


def decode_object(
    body: bytes, wanted: str = "map[string]interface {}", limits: JsonLimits = USUAL_LIMITS
) -> dict[str, Json]:
    """Decode a JSON object, by the field's name a `wanted`; empty and `null` are an empty one. Raises `Malformed`."""
    if not body or body.isspace():
        return {}
    check_limits(body, limits)
    try:
        value = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise Malformed(f"failed to decode JSON input: {_position(str(error))}") from None
    if isinstance(value, dict):
        return value
    if value is None:
        return {}
    raise Malformed(
        "failed to decode JSON input: json: cannot unmarshal "
        f"{_TYPES[type(value)]} into Go value of type {wanted}"
    )


def decode_fields(body: bytes) -> dict[str, msgspec.Raw]:
    """Decode a JSON object whose values stay as they were spelled. The body was decoded once already."""
    return _decode_raw(body) if body and not body.isspace() else {}


_PLACE = re.compile(r"\(byte (\d+)\)")


def _position(text: str) -> str:
    if "truncated" in text:
        return "unexpected EOF"
    place = _PLACE.search(text)
    return f"invalid JSON at byte {place[1]}" if place else "invalid JSON"


_NO_FORM: Final = "error parsing form data"
_BROKEN_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def decode_form(body: bytes) -> dict[str, Json]:
    """Decode a URL-encoded form; repeated names are joined with commas. Raises `Malformed`."""
    if b";" in body or _BROKEN_PERCENT.search(body):
        raise Malformed(_NO_FORM)
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_STRINGS)
    except (UnicodeDecodeError, ValueError):
        raise Malformed(_NO_FORM) from None
    found: dict[str, Json] = {}
    for name, value in pairs:
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


def decode_query(query: bytes) -> dict[str, Json]:
    """Decode a query string; a name that comes once is a string, else a list. Raises `Malformed`."""
    if not query:
        return {}
    try:
        pairs = parse_qsl(query.decode(), keep_blank_values=True, max_num_fields=MAX_STRINGS)
    except (UnicodeDecodeError, ValueError):
        raise Malformed("the query must be URL-encoded UTF-8 with at most 1000 fields") from None
    found: dict[str, Json] = {}
    for name, value in pairs:
        seen = found.get(name)
        found[name] = (
            value if seen is None else ((*seen, value) if isinstance(seen, tuple) else (seen, value))
        )
    return found


def build_params(
    route: Route, captures: Mapping[str, str], data: Mapping[str, Json], warnings: list[str]
) -> Params:
    """Coerce what came into the route's parameter struct; unknown names become a warning, as in the field.

    A name captured from the path wins over one in the body. Raises `Malformed` that names the field.
    """
    values: dict[str, Any] = {}
    parameters = route.parameters
    if data:
        unknown: list[str] = []
        replaced: list[str] = []
        for name, value in data.items():
            parameter = parameters.get(name)
            if parameter is None or (parameter.kind.needs and parameter.kind.needs not in data):
                unknown.append(name)
            elif name in captures:
                replaced.append(name)
            elif value is not None:
                values[parameter.field] = coerce(name, parameter.kind, value)
            elif parameter.kind.keeps or route.operation is Operation.PATCH:
                continue
            elif parameter.kind.name in EMPTY:
                values[parameter.field] = EMPTY[parameter.kind.name]
        if unknown and route.handler:
            warnings.append(f"Endpoint ignored these unrecognized parameters: [{' '.join(sorted(unknown))}]")
        if replaced:
            warnings.append(
                "Endpoint replaced the value of these parameters with the values captured from the endpoint's "
                f"path: [{' '.join(sorted(replaced))}]"
            )
    for name, text in captures.items():
        parameter = parameters[name]
        values[parameter.field] = (
            text if parameter.kind.name == "string" else coerce(name, parameter.kind, text)
        )
    return route.params(**values)


def refuse_over(limit: int, size: int) -> None:
    """Refuse a body of more than `limit` bytes. Raises `TooLarge`."""
    if size > limit:
        raise TooLarge("http: request body too large")
