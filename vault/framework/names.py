# SPDX-License-Identifier: EUPL-1.2
"""The length of names, their case folding, and their order in a scan."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from vault.framework.errors import Malformed
from vault.framework.limits import NAME

_AFTER_SLASH: Final = chr(ord("/") + 1)


def check_length(**names: str | None) -> None:
    """Raise `Malformed` for a name, given by its field, that is longer than `NAME`."""
    for field, name in names.items():
        if name is not None and len(name) > NAME:
            raise Malformed(f"field '{field}' may have at most {NAME} characters")


def folded(name: str) -> str:
    """Return a name in lower case: each letter as the lower case letter of its own pair.

    A letter that only looks like an upper case letter (the Kelvin sign, the ohm sign) stays as it is: it makes
    another name (SL-21).
    """
    if name.isascii():
        return name.lower()
    forms = {char: small if (small := char.lower()).upper() == char else char for char in set(name)}
    return "".join(map(forms.__getitem__, name))


def scan_order(paths: Sequence[str]) -> list[str]:
    """Order sorted paths as OpenBao's scan does: a folder's leaves, then its folders, last one first.

    A folder with one path, and one with nothing but a folder, is passed through at once: so the cost grows with the
    characters of the paths, however deep they are.
    """
    ordered: list[str] = []
    pending = [
        (0, len(paths), 0)
    ]  # ranges of paths, with how many characters of their folder's name they share
    while pending:
        at, end, shared = pending.pop()
        while at < end:
            slash = paths[at].find("/", shared)
            if slash < 0:
                ordered.append(paths[at])
                at += 1
                continue
            after = bisect_left(paths, paths[at][:slash] + _AFTER_SLASH, at, end)
            pending.append((at, after, _shared(paths[at], paths[after - 1])))
            at = after
    return ordered


def _shared(one: str, other: str) -> int:
    """Return how many characters the last folder has that two paths have in common, with its slash."""
    least, most = 0, min(len(one), len(other))
    while least < most:
        middle = (least + most + 1) // 2
        if one[:middle] == other[:middle]:
            least = middle
        else:
            most = middle - 1
    return one.rfind("/", 0, least) + 1
