# SPDX-License-Identifier: EUPL-1.2
"""Metrics as Prometheus reads them, and as OpenBao's JSON. Durations are milliseconds in both, as OpenBao's.

OpenBao's JSON is about the last ten seconds; ours is about the time since the start, and says so in `Timestamp`.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Final

from vault.framework.telemetry.metrics import Labels, Metrics, Timing
from vault.values.times import exact_seconds

PROMETHEUS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""Content type of `render_prometheus`."""

_QUANTILES: Final = (0.5, 0.9, 0.99)
_MILLI: Final = 1e6


def render_prometheus(metrics: Metrics, *, prefix: str = "vault") -> bytes:
    """Return every metric in Prometheus' text format 0.0.4."""
    families: dict[tuple[str, str], list[str]] = {}
    for name, labels, counter in metrics.counters():
        full = _full(prefix, name)
        families.setdefault((full, "counter"), []).append(f"{full}{_labels(labels)} {counter.count}")
    for name, labels, value in metrics.gauges():
        full = _full(prefix, name)
        kind = "counter" if name == "process.cpu_seconds_total" else "gauge"
        families.setdefault((full, kind), []).append(f"{full}{_labels(labels)} {value!r}")
    for name, labels, timing in metrics.timings():
        full = _full(prefix, name)
        families.setdefault((full, "summary"), []).extend(_summary(full, labels, timing))
    lines: list[str] = []
    for (full, kind), samples in sorted(families.items()):
        lines += [f"# HELP {full} {full}", f"# TYPE {full} {kind}", *samples]
    return ("\n".join(lines) + "\n").encode()


def render_json(metrics: Metrics, *, prefix: str = "vault") -> bytes:
    """Return every metric in the form of OpenBao's `sys/metrics`."""
    seconds = max(metrics.seconds, 1.0)
    answer = {
        "Timestamp": f"{datetime.fromtimestamp(exact_seconds(metrics.began), UTC):%Y-%m-%d %H:%M:%S} +0000 UTC",
        "Gauges": [
            {"Name": f"{prefix}.{name}", "Value": _plain(value), "Labels": dict(labels)}
            for name, labels, value in metrics.gauges()
            if not name.startswith("process.")
        ],
        "Points": [],
        "Counters": [
            _counted(f"{prefix}.{name}", labels, counter.count, seconds)
            for name, labels, counter in metrics.counters()
        ],
        "Samples": [
            _sampled(f"{prefix}.{name}", labels, timing, seconds)
            for name, labels, timing in metrics.timings()
        ],
    }
    return json.dumps(answer, separators=(",", ":")).encode()


def _full(prefix: str, name: str) -> str:
    flat = "".join(char if char.isascii() and (char.isalnum() or char == "_") else "_" for char in name)
    return flat if name.startswith("process.") else f"{prefix}_{flat}"


def _labels(labels: Labels, *more: tuple[str, str]) -> str:
    shown = ",".join(f'{name}="{_escaped(value)}"' for name, value in (*labels, *more))
    return f"{{{shown}}}" if shown else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _summary(full: str, labels: Labels, timing: Timing) -> list[str]:
    lines = [
        f"{full}{_labels(labels, ('quantile', str(share)))} {timing.quantile(share) / _MILLI!r}"
        for share in _QUANTILES
    ]
    shown = _labels(labels)
    return [*lines, f"{full}_sum{shown} {timing.total / _MILLI!r}", f"{full}_count{shown} {timing.count}"]


def _counted(name: str, labels: Labels, count: int, seconds: float) -> dict[str, object]:
    one = int(count > 0)
    return {
        "Name": name, "Count": count, "Rate": count / seconds, "Sum": count, "Min": one, "Max": one, "Mean": one,
        "Stddev": 0, "Labels": dict(labels),
    }  # fmt: skip


def _sampled(name: str, labels: Labels, timing: Timing, seconds: float) -> dict[str, object]:
    count = timing.count
    mean = timing.total / count
    spread = max(timing.squares / count - mean * mean, 0.0) * count / max(count - 1, 1)
    return {
        "Name": name, "Count": count, "Rate": timing.total / _MILLI / seconds, "Sum": timing.total / _MILLI,
        "Min": timing.low / _MILLI, "Max": timing.high / _MILLI, "Mean": mean / _MILLI,
        "Stddev": math.sqrt(spread) / _MILLI, "Labels": dict(labels),
    }  # fmt: skip


def _plain(value: float) -> float:
    return int(value) if value == int(value) else value
