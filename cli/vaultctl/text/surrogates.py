# SPDX-License-Identifier: EUPL-1.2
"""Half a pair of surrogates in JSON. Few answers have one, so its patterns are compiled when one may."""

from __future__ import annotations

import re

_HALF = re.compile("[\ud800-\udfff]")
_MAYBE_HALF = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")


def without_halves(value: object, text: str) -> object:
    """The value of the JSON `text`, with U+FFFD for each half of a pair."""
    return _whole(value) if _MAYBE_HALF.search(text) else value


def _whole(value: object) -> object:
    if isinstance(value, str):
        return _HALF.sub("\ufffd", value)
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {_HALF.sub("\ufffd", key): _whole(item) for key, item in value.items()}
    return value
