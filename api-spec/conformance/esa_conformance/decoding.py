# SPDX-License-Identifier: Apache-2.0
"""Decodes what comes from outside: answers, files that were handed over, reports, manifests."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Sequence
from typing import Any, Final

from esa_conformance.errors import TooDeep

MOST_DEEP: Final = 100
"""Objects and lists within each other: all that walks through what was decoded bears as many."""
_MOST_TEXT: Final = 200


def json_of(text: str | bytes, *, fraction: Callable[[str], object] = float) -> Any:  # noqa: ANN401 - it is anything
    """JSON, integers with all their digits; `fraction` makes the other numbers.

    Raises ValueError for what is none or has a number that is none, and TooDeep.
    """
    try:
        found = json.loads(text, parse_float=fraction)
    except RecursionError:
        raise TooDeep from None
    except ArithmeticError:
        raise ValueError("a number has an exponent that no number has") from None
    _check(found)
    return found


def toml_of(text: str) -> dict[str, Any]:
    """TOML. Raises ValueError for what is none, and TooDeep."""
    try:
        found = tomllib.loads(text)
    except RecursionError:
        raise TooDeep from None
    _check(found)
    return found


def shown(text: object) -> str:
    """What a server tells of itself, as one line for people and reports: nothing in it moves a cursor, or is long."""
    return "".join(
        one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in str(text)[:_MOST_TEXT]
    )


def _check(found: object) -> None:
    level: Sequence[object] = [found]
    for _ in range(MOST_DEEP):
        level = [child for one in level for child in _children(one)]
        if not level:
            return
    raise TooDeep


def _children(value: object) -> Sequence[object]:
    if isinstance(value, dict):
        return [one for one in value.values() if isinstance(one, dict | list)]
    return [one for one in value if isinstance(one, dict | list)] if isinstance(value, list) else []
