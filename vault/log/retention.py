# SPDX-License-Identifier: EUPL-1.2
"""How long records are kept, and what holds keep longer.

A log is cut from its old end alone, a whole segment at a time: so a hold keeps what follows it in its log as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from vault.barrier.stored import RecordKind
from vault.barrier.view import ReadView, View
from vault.framework.clock import parse_rfc3339_whole, rfc3339
from vault.log.format.files import of_process, replace_file
from vault.log.reader.messages import SegmentEntry
from vault.values.times import Nanos, nanos_of

LAST: Final = "retention"
"""The file in a log folder that has the retention of the last start."""
_HOLDS: Final = "log/hold/"
_OPEN: Final = ".."
"""Stands for a time without beginning or end (ISO 8601-2)."""
_FOREVER: Final = Nanos(1 << 62)


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """How long records are kept, in seconds: at least and at most; 0 where there is no such bound."""

    least: float = 0
    most: float = 0

    def purgeable(self, now: Nanos) -> Nanos:
        """Return before when records may be purged."""
        return Nanos(now - nanos_of(self.least))

    def expired(self, now: Nanos) -> Nanos:
        """Return before when records are to be purged; nothing is where there is no upper bound."""
        return Nanos(now - nanos_of(self.most)) if self.most else Nanos(0)

    def told(self) -> Mapping[str, str]:
        """Return it as the log says it."""
        return {"retention_max": f"{self.most:.15g}s", "retention_min": f"{self.least:.15g}s"}


NO_RETENTION: Final = Retention()


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """Records that are kept whatever their age: those from a time and before another. 0 stands for no such bound."""

    made: Nanos
    begins: Nanos = Nanos(0)
    ends: Nanos = Nanos(0)
    reason: str = ""

    def keeps(self, *, begins: Nanos, ends: Nanos) -> bool:
        """Whether it is on some of the records between the times of two, both included."""
        return self.begins <= ends and begins < (self.ends or _FOREVER)

    @property
    def interval(self) -> str:
        """The time that it is on, as ISO 8601 writes it; the log says this of it."""
        bounds = (rfc3339(bound) if bound else _OPEN for bound in (self.begins, self.ends))
        return "/".join(bounds)


HOLD: Final = RecordKind("hold on the log", Hold)


async def read_hold(core: ReadView, name: str) -> Hold | None:
    """Return a hold, None where there is none; `core` is the root namespace's own data."""
    stored = await core.get(_HOLDS + name)
    return None if stored is None else HOLD.decode(stored)


async def read_holds(core: ReadView) -> Mapping[str, Hold]:
    """Return all holds by their names."""
    found = {name: await read_hold(core, name) for name in await core.list(_HOLDS)}
    return {name: hold for name, hold in found.items() if hold is not None}


async def put_hold(core: View, name: str, hold: Hold) -> None:
    """Store a hold."""
    await core.put(_HOLDS + name, HOLD.encode(hold))


async def delete_hold(core: View, name: str) -> None:
    """End a hold."""
    await core.delete(_HOLDS + name)


class Cut(msgspec.Struct, frozen=True):
    """Which segments of a log are to go, the oldest first, and the holds that keep the next one."""

    segments: Sequence[SegmentEntry]
    holds: Sequence[str]


def plan(segments: Sequence[SegmentEntry], before: Nanos, holds: Mapping[str, Hold]) -> Cut:
    """Return which of a log's segments are to go: closed ones whose records all are of before a time, and not held."""
    chosen: list[SegmentEntry] = []
    for one in segments[:-1]:
        if not one.ends or parse_rfc3339_whole(one.ends) >= before:
            break
        begins, ends = parse_rfc3339_whole(one.begins), parse_rfc3339_whole(one.ends)
        keeping = sorted(name for name, hold in holds.items() if hold.keeps(begins=begins, ends=ends))
        if keeping:
            return Cut(chosen, keeping)
        chosen.append(one)
    return Cut(chosen, ())


def last_retention(folder: Path) -> Retention:
    """Return the retention of the last start; none where nothing says."""
    try:
        return msgspec.json.decode((folder / LAST).read_bytes(), type=Retention)
    except (OSError, msgspec.MsgspecError):
        return NO_RETENTION


def keep_retention(folder: Path, retention: Retention) -> None:
    """Have the next start know the retention of this one. Raises `OSError`."""
    replace_file(folder / LAST, msgspec.json.encode(retention), beside=of_process())
