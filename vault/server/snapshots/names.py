# SPDX-License-Identifier: EUPL-1.2
"""Names of backups that are made on a schedule, and which of them are to go. Pure.

A name says when its backup began, and of which cluster it is: `nightly-20261130T023000Z-5f2a90c1.db`, or `….age` for one that is
encrypted as a whole. Nothing else in a directory is touched but what carries such a name, or was left of making it. Names of
earlier releases have no cluster: they are this one's as long as nothing of another one lies beside them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from vault.values.times import Millis

_FORM: Final = "%Y%m%dT%H%M%SZ"
_WHOLE: Final = re.compile(r"-(\d{8}T\d{6}Z)(?:-([0-9a-f]{8}))?\.(?:db|age)", re.ASCII)
_CLUSTER: Final = re.compile(r"[0-9a-f]{8}", re.ASCII)
_LEFT: Final = re.compile(r"(?:\.plain)?(?:\.partial){0,2}(?:-journal)?", re.ASCII)


FEWEST: Final = 3
"""Backups that stay, however old they are, unless `keep` is less."""


class Item(msgspec.Struct, frozen=True):
    """A backup that is there."""

    name: str
    size: int
    verified: bool = True
    """Whether it is known to be whole: one that is not may be all there is, and counts for nothing."""


def mark_of(cluster_id: str) -> str:
    """Return what a cluster's backups have in their names: the first eight digits of its UUID, or nothing where it is none."""
    found = _CLUSTER.match(cluster_id)
    return found[0] if found else ""


def name_of(schedule: str, begun: Millis, *, encrypted: bool, mark: str = "") -> str:
    """Return the name of the backup that began then, of the cluster with this mark."""
    stamp = datetime.fromtimestamp(begun // 1000, UTC).strftime(_FORM)
    return f"{schedule}-{stamp}{mark and '-'}{mark}.{'age' if encrypted else 'db'}"


def mark_in(schedule: str, name: str) -> str | None:
    """Return the mark of the cluster in a name of a schedule, whole or left over; None where it has none."""
    found = _WHOLE.match(name.removeprefix(schedule))
    return found[2] if found else None


def begun_at(schedule: str, name: str) -> datetime | None:
    """Return when a backup of a schedule began; None for any other file."""
    found = _WHOLE.fullmatch(name.removeprefix(schedule)) if name.startswith(schedule) else None
    if found is None:
        return None
    try:
        return datetime.strptime(found[1], _FORM).replace(tzinfo=UTC)
    except ValueError:
        return None


def is_left_over(schedule: str, name: str, *, mark: str = "") -> bool:
    """Whether a file is what was left of making a backup that was cut off, and of no other cluster than that with this mark."""
    found = _WHOLE.match(name.removeprefix(schedule)) if name.startswith(schedule) else None
    if found is None or begun_at(schedule, schedule + found[0]) is None:
        return False
    if found[2] not in (None, mark):
        return False
    rest = name[len(schedule) + found.end() :]
    return bool(rest) and _LEFT.fullmatch(rest) is not None


def own(schedule: str, items: Iterable[Item], mark: str) -> Sequence[Item]:
    """Return those of the cluster with this mark, and those without any, unless another cluster's lie beside them."""
    marked = [(mark_in(schedule, item.name), item) for item in items]
    shared = any(found not in (None, mark) for found, _ in marked)
    return [item for found, item in marked if (found == mark if shared else found in (None, mark))]


def surplus(schedule: str, items: Iterable[Item], *, newest: str, keep: int, max_age: float) -> Sequence[str]:
    """Return the names that are to go, the oldest first, once the backup `newest` is there: that one never goes.

    The others' age in seconds, as their names have it, is that before it; `max_age` 0 is any. For their age alone they go only
    while `FEWEST` stay: after a long outage, or of another vault, they may be all there is. What is named after a later time than the
    newest, by a clock that was ahead, stays and counts for nothing. What is not verified takes nobody's place, and goes with what
    is as old.
    """
    now = begun_at(schedule, newest)
    dated = [(begun, item) for item in items if (begun := begun_at(schedule, item.name)) is not None]
    if now is None:
        return []
    others = [(begun, item) for begun, item in dated if item.name != newest and begun <= now]
    others.sort(key=lambda found: (found[0], found[1].name), reverse=True)
    gone, rank = list[str](), 1
    for begun, item in others:
        if rank >= keep or (max_age and rank >= FEWEST and (now - begun).total_seconds() > max_age):
            gone.append(item.name)
        rank += item.verified
    return gone[::-1]
