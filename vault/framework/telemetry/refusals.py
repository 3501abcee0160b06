# SPDX-License-Identifier: EUPL-1.2
"""Requests that are refused before the pipeline. No audit device records them, so they are counted and told of here.

Where a log is kept, it has a record of those that became a request (`vault.refusals`).

They are counted by reason and by address, never by anything that was sent. However many come, log lines stay few.
"""

from __future__ import annotations

from collections import Counter as Counted
from collections.abc import Callable
from typing import Final, Literal

from vault.framework.telemetry.log import Log
from vault.framework.telemetry.metrics import Metrics

Reason = Literal["body", "head", "path", "size", "time"]
"""An incomplete body; an invalid head or header; an invalid path; too many bytes; too slow."""
CountRefusal = Callable[[Reason, str], None]
"""Called with the reason and the address of each refused request."""
REASONS: Final[tuple[Reason, ...]] = ("body", "head", "path", "size", "time")
QUIET: Final = 10.0
"""Seconds between two log lines about one reason."""
_MOST: Final = 256
"""Addresses that are counted apart between two log lines."""
_OTHERS: Final = "others"


class Refusals:
    """Counts refused requests. It logs the first at once, and later ones together once in a while."""

    def __init__(self, log: Log, metrics: Metrics, now: Callable[[], float]) -> None:
        """`now` is in seconds, and never goes back."""
        self._log = log
        self._now = now
        self._counters = {
            reason: metrics.counter("coffre.server.refused_total", reason=reason) for reason in REASONS
        }
        self._untold: dict[Reason, Counted[str]] = {}
        self._told: dict[Reason, float] = {}

    def count(self, reason: Reason, address: str) -> None:
        """Count one refusal."""
        self._counters[reason].count += 1
        untold = self._untold.setdefault(reason, Counted())
        untold[address if address in untold or len(untold) < _MOST else _OTHERS] += 1
        self._tell(reason)

    def settle(self) -> None:
        """Log the counts whose time has come; called once in a while."""
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
