# SPDX-License-Identifier: EUPL-1.2
"""Counting, quantiles, and the two forms in which metrics are read."""

import asyncio
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from tests.clocks import MONTH, MovedClock
from vault.framework.clock import Clock
from vault.framework.telemetry.exposition import render_json, render_prometheus
from vault.framework.telemetry.metrics import Metrics, Timing
from vault.values.times import Nanos


class Ticking(Clock):
    """A clock that the test moves, in nanoseconds."""

    def __init__(self) -> None:
        self.now = 1_795_521_600_000_000_000

    def nanos(self) -> Nanos:
        return Nanos(self.now)

    def monotonic(self) -> float:
        return self.now / 1e9


def filled() -> Metrics:
    clock = Ticking()
    metrics = Metrics(clock)
    clock.now += 10_000_000_000
    metrics.counter("audit.log_request_failure").count += 2
    metrics.counter("token.creation", mount_point="auth/token/").count += 1
    metrics.gauge("core.unsealed", lambda: 1.0, cluster='na"me\\\n')
    metrics.gauge("process.resident_memory_bytes", lambda: 1024.0)
    for millis in (1, 2, 3):
        metrics.timing("core.handle_request").observe(millis * 1_000_000)
    metrics.timing("never.used")
    return metrics


def test_prometheus_reads_what_is_written_under_the_names_of_dashboards() -> None:
    text = asyncio.run(render_prometheus(filled())).decode()
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["vault_core_unsealed", ("cluster", 'na"me\\\n')] == 1
    assert "\nvault_audit_log_request_failure 2\n" in text
    assert '\nvault_token_creation{mount_point="auth/token/"} 1\n' in text
    assert samples["process_resident_memory_bytes",] == 1024
    assert samples["vault_core_handle_request_count",] == 3
    assert samples["vault_core_handle_request_sum",] == 6
    assert samples["vault_core_handle_request", ("quantile", "0.99")] == pytest.approx(3, rel=0.13)
    assert "vault_never" not in text
    assert "# TYPE vault_core_handle_request summary" in text
    assert "# TYPE vault_audit_log_request_failure counter" in text


def test_the_json_form_has_openbaos_shape() -> None:
    answer = json.loads(asyncio.run(render_json(filled())))
    assert list(answer) == ["Timestamp", "Gauges", "Points", "Counters", "Samples"]
    assert answer["Timestamp"] == "2026-11-24 12:00:00 +0000 UTC"
    assert answer["Gauges"] == [
        {"Name": "vault.core.unsealed", "Value": 1, "Labels": {"cluster": 'na"me\\\n'}}
    ]
    assert answer["Counters"][0] == {
        "Name": "vault.audit.log_request_failure", "Count": 2, "Rate": 0.2, "Sum": 2, "Min": 1, "Max": 1, "Mean": 1,
        "Stddev": 0, "Labels": {},
    }  # fmt: skip
    assert answer["Samples"] == [
        {
            "Name": "vault.core.handle_request", "Count": 3, "Rate": 0.6, "Sum": 6.0, "Min": 1.0, "Max": 3.0,
            "Mean": 2.0, "Stddev": pytest.approx(1.0), "Labels": {},
        }
    ]  # fmt: skip


def test_a_metric_is_made_once_for_its_name_and_labels() -> None:
    metrics = Metrics()
    assert metrics.counter("a") is metrics.counter("a")
    assert metrics.counter("a", term="1") is not metrics.counter("a", term="2")
    assert metrics.timing("a") is metrics.timing("a")
    metrics.gauge("g", lambda: 1.0, cluster="x")
    metrics.forget("g", cluster="x")
    metrics.forget("g", cluster="never")
    assert list(metrics.gauges()) == []


@given(st.lists(st.integers(0, 1 << 62), min_size=1, max_size=60), st.sampled_from([0.5, 0.9, 0.99]))
@example([(1 << 25) - 1] + [1 << 30], 0.5)
def test_a_quantile_is_within_an_eighth_of_the_true_value(durations: list[int], share: float) -> None:
    timing = Timing()
    for duration in durations:
        timing.observe(duration)
    exact = sorted(durations)[max(0, -(-len(durations) * round(share * 100) // 100) - 1)]
    assert timing.count == len(durations)
    rounding = 1 + 2**-20  # slots are chosen in single precision
    assert abs(timing.quantiles([share])[0] - exact) <= exact / 8 * rounding


def test_without_observations_a_quantile_is_zero() -> None:
    assert Timing().quantiles([0.5, 1]) == [0.0, 0.0]


@pytest.mark.parametrize("jump", [MONTH, -MONTH])
def test_rates_are_right_whatever_the_wall_clock_is_set_to(jump: int) -> None:
    clock = MovedClock(1_795_521_600_000_000_000)
    metrics = Metrics(clock)
    metrics.counter("audit.log_request_failure").count += 20
    clock.sleep(10)
    clock.set_wall(jump)
    (counted,) = json.loads(asyncio.run(render_json(metrics)))["Counters"]
    assert counted["Rate"] == pytest.approx(2, abs=0.01)
