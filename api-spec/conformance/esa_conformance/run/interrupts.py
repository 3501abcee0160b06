# SPDX-License-Identifier: Apache-2.0
"""Whoever runs the suite may end it by a signal: nothing more is asked then, and what was made is removed."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Final

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@dataclass
class Interrupts:
    """Whether a signal came since this was last set to false."""

    came: bool = False

    @contextmanager
    def noticed(self) -> Iterator[None]:
        """Until the end of the block SIGINT and SIGTERM are noted here, and end nothing themselves.

        Another thread than the first cannot have that, and goes on without.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._note) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.came = True
