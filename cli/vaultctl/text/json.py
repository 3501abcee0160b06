# SPDX-License-Identifier: EUPL-1.2
"""JSON in and out, keeping numbers as the server wrote them and escaping as Go's encoder does."""

from __future__ import annotations

import json
from json.encoder import encode_basestring

from vaultctl.errors import DepthError

_CONTROLS = {
    code: f"\\u{code:04x}" for code in (*range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
}
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self


class Number(float):
    """A non-integer JSON number that remembers its own spelling."""

    raw: str

    def __new__(cls, raw: str) -> Self:
        """Keep the literal text next to the value."""
        number = super().__new__(cls, raw)
        number.raw = raw
        return number


def parse(text: str | bytes) -> object:
    """The JSON value; ValueError when it is none. Half a pair of surrogates becomes U+FFFD, as Go's decoder has it.

    DepthError where it is nested deeper than this process can go down.
    """
    if isinstance(text, bytes):
        text = text.decode(json.detect_encoding(text), "surrogatepass")
    try:
        value = json.loads(text, parse_float=Number)
        if text.isascii() and "\\u" not in text:
            return value
        from vaultctl.text.surrogates import without_halves

        return without_halves(value, text)
    except RecursionError:
        raise DepthError from None


def as_map(value: object) -> dict[str, object]:
    """The value if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[object]:
    """The value if it is a JSON array, else an empty one."""
    return value if isinstance(value, list) else []


def scalar(value: object) -> str:
    """The JSON spelling of null, a boolean, a number or a string."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _escape(value)
    if isinstance(value, Number):
        return value.raw
    return repr(value) if isinstance(value, (int, float)) else _escape(str(value))


def compact(value: object) -> str:
    """JSON on one line, in the given key order."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{_escape(str(k))}:{compact(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(compact(item) for item in value) + "]"
    return scalar(value)


def pretty(value: object, indent: str = "") -> str:
    """JSON indented by two blanks per level, in the given key order."""
    inner = indent + "  "
    if isinstance(value, dict) and value:
        rows = [f"{inner}{_escape(str(k))}: {pretty(v, inner)}" for k, v in value.items()]
        return "{\n" + ",\n".join(rows) + f"\n{indent}}}"
    if isinstance(value, (list, tuple)) and value:
        return "[\n" + ",\n".join(inner + pretty(item, inner) for item in value) + f"\n{indent}]"
    return compact(value)


def sort_keys(value: object) -> object:
    """The same value with every object's keys in order, as Go prints maps."""
    if isinstance(value, dict):
        return {key: sort_keys(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [sort_keys(item) for item in value]
    return value


def _escape(text: str) -> str:
    quoted = encode_basestring(text)
    if not quoted.isprintable():  # escapes of JSON's own, where Go has none: a terminal acts on these too
        quoted = quoted.translate(_CONTROLS)
    for char in "<>&\u2028\u2029":
        if char in quoted:
            quoted = quoted.replace(char, f"\\u{ord(char):04x}")
    return quoted
