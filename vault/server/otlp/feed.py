# SPDX-License-Identifier: EUPL-1.2
"""What a server with a collector has more than others: traces, and what reads metrics and log lines for it."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Final

from vault import __version__
from vault.framework.clock import Clock, Entropy
from vault.framework.concurrency.lasting import LastingTask
from vault.framework.concurrency.offload import Pool
from vault.framework.errors import VaultError
from vault.framework.telemetry.log import Log
from vault.framework.telemetry.log_tail import LogTail
from vault.framework.telemetry.metrics import Metrics, WholeMetrics
from vault.framework.telemetry.trace import Sampler, Trace
from vault.server.config.settings import Config
from vault.server.config.telemetry.collector import Collector
from vault.server.failure import StartFailure
from vault.server.otlp.outbox import Outbox, Queue
from vault.server.otlp.readings import MetricsReading, reading
from vault.server.otlp.request_traces import RequestTraces
from vault.wire.in_flight import Handle

if TYPE_CHECKING:
    from vault.server.otlp.exporter import Exporter

_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""A header's name (RFC 9110, section 5.6.2)."""
_RESERVED: Final = frozenset(
    {
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "host",
        "transfer-encoding",
        "user-agent",
    }
)
"""Headers that a delivery sets, in lower case."""
_LONGEST_HEADERS: Final = 16_384
_LEVEL: Final = "info"
"""Log lines of this level and above are sent; `log_level` says what the server's own log has."""
_LOOK: Final = 1.0
_OWN: Final = ("", "")
"""Whose work it is: the server's own."""
_JSON: Final = "{"
_DEFECT: Final = "what the collector is sent could not be read; that is begun anew"


class CollectorFeed:
    """What a collector is sent, from the event loop to the threads that send it."""

    def __init__(self, config: Config, metrics: Metrics, log: Log, clock: Clock, entropy: Entropy) -> None:
        """Raises `StartFailure` without the extra `otel`, or where a file cannot be read."""
        self._settings = settings = config.telemetry.otlp
        self._prefix = config.telemetry.metrics_prefix
        exporter = _exporter(config, clock, entropy)
        self._log, self._clock, self._chance = log, clock, entropy.bytes
        self._traces: Queue[Trace] = Queue("traces", exporter.traces, metrics)
        self._readings: Queue[MetricsReading] = Queue("metrics", exporter.metrics, metrics)
        self._lines: Queue[bytes] = Queue("logs", exporter.logs, metrics)
        self._outbox = Outbox((self._traces, self._readings, self._lines), exporter.end, log)
        self._pool = Pool(threads=1, name="otlp-end")
        self._whole: WholeMetrics = metrics.whole
        self._first: Callable[[], bool] = lambda: True
        self._tail: LogTail | None = None
        works = (
            self._look,
            *([self._read_metrics] if settings.metrics else ()),
            *([self._read_log] if settings.logs else ()),
        )
        self._tasks = [LastingTask(work, partial(log.crash, "server", _DEFECT)) for work in works]

    @property
    def traces(self) -> bool:
        """Whether requests are traced."""
        return self._settings.traces

    def around(self, handle: Handle, statuses: Mapping[type[VaultError], int]) -> Handle:
        """Return the pipeline, traced where requests are; `statuses` has that of each refusal."""
        if not self.traces:
            return handle
        sampler = Sampler(self._settings.sampling_ratio, self._chance, self._clock.monotonic)
        return RequestTraces(sampler, self._clock, statuses, self._traces.put).around(handle)

    def start(self, whole: WholeMetrics, first: Callable[[], bool]) -> None:
        """Begin to send; `whole` are the metrics of all workers, which that one sends that is `first`."""
        self._whole, self._first = whole, first
        self._outbox.start()
        if self._settings.logs:  # from now on, also before the task has its first turn
            self._tail = self._log.watch(_LEVEL, "json")
        for task in self._tasks:
            task.start()

    async def stop(self) -> None:
        """Send what waits, as far as it takes no time, and end."""
        for task in self._tasks:
            await task.stop()
        if self._tail is not None:
            self._log.unwatch(self._tail)
        await self._pool.run(_OWN, self._outbox.stop, owed=True)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK)
            self._outbox.look()

    async def _read_metrics(self) -> None:
        while True:
            await asyncio.sleep(self._settings.metrics_interval)
            if self._first():
                self._readings.put(await reading(await self._whole(), self._prefix))

    async def _read_log(self) -> None:
        tail = self._tail
        while tail is not None and ((text := await tail.read(_LOOK)) or not tail.ended):
            for line in text.splitlines():
                if line.startswith(_JSON):  # a tail tells in words how many it has dropped
                    self._lines.put(line.encode())


def make_feed(
    config: Config, metrics: Metrics, log: Log, clock: Clock, entropy: Entropy
) -> CollectorFeed | None:
    """Return it, None where no collector is configured. Raises `StartFailure`."""
    if not config.telemetry.otlp.endpoint:
        return None
    return CollectorFeed(config, metrics, log, clock, entropy)


def _exporter(config: Config, clock: Clock, entropy: Entropy) -> Exporter:
    settings = config.telemetry.otlp
    try:
        from vault.server.otlp.exporter import Exporter
    except ModuleNotFoundError as error:
        raise StartFailure(f"telemetry otlp needs the extra otel: module {error.name} is missing") from None
    facts = {"service.version": __version__, "host.name": socket.gethostname()}
    if config.cluster_name:
        facts["service.namespace"] = config.cluster_name
    return Exporter(settings, tried(settings), facts, entropy.bytes, clock)


def tried(settings: Collector) -> Mapping[str, str]:
    """Return the headers of each request, once every file that is named was read. Raises `StartFailure`."""
    for name in (settings.tls_ca_file, settings.tls_cert_file, settings.tls_key_file):
        if name:
            _read(name)
    return headers_of(settings.headers_file)


def headers_of(file: str) -> Mapping[str, str]:
    """Return the headers in a file, each on a line. Raises `StartFailure`, which repeats none of them."""
    found: dict[str, str] = {}
    for number, line in enumerate(_read(file).splitlines() if file else (), 1):
        name, colon, value = line.partition(":")
        if not line.strip():
            continue
        named, said = name.strip(), value.strip()
        if not colon or not _NAME.fullmatch(named) or not said.isascii() or not said.isprintable():
            raise StartFailure(f"otlp: headers_file {file}: line {number} must be NAME: VALUE")
        if named.lower() in _RESERVED:
            raise StartFailure(
                f"otlp: headers_file {file}: line {number} names a header that requests have anyway"
            )
        found[named] = said
    return found


def _read(file: str) -> str:
    try:
        with open(file, encoding="utf-8") as opened:
            text = opened.read(_LONGEST_HEADERS * 64 + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise StartFailure(f"otlp: {file}: cannot be read ({type(error).__name__})") from None
    return text
