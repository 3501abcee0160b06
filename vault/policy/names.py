# SPDX-License-Identifier: EUPL-1.2
"""Names of policies: brought to one form first, judged second, and stored in that form (SL-06, SL-11)."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from vault.policy.builtin import ROOT

MAX_NAME = 512
"""Longest accepted name, in characters."""

_FORBIDDEN_PARTS = frozenset({"", ".", ".."})


def normalise(name: str) -> str:
    """The form that a name is compared and stored in: trimmed, NFKC, lower case."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).strip().lower())


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
