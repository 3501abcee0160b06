# SPDX-License-Identifier: EUPL-1.2
"""What the process itself has to show: memory, processor time, files, tasks, garbage collection."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import sys
import time

from vault import __version__
from vault.engines.system.release import VERSION
from vault.framework.telemetry.log import Log
from vault.framework.telemetry.metrics import Metrics
from vault.values.times import exact_seconds


def register(metrics: Metrics, log: Log) -> None:
    """Add gauges under the names that OpenBao and Prometheus' own libraries use."""
    began = exact_seconds(metrics.began)
    metrics.gauge("coffre.build_info", lambda: 1.0, version=__version__, api=VERSION)
    metrics.gauge("runtime.alloc_bytes", _resident_bytes)
    metrics.gauge("runtime.sys_bytes", _resident_bytes)
    metrics.gauge("runtime.heap_objects", lambda: float(sys.getallocatedblocks()))
    metrics.gauge("runtime.num_goroutines", lambda: float(len(asyncio.all_tasks())))
    metrics.gauge("runtime.total_gc_runs", lambda: float(sum(g["collections"] for g in gc.get_stats())))
    pauses = _Pauses(metrics)
    gc.callbacks.append(pauses.note)
    metrics.gauge("runtime.total_gc_pause_ns", lambda: float(pauses.total))
    metrics.gauge("coffre.server_log.dropped_events_total", lambda: float(log.dropped))
    metrics.gauge("process.cpu_seconds_total", time.process_time)
    metrics.gauge("process.open_fds", lambda: float(len(os.listdir("/proc/self/fd"))))
    metrics.gauge("process.max_fds", lambda: float(resource.getrlimit(resource.RLIMIT_NOFILE)[0]))
    metrics.gauge("process.resident_memory_bytes", _resident_bytes)
    metrics.gauge("process.virtual_memory_bytes", lambda: float(_pages(0)))
    metrics.gauge("process.start_time_seconds", lambda: began)


class _Pauses:
    """How long the garbage collector has kept everybody waiting, in nanoseconds."""

    def __init__(self, metrics: Metrics) -> None:
        self.total = 0
        self._times = metrics.timing("runtime.gc_pause_ns")
        self._began = 0

    def note(self, phase: str, _: dict[str, int]) -> None:
        """Note that a collection begins or ends; see `gc.callbacks`."""
        if phase == "start":
            self._began = time.perf_counter_ns()
        else:
            took = time.perf_counter_ns() - self._began
            self.total += took
            self._times.observe(took)


def show_expiry(metrics: Metrics, listener: str, end: float) -> None:
    """Show when the certificate of a listener expires, in seconds since the epoch."""
    metrics.gauge("coffre.certificate.expiry_timestamp_seconds", lambda: end, listener=listener)


def _resident_bytes() -> float:
    return float(_pages(1))


def _pages(field: int) -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[field]) * resource.getpagesize()
