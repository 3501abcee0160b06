# SPDX-License-Identifier: EUPL-1.2
"""Names and ranges of ordered paths, the same for every storage.

Paths are ordered by code point, which is the byte order of their UTF-8. `/` is followed by `0`, so
everything below `a/` lies in `["a/", "a0")`, and the smallest path greater than `p` is `p + NUL`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from vault.storage.protocol import LONGEST_PATH, UnfitPath

Seek = Callable[[str, str | None], Iterable[str]]
"""Given a lower bound (included) and an upper one (excluded; None: open), the paths between, in order."""

_PATIENCE = 16
"""How many paths of one folder are read past before it pays to seek behind the folder instead."""


def refuse_unfit(text: str) -> None:
    """Raise `UnfitPath` for a path, or a kind and its key, that some storage would not take: no vault is bound to its own."""
    if text.isascii() and len(text) <= LONGEST_PATH and "\0" not in text:
        return
    try:
        length = len(text.encode())
    except UnicodeEncodeError:
        raise UnfitPath("the path holds half of a surrogate pair, which is no text") from None
    if length > LONGEST_PATH:
        raise UnfitPath(f"the path would be stored in more than {LONGEST_PATH} bytes")
    if "\0" in text:
        raise UnfitPath("the path holds U+0000, which not every storage takes")


def is_text(path: str) -> bool:
    """Whether there can be anything at a path: half of a surrogate pair is no text."""
    if not path.isascii():
        try:
            path.encode()
        except UnicodeEncodeError:
            return False
    return True


def end_of(prefix: str) -> str | None:
    """Return the smallest path behind everything below `prefix`; None for the empty prefix."""
    return prefix[:-1] + "0" if prefix else None


def all_folders(paths: Iterable[str], known: set[str] | None = None) -> set[str]:
    """Return every prefix that any of `paths` lies below, added to `known` if given."""
    folders = set() if known is None else known
    for path in paths:
        folder = path[: path.rfind("/") + 1]
        while folder not in folders:  # where one is known, those that it lies below are
            folders.add(folder)
            folder = folder[: folder.rfind("/", 0, -1) + 1]
    return folders


def paths_below(seek: Seek, prefix: str, after: str, limit: int) -> Sequence[str]:
    """Return the paths below `prefix`, relative to it and greater than `after`; at most `limit` if positive."""
    skip = len(prefix)
    found: list[str] = []
    for path in seek(f"{prefix}{after}\0", end_of(prefix)):
        found.append(path[skip:])
        if len(found) == limit:
            break
    return found


def names_below(seek: Seek, prefix: str, after: str, limit: int) -> Sequence[str]:
    """Return the names directly below `prefix` and greater than `after`; at most `limit` if positive.

    A folder with many paths costs one more seek, not a read of all of them.
    """
    found: list[str] = []
    folder, slash, _ = after.partition("/")
    start: str | None = f"{prefix}{folder}0" if slash else f"{prefix}{after}\0"
    while start is not None:
        start = _collect(found, seek(start, end_of(prefix)), prefix, limit)
    return found


def _collect(found: list[str], paths: Iterable[str], prefix: str, limit: int) -> str | None:
    """Append names until the paths or the limit end (None), or seeking pays (return from where)."""
    skip, passed = len(prefix), 0
    folder: str | None = None
    for path in paths:
        name = path[skip:]
        if folder is not None and name.startswith(folder):
            passed += 1
            if passed == _PATIENCE:
                return f"{prefix}{folder[:-1]}0"
            continue
        head, slash, _ = name.partition("/")
        if slash:
            name = folder = head + slash
            passed = 0
        found.append(name)
        if len(found) == limit:
            return None
    return None
