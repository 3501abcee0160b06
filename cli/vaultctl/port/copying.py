# SPDX-License-Identifier: EUPL-1.2
"""One pass: each entry that is not done already is read, given to what takes it, and noted in the journal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from vaultctl.errors import ApiError, DepthError
from vaultctl.port.ground import canonical
from vaultctl.port.ground.entry import AGAIN, UNCHANGED, Entry, Item, Outcome
from vaultctl.port.ground.journal import Journal
from vaultctl.port.ground.report import Report
from vaultctl.port.ground.server import reason
from vaultctl.port.sink import SECRETS

_DEEP = Outcome("refused", f"its value has more than {canonical.DEEPEST} levels")
_CHANGING = "its versions at the destination change while they are written"
_TOGETHER = 64
"""Secrets that are on their way at once, at most."""


class Sink(Protocol):
    """What takes entries."""

    parallel: bool
    """Whether it takes several at once, in any order, and leaves the journal to its caller."""

    def put(self, item: Item, entry: Entry) -> Outcome:
        """Take one."""


class Copier:
    """Copies entries from one side to another."""

    def __init__(
        self,
        sink: Sink,
        journal: Journal,
        report: Report,
        *,
        threads: int,
        progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`progress` is told how many entries were looked at."""
        self._sink, self.journal, self._report = sink, journal, report
        self._threads, self._progress = threads, progress
        self._seen = 0

    def run(self, items: Iterable[Item]) -> int:
        """Copy what is not done; how many entries were written."""
        before = self._report.written
        waiting: list[Item] = []
        with ThreadPoolExecutor(self._threads) as pool:
            for item in items:
                self._seen += 1
                self._progress(self._seen)
                if self.journal.is_done(item.name, item.mark):
                    self._report.count(item.name, UNCHANGED)
                    continue
                waiting.append(item)
                if item.name.kind not in SECRETS or len(waiting) >= _TOGETHER:
                    self._together(pool, waiting)
                    waiting = []
            self._together(pool, waiting)
        return self._report.written - before

    def _together(self, pool: ThreadPoolExecutor, items: Sequence[Item]) -> None:
        """Secrets in parallel; what comes behind them, and is none, after them."""
        first = [item for item in items if item.name.kind in SECRETS]
        work = self._take if self._sink.parallel else self._load
        for item, result in zip(first, pool.map(work, first), strict=True):
            self._settle(item, result)
        for item in items[len(first) :]:  # one at most
            self._settle(item, work(item))

    def _load(self, item: Item) -> Entry | Outcome | None:
        try:
            return item.load()
        except ApiError as error:
            return _refused(error)
        except DepthError:
            return _DEEP

    def _take(self, item: Item) -> Entry | Outcome | None:
        found = self._load(item)
        if not isinstance(found, Entry):
            return found
        try:
            outcome = self._sink.put(item, found)
            if outcome != AGAIN:
                return outcome
            self.journal.note(item.name, "")  # it was wrong about the versions
            if item.whole is None:
                return Outcome("refused", "it leaves versions out that are not at the destination")
            whole = item.whole()
            if whole is None:
                return None
            outcome = self._sink.put(item, whole)
            return Outcome("refused", _CHANGING) if outcome == AGAIN else outcome
        except ApiError as error:
            return _refused(error)
        except DepthError:
            return _DEEP
        except (KeyError, TypeError, ValueError, AttributeError):
            return Outcome("refused", "the entry is in no form that an entry of its kind has")

    def _settle(self, item: Item, result: Entry | Outcome | None) -> None:
        if isinstance(result, Entry):
            result = self._sink.put(item, result)
        if result is None:
            return
        if self._sink.parallel and not result.why:
            # What is said of it has to be said by every pass, and by the run that goes on.
            again = bool(result.notes or result.remarks)
            versions = "" if again and item.whole is not None else item.versions
            self.journal.note(item.name, "" if again else item.mark, versions)
        self._report.count(item.name, result)


def _refused(error: ApiError) -> Outcome:
    """What a server refuses by its rules stays behind; where it cannot answer, the move ends, to be gone on with."""
    if error.status >= 500 and error.status != 501:
        raise error
    return Outcome("refused", reason(error))
