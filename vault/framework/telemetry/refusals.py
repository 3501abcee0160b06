# SPDX-License-Identifier: EUPL-1.2
"""Requests that are refused before the pipeline: no audit device hears of them, so they are counted and told here.

By class of what was wrong and by address, never by anything that was sent. However many come, the lines stay few.
"""

from __future__ import annotations

from collections import Counter as Counted
from collections.abc import Callable
from typing import Final, Literal

from vault.framework.telemetry.log import Log
from vault.framework.telemetry.metrics import Metrics

Reason = Literal["body", "head", "path", "size", "time"]
"""A body that did not arrive whole; a head or header that is no good; a path; too many bytes; too slowly sent."""
CountRefusal = Callable[[Reason, str], None]
"""Told of the class and the address of each."""
REASONS: Final[tuple[Reason, ...]] = ("body", "head", "path", "size", "time")
QUIET: Final = 10.0
"""Seconds between two lines of the log about one reason."""
_MOST: Final = 256
"""Addresses that are told apart between two lines."""
_OTHERS: Final = "others"


class Refusals:
    """Counts, and tells at once of the first, and then once in a while of how many there were."""

    def __init__(self, log: Log, metrics: Metrics, now: Callable[[], float]) -> None:
        """`now` is in seconds, and never goes back."""
        self._log = log
        self._now = now
        self._counters = {reason: metrics.counter("server.refused", reason=reason) for reason in REASONS}
        self._untold: dict[Reason, Counted[str]] = {}
        self._told: dict[Reason, float] = {}

    def count(self, reason: Reason, address: str) -> None:
        """Count one refusal."""
        self._counters[reason].count += 1
        untold = self._untold.setdefault(reason, Counted())
        untold[address if address in untold or len(untold) < _MOST else _OTHERS] += 1
        self._tell(reason)

    def settle(self) -> None:
        """Tell of what was counted some time ago; called once in a while."""
        for reason in list(self._untold):
            self._tell(reason)

    def _tell(self, reason: Reason) -> None:
        now = self._now()
        if now - self._told.get(reason, -QUIET) < QUIET:
            return
        untold = self._untold.pop(reason)
        self._told[reason] = now
        ((address, _),) = untold.most_common(1)
        self._log.caution(
            "server",
            "requests were refused before anything was asked about them",
            reason=reason,
            address=address,
            count=untold.total(),
        )
