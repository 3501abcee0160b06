# SPDX-License-Identifier: EUPL-1.2
"""Metrics as Prometheus reads them, and as OpenBao's JSON. Durations under OpenBao's names are in milliseconds, as there.

Those of our own are in seconds, and histograms. OpenBao's JSON is about the last ten seconds; ours is about the time since
the start, and says so in `Timestamp`.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Final

from vault.framework.concurrency.time_slice import TimeSlice
from vault.framework.telemetry.described import OWN, PROCESS, meaning
from vault.framework.telemetry.metrics import Labels, Metrics, Timing
from vault.values.times import exact_seconds

PROMETHEUS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""Content type of `render_prometheus`."""
BUCKETS: Final = range(16, 37)
"""Bounds of a histogram: nanoseconds as powers of two, from 66 microseconds to 69 seconds. There durations are counted exactly."""

_QUANTILES: Final = (0.5, 0.9, 0.99)
_MILLI: Final = 1e6
_SECOND: Final = 1e9
_BOUNDS: Final = tuple(repr(2**power / _SECOND) for power in BUCKETS)
"""The same in seconds."""
_NANOS: Final = "_ns"
"""How the names end of durations in nanoseconds."""


async def render_prometheus(metrics: Metrics, *, prefix: str = "vault") -> bytes:
    """Return every metric in Prometheus' text format 0.0.4. Others are served meanwhile."""
    turn = TimeSlice()
    families: dict[tuple[str, str, str], list[str]] = {}
    for name, labels, counter in metrics.counters():
        full = full_name(name, prefix)
        families.setdefault((full, "counter", name), []).append(f"{full}{_labels(labels)} {counter.count}")
    for name, labels, value in metrics.gauges():
        full = full_name(name, prefix)
        kind = "counter" if name.endswith("_total") else "gauge"
        families.setdefault((full, kind, name), []).append(f"{full}{_labels(labels)} {_number(value)}")
        await turn.step()
    for name, labels, timing in metrics.timings():
        full = full_name(name, prefix)
        own = name.startswith(OWN)
        shown = _histogram(full, labels, timing) if own else _summary(full, labels, timing, _unit(name))
        families.setdefault((full, "histogram" if own else "summary", name), []).extend(shown)
        await turn.step()
    lines: list[str] = []
    for (full, kind, name), samples in sorted(families.items()):
        lines += [f"# HELP {full} {meaning(name)}", f"# TYPE {full} {kind}", *samples]
    return ("\n".join(lines) + "\n").encode()


async def render_json(metrics: Metrics, *, prefix: str = "vault") -> bytes:
    """Return every metric in the form of OpenBao's `sys/metrics`; gauges whose value is not known are left out.

    Others are served meanwhile.
    """
    turn, seconds = TimeSlice(), max(metrics.seconds, 1.0)
    samples = []
    for name, labels, timing in metrics.timings():
        samples.append(_sampled(name, prefix, labels, timing, seconds))
        await turn.step()
    answer = {
        "Timestamp": f"{datetime.fromtimestamp(exact_seconds(metrics.began), UTC):%Y-%m-%d %H:%M:%S} +0000 UTC",
        "Gauges": [
            {"Name": _dotted(name, prefix), "Value": _plain(value), "Labels": dict(labels)}
            for name, labels, value in metrics.gauges()
            if not (name.startswith(PROCESS) or math.isnan(value))
        ],
        "Points": [],
        "Counters": [
            _counted(_dotted(name, prefix), labels, counter.count, seconds)
            for name, labels, counter in metrics.counters()
        ],
        "Samples": samples,
    }
    return json.dumps(answer, separators=(",", ":")).encode()


def full_name(name: str, prefix: str) -> str:
    """Return the name that Prometheus has for a metric: `core.handle_request` is `vault_core_handle_request`."""
    flat = "".join(char if char.isascii() and (char.isalnum() or char == "_") else "_" for char in name)
    return flat if name.startswith((OWN, PROCESS)) else f"{prefix}_{flat}"


def _dotted(name: str, prefix: str) -> str:
    return name if name.startswith(OWN) else f"{prefix}.{name}"


def _labels(labels: Labels) -> str:
    shown = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels)
    return f"{{{shown}}}" if shown else ""


def _begun(shown: str) -> str:
    """Return labels without their end, for one more."""
    return f"{shown[:-1]}," if shown else "{"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return "NaN" if math.isnan(value) else repr(value)


def _unit(name: str) -> float:
    """Return how many nanoseconds the unit of a metric has."""
    return _SECOND if name.startswith(OWN) else 1.0 if name.endswith(_NANOS) else _MILLI


def _summary(full: str, labels: Labels, timing: Timing, unit: float) -> list[str]:
    shown = _labels(labels)
    begun = _begun(shown)
    lines = [
        f'{full}{begun}quantile="{share}"}} {found / unit!r}'
        for share, found in zip(_QUANTILES, timing.quantiles(_QUANTILES), strict=True)
    ]
    return [*lines, f"{full}_sum{shown} {timing.total / unit!r}", f"{full}_count{shown} {timing.count}"]


def _histogram(full: str, labels: Labels, timing: Timing) -> list[str]:
    shown, count = _labels(labels), timing.count
    begun = _begun(shown)
    lines = [
        f'{full}_bucket{begun}le="{bound}"}} {below}'
        for bound, below in zip(_BOUNDS, timing.below(BUCKETS), strict=True)
    ]
    return [
        *lines,
        f'{full}_bucket{begun}le="+Inf"}} {count}',
        f"{full}_sum{shown} {timing.total / _SECOND!r}",
        f"{full}_count{shown} {count}",
    ]


def _counted(name: str, labels: Labels, count: int, seconds: float) -> dict[str, object]:
    one = int(count > 0)
    return {
        "Name": name, "Count": count, "Rate": count / seconds, "Sum": count, "Min": one, "Max": one, "Mean": one,
        "Stddev": 0, "Labels": dict(labels),
    }  # fmt: skip


def _sampled(name: str, prefix: str, labels: Labels, timing: Timing, seconds: float) -> dict[str, object]:
    count = timing.count
    unit = _unit(name)
    mean = timing.total / count
    spread = max(timing.squares / count - mean * mean, 0.0) * count / max(count - 1, 1)
    return {
        "Name": _dotted(name, prefix), "Count": count, "Rate": timing.total / unit / seconds, "Sum": timing.total / unit,
        "Min": timing.low / unit, "Max": timing.high / unit, "Mean": mean / unit,
        "Stddev": math.sqrt(spread) / unit, "Labels": dict(labels),
    }  # fmt: skip


def _plain(value: float) -> float:
    return int(value) if value == int(value) else value
