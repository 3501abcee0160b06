# SPDX-License-Identifier: EUPL-1.2
"""Kinds of values that have a place of their own in another form, how they are written there, and how they come back.

A value that is not of the kind of its member stays in the rest, as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import ip_address
from typing import Any, Final, NamedTuple

import msgspec

_TIME: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})\.([0-9]{9})Z")
_SECOND: Final = 1_000_000_000
_LAST: Final = (1 << 64) // _SECOND
"""Seconds since the epoch from which on nanoseconds need more than 64 bits, in the year 2554."""
OMITTED: Final = "$omitted"
_LONGEST_ADDRESS: Final = 40
"""Characters of the longest address, with a zone."""

_encode: Final = msgspec.json.Encoder().encode


class Kind(NamedTuple):
    """How values of one kind are written in another form."""

    there: Callable[[Any], object]
    """Returns what is written for a value; None for one of another kind."""
    back: Callable[[Any], object]
    """Returns the value again; None for what this kind did not write."""


def same(value: object) -> object:
    """Return a value as it is."""
    return value


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: object) -> int | None:
    return value if type(value) is int else None  # a boolean is none


def _texts(value: object) -> list[str] | None:
    return value if isinstance(value, list) and all(isinstance(each, str) for each in value) else None


def rules(value: object) -> list[dict[str, Any]] | None:
    """Return the policies that decided, each with its rule where there is one; None for anything else.

    The last may be the number of those that a record leaves out.
    """
    if not isinstance(value, list) or not value:
        return None
    named = value[:-1] if _is_omission(value[-1]) else value
    return value if all(map(_is_rule, named)) else None


def _is_rule(value: object) -> bool:
    return (
        isinstance(value, dict)
        and "policy" in value
        and value.keys() <= {"policy", "rule"}
        and all(isinstance(each, str) for each in value.values())
    )


def _is_omission(value: object) -> bool:
    return isinstance(value, dict) and value.keys() == {OMITTED} and type(value[OMITTED]) is int


def nanoseconds(value: object) -> int | None:
    """Return a time of the log in nanoseconds since the epoch; None for what is none, or needs more than 64 bits."""
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    seconds = None if found is None else _seconds(found[1])
    return None if found is None or seconds is None else seconds * _SECOND + int(found[2])


@lru_cache(maxsize=64)
def _seconds(text: str) -> int | None:
    try:
        seconds = int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
    except ValueError:
        return None
    return seconds if 0 <= seconds < _LAST else None


def _time_text(nanos: str) -> str:
    seconds, fraction = divmod(int(nanos), _SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{fraction:09}Z"


def _nanos_text(value: object) -> str | None:
    nanos = nanoseconds(value)
    return None if nanos is None else str(nanos)


def _time(value: object) -> object:
    return None if nanoseconds(value) is None else value


def address(value: object) -> str | None:
    """Return a text that is the address of a host, version 4 or 6; None for anything else."""
    fits = isinstance(value, str) and len(value) <= _LONGEST_ADDRESS and _is_address(value)
    return str(value) if fits else None


@lru_cache(maxsize=4096)
def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _json_text(value: object) -> str | None:
    return _encode(value).decode() if isinstance(value, dict) else None


TEXT: Final = Kind(_text, same)
NUMBER: Final = Kind(_number, same)
TEXTS: Final = Kind(_texts, same)
ADDRESS: Final = Kind(address, same)
RULES: Final = Kind(rules, same)
TIME: Final = Kind(_time, _time)
"""A time of the log, as it is; a time of another form is none."""
NANOS: Final = Kind(_nanos_text, _time_text)
"""A time of the log, as a text that says the nanoseconds since the epoch."""
JSON_TEXT: Final = Kind(_json_text, msgspec.json.decode)
"""An object, as a text that is JSON."""
