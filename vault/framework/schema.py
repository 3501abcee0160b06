# SPDX-License-Identifier: EUPL-1.2
"""Bytes to values and back: the only module that calls msgspec's converters.

Limits come before parsing (SL-70), and every message is our own: msgspec quotes its input (SL-51).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache, partial
from itertools import accumulate
from typing import Any, Final

import msgspec

from vault.framework.call import Call
from vault.framework.errors import Malformed, TooLarge
from vault.framework.fields import EMPTY, Json, coerce
from vault.framework.limits import USUAL_LIMITS, JsonLimits
from vault.framework.path import unquote, whole
from vault.framework.quote import quoted_words
from vault.framework.request import exact_json
from vault.framework.request.idempotency import fingerprint
from vault.framework.request.operation import Operation
from vault.framework.route import Access, Params, Route

MAX_STRINGS: Final = USUAL_LIMITS.strings
"""Strings (keys and values) in one body, and fields of a form or query, unless the listener says otherwise."""
MAX_DEPTH: Final = 100
"""Nested objects and arrays in one body."""
MAX_VALUES: Final = 50_000
"""Values in one body, however short: each costs its way through the audit log."""
MAX_DIGITS: Final = 308
"""Digits in a row in one number: more do not fit into a 64-bit float."""

_VALUE_BYTES: Final = 40
"""Bytes of memory that a value takes beside its text: an object, and its place in a list or a dictionary."""

_decode: Final = msgspec.json.Decoder().decode
_decode_raw: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
encode: Final = msgspec.json.Encoder().encode
"""Encode a value as JSON. Structs keep the order of their fields."""
to_plain: Final = partial(msgspec.to_builtins, builtin_types=(msgspec.Raw,))
"""Turn structs into dicts, lists and scalars; numbers kept as text keep their spelling."""

_SPACED: Final = bytes.maketrans(b"+", b" ")
_MASKED: Final = bytes(0x30 if byte in b"0123456789" else 0x20 for byte in range(256))
"""Maps every digit to 0 and everything else to a blank."""
_LONG: Final = b"0" * (MAX_DIGITS + 1)
_STEPS: Final = bytes({0x5B: 1, 0x7B: 1, 0x5D: 255, 0x7D: 255}.get(byte, 0) for byte in range(256))
"""For each byte, how it changes the nesting depth, as a signed byte."""
_NO_BRACKETS: Final = bytes(byte for byte in range(256) if not _STEPS[byte])
_COMPLEX: Final = "refused JSON input due to high complexity: exceeded maximum "


@cache
def wire_fields(kind: type[msgspec.Struct]) -> Mapping[str, str]:
    """Return the field behind each name on the wire."""
    return dict(zip(kind.__struct_encode_fields__, kind.__struct_fields__, strict=True))


def check_limits(body: bytes, limits: JsonLimits = USUAL_LIMITS) -> None:
    """Raise `Malformed` for a body that would be costly to parse. Each check reads the body once."""
    opened = body.count(b"{") + body.count(b"[")
    values = body.count(b",") + opened
    costly = len(body) + _VALUE_BYTES * values > limits.memory or values > MAX_VALUES
    long = len(body) > MAX_DIGITS and _LONG in body.translate(_MASKED)
    if costly or long or opened > MAX_DEPTH or body.count(b'"') > 2 * limits.strings:
        _check_structure(body, limits, opened)


def _check_structure(body: bytes, limits: JsonLimits, opened: int) -> None:
    """Count exactly what `check_limits` estimated: without the text of strings, including one that does not end."""
    size = len(body)
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    if body.count(b'"') > 2 * limits.strings:
        raise Malformed(_COMPLEX + "number of strings")
    bare = b" ".join(body.split(b'"')[::2])
    values = bare.count(b",") + bare.count(b"{") + bare.count(b"[")
    if size + _VALUE_BYTES * values > limits.memory:
        raise Malformed(_COMPLEX + "estimated memory limits")
    if values > MAX_VALUES:
        raise Malformed(_COMPLEX + "number of values")
    brackets = bare.translate(_STEPS, _NO_BRACKETS)[: 2 * opened]  # longer ones are not balanced
    if max(accumulate(memoryview(brackets).cast("b")), default=0) > MAX_DEPTH:
        raise Malformed(_COMPLEX + "depth")
    if _LONG in bare.translate(_MASKED):
        raise Malformed(f"failed to decode JSON input: {_TOO_LARGE}")


_TOO_LARGE: Final = "json: cannot unmarshal number into Go value of type float64"
_TYPES: Final = {
    list: "array",
    str: "string",
    int: "number",
    float: "number",
    msgspec.Raw: "number",
    bool: "bool",
}


def decode_object(
    body: bytes,
    wanted: str = "map[string]interface {}",
    limits: JsonLimits = USUAL_LIMITS,
    *,
    decode: Callable[[bytes], Json] = _decode,
) -> dict[str, Json]:
    """Decode a JSON object, which OpenBao calls a `wanted`; empty and `null` are an empty one. Raises `Malformed`."""
    if not body or body.isspace():
        return {}
    check_limits(body, limits)
    try:
        value = decode(body)
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


def decode_kept(text: bytes) -> dict[str, Json]:
    """Decode a JSON object that was checked on arrival, perhaps by other limits."""
    value: dict[str, Json] = _decode(text)
    return value


def is_form(call: Call) -> bool:
    """Whether the body is a URL-encoded form, and not JSON with the content type of a form."""
    form = call.head.content_type.startswith(b"application/x-www-form-urlencoded")
    return form and call.body.lstrip()[:1] not in (b"{", b"[", b"")


def is_read(call: Call) -> bool:
    """Whether the body of a call was decoded, and as its route asks: a path may have led elsewhere when it came."""
    access = call.bound.route.access
    return call.parsed is not None and call.parsed_as == (access.exact, access.body)


def read_body(call: Call) -> dict[str, Json]:
    """Return the decoded body of a call. Raises `Malformed`, and `TooLarge` for a large body of an unknown caller."""
    if call.parsed is None or not is_read(call):
        refuse_unknown(call)
        access = call.bound.route.access
        call.parsed = decode_form(call.body) if is_form(call) else _decode_body(call, access)
        call.parsed_as = access.exact, access.body
        if call.head.idempotency_key:
            call.fingerprint = fingerprint(call.head, call.body)
    return call.parsed


def _decode_body(call: Call, access: Access) -> dict[str, Json]:
    decode = exact_json.decode if access.exact else _decode
    return decode_object(call.body, access.body, call.head.limits, decode=decode)


def decode_fields(body: bytes) -> dict[str, msgspec.Raw]:
    """Decode a JSON object whose values stay as they were spelled. The body was decoded once already."""
    return _decode_raw(body) if body and not body.isspace() else {}


_PLACE = re.compile(r"\(byte (\d+)\)")


def _position(text: str) -> str:
    if "truncated" in text:
        return "unexpected EOF"
    if "out of range" in text:
        return _TOO_LARGE
    place = _PLACE.search(text)
    return f"invalid JSON at byte {place[1]}" if place else "invalid JSON"


_NO_FORM: Final = "error parsing form data"


def decode_form(body: bytes) -> dict[str, Json]:
    """Decode a URL-encoded form; repeated names are joined with commas. Raises `Malformed`."""
    if b";" in body or not whole(body):
        raise Malformed(_NO_FORM)
    try:
        return {name: ",".join(values) for name, values in decode_pairs(body).items()}
    except ValueError:
        raise Malformed(_NO_FORM) from None


def decode_query(query: bytes) -> dict[str, Json]:
    """Decode a query string; a name that comes once is a string, else a list. Raises `Malformed`.

    A field that is not URL-encoded is left out, as OpenBao's decoder does.
    """
    if not query:
        return {}
    try:
        found = decode_pairs(query)
    except ValueError:
        raise Malformed("the query must be URL-encoded UTF-8 with at most 1000 fields") from None
    return {name: values[0] if len(values) == 1 else tuple(values) for name, values in found.items()}


def decode_pairs(text: bytes) -> dict[str, list[str]]:
    """Return the values of each name of a URL-encoded text, in order, without fields that are not URL-encoded.

    Raises `ValueError` for more than `MAX_STRINGS` fields, and for text that is not UTF-8.
    """
    text.decode()
    if text.count(b"&") >= MAX_STRINGS:
        raise ValueError
    found: dict[str, list[str]] = {}
    for field in text.translate(_SPACED).split(
        b"&"
    ):  # twenty times as fast as `replace` for a text of plus signs
        if field and b";" not in field and whole(field):
            name, _, value = field.partition(b"=")
            found.setdefault(_unescaped(name), []).append(_unescaped(value))
    return found


def _unescaped(text: bytes) -> str:
    return (unquote(text) if b"%" in text else text).decode(errors="replace")


def build_params(
    route: Route, captures: Mapping[str, str], data: Mapping[str, Json], warnings: list[str]
) -> Params:
    """Coerce the request into the route's parameter struct; unknown names become a warning, as in OpenBao.

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
            warnings.append(f"Endpoint ignored these unrecognized parameters: [{quoted_words(unknown)}]")
        if replaced:
            warnings.append(
                "Endpoint replaced the value of these parameters with the values captured from the endpoint's "
                f"path: [{quoted_words(replaced)}]"
            )
    for name, text in captures.items():
        parameter = parameters[name]
        values[parameter.field] = (
            text if parameter.kind.name == "string" else coerce(name, parameter.kind, text)
        )
    return route.params(**values)


def refuse_unknown(call: Call) -> None:
    """Raise `TooLarge` for a large body of an unknown caller."""
    if call.identity is None:
        refuse_over(call.head.limits.unknown, len(call.body))


def refuse_over(limit: int, size: int) -> None:
    """Raise `TooLarge` for a body of more than `limit` bytes."""
    if size > limit:
        raise TooLarge("http: request body too large")
