# SPDX-License-Identifier: EUPL-1.2
"""Patterns in which `*` stands for any text, and nothing else is special.

Texts come from clients, some of them not authenticated yet. So a pattern is no regular expression: each of its
parts is searched for once, and neither pattern nor text can make that slow (SL-75).
"""

from __future__ import annotations

from collections.abc import Iterable


def fits(text: str, glob: str) -> bool:
    """Whether a whole text fits a pattern."""
    first, *rest = glob.split("*")
    if not rest:
        return text == glob
    *between, last = rest
    at, end = len(first), len(text) - len(last)
    if end < at or not (text.startswith(first) and text.endswith(last)):
        return False
    for part in between:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def fits_any(text: str, globs: Iterable[str]) -> bool:
    """Whether a text fits one of several patterns."""
    return any(fits(text, glob) for glob in globs)
