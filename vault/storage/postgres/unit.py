# SPDX-License-Identifier: EUPL-1.2
"""What one transaction read and wrote, to be committed if what it read is still so."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable, Iterator
from typing import Final

from vault.storage.postgres.lanes import Range
from vault.storage.protocol import Basis, Check, Timer

_MOST: Final = 1024
_HEAVIEST: Final = 4 << 20
_LONGEST: Final = 64 << 20
"""Rows and timers, bytes of values, and those of long ones, that wait in memory at most."""


class Unit:
    """Rows by path (None where one is removed), timers by kind and key (None: cancelled), and what became untrue."""

    def __init__(self, epoch: int) -> None:
        """`epoch` is the one that facts are believed to be of: what was seen, or before that a guess."""
        self.epoch = epoch
        self.asked = False
        """Whether a statement saw the epoch, so that it is no guess."""
        self.basis: Basis | None = None
        """What it rests on beside what was seen, instead of nothing having become untrue since its epoch."""
        self.rows: dict[str, bytes | None] = {}
        self.timers: dict[tuple[str, str], Timer | None] = {}
        self.untrue: dict[tuple[str, str], None] = {}
        self.checks: dict[Check, None] = {}
        """What is asked before the commit."""
        self.seen: dict[str, int | Unit] = {}
        """By path: the version that was read, or who wrote what was read and had not committed."""
        self.ranges: list[Range] = []
        self.version = 0
        """That of what it wrote, once it has committed."""
        self.replaced: set[str] = set()
        """Where another one of its batch wrote after it: all of a batch has one version, and that is of what came last."""
        self.lost = False
        """Whether it failed: who read what it wrote fails too."""
        self.group = 0
        """Units of one batch with the same number stand or fall together."""
        self.durable: asyncio.Future[None] | None = None
        self.parts: dict[str, uuid.UUID] = {}
        """By path: what a long value, which was sent already, is known by."""
        self._bytes = self._long_bytes = 0

    @property
    def writes(self) -> bool:
        """Whether there is anything to commit."""
        return bool(self.rows or self.timers or self.untrue)

    @property
    def true_at(self) -> int:
        """The epoch at which what it rests on was true; 0 where it rests on nothing."""
        return self.epoch if self.basis is None else self.basis.epoch

    def outlasts(self, untrue: Iterable[tuple[str, str]]) -> bool:
        """Whether it may commit after these facts, by kind and key, became untrue."""
        if self.basis is None:
            return not (self.epoch or self.asked) or not any(untrue)
        return all(self.basis.outlasts(*fact) for fact in untrue)

    @property
    def weight(self) -> int:
        """How many bytes its values have."""
        return self._bytes + self._long_bytes

    @property
    def full(self) -> bool:
        """Whether it is more than should wait in memory."""
        return (
            self._bytes > _HEAVIEST
            or self._long_bytes > _LONGEST
            or len(self.rows) + len(self.timers) > _MOST
        )

    def put(self, path: str, value: bytes | None, part: uuid.UUID | None = None) -> None:
        """Note a row's new value, and what a long one is known by; None where it is removed."""
        self.rows[path] = value
        self.parts.pop(path, None)
        if part is not None:
            self.parts[path] = part
            self._long_bytes += len(value or b"")
        else:
            self._bytes += len(value or b"")

    def forget(self) -> None:
        """Write nothing, and ask nobody before that."""
        self.unload()
        self.untrue, self.checks = {}, {}

    def unload(self) -> None:
        """Forget what was written elsewhere meanwhile, but for what became untrue."""
        self.rows, self.timers, self.parts = {}, {}, {}
        self._bytes = self._long_bytes = 0

    def below(self, start: str, beyond: str) -> list[str]:
        """Return the paths in a range that it wrote at, in order."""
        return sorted(path for path in self.rows if start <= path < beyond)

    def covers(self, paths: Iterable[str]) -> bool:
        """Whether any of these paths is in a range that was read."""
        return any(seen.start <= path < seen.beyond for path in paths for seen in self.ranges)


def merged(paths: Iterable[str], unit: Unit, start: str, beyond: str) -> Iterator[str]:
    """Put what a transaction wrote itself among the paths that are stored, and leave out what it removed."""
    own = unit.below(start, beyond)
    for path in sorted({*paths, *own}) if own else paths:
        if unit.rows.get(path, b"") is not None:
            yield path


def ask_all(units: Iterable[Unit]) -> None:
    """Ask what is to be asked before these commit, each once. Raises `CommitRefused`, for all of them."""
    for check in {check: None for unit in units for check in unit.checks}:
        check()
