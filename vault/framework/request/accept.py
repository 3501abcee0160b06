# SPDX-License-Identifier: EUPL-1.2
"""`Accept`: whether a client would rather have an answer in another form than plain JSON (RFC 9110, section 12.5.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

_HEADER: Final = b"accept"
LONGEST: Final = 4096
"""Bytes of all lines that are read; who sends more gets plain JSON."""
_PLAIN: Final = ("application/json", "application/*", "*/*")
"""What names plain JSON, the most exact first."""
_RANGE: Final = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*+"?)++')
"""The next range of a list with its parameters: a comma in quotes ends none. Nothing in it is tried in two ways."""
_PARAMETER: Final = re.compile(r'(?:[^;"]|"(?:[^"\\]|\\.)*+"?)++')
_WEIGHT: Final = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")
"""A weight (RFC 9110, section 12.4.2)."""


def accept_lines(first: Mapping[bytes, bytes], headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Return the lines of the header as one list (RFC 9110, section 5.3). `first` has the first of each header."""
    if _HEADER not in first or len(first) == len(headers):
        return first.get(_HEADER, b"")
    return b", ".join(value for name, value in headers if name == _HEADER)


def prefers(accept: bytes, kind: str, *, longest: int = LONGEST) -> bool:
    """Whether an `Accept` names a kind of media by its whole name, with a weight that is not 0, nor below the one of plain JSON.

    A weight that is none counts as 1. Of a kind that stands there twice the last counts.
    """
    if len(accept) > longest or kind.encode() not in accept.lower():
        return False
    weights = {}
    for one in _RANGE.findall(accept.decode("latin-1").lower()):
        name, *parameters = [part.strip() for part in _PARAMETER.findall(one)] or [""]
        weights[name] = _weight(parameters)
    plain = next((weights[name] for name in _PLAIN if name in weights), 0.0)
    return 0 < weights.get(kind, 0.0) >= plain


def _weight(parameters: Sequence[str]) -> float:
    found = next((one for one in map(_WEIGHT.fullmatch, parameters) if one), None)
    return float(found[1]) if found else 1.0
