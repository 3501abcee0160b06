# SPDX-License-Identifier: EUPL-1.2
"""Makes traces, metrics and log lines what the collector is sent, by the OpenTelemetry SDK. The only module that loads it.

Spans are made here, in the thread that sends them and of those that were finished alone, as the SDK's own reader of spans sees
them: making them with its tracer while a request runs would cost that request more than it takes itself.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from google.protobuf.message import DecodeError, Message
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from vault.framework.clock import Clock
from vault.framework.telemetry.trace import Trace
from vault.log.forward.transport.stream import TlsFiles
from vault.server.config.telemetry.collector import Collector
from vault.server.otlp.delivery import Delivery
from vault.server.otlp.readings import BOUNDS, MetricsReading
from vault.server.otlp.request_traces import RequestFacts

M = TypeVar("M", bound=Message)

_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_SEVERITIES: Final = {
    "trace": SeverityNumber.TRACE,
    "debug": SeverityNumber.DEBUG,
    "info": SeverityNumber.INFO,
    "warn": SeverityNumber.WARN,
    "error": SeverityNumber.ERROR,
}
_OWN: Final = "@"
"""How the members of a line begin that each has."""
_TYPE: Final = re.compile(r":[a-z]+\}")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_SERVER_ERROR: Final = 500


class Exporter:
    """Sends to one collector. Each method but `end` is called by one thread, of its own kind."""

    def __init__(
        self,
        settings: Collector,
        headers: Mapping[str, str],
        facts: Mapping[str, str],
        chance: Callable[[int], bytes],
        clock: Clock,
    ) -> None:
        """`facts` say which server this is; `chance` returns so many random bytes, for the ids of spans."""
        self._chance = chance
        self._resource = Resource({"service.name": settings.service_name, **facts})
        self._scope = InstrumentationScope("coffre", facts.get("service.version", ""))
        files = TlsFiles(
            ca_file=settings.tls_ca_file, cert_file=settings.tls_cert_file, key_file=settings.tls_key_file
        )

        def to(signal: str, rejected: Callable[[bytes], int]) -> Delivery:
            endpoint = f"{settings.endpoint.rstrip('/')}/v1/{signal}"
            return Delivery(endpoint, files, headers, rejected, clock)

        self._spans = to("traces", _rejected_spans)
        self._metrics = to("metrics", _rejected_points)
        self._logs = to("logs", _rejected_records)

    def end(self) -> None:
        """End what is under way."""
        for delivery in (self._spans, self._metrics, self._logs):
            delivery.end()

    def traces(self, batch: Sequence[Trace]) -> int:
        """Send requests, each a span with its parts below it. See `Deliver`."""
        spans = [span for trace in batch for span in self._spans_of(trace)]
        return self._spans.send(encode_spans(spans).SerializeToString())

    def metrics(self, batch: Sequence[MetricsReading]) -> int:
        """Send the newest of the readings: each has all that was counted since the start. See `Deliver`."""
        return self._metrics.send(encode_metrics(self._data_of(batch[-1])).SerializeToString())

    def logs(self, batch: Sequence[bytes]) -> int:
        """Send lines of the server's log, in their JSON form. See `Deliver`."""
        return self._logs.send(encode_logs([self._record_of(line) for line in batch]).SerializeToString())

    def _spans_of(self, trace: Trace) -> list[ReadableSpan]:
        facts = trace.facts
        assert isinstance(facts, RequestFacts)
        parent = trace.parent
        trace_id = parent.trace_id if parent is not None else self._id(16)
        own = SpanContext(trace_id, self._id(8), is_remote=False, trace_flags=_SAMPLED)
        above = (
            None
            if parent is None
            else SpanContext(trace_id, parent.span_id, is_remote=True, trace_flags=_SAMPLED)
        )
        wrong = facts.status >= _SERVER_ERROR
        spans = [
            self._span(
                _name(facts), own, above, SpanKind.SERVER, attributes(facts, trace),
                wrong, trace.began, trace.began + trace.ended - trace.since,
            )
        ]  # fmt: skip
        for part in trace.parts:
            context = SpanContext(trace_id, self._id(8), is_remote=False, trace_flags=_SAMPLED)
            began, ended = (trace.began + moment - trace.since for moment in (part.began, part.ended))
            spans.append(
                self._span(part.name, context, own, SpanKind.INTERNAL, {}, part.failed, began, ended)
            )
        return spans

    def _span(
        self,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        kind: SpanKind,
        said: Mapping[str, str | int],
        failed: bool,  # noqa: FBT001 -- what became of it
        began: int,
        ended: int,
    ) -> ReadableSpan:
        return ReadableSpan(
            name,
            context=context,
            parent=parent,
            resource=self._resource,
            attributes=dict(said),
            kind=kind,
            status=Status(StatusCode.ERROR if failed else StatusCode.UNSET),
            start_time=began,
            end_time=ended,
            instrumentation_scope=self._scope,
        )

    def _id(self, length: int) -> int:
        return int.from_bytes(self._chance(length), "big") or 1

    def _data_of(self, read: MetricsReading) -> MetricsData:
        def points(found: Sequence[tuple[Any, float]]) -> list[NumberDataPoint]:
            return [NumberDataPoint(dict(labels), read.began, read.at, value) for labels, value in found]

        cumulative = AggregationTemporality.CUMULATIVE
        metrics = [
            Metric(name, "", "", Sum(points(found), cumulative, is_monotonic=True))
            for name, found in _by_name(read.grown).items()
        ]
        metrics += [Metric(name, "", "", Gauge(points(found))) for name, found in _by_name(read.held).items()]
        durations: dict[str, list[HistogramDataPoint]] = {}
        for one in read.spread:
            point = HistogramDataPoint(
                dict(one.labels), read.began, read.at, sum(one.counts), one.total, one.counts, BOUNDS, one.low, one.high
            )  # fmt: skip
            durations.setdefault(one.name, []).append(point)
        metrics += [Metric(name, "", "s", Histogram(held, cumulative)) for name, held in durations.items()]
        scope = ScopeMetrics(self._scope, metrics, "")
        return MetricsData([ResourceMetrics(self._resource, [scope], "")])

    def _record_of(self, line: bytes) -> ReadableLogRecord:
        said: dict[str, Any] = json.loads(line)
        when = (datetime.fromisoformat(said["@timestamp"]) - _EPOCH) // _MICROSECOND * 1000
        level = said["@level"]
        record = LogRecord(
            timestamp=when,
            observed_timestamp=when,
            severity_text=level.upper(),
            severity_number=_SEVERITIES[level],
            body=said["@message"],
            attributes={
                "coffre.module": said["@module"],
                **{name: value for name, value in said.items() if not name.startswith(_OWN)},
            },
        )
        return ReadableLogRecord(record, self._resource, self._scope)


