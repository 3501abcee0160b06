# SPDX-License-Identifier: Apache-2.0
"""How fast requests may follow each other."""

from __future__ import annotations

import threading
import time


class Pace:
    """Gives each request a time to begin, so that there are at most `rps` in a second."""

    def __init__(self, rps: float) -> None:
        self._gap = 1.0 / rps
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Return when the next request may begin."""
        with self._lock:
            now = time.monotonic()
            begin = max(now, self._next)
            self._next = begin + self._gap
        if begin > now:
            time.sleep(begin - now)
