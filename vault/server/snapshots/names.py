# SPDX-License-Identifier: EUPL-1.2
"""Names of backups that are made on a schedule, and which of them are to go. Pure.

A name says when its backup began: `nightly-20261130T023000Z.db`, or `….age` for one that is encrypted as a whole. Nothing
else in a directory is touched but what carries such a name, or was left of making it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from vault.values.times import Millis

_FORM: Final = "%Y%m%dT%H%M%SZ"
_WHOLE: Final = re.compile(r"-(\d{8}T\d{6}Z)\.(?:db|age)", re.ASCII)
_LEFT: Final = re.compile(r"(?:\.plain)?(?:\.partial)?(?:-journal)?", re.ASCII)


FEWEST: Final = 3
"""Backups that stay, however old they are, unless `keep` is less."""


class Item(msgspec.Struct, frozen=True):
    """A backup that is there."""

    name: str
    size: int


def name_of(schedule: str, begun: Millis, *, encrypted: bool) -> str:
    """Return the name of the backup that began then."""
    stamp = datetime.fromtimestamp(begun // 1000, UTC).strftime(_FORM)
    return f"{schedule}-{stamp}.{'age' if encrypted else 'db'}"


def begun_at(schedule: str, name: str) -> datetime | None:
    """Return when a backup of a schedule began; None for any other file."""
    found = _WHOLE.fullmatch(name.removeprefix(schedule)) if name.startswith(schedule) else None
    if found is None:
        return None
    try:
        return datetime.strptime(found[1], _FORM).replace(tzinfo=UTC)
    except ValueError:
        return None


def is_left_over(schedule: str, name: str) -> bool:
    """Whether a file is what was left of making a backup that was cut off."""
    found = _WHOLE.match(name.removeprefix(schedule)) if name.startswith(schedule) else None
    if found is None or begun_at(schedule, schedule + found[0]) is None:
        return False
    rest = name[len(schedule) + found.end() :]
    return bool(rest) and _LEFT.fullmatch(rest) is not None


def surplus(schedule: str, items: Iterable[Item], *, newest: str, keep: int, max_age: float) -> Sequence[str]:
    """Return the names that are to go, the oldest first, once the backup `newest` is there: that one never goes.

    The others' age in seconds, as their names have it, is that before it; `max_age` 0 is any. For their age alone they go only
    while `FEWEST` stay: after a long outage, or of another vault, they may be all there is. What is named after a later time than the
    newest, by a clock that was ahead, stays and counts for nothing.
    """
    now = begun_at(schedule, newest)
    dated = [(begun, item.name) for item in items if (begun := begun_at(schedule, item.name)) is not None]
    if now is None:
        return []
    others = sorted((found for found in dated if found[1] != newest and found[0] <= now), reverse=True)
    return [
        name
        for rank, (begun, name) in reversed(list(enumerate(others, 1)))
        if rank >= keep or (max_age and rank >= FEWEST and (now - begun).total_seconds() > max_age)
    ]
