# SPDX-License-Identifier: EUPL-1.2
"""Signals that reach a server before it can act on them: nobody who sends one knows how far its start is."""

from __future__ import annotations

import signal


def hold() -> set[int]:
    """Let SIGHUP and SIGUSR2 not end this process. Returns the set that names those which have come.

    What it starts does not inherit this: it is a handler, not `SIG_IGN`.
    """
    came: set[int] = set()
    for early in (signal.SIGHUP, signal.SIGUSR2):
        signal.signal(early, lambda number, _: came.add(number))
    return came
