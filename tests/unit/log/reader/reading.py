# SPDX-License-Identifier: EUPL-1.2
"""The parts of a log reader without its process and its loop, for tests: one call has taken everything there is."""

import asyncio
import time
from pathlib import Path
from typing import Any

from vault.log.reader.closing import EndedSegment, close_segment, finish_closing
from vault.log.reader.follower import FollowedLog
from vault.log.reader.index.store import Index
from vault.log.reader.lines import Lines
from vault.log.reader.messages import Position, Search, SearchPage
from vault.log.reader.search import Page
from vault.values.times import Nanos

FOREVER = Nanos(1 << 61)


class Reading:
    """What is indexed of a folder."""

    def __init__(self, folder: Path, *, closes: bool = True) -> None:
        self.folder, self.closes = folder, closes
        self.index, self.lines = Index(folder), Lines(folder)
        self.logs: dict[str, FollowedLog] = {}
        self.ended: list[EndedSegment] = []

    def catch_up(self) -> None:
        """Take everything that there is, and close what is to be closed."""
        for path in sorted(self.folder.iterdir()):
            if path.is_dir():
                if path.name not in self.logs:
                    self.logs[path.name] = FollowedLog(
                        path.name, self.folder, self.lines, self.index, self.ended.append
                    )
                    for first, closed in self.logs[path.name].segments.items():
                        if closed:
                            finish_closing(path, first)
                log = self.logs[path.name]
                log.look_again()
                while log.step():
                    pass
        while self.closes and self.ended:
            ended = self.ended.pop(0)
            manifest = close_segment(self.folder / ended.log, ended)
            self.logs[ended.log].closed(ended.first, manifest.sha256)

    def close(self) -> None:
        """Close the files."""
        self.index.close()
        self.lines.close()

    def again(self) -> "Reading":
        """End, and return another one that begins with what the index kept."""
        self.close()
        fresh = Reading(self.folder, closes=self.closes)
        fresh.catch_up()
        return fresh

    def page(self, ask: Search, seconds: float = 1000) -> SearchPage:
        """Return one page."""
        return asyncio.run(
            Page(self.logs.values(), self.lines, ask).read(time.monotonic, time.monotonic() + seconds)
        )

    def all(self, limit: int = 1000, **asked: Any) -> list[bytes]:
        """Return what all pages of a search have."""
        found: list[bytes] = []
        position: Position | None = None
        while True:
            asked = {"begins": Nanos(0), "ends": FOREVER, "order": "asc", **asked}
            page = self.page(Search(limit=limit, position=position, **asked))
            found += page.lines
            position = page.position
            if position is None:
                return found
