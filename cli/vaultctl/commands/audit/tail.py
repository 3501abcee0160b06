# SPDX-License-Identifier: EUPL-1.2
"""audit tail: show records as they are appended, of all logs.

A thread for each log that may grow waits for its next records by long poll. Which logs there are is asked for again every
half minute, and when a connection was lost: a server that was started anew writes another one.
"""

from __future__ import annotations

import queue
import threading
import time

from vaultctl.commands.audit.filters import as_query, filters, matches
from vaultctl.commands.audit.following import FollowedLog, ends_of, epoch, newest
from vaultctl.commands.audit.names import EntityNames
from vaultctl.commands.audit.pages import (
    client_of,
    client_of_thread,
    place_of,
    place_text,
    read_page,
    record_of,
)
from vaultctl.commands.audit.words import line_of, no_names
from vaultctl.errors import EXIT_OK, EXIT_REMOTE, ApiError, CommandError, RequestError, UsageError
from vaultctl.text.terminal import on_one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from vaultctl.invocation import Invocation

_WAIT = 30
"""Seconds that one question waits for records, and between two looks for other logs; less where answers are to come sooner."""
_USUAL = 10
"""Records that are shown first."""
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 15.0
"""Seconds before what failed is tried again."""
_LATER = (429, 500, 502, 503, 504)
"""Refusals that may be over soon."""


def tail(invocation: Invocation) -> int:
    """Show the last records, and then each as it comes, until interrupted; exit code 2 if any is missing."""
    if invocation.form not in ("table", "ndjson", "json"):
        raise UsageError("Invalid output format: use table, json or ndjson")
    shown = _Screen(invocation)
    followed_logs = _Tail(invocation, shown)
    try:
        followed_logs.begin(invocation.number("n"))
        while True:
            followed_logs.step()
    except KeyboardInterrupt:
        return EXIT_REMOTE if shown.wrong else EXIT_OK
    finally:
        followed_logs.end()


class _Screen:
    """Prints what fits, but not what this tail itself has left in the log: a table of that would fill by itself."""

    def __init__(self, invocation: Invocation) -> None:
        self.asked = filters(invocation)
        self.wrong = False
        """Whether any record was missing, or not as it should be."""
        self.own: set[tuple[str, int]] = set()
        """The records of this tail's own questions, until they come."""
        self._invocation = invocation
        self._names = EntityNames(client_of(invocation)) if invocation.truth("names") else no_names

    def print(self, line: bytes) -> None:
        """Print a record."""
        record = record_of(line)
        place = place_of(place_text(record))
        if self._invocation.form == "table" and place in self.own:
            self.own.discard(place)
        elif matches(record, self.asked):
            self._print(line, record)

    def _print(self, line: bytes, record: Mapping[str, object]) -> None:
        if self._invocation.form == "table":
            self._invocation.say(on_one_line(line_of(record, self._names)))
        else:
            self._invocation.emit(line.decode())
        self._invocation.stdout.flush()

    def alarm(self, words: str) -> None:
        """Say that something is not as it should be."""
        self.wrong = True
        self._invocation.warn(f"WARNING! {words}. Verify a copy of the log: `vaultctl audit verify`.")

    def note(self, words: str) -> None:
        """Say how the connection is."""
        self._invocation.warn(words)

    def asked_by_us(self, receipt: str) -> None:
        """Leave out the record of a question of this tail."""
        if receipt:
            self.own.add(place_of(receipt))


