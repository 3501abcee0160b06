# SPDX-License-Identifier: EUPL-1.2
"""Parameters: how a declared field is described, and how OpenBao's weak typing turns JSON into it.

OpenBao accepts `"5"` for 5 and `"a,b"` for a list, and words its refusals in a fixed way; clients match on
both. Messages name the field and what it should have been, never the value (SL-51).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, TypeVar

import msgspec

from vault.framework.errors import Malformed
from vault.values.deprecation import Deprecation
from vault.values.times import Nanos, Seconds, nanos_to_seconds

T = TypeVar("T")

Json = Any
"""A decoded JSON value, whose type is known only at run time."""


class Doc(msgspec.Struct, frozen=True):
    """What a field means, in one sentence; it reaches help and OpenAPI.

    `clear` lets the log show the field's value; the value of any other field is hashed there. A field may be clear where
    an auditor learns from it what was asked for, and it can only say: how long, how many, how often; which version;
    yes or no; one of a fixed choice; an algorithm; or the name or path of what operators set up (policy, role, mount,
    namespace, registration, key slot) or the id that this server gave to something. It may not be clear where it holds,
    or by a client's mistake may well hold, a secret or a part of one, a token or its accessor, a code, a nonce, a
    certificate or a key; a text for people, metadata, an address on the net, or anything about a person (the names of
    entities and aliases are); or a value of any form (`map`, `pairs`, `any`). In doubt it is not clear.
    """

    text: str
    clear: bool = False
    deprecation: Deprecation | None = None
    """Since when a member is due to go; None for one that stays."""


class FieldKind(msgspec.Struct, frozen=True):
    """How a field is coerced.

    `bare` drops the `Field validation failed: ` that most paths put in front. `struct` names OpenBao's struct where
    the type is strict: the few endpoints that answer while sealed take no other type. `needs` names the field without
    which this one is unknown. With `keeps`, null means "not given": these fields tell empty from not given.
    """

    name: str
    bare: bool = False
    struct: str = ""
    needs: str = ""
    keeps: bool = False


Duration = Annotated[Seconds, FieldKind("duration")]
"""Whole seconds; on the wire an integer or `1h30m`, `90s`, `2d`."""
Span = Annotated[Seconds, FieldKind("span")]
"""As `Duration`, and never negative."""
StringList = Annotated[tuple[str, ...], FieldKind("strings")]
"""A list of strings; one string is a list of one."""
CommaList = Annotated[tuple[str, ...], FieldKind("commas")]
"""A list of strings; a string is split at its commas."""
IntList = Annotated[tuple[int, ...], FieldKind("ints")]
"""A list of integers; a string is split at its commas."""
Map = Annotated[Mapping[str, Json], FieldKind("map")]
"""A JSON object."""
BareMap = Annotated[Mapping[str, Json], FieldKind("map", bare=True)]
"""A JSON object, refused in the engine's words."""
Pairs = Annotated[Mapping[str, str], FieldKind("pairs")]
"""String to string: an object, or a list of `key=value`."""
LowerCase = Annotated[str, FieldKind("lower")]
"""A string that is trimmed and lower-cased."""
Anything = Annotated[object, FieldKind("any")]
"""Any JSON value, as it came."""


EMPTY: Final[Mapping[str, Json]] = {
    "string": "",
    "lower": "",
    "int": 0,
    "bool": False,
    "strings": (),
    "commas": (),
    "ints": (),
    "pairs": {},
}
"""The value that null stands for, by kind. For other kinds (times, objects) null is "not given"."""


FREE_FORM: Final = frozenset({"map", "pairs", "any"})
"""Kinds whose values have any form, and so are never clear."""


class Mismatch(Exception):
    """A value that does not convert; the text follows OpenBao's wording."""


_GO_TYPES: Final = {dict: "map[string]interface {}", list: "[]interface {}", str: "string", bool: "bool"}


def go_type(value: Json) -> str:
    """Name the type of a JSON value as OpenBao names it: by Go's types."""
    return _GO_TYPES.get(type(value), "json.Number")


def unconvertible(value: Json, expected: str, at: str = "") -> Mismatch:
    """Return the refusal of a value whose JSON type does not fit at all."""
    return Mismatch(f"'{at}' expected type '{expected}', got unconvertible type '{go_type(value)}'")


