# SPDX-License-Identifier: EUPL-1.2
"""Refusals before the pipeline: each kind is counted, and a flood of them makes few lines."""

import io

import pytest

from vault.framework.telemetry.log import Log
from vault.framework.telemetry.metrics import Metrics
from vault.framework.telemetry.refusals import QUIET, REASONS, Reason, Refusals


class Watched:
    """Refusals with a clock of the test's."""

    def __init__(self) -> None:
        self.now = 0.0
        self.stream = io.StringIO()
        self.metrics = Metrics()
        self.refusals = Refusals(Log(stream=self.stream), self.metrics, lambda: self.now)

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()

    def counted(self, reason: str) -> int:
        return next(c.count for _, labels, c in self.metrics.counters() if labels == (("reason", reason),))


@pytest.mark.parametrize("reason", REASONS)
def test_each_kind_is_counted_and_the_first_of_it_is_told_at_once(reason: Reason) -> None:
    watched = Watched()
    watched.refusals.count(reason, "192.0.2.1")
    assert watched.counted(reason) == 1
    (line,) = watched.lines
    assert f"reason={reason} address=192.0.2.1 count=1" in line and "[WARN]" in line


def test_a_flood_is_told_in_one_line_for_each_while_with_who_sent_most() -> None:
    watched = Watched()
    for number in range(10_000):
        watched.refusals.count("head", f"192.0.2.{number % 100 if number % 2 else 7}")
    watched.refusals.settle()
    assert len(watched.lines) == 1
    watched.now = QUIET
    watched.refusals.settle()
    watched.refusals.settle()
    assert len(watched.lines) == 2 and "address=192.0.2.7 count=9999" in watched.lines[1]
    assert watched.counted("head") == 10_000


def test_sl_71_only_so_many_addresses_are_told_apart() -> None:
    watched = Watched()
    for number in range(5000):
        watched.refusals.count("size", f"2001:db8::{number}")
    assert len(watched.refusals._untold["size"]) <= 257
    watched.now = QUIET
    watched.refusals.settle()
    assert "address=others count=4999" in watched.lines[1]
