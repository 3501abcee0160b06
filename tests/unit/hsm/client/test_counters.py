# SPDX-License-Identifier: EUPL-1.2
"""Counters of a key slot."""

from hsm.client.counters import BOUNDS, Counters, Histogram
from hsm.errors import PinBlocked, SlotUnavailable


def test_a_histogram_counts_each_time_in_its_bucket() -> None:
    found = Histogram()
    for seconds in (0.0, BOUNDS[0], 0.0006, 0.02, 99.0):
        found.add(seconds)
    assert sum(found.buckets) == 5
    assert (found.buckets[0], found.buckets[1], found.buckets[5], found.buckets[-1]) == (2, 1, 1, 1)
    assert found.seconds == BOUNDS[0] + 0.0006 + 0.02 + 99.0


def test_errors_are_counted_by_kind_and_by_what_the_module_said() -> None:
    found = Counters()
    for error in (
        SlotUnavailable("a", ckr="DeviceError"),
        SlotUnavailable("b", ckr="DeviceError"),
        PinBlocked(),
    ):
        found.count(error)
    assert found.errors == {("SlotUnavailable", "DeviceError"): 2, ("PinBlocked", ""): 1}


def test_times_are_kept_by_operation() -> None:
    found = Counters()
    found.took("wrap", 0.001)
    found.took("unwrap", 0.002)
    found.took("wrap", 0.003)
    assert sum(found.latency["wrap"].buckets) == 2
    assert sum(found.latency["unwrap"].buckets) == 1
