# SPDX-License-Identifier: EUPL-1.2
"""Names of policies: brought to one form first, judged second, and stored in that form (SL-06, SL-11)."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from vault.policy.builtin import ROOT

MAX_NAME = 512
"""Longest accepted name, in characters."""

_MOST_COMPOSED = 4 * MAX_NAME
"""Characters of a text that can become a name: NFKC composes at most four characters into one."""
_PIECE = 64
"""Characters normalised at a time. Some expand to many (U+FDFA: 18), so a long text is refused early."""

_FORBIDDEN_PARTS = frozenset({"", ".", ".."})


def normalise(name: str) -> str:
    """The form that a name is compared and stored in: trimmed, NFKC, lower case.

    A text that is too long for any name is only trimmed: it is no name in any form, and equals none.
    """
    name = name.strip()
    if name.isascii():
        return name.lower()
    composed = ""
    for start in range(0, len(name), _PIECE):
        composed += unicodedata.normalize("NFKC", name[start : start + _PIECE])
        if len(composed) > _MOST_COMPOSED:
            return name
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", composed).strip().lower())


def valid_name(name: str) -> str | None:
    """The normal form of `name`, or None when no policy may be called that.

    Refused: nothing, more than MAX_NAME characters, empty and dot segments, anything below `root/`, `%`, backslashes, and characters
    that are not printed (controls, formats such as zero-width spaces, separators, unassigned ones).
    """
    return _remembered(name) if len(name) <= MAX_NAME else _valid(name)


def _valid(name: str) -> str | None:
    normal = normalise(name)
    if not normal or len(normal) > MAX_NAME or "%" in normal or "\\" in normal:
        return None
    first, *rest = normal.split("/")
    if any(part in _FORBIDDEN_PARTS for part in (first, *rest)) or (rest and first == ROOT):
        return None
    if any(char != " " and unicodedata.category(char)[0] in "CZ" for char in normal):
        return None
    return normal


_remembered = lru_cache(maxsize=4096)(_valid)
