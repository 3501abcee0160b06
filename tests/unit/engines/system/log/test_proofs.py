# SPDX-License-Identifier: EUPL-1.2
"""A list of very many segments holds up nobody else."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pytest

from tests.unit.engines.driver import Driver, FakeClock
from vault.engines.system.log.proofs import ProofEngine
from vault.engines.system.log.readers import LogReading
from vault.framework.call import Call
from vault.log.reader.client import LogReader
from vault.log.reader.messages import MOST_SEGMENTS, SegmentEntry
from vault.namespace.book import Namespaces


class _Reader(LogReader):
    """Has one log of so many segments."""

    def __init__(self, folder: Path, segments: int) -> None:
        super().__init__(folder, time.monotonic, defect=list[Exception]().append)
        self.found = [SegmentEntry(first=10 * number, closed=True) for number in range(segments)]

    async def all_segments(self, log: str, limit: int = MOST_SEGMENTS) -> list[SegmentEntry]:
        return self.found


class _Reading(LogReading):
    """Lets everybody ask a reader."""

    def __init__(self, reader: LogReader) -> None:
        super().__init__(reader, cast("Namespaces", None), root_reads=False)
        self.reader = reader

    def permit_all(self, call: Call) -> None:
        """Permit it."""

    @contextmanager
    def asking(self) -> Iterator[LogReader]:
        yield self.reader


@pytest.mark.parametrize(("segments", "long"), [(200, False), (201, True)])
def test_a_list_of_many_segments_is_encoded_and_hashed_off_the_event_loop(
    tmp_path: Path, segments: int, long: bool
) -> None:
    async def scenario() -> None:
        engine = ProofEngine(_Reading(_Reader(tmp_path, segments)))
        driver = await Driver(engine, FakeClock()).start()
        found = await driver("GET", "log/segments/01234567-0-0")
        assert (len(found.data["segments"]), found.long) == (segments, long)

    asyncio.run(scenario())
