# SPDX-License-Identifier: EUPL-1.2
"""Asks all witnesses about the newest checkpoint, every so often, and stores it with the cosignatures that came.

Nothing waits for it: not a request, not a checkpoint, nor one witness for another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from vault.framework.clock import Clock, parse_rfc3339_whole, rfc3339_whole
from vault.framework.concurrency.lasting import LastingTask
from vault.framework.concurrency.offload import Pool
from vault.framework.telemetry.log import Log
from vault.log.format.files import append_line
from vault.log.format.note import Signature, format_note, parse_note
from vault.log.format.segment import COSIGNED, Segment
from vault.log.witness.client import Witness
from vault.log.witness.newest import QuorumMet, SignedNow, newest_stored
from vault.values.times import Nanos, nanos_to_seconds

_OWN: Final = ("", "")
"""Whose work it is: the server's own."""
_AWAY: Final = "a witness does not cosign the log's checkpoints"
_BACK: Final = "a witness cosigns the log's checkpoints again"


class WitnessState(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one witness: `records` are those that its newest cosignature covers, -1 without one."""

    name: str
    key: str
    records: int
    time: int
    """When it gave that by its own clock, in seconds since 1970; 0 without one."""
    trouble: str


class WitnessReport(msgspec.Struct, frozen=True, kw_only=True):
    """The newest checkpoint that `quorum` witnesses have cosigned (LOG-053), and how each witness is."""

    quorum: int
    records: int
    """How many records it covers; -1 before there is one."""
    note: str
    time: str
    age: float
    """Seconds since it was complete; 0 before there is one."""
    witnesses: Sequence[WitnessState]


class Witnesses:
    """The witnesses of one log."""

    def __init__(
        self,
        folder: Path,
        witnesses: Sequence[Witness],
        newest: Callable[[], SignedNow | None],
        *,
        quorum: int,
        interval: float,
        clock: Clock,
        log: Log,
    ) -> None:
        """`folder` is the log's own, `newest` returns the checkpoint that was signed last; `interval` is in seconds."""
        self._folder, self._witnesses, self._newest = folder, tuple(witnesses), newest
        self._quorum, self._interval, self._clock, self._log = quorum, interval, clock, log
        self._met: QuorumMet | None = None
        """The newest checkpoint that met the quorum."""
        self._kept: SignedNow | None = None
        """The newest checkpoint of before this process."""
        self._stored = (-1, 0)
        """Of how many records the checkpoint is that was stored last, and how many cosignatures it has."""
        self._pool = Pool(threads=1, name="witness")
        self._task = LastingTask(
            self._ask_forever, partial(log.crash, "audit", "asking witnesses met a defect; it is begun anew")
        )

    def start(self) -> None:
        """Begin to ask."""
        if self._witnesses:
            self._task.start()

    async def stop(self) -> None:
        """End that."""
        await self._task.stop()

    def state(self) -> WitnessReport | None:
        """Return what is known; None where no witness is configured."""
        if not self._witnesses:
            return None
        met = self._met
        return WitnessReport(
            quorum=self._quorum,
            records=-1 if met is None else met.records,
            note="" if met is None else met.note,
            time="" if met is None else met.time,
            age=0.0 if met is None else self._age(met.time),
            witnesses=[_state(one) for one in self._witnesses],
        )

    def _age(self, time: str) -> float:
        return max(0.0, nanos_to_seconds(Nanos(self._clock.nanos() - parse_rfc3339_whole(time))))

    async def _ask_forever(self) -> None:
        await self.resume()
        while True:
            try:
                await self.ask()
            except OSError as failure:
                self._log.failure(
                    "audit", "a cosigned checkpoint could not be written", error=failure.strerror or ""
                )
            await asyncio.sleep(self._interval)

    async def resume(self) -> None:
        """Go on from what is stored."""
        keys = [one.settings.key for one in self._witnesses]
        stored = await self._pool.run(
            _OWN, partial(newest_stored, self._folder, keys, self._quorum), owed=True
        )
        self._kept, self._met = stored.newest, stored.met
        for one in self._witnesses:
            if found := stored.cosigned.get(one.settings.key.vkey):
                one.resume(found)

    async def ask(self) -> None:
        """Ask those that have not cosigned the newest checkpoint, and store what comes. Raises `OSError`."""
        newest = self._newest() or self._kept
        if newest is None:
            return
        size = newest.checkpoint.size
        asked = [one for one in self._witnesses if one.line(size) is None]
        troubles = [one.trouble for one in asked]
        await asyncio.gather(*(one.ask(newest) for one in asked))
        for one, before in zip(asked, troubles, strict=True):
            self._tell(one, before)
        lines = [line for one in self._witnesses if (line := one.line(size)) is not None]
        if lines and self._stored != (size, len(lines)):
            await self._store(newest, lines)

    async def _store(self, newest: SignedNow, lines: Sequence[Signature]) -> None:
        """Append a checkpoint with all its cosignatures. Raises `OSError`."""
        size, own = newest.checkpoint.size, parse_note(newest.note)
        note = format_note(own.text, [*own.signatures, *lines]).decode()
        time = rfc3339_whole(self._clock.nanos()).decode()
        path = Segment(self._folder, newest.segment).path(COSIGNED)
        line = msgspec.json.encode({"time": time, "note": note}) + b"\n"
        await self._pool.run(_OWN, partial(append_line, path, line, synced=True), owed=True)
        self._stored = size, len(lines)
        if len(lines) >= self._quorum and (self._met is None or self._met.records != size):
            self._met = QuorumMet(time=time, records=size, note=note)

    def _tell(self, one: Witness, before: str) -> None:
        """Tell the server log when a witness begins to fail, or for another reason, and when it cosigns again."""
        if one.trouble and one.trouble != before:
            tell = self._log.failure if one.conflict else self._log.caution
            tell("audit", _AWAY, witness=one.settings.name, reason=one.trouble)
        elif before and not one.trouble:
            self._log.note("audit", _BACK, witness=one.settings.name)


def _state(one: Witness) -> WitnessState:
    found = one.cosigned
    return WitnessState(
        name=one.settings.name,
        key=one.settings.key.vkey,
        records=-1 if found is None else found.records,
        time=0 if found is None else found.time,
        trouble=one.trouble,
    )