def attributes(facts: RequestFacts, trace: Trace) -> Mapping[str, str | int]:
    """Return what is said of a request, by the semantic conventions where these have a name."""
    said: dict[str, str | int] = {
        "http.request.method": facts.method,
        "http.response.status_code": facts.status,
        "coffre.request.id": facts.id,
        "coffre.mount": facts.mount,
        "coffre.mount.kind": facts.kind,
        "coffre.namespace": facts.namespace,
        "coffre.operation": facts.operation,
    }
    if facts.route or facts.mount:
        said["http.route"] = route_of(facts)
    if facts.error:
        said["error.type"] = facts.error
    if trace.left_out:
        said["coffre.parts_left_out"] = trace.left_out
    return said


def _name(facts: RequestFacts) -> str:
    return f"{facts.method} {route_of(facts)}" if facts.route or facts.mount else facts.method


def route_of(facts: RequestFacts) -> str:
    """Return where a route is: the path of its mount, and its template without the types of its places."""
    return f"/v1/{facts.mount}{_TYPE.sub('}', facts.route)}"


def _by_name(found: Sequence[tuple[str, Any, float]]) -> dict[str, list[tuple[Any, float]]]:
    held: dict[str, list[tuple[Any, float]]] = {}
    for name, labels, value in found:
        held.setdefault(name, []).append((labels, value))
    return held


def _rejected_spans(body: bytes) -> int:
    return max(0, _read(ExportTraceServiceResponse(), body).partial_success.rejected_spans)


def _rejected_points(body: bytes) -> int:
    return max(0, _read(ExportMetricsServiceResponse(), body).partial_success.rejected_data_points)


def _rejected_records(body: bytes) -> int:
    return max(0, _read(ExportLogsServiceResponse(), body).partial_success.rejected_log_records)


def _read(message: M, body: bytes) -> M:
    """Return an answer as it was read; one that is none says nothing: the status has told that all was taken."""
    with contextlib.suppress(DecodeError):
        message.ParseFromString(body)
    return message
