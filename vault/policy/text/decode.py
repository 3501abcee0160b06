# SPDX-License-Identifier: EUPL-1.2
"""Values of a policy's keys, decoded with the leniency and the error words of OpenBao's decoder."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import re
from collections.abc import Mapping

from vault.framework.hcl.syntax_tree import Block, Item, Value
from vault.policy.model import PolicyError
from vault.values.times import Nanos, exact_seconds

_DURATION = re.compile(r"[+-]?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+")
_PIECE = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)([^0-9.]*)")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_MAX_SECONDS = exact_seconds(Nanos(1 << 63))
_INTEGER = re.compile(r"[+-]?[0-9]+")
_LONGEST = 100
"""Characters of a duration or a time: no pattern looks at more."""
_ANY_BASE = re.compile(r"[+-]?(?:0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|0[bB][01]+|0|[1-9][0-9]*)")
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:\d\d)")


_LONGEST_TEXT = 4 << 20
"""Characters of the longest text that is decoded: the parser takes no text that is as long, even before base64."""


def policy_text(given: str) -> str:
    """The text of a policy that may have come base64 encoded. Raises PolicyError when it is empty."""
    if not given:
        raise PolicyError("'policy' parameter not supplied or empty")
    if len(given) > _LONGEST_TEXT:
        return given
    try:
        decoded = base64.b64decode(given.replace("\r", "").replace("\n", ""), validate=True)
    except (binascii.Error, ValueError):
        return given
    try:
        return decoded.decode()
    except UnicodeDecodeError:
        raise PolicyError("failed to parse policy: At 1:1: illegal char") from None


def kind(value: Value) -> str:
    """OpenBao's name for the kind of a value, as its messages have it."""
    if isinstance(value, Block):
        return "*ast.ObjectType"
    return "*ast.ListType" if isinstance(value, tuple) else "*ast.LiteralType"


def place(item: Item, *, json: bool) -> str:
    """Where the value of `item` stands; the JSON form knows no places."""
    return "-" if json or isinstance(item.value, Block) else f"{item.value_line}:{item.value_column}"


def string(item: Item, field: str, *, json: bool) -> str:
    """A string; integers count as their digits."""
    if isinstance(item.value, str):
        return item.value
    if isinstance(item.value, int) and not isinstance(item.value, bool):
        return str(item.value)
    found = "*ast.ObjectList" if isinstance(item.value, Block) else kind(item.value)
    raise PolicyError(f"At {place(item, json=json)}: root.{field}: unknown type for string {found}")


def sequence(item: Item, *, json: bool) -> tuple[Value, ...]:
    """A list; an empty object counts as an empty list."""
    if isinstance(item.value, tuple):
        return item.value
    if isinstance(item.value, Block) and not item.value.items:
        return ()
    found = "*ast.ObjectItem" if isinstance(item.value, Block) else kind(item.value)
    raise PolicyError(f"At {place(item, json=json)}: unknown slice type: {found}")


def strings(item: Item, field: str, *, json: bool) -> tuple[str, ...]:
    """A list of strings; integers count as their digits."""
    found = []
    for index, value in enumerate(sequence(item, json=json)):
        if isinstance(value, str | int) and not isinstance(value, bool):
            found.append(str(value))
            continue
        where = "-" if json else f"{item.value_line}:{item.value_column + 1}"
        raise PolicyError(f"At {where}: root.{field}[{index}]: unknown type for string {kind(value)}")
    return tuple(found)


def parameters(item: Item, field: str, *, json: bool) -> Mapping[str, list[object]]:
    """An object of lists, its keys in lower case."""
    if not isinstance(item.value, Block) or item.labels:
        where = place(item, json=json)
        raise PolicyError(f"At {where}: root.{field}: not an object type for map ({kind(item.value)})")
    found: dict[str, list[object]] = {}
    for inner in item.value.items:
        found.setdefault(inner.key.lower(), []).extend(plain(v) for v in sequence(inner, json=json))
    return found


def block(item: Item) -> Block:
    """An object."""
    if not isinstance(item.value, Block):
        raise PolicyError(f"cannot check HCL keys of type {kind(item.value)}")
    return item.value


def plain(value: Value) -> object:
    """A value as request parameters have it: objects are dicts, lists are lists."""
    if isinstance(value, Block):
        return {item.key: plain(item.value) for item in value.items}
    return [plain(v) for v in value] if isinstance(value, tuple) else value


def integer(item: Item, field: str, *, json: bool) -> int:
    """An integer, or a string of one in any base."""
    value = item.value
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, str):
        found = "*ast.ObjectList" if isinstance(value, Block) else kind(value)
        raise PolicyError(f"At {place(item, json=json)}: root.{field}: unknown type {found}")
    if len(value) > _LONGEST:
        raise PolicyError(f"strconv.ParseInt: parsing a number of more than {_LONGEST} characters")
    if not _ANY_BASE.fullmatch(value) or len(value) > 64:
        raise PolicyError(f"{field}: strconv.ParseInt: invalid syntax")
    octal = re.fullmatch(r"([+-]?)0([0-7]+)", value)
    return int(f"{octal[1]}0o{octal[2]}" if octal else value, 0)


def seconds(value: Value, field: str) -> float:
    """A duration: a number of seconds, `90m`, `1h30m`, `2d`."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, str):
        raise PolicyError(f"error parsing {field}: could not parse duration from input")
    try:
        return duration(value)
    except ValueError as error:
        raise PolicyError(f"error parsing {field}: {error}") from None


def duration(text: str) -> float:
    """Seconds in a duration string. Raises ValueError in the words that OpenBao's clients know."""
    if len(text) > _LONGEST:
        raise ValueError(f"time: invalid duration: more than {_LONGEST} characters")
    if _INTEGER.fullmatch(text) and len(text) < 20:
        return float(text)
    if text.endswith("d") and not any(c.isdigit() and c.isascii() for c in text[:-1].lstrip("+-0123456789")):
        if not _INTEGER.fullmatch(text[:-1]) or len(text) > 12:
            raise ValueError("strconv.ParseInt: invalid syntax")
        return float(text[:-1]) * 86400
    if text == "":
        return 0.0
    if not _DURATION.fullmatch(text):
        raise ValueError(_duration_fault(text))
    total = sum(float(number) * _UNITS[unit] for number, unit in _PIECE.findall(text))
    if total >= _MAX_SECONDS:
        raise ValueError("time: invalid duration")
    return -total if text.startswith("-") else total


def _duration_fault(text: str) -> str:
    rest = text[1:] if text[:1] in ("+", "-") else text
    while piece := _PIECE.match(rest):
        unit = piece.group(2)
        if not unit:
            return "time: missing unit in duration"
        if unit not in _UNITS:
            return "time: unknown unit in duration"
        rest = rest[piece.end() :]
    return "time: invalid duration"


def moment(text: str) -> float | None:
    """Unix time of an RFC 3339 time or of a number of seconds; None when empty. Raises PolicyError."""
    if text == "":
        return None
    try:
        if len(text) <= _LONGEST and _RFC3339.fullmatch(text):
            return dt.datetime.fromisoformat(text).timestamp()
        if len(text) < 20 and _INTEGER.fullmatch(text):
            return float(text)
    except ValueError:
        pass
    raise PolicyError("invalid expiration time: could not parse string as date and time")
