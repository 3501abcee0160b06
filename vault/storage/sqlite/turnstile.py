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
import threading
from pathlib import Path

from vault.storage.protocol import StorageFailure


class _Place(threading.Thread):
    """A place in line, with a descriptor of its own: who no longer wants it leaves it, and it lets the next one in."""

    def __init__(self, name: str) -> None:
        super().__init__(name="vault-turn", daemon=True)
        self.handle = os.open(name, os.O_RDWR | os.O_CLOEXEC)
        self.come = threading.Event()
        self.problem: OSError | None = None
        self._wanted = True
        self._lock = threading.Lock()

    def run(self) -> None:
        try:
            fcntl.flock(self.handle, fcntl.LOCK_EX)
        except OSError as error:
            self.problem = error
        with self._lock:
            self.come.set()
            if not self._wanted:
                os.close(self.handle)

    def want(self, *, wanted: bool) -> bool:
        """Say whether somebody still waits for it; False when its turn has come already."""
        with self._lock:
            if not self.come.is_set():
                self._wanted = wanted
                return True
            return False


class Turnstile:
    """A lock on the file `<database>-turn`, which is private to its owner."""

    def __init__(self, database: Path) -> None:
        self._name = f"{os.path.realpath(database)}-turn"
        try:
            self._handle = os.open(self._name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StorageFailure(f"storage {self._name}: it cannot be opened: {error.strerror}") from error
        self._place: _Place | None = None

    def enter_now(self) -> bool:
        """Enter if nobody else is inside; entering twice is the same as once."""
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            raise StorageFailure(f"storage {self._name}: it cannot be locked: {error.strerror}") from error
        return True

    def enter(self, patience: float) -> None:
        """Wait until nobody else is inside, at most `patience` seconds, and enter. Blocks the thread.

        Raises `StorageFailure`. Only one thread at a time may wait. Without effect for who is inside.
        """
        if self.enter_now():
            return
        place, self._place = self._place, None
        try:
            if place is None or not place.want(wanted=True):
                place = _Place(self._name)
                place.start()
            if not place.come.wait(patience) and place.want(wanted=False):
                self._place = place  # it stands in line for the next one who comes
                raise StorageFailure(
                    f"storage {self._name}: another process keeps it locked; stop that process or wait for it"
                )
            if place.problem is not None:
                raise place.problem
            os.dup2(place.handle, self._handle, inheritable=False)
            os.close(place.handle)
        except OSError as error:
            raise StorageFailure(f"storage {self._name}: it cannot be locked: {error.strerror}") from error

    def leave(self) -> None:
        """Let the next one in."""
        fcntl.flock(self._handle, fcntl.LOCK_UN)

    def close(self) -> None:
        """Leave and forget the file."""
        os.close(self._handle)