class _Tail:
    """The threads, and what they say: lines, faults, lost connections."""

    def __init__(self, invocation: Invocation, shown: _Screen) -> None:
        self._invocation, self._shown = invocation, shown
        self._client = client_of(invocation)
        self._said: queue.SimpleQueue[tuple[str, object]] = queue.SimpleQueue()
        self._threads: dict[str, _Follower] = {}
        timeout = self._client.timeout
        self._wait = _WAIT if timeout is None else max(1, min(_WAIT, int(timeout / 2)))
        self._look_at = 0.0
        self._lost = self._tenant = False

    def begin(self, count: int | None) -> None:
        """Show the last records, and follow all logs from there."""
        most = _USUAL if count is None else count
        if most < 0:
            raise UsageError("invalid value for flag -n: must be 0 or more")
        page = read_page(self._client, {**as_query(self._shown.asked), "limit": str(min(max(most, 1), 1000))})
        self._shown.asked_by_us(page.receipt)
        for line in reversed(page.lines[:most]):
            self._shown.print(line)
        ends, tenant = ends_of(self._client, page)
        for log in newest(ends):
            self._follow(log, ends[log], tenant=tenant)
        self._look_at = time.monotonic() + self._wait
        self._tenant = tenant

    def step(self) -> None:
        """Print what came, or look for other logs when it is time to."""
        left = self._look_at - time.monotonic()
        try:
            kind, what = self._said.get(timeout=max(left, 0.01))
        except queue.Empty:
            self._look()
            return
        if kind == "receipt":
            self._shown.asked_by_us(str(what))
        elif kind == "alarm":
            self._shown.alarm(str(what))
        elif kind == "lost":
            self._note_loss(str(what))
        elif kind == "back":
            self._note_return()
        elif isinstance(what, CommandError):
            raise what
        elif isinstance(what, bytes):
            self._shown.print(what)

    def end(self) -> None:
        """Let the threads end, each when it is answered: nobody waits for that."""
        for thread in self._threads.values():
            thread.stopped = True

    def _look(self) -> None:
        """Follow logs that are new, and let those end that have a successor."""
        self._look_at = time.monotonic() + self._wait
        try:
            page = read_page(self._client, {"limit": "1"})
        except (RequestError, ApiError) as failure:
            if not _passes(failure):
                raise
            self._note_loss(str(failure))
            self._look_at = time.monotonic() + _FIRST_PAUSE
            return
        self._shown.asked_by_us(page.receipt)
        self._note_return()
        for log in newest(page.through):
            if log not in self._threads:
                self._follow(log, -1, tenant=self._tenant)
        for log, thread in self._threads.items():
            thread.has_successor = any(
                epoch(other) > epoch(log) for other in self._threads if _writer(other) == _writer(log)
            )

    def _follow(self, log: str, after: int, *, tenant: bool) -> None:
        client = client_of_thread(self._invocation)
        followed = FollowedLog(client, log, after, tenant=tenant)
        thread = _Follower(followed, self._said, self._wait)
        self._threads[log] = thread
        thread.start()

    def _note_loss(self, words: str) -> None:
        if not self._lost:
            self._lost = True
            self._shown.note(f"{words}\nTrying again.")

    def _note_return(self) -> None:
        if self._lost:
            self._lost = False
            self._look_at = 0.0
            self._shown.note("The server answers again.")


class _Follower(threading.Thread):
    """Asks for the next records of one log, again and again."""

    def __init__(self, followed: FollowedLog, said: queue.SimpleQueue[tuple[str, object]], wait: int) -> None:
        super().__init__(daemon=True)
        self.has_successor = False
        """Whether the log gets no more records: it ends when all are read."""
        self.stopped = False
        """Whether nobody listens any more."""
        self._followed, self._said, self._wait = followed, said, wait

    def run(self) -> None:
        """Follow until there is nothing more to come, or a refusal that does not pass."""
        try:
            self._follow()
        finally:
            self._followed.close()

    def _follow(self) -> None:
        pause, ended = _FIRST_PAUSE, False
        while not (ended or self.stopped):
            last = self.has_successor
            try:
                lines, wrong = self._followed.page(0 if last else self._wait)
            except (RequestError, ApiError) as failure:
                if not _passes(failure):
                    self._said.put(("error", failure))
                    return
                self._said.put(("lost", str(failure)))
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
                continue
            except CommandError as failure:
                self._said.put(("error", failure))
                return
            if pause > _FIRST_PAUSE:
                self._said.put(("back", ""))
                pause = _FIRST_PAUSE
            self._tell(lines, wrong)
            ended = last and not lines

    def _tell(self, lines: list[bytes], wrong: list[str]) -> None:
        self._said.put(("receipt", self._followed.receipt))
        for words in wrong:
            self._said.put(("alarm", words))
        for line in lines:
            self._said.put(("line", line))


def _passes(failure: CommandError) -> bool:
    return not isinstance(failure, ApiError) or failure.status in _LATER


def _writer(log: str) -> str:
    return log.rpartition("-")[0]
