# SPDX-License-Identifier: EUPL-1.2
"""The server's log: one line per event, in OpenBao's standard or JSON form, without secrets.

Only the fields named in `FIELDS` are written; the value of any other is withheld, so that a request's path,
a token or a key cannot slip in. Messages are fixed texts of ours. Of an exception that we do not know, the
type and the places in the code are written, never its message.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import PurePath
from types import CodeType, TracebackType
from typing import Final, TextIO

from vault.barrier.failure import BarrierFailure
from vault.framework.clock import Clock
from vault.framework.telemetry.log_tail import LogTail
from vault.seal.failure import SealFailure
from vault.storage.protocol import StorageFailure
from vault.values.times import nanos_to_seconds, second_of

LEVELS: Final = {"trace": 0, "debug": 10, "info": 20, "warn": 30, "error": 40}
"""Level names and their weight."""

FIELDS: Final = frozenset(
    {
        "accessor", "address", "ahead", "api", "at", "backup", "cause", "cluster_name", "count", "device", "engine", "entries", "error", "exception",
        "expires", "file", "key", "key_version", "level", "library", "listener", "method", "mount", "namespace_id", "pid",
        "reason", "registration", "request_id", "schedule", "seal", "seconds", "setting", "signal", "size", "slot", "storage", "term", "tls", "type", "version",
        "witness",
    }
)  # fmt: skip
"""Fields that may be logged: what an operator configured, counts, and identifiers that are no secret."""

Value = str | int | float | bool
"""What a field may hold."""

MODULES: Final = ("audit", "background", "core", "expiration", "seal", "server")
"""Modules: what an event is about."""

_LONGEST: Final = 400
_MOST_WATCHES: Final = 16
_WITHHELD: Final = "(withheld)"


class Log:
    """Writes events of at least `level` to `stream`; both may be changed while running.

    A stream that cannot be written is not a reason to fail a request: the event is dropped and counted.
    """

    def __init__(
        self,
        *,
        level: str = "info",
        form: str = "standard",
        clock: Clock | None = None,
        stream: TextIO | None = None,
    ) -> None:
        """`form` is `standard` or `json`; `stream` is standard error unless given."""
        self._clock = clock or Clock()
        self._line: Callable[[str, str, str, dict[str, Value]], str]
        self._line = self._json if form == "json" else self._standard
        self._watches: list[LogTail] = []
        self.stream = stream or sys.stderr
        self.dropped = 0
        self.set_level(level)

    def set_level(self, level: str, module: str = "") -> None:
        """Write events of `level` and above from now on: of one module, or of all of them."""
        if module:
            self._levels[module] = level
        else:
            self._levels: dict[str, str] = {}
            self._level = level
            self._threshold = LEVELS[level]

    @property
    def levels(self) -> tuple[str, dict[str, str]]:
        """The level of all modules, and those of modules that have another one."""
        return self._level, dict(self._levels)

    def level(self, module: str) -> str:
        """Return the level from which on events of a module are written."""
        return self._levels.get(module, self._level)

    def enabled(self, level: str) -> bool:
        """Tell whether an event of `level` would be written."""
        weight = LEVELS[level]
        return weight >= self._threshold or any(weight >= watch.weight for watch in self._watches)

    @property
    def crowded(self) -> bool:
        """Whether the highest number of readers is reached."""
        return len(self._watches) >= _MOST_WATCHES

    def watch(self, level: str, form: str) -> LogTail:
        """Return a tail of everything that is logged from now on. Give it to `unwatch` in the end.

        `level` and `form` are the reader's own.
        """
        watch = LogTail(LEVELS[level], self._json if form == "json" else self._standard)
        self._watches.append(watch)
        return watch

    def unwatch(self, watch: LogTail) -> None:
        """Stop writing to this tail."""
        if watch in self._watches:
            self._watches.remove(watch)

    def end_watches(self) -> None:
        """End all tails."""
        for watch in self._watches:
            watch.end()

    def detail(self, module: str, message: str, /, **fields: Value) -> None:
        """Log a detail that helps to find a problem."""
        self.event("debug", module, message, **fields)

    def note(self, module: str, message: str, /, **fields: Value) -> None:
        """Log a normal event."""
        self.event("info", module, message, **fields)

    def caution(self, module: str, message: str, /, **fields: Value) -> None:
        """Log something that an operator should look at."""
        self.event("warn", module, message, **fields)

    def failure(self, module: str, message: str, /, **fields: Value) -> None:
        """Log a failure."""
        self.event("error", module, message, **fields)

    def crash(self, module: str, message: str, error: BaseException, /, **fields: Value) -> None:
        """Log an unexpected exception by type and place; its message may quote a request, so it is left out.

        Messages of storage, barrier and seal are ours: they name the file and what to do, and nothing of a request.
        """
        shown: dict[str, Value] = {"exception": type(error).__name__, "at": places(error)}
        if isinstance(error, StorageFailure | BarrierFailure | SealFailure):
            shown = {"reason": str(error), **shown}
        self.event("error", module, message, **shown, **fields)

    def event(self, level: str, module: str, message: str, /, **fields: Value) -> None:
        """Log `message`, a fixed text, about `module`, with typed fields."""
        quiet = LEVELS[level] < (LEVELS[self.level(module)] if self._levels else self._threshold)
        if quiet and not self._watches:
            return
        shown = {name: value if name in FIELDS else _WITHHELD for name, value in fields.items()}
        for watch in self._watches:
            if LEVELS[level] >= watch.weight:
                watch.take(watch.line(level, module, message, shown))
        if quiet:
            return
        try:
            self.stream.write(self._line(level, module, message, shown) + "\n")
            self.stream.flush()
        except (OSError, ValueError):
            self.dropped += 1

    def _standard(self, level: str, module: str, message: str, fields: dict[str, Value]) -> str:
        label = f"[{level.upper()}]"
        shown = "".join(f" {name}={_quoted(value)}" for name, value in fields.items())
        return f"{self._time(3)} {label:<7} {module}: {message}{':' if shown else ''}{shown}"

    def _json(self, level: str, module: str, message: str, fields: dict[str, Value]) -> str:
        event = {
            "@level": level, "@message": message, "@module": module, "@timestamp": self._time(6),
        }  # fmt: skip
        short = {
            name: value[:_LONGEST] if isinstance(value, str) else value for name, value in fields.items()
        }
        return json.dumps(event | short, separators=(",", ":"))

    def _time(self, digits: int) -> str:
        from datetime import UTC, datetime

        now = self._clock.nanos()
        second = second_of(now)
        return f"{datetime.fromtimestamp(nanos_to_seconds(now), UTC):%Y-%m-%dT%H:%M:%S}.{f'{now - second:09d}'[:digits]}Z"


def places(error: BaseException) -> str:
    """Return where `error` came from, innermost first: `store.py:12 < call.py:40`, and then its causes."""
    seen: list[str] = []
    current: BaseException | None = error
    while current is not None and len(seen) < 4:
        name = "" if current is error else f"caused by {type(current).__name__} at "
        seen.append(name + _frames(current.__traceback__))
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return ", ".join(seen)


def _frames(traceback: TracebackType | None) -> str:
    found: list[str] = []
    while traceback is not None:
        found.append(place(traceback.tb_frame.f_code, traceback.tb_lineno))
        traceback = traceback.tb_next
    return " < ".join(reversed(found[-12:])) or "an unknown place"


def place(code: CodeType, line: int | None) -> str:
    """Name a place in the code: `store.py:12`."""
    return f"{PurePath(code.co_filename).name}:{line}"


def _quoted(value: Value) -> str:
    """Write a value so that it stays on its line and in its field."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)[:_LONGEST]
    return text if text.isprintable() and text and not set(' "=') & set(text) else json.dumps(text)
