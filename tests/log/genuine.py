# SPDX-License-Identifier: EUPL-1.2
"""A log as a server writes it: by the real writer, with its checkpoints, which a reader elsewhere has kept."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from tests.clocks import MovedClock
from tests.log.written import LOG, ORIGIN, WrittenLog
from tests.unit.log.folders import NOON, draft, opened, wrote
from tests.unit.log.format.signing import ed25519
from tests.unit.log.reader.serving import eventually, following, run
from vault.framework.telemetry.log import Log
from vault.log.format.segment import SEGMENT, list_segments
from vault.log.format.trust import Trust
from vault.log.signing import Checkpoints
from vault.log.writer import LogLimits

SEED = b"\1" * 32
"""The key that the log is signed with: whoever has it signs what they like."""
TRUST = Trust(keys=(ed25519(ORIGIN).verifier,))


class Genuine:
    """A log of a server that has ended, and its checkpoints by their sizes."""

    def __init__(self, folder: Path, *, count: int, signed: Sequence[int], segment: int = 1 << 20) -> None:
        """`segment` is how many records a segment takes, of those that are written here."""
        folder.mkdir()
        (folder / "node").write_text(f"{LOG.partition('-')[0]}\n", encoding="ascii")
        line_bytes = 340  # a few less than one has
        log = opened(folder, limits=LogLimits(segment_bytes=segment * line_bytes))
        assert log.id == LOG
        checkpoints = Checkpoints(log.writer, ORIGIN, MovedClock(NOON), Log())
        checkpoints.use(SEED)
        for size in range(1, count + 1):
            wrote(log, draft(tenant=("root", "ns1", "ns2")[size % 3]))
            if size in signed:
                checkpoints.sign_now()
        log.writer.close()
        self.folder = folder
        self.segments = list_segments(folder / LOG)
        self.lines = [line[:-1] for each in self.segments for line in each.lines()]
        notes = [stored.note.encode() for each in self.segments for stored in each.checkpoints()]
        self.notes = dict(zip(sorted(signed), notes, strict=True))

    def close_segments(self) -> None:
        """Have the real log reader close every segment that another one follows, and make tiles."""
        ended = self.segments[:-1]

        async def scenario() -> None:
            async with following(self.folder):
                await eventually(lambda: all(one.closed and not one.path(SEGMENT).exists() for one in ended))

        run(scenario())

    def stolen(self, folder: Path) -> Path:
        """Copy all files of the log, to be changed there; return the folder of the log."""
        shutil.copytree(self.folder / LOG, folder / LOG)
        return folder / LOG

    def attacked(self, folder: Path) -> WrittenLog:
        """The log in the hands of whoever has its files and its key: what they change of it, they write to `folder`."""
        stolen = WrittenLog(folder, self.lines, starts=[each.first for each in self.segments])
        stolen.signers = [ed25519(stolen.origin)]
        stolen.notes = dict(self.notes)
        return stolen
