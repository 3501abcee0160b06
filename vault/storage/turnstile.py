# SPDX-License-Identifier: EUPL-1.2
"""Where the processes that write to one file stand in line.

SQLite lets a waiting process try again every so often; a busy one that begins its next transaction at
once would keep all others out for seconds. Here everyone passes a lock that the system hands on, and
whoever waits for SQLite does it inside, so the busy one finds itself behind. The lock ends with the
process that holds it, however that dies.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from vault.storage.protocol import StorageFailure


class Turnstile:
    """A lock on the file `<database>-turn`, which is private to its owner and holds the counters of `Commits`."""

    def __init__(self, database: Path) -> None:
        self._name = f"{database}-turn"
        try:
            self._handle = os.open(self._name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StorageFailure(f"storage {self._name}: it cannot be opened: {error.strerror}") from error

    def enter_now(self) -> bool:
        """Enter if nobody else is inside; entering twice is the same as once."""
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            raise StorageFailure(f"storage {self._name}: it cannot be locked: {error.strerror}") from error
        return True

    def enter(self) -> None:
        """Wait until nobody else is inside, and enter. Blocks the thread."""
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX)
        except OSError as error:
            raise StorageFailure(f"storage {self._name}: it cannot be locked: {error.strerror}") from error

    def leave(self) -> None:
        """Let the next one in."""
        fcntl.flock(self._handle, fcntl.LOCK_UN)

    def close(self) -> None:
        """Leave and forget the file."""
        os.close(self._handle)
