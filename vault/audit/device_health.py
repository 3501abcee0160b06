# SPDX-License-Identifier: EUPL-1.2
"""Whether devices take records: counted, told in the server log, and shown by health and metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from vault.audit.device import AbsentDevice, DeviceConfig, DeviceFailure, open_device
from vault.audit.open_device import Sink
from vault.audit.target import Claim
from vault.audit.writer import Outcome, Writer
from vault.framework.clock import Clock
from vault.framework.errors import Unavailable
from vault.framework.telemetry.log import Log
from vault.framework.telemetry.metrics import Metrics
from vault.log.writer import LogFailure

_NOBODY: Final = "no audit device took the record"
_ABSENT: Final = "an enabled device cannot be opened here: it is tried again, and the other devices record"
_COMPLAIN_EVERY: Final = 1.0
"""Seconds between two log lines about devices that fail."""


class DeviceHealth:
    """What became of the last record, of each device and of all."""

    def __init__(
        self,
        clock: Clock,
        log: Log,
        metrics: Metrics,
        kinds: tuple[str, ...],
        changed: Callable[[str, bool], None],
    ) -> None:
        """`kinds` of records are counted apart; `changed` is told of a device that it begins or ceases to fail."""
        self._clock, self._log, self._changed = clock, log, changed
        self._complained = -_COMPLAIN_EVERY
        self._failures = {kind: metrics.counter(f"audit.log_{kind}_failure") for kind in kinds}
        self.blocked = False
        """Whether no device took the last record: then requests are refused until one does."""
        metrics.gauge("coffre.audit.blocked", lambda: float(self.blocked))
        self.failing: set[Sink] = set()
        """Devices that did not take their last record."""

    def enabled(self, config: DeviceConfig, claims: Sequence[Claim]) -> Writer:
        """Open a device that was enabled, maybe by another server. Where this one cannot, it fails until it takes a record."""
        open_it = partial(open_device, config, claims)
        try:
            return Writer(config.path, open_it())
        except DeviceFailure as failure:
            device = Writer(config.path, AbsentDevice(open_it, failure))
            self._log.failure("audit", _ABSENT, device=config.path, error=str(failure))
            self.failing.add(device)
            self._changed(config.path, True)
            return device

    def write(self, device: Sink, line: bytes, now: float) -> Outcome | bool:
        """Return whether a device took a line, or the future that will tell."""
        try:
            outcome = device.write(line, now)
        except (DeviceFailure, LogFailure) as failure:
            self._fails(device, failure)
            return False
        if outcome is None:
            if self.failing:
                self._works(device)
            return True
        outcome.add_done_callback(partial(self._count_outcome, device))
        return outcome

    def somebody(self) -> None:
        """Note that a device took a record; log it after a time in which none did."""
        if self.blocked:
            self.blocked = False
            self._log.note("audit", "records are taken again, and requests are served")

    def nobody(self, kind: str, count: int = 1) -> Unavailable:
        """Count records that no device took, and return the refusal."""
        self.blocked = True
        self._failures[kind].count += count
        return Unavailable(detail=_NOBODY)

    def _count_outcome(self, device: Sink, outcome: Outcome) -> None:
        failure = None if outcome.cancelled() else outcome.result()
        if failure is None:
            self._works(device)
        else:
            self._fails(device, failure)

    def _works(self, device: Sink) -> None:
        if device in self.failing:
            self.failing.discard(device)
            self._changed(device.name, False)

    def _fails(self, device: Sink, failure: DeviceFailure | LogFailure) -> None:
        if device not in self.failing:
            self.failing.add(device)
            self._changed(device.name, True)
        self._complain(failure)

    def _complain(self, failure: DeviceFailure | LogFailure) -> None:
        now = self._clock.monotonic()
        if now - self._complained >= _COMPLAIN_EVERY:
            self._complained = now
            self._log.failure("audit", "a device did not take a record", error=str(failure))