def to_string(value: Json, at: str = "") -> str:
    """Coerce to text: numbers keep their spelling, booleans become 1 and 0."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, int | float):
        return repr(value)
    raise unconvertible(value, "string", at)


def to_int(value: Json, at: str = "") -> int:
    """Coerce to a signed 64-bit integer."""
    # OpenBao decodes with mapstructure's weak typing: booleans and strings convert, floats and lists do not.
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        number = _parse_int(value, at)
    elif isinstance(value, int):
        number = value
    elif isinstance(value, float | msgspec.Raw):
        raise Mismatch(f"'{at}' cannot parse value as 'int': strconv.ParseInt: invalid syntax")
    elif isinstance(value, tuple):
        raise Mismatch(f"'{at}' expected type 'int', got unconvertible type '[]string'")
    else:
        raise unconvertible(value, "int", at)
    if not -(1 << 63) <= number < 1 << 63:
        raise Mismatch(f"'{at}' cannot parse value as 'int': strconv.ParseInt: value out of range")
    return number


# Go's strconv.ParseInt with base 0: prefixes for other bases, a leading 0 for octal, underscores between digits.
_INTEGER = re.compile(
    r"[+-]?(?:0[xX](?:_?[0-9a-fA-F])+|0[bB](?:_?[01])+|0[oO](?:_?[0-7])+|0(?:_?[0-7])*|[1-9](?:_?[0-9])*)\Z"
)


def _parse_int(text: str, at: str) -> int:
    if text == "":
        return 0  # weak typing again
    if len(text) > 70 or not _INTEGER.match(text):
        raise Mismatch(f"'{at}' cannot parse value as 'int': strconv.ParseInt: invalid syntax")
    digits = text.lower().replace("_", "").lstrip("+-")
    octal = len(digits) > 1 and digits[0] == "0" and digits[1].isdigit()
    number = int(digits, 8) if octal else int(digits, 0)
    return -number if text[0] == "-" else number


_TRUE: Final = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE: Final = frozenset({"", "0", "f", "F", "FALSE", "false", "False"})


def to_bool(value: Json, at: str = "") -> bool:
    """Coerce to a boolean: the spellings of Go's ParseBool, and 1 and 0."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str | int | float):
        text = str(value)
        if text in _TRUE:
            return True
        if text in _FALSE:
            return False
        raise Mismatch(f"'{at}' cannot parse value as 'bool': strconv.ParseBool: invalid syntax")
    raise unconvertible(value, "bool", at)


# The units of Go's time.ParseDuration, and OpenBao's `d`.
_UNITS: Final = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
}
_DURATION = re.compile(r"(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ns|us|µs|ms|s|m|h|d))+")
_PART = re.compile(r"([0-9.]+)([^0-9.]*)")
_LONGEST_DURATION: Final = 64
# Go's time.Duration counts nanoseconds in 64 bits.
_MAX_SECONDS: Final = nanos_to_seconds(Nanos(1 << 63))


def parse_duration(text: str) -> Seconds:
    """Parse `90`, `90s`, `1h30m`, `2d` into whole seconds (fractions are cut). Raises `Mismatch`."""
    text = text.strip()
    if len(text) > _LONGEST_DURATION:
        raise Mismatch("time: invalid duration")
    sign = -1 if text[:1] == "-" else 1
    body = text.lstrip("+-") if text[:2].lstrip("+-") or len(text) < 2 else text
    # A number without a unit means seconds.
    if body.isascii() and body.isdigit() and len(body) < 20:
        seconds = float(int(body))
    elif _DURATION.fullmatch(body):
        seconds = sum(float(count) * _UNITS[unit] for count, unit in _PART.findall(body))
    else:
        raise Mismatch("time: invalid duration")
    if seconds > _MAX_SECONDS:
        raise Mismatch("time: invalid duration")
    return Seconds(sign * int(seconds))  # OpenBao cuts fractions too: TTLs are whole seconds on the wire


def to_duration(value: Json, at: str = "") -> Seconds:
    """Coerce to whole seconds."""
    del at
    if isinstance(value, str):
        return parse_duration(value) if value else Seconds(0)
    if isinstance(value, int) and not isinstance(value, bool):
        if abs(value) > _MAX_SECONDS:
            raise Mismatch("time: invalid duration")
        return Seconds(value)
    if isinstance(value, float):
        raise Mismatch("time: missing unit in duration")
    raise Mismatch("could not parse duration from input")


def to_span(value: Json, at: str = "") -> Seconds:
    """Coerce to whole seconds, 0 or more."""
    seconds = to_duration(value, at)
    if seconds < 0:
        raise Mismatch("cannot provide negative value")
    return seconds


MAX_ITEMS: Final = 10_000
"""Entries of one list, given as a list or as a text with commas. Each may cost its field some work."""


def _items(value: Json, *, commas: bool) -> list[Json]:
    if commas and isinstance(value, str):
        # One split more than allowed shows that there are too many, without splitting all of a long text.
        found: list[Json] = value.split(",", MAX_ITEMS)
        if len(found) <= MAX_ITEMS:
            found = [part for piece in found if (part := piece.strip())]
    elif isinstance(value, list | tuple):
        found = list(value)
    else:
        found = [value]
    if len(found) > MAX_ITEMS:
        raise Mismatch(f"the list may have at most {MAX_ITEMS} entries")
    return found


def _convert_all(items: list[Json], convert: Callable[[Json, str], T]) -> tuple[T, ...]:
    try:
        return tuple(convert(item, f"[{index}]") for index, item in enumerate(items))
    except Mismatch as mismatch:
        raise Mismatch(f"decoding failed due to the following error(s):\n\n{mismatch}") from None


