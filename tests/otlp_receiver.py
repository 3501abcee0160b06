# SPDX-License-Identifier: EUPL-1.2
"""A receiver of OTLP over HTTP, which reads what comes by the official protobufs."""

import gzip
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from pytest_socket import enable_socket

from tests.served import served

T = TypeVar("T")
PATIENCE = 60.0
_KINDS: dict[str, type[Message]] = {
    "/v1/traces": ExportTraceServiceRequest,
    "/v1/metrics": ExportMetricsServiceRequest,
    "/v1/logs": ExportLogsServiceRequest,
}


class Receiver(ThreadingHTTPServer):
    """Keeps what it is sent; answers with `status`, `answer_headers` and `answer`."""

    daemon_threads = True

    def __init__(self, pair: tuple[Path, Path] | None = None, port: int = 0) -> None:
        """With a `pair` of certificate and key it speaks TLS."""
        super().__init__(("127.0.0.1", port), _Handler)
        self._scheme = "http" if pair is None else "https"
        if pair is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*pair)
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.status = 200
        self.answer = b""
        self.answer_headers: dict[str, str] = {}
        self.requests = 0
        self.headers: list[dict[str, str]] = []
        self.received: dict[str, list[Any]] = {path: [] for path in _KINDS}

    @property
    def endpoint(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.server_address[1]}"

    @property
    def spans(self) -> list[Any]:
        """Every span that came."""
        return [
            span
            for sent in list(self.received["/v1/traces"])
            for resource in sent.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    @property
    def metrics(self) -> dict[str, Any]:
        """The metrics that came last, by name."""
        return {
            metric.name: metric
            for sent in list(self.received["/v1/metrics"])[-1:]
            for resource in sent.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    @property
    def lines(self) -> list[Any]:
        """Every log record that came."""
        return [
            record
            for sent in list(self.received["/v1/logs"])
            for resource in sent.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        self.server.requests += 1
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        if self.server.status == 200:
            message = _KINDS[self.path]()
            message.ParseFromString(body)
            self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
            self.server.received[self.path].append(message)
        self.send_response(self.server.status)
        for name, value in self.server.answer_headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(self.server.answer)))
        self.end_headers()
        self.wfile.write(self.server.answer)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def receiving(pair: tuple[Path, Path] | None = None, port: int = 0) -> Iterator[Receiver]:
    """Receive on loopback until the end of the block."""
    enable_socket()
    with served(Receiver(pair, port)) as receiver:
        yield receiver


def attributes(told: Any) -> dict[str, Any]:
    """The attributes of a span, a point or a record."""
    return {one.key: getattr(one.value, str(one.value.WhichOneof("value"))) for one in told.attributes}


def awaited(look: Callable[[], T], *, also: Callable[[], object] = lambda: None) -> T:
    """Return what `look` finds once that is something; `also` is done meanwhile."""
    until = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < until, "nothing came"
        also()
        time.sleep(0.02)
    return found
