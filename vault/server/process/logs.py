# SPDX-License-Identifier: EUPL-1.2
"""Where the log goes, and what becomes of what libraries log."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from typing import TextIO

from vault.framework.clock import Clock
from vault.framework.telemetry.log import Log, places
from vault.server.config.settings import Config
from vault.server.failure import StartFailure


def open_log(config: Config, clock: Clock) -> Log:
    """Open the log that `config` asks for, and route what libraries log into it. Raises `StartFailure`."""
    log = Log(level=config.log_level, form=config.log_format, clock=clock, stream=_stream(config.log_file))
    root = logging.getLogger()
    root.handlers = [_Libraries(log)]
    root.setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # below it: what clients sent
    logging.raiseExceptions = False
    return log


def reopen(log: Log, config: Config) -> None:
    """Open the log file anew, for logrotate, and take the level. Raises `StartFailure`, keeping the old file."""
    stream = _stream(config.log_file)
    previous, log.stream = log.stream, stream
    if previous is not sys.stderr:
        with contextlib.suppress(
            OSError
        ):  # what its disk did not take is lost; the file is closed all the same
            previous.close()
    log.set_level(config.log_level)


class _Libraries(logging.Handler):
    """Writes which library complained, where, and the exception's type; their texts may quote a request."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        level = "error" if record.levelno >= logging.ERROR else "warn"
        at = places(error) if error is not None else f"{record.filename}:{record.lineno}"
        name = type(error).__name__ if error is not None else "none"
        self._log.event(
            level, "server", "a library reported a problem", library=record.name, exception=name, at=at
        )


def _stream(path: str) -> TextIO:
    if not path:
        return sys.stderr
    try:
        opened = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StartFailure(
            f"log_file {path}: cannot be written: {error.strerror}; create its directory or choose another path"
        ) from error
    return os.fdopen(opened, "a", encoding="utf-8")