def to_strings(value: Json, at: str = "") -> tuple[str, ...]:
    """Coerce to a list of strings; a string stays whole."""
    del at
    return _convert_all(_items(value, commas=False), to_string)


def to_comma_strings(value: Json, at: str = "") -> tuple[str, ...]:
    """Coerce to a list of strings; a string is split at its commas."""
    del at
    return tuple(item.strip() for item in _convert_all(_items(value, commas=True), to_string))


def to_ints(value: Json, at: str = "") -> tuple[int, ...]:
    """Coerce to a list of integers."""
    del at
    return _convert_all(_items(value, commas=True), to_int)


def to_map(value: Json, at: str = "") -> Mapping[str, Json]:
    """Coerce to an object; an empty list counts as one, as in OpenBao."""
    if isinstance(value, dict):
        return value
    if value == []:
        return {}
    if isinstance(value, list):
        raise unconvertible(value[0], "map[string]interface {}", "[0]")
    raise unconvertible(value, "map[string]interface {}", at)


def to_pairs(value: Json, at: str = "") -> Mapping[str, str]:
    """Coerce to string pairs; `at` is the field's name, which the refusal repeats."""
    if isinstance(value, dict):
        try:
            return {key: "" if item is None else to_string(item) for key, item in value.items()}
        except Mismatch:
            raise Mismatch(f'invalid value in field "{at}": every value must be a string') from None
    pairs: dict[str, str] = {}
    for index, item in enumerate(_items(value, commas=True)):
        key, separator, text = item.partition("=") if isinstance(item, str) else ("", "", "")
        if not separator:
            raise Mismatch(f'invalid key pair at index {index} in field "{at}"')
        pairs[key.strip()] = text.strip()
    return pairs


def to_lower(value: Json, at: str = "") -> str:
    """Coerce to text, trimmed and in lower case."""
    return to_string(value, at).strip().lower()


def to_anything(value: Json, at: str = "") -> object:
    """Keep the value."""
    del at
    return value


COERCE: Final[Mapping[str, Callable[[Json, str], object]]] = {
    "string": to_string,
    "lower": to_lower,
    "int": to_int,
    "bool": to_bool,
    "duration": to_duration,
    "span": to_span,
    "strings": to_strings,
    "commas": to_comma_strings,
    "ints": to_ints,
    "map": to_map,
    "pairs": to_pairs,
    "any": to_anything,
}


_STRICT: Final[Mapping[str, tuple[str, Callable[[Json], bool]]]] = {
    "int": ("int", lambda value: type(value) is int),
    "string": ("string", lambda value: isinstance(value, str)),
    "bool": ("bool", lambda value: isinstance(value, bool)),
    "strings": ("[]string", lambda value: isinstance(value, list) and all(isinstance(v, str) for v in value)),
}
_JSON_TYPES: Final = {dict: "object", list: "array", str: "string", bool: "bool"}


def _strict(name: str, kind: FieldKind, value: Json) -> object:
    expected, fits = _STRICT[kind.name]
    if fits(value):
        return value
    got = _JSON_TYPES.get(type(value), "number")
    raise Malformed(
        f"failed to decode JSON input: json: cannot unmarshal {got} into Go struct field "
        f"{kind.struct}.{name} of type {expected}"
    )


_MEASURES: Final = frozenset({"int", "bool", "duration", "span", "ints"})
_LONGEST_CLEAR: Final = 512
_MOST_CLEAR: Final = 64


def has_its_form(kind: FieldKind, value: Json) -> bool:
    """Whether a value, as it came, looks like one of a clear field of this kind: what else a client put there may be secret.

    A number or a length of time must read as one; a text is short, and a list of texts too.
    """
    if isinstance(value, list):
        return (
            kind.name in _LISTS
            and len(value) <= _MOST_CLEAR
            and all(not isinstance(one, list | dict) and _is_plain(kind, one) for one in value)
        )
    return _is_plain(kind, value)


_LISTS: Final = frozenset({"strings", "commas", "ints"})


def _is_plain(kind: FieldKind, value: Json) -> bool:
    if isinstance(value, str) and len(value) > _LONGEST_CLEAR:
        return False
    if kind.name not in _MEASURES:
        return isinstance(value, str) and kind.name not in FREE_FORM
    try:
        COERCE[kind.name](value, "")
    except Mismatch:
        return False
    return True


def coerce(name: str, kind: FieldKind, value: Json) -> object:
    """Turn one JSON value into what the field `name` declares. Raises `Malformed` that names the field."""
    if kind.struct:
        return _strict(name, kind, value)
    try:
        return COERCE[kind.name](value, name if kind.name == "pairs" else "")
    except Mismatch as mismatch:
        prefix = "" if kind.bare else "Field validation failed: "
        raise Malformed(f'{prefix}error converting input for field "{name}": {mismatch}') from None
