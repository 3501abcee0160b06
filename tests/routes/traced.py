# SPDX-License-Identifier: EUPL-1.2
"""Applications whose requests are traced, and sent to nobody: what was traced waits to be looked at."""

from collections.abc import Sequence
from typing import Any, TypeVar

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

from tests.routes.driver import Application
from vault.framework.clock import Clock
from vault.framework.telemetry.trace import Trace
from vault.server.config.settings import Telemetry
from vault.server.config.telemetry.collector import Collector
from vault.server.otlp.exporter import Exporter, attributes
from vault.server.otlp.feed import CollectorFeed
from vault.server.otlp.request_traces import RequestFacts

A = TypeVar("A", bound=Application)


class _Quiet(CollectorFeed):
    def start(self, whole: Any, first: Any) -> None:
        """Begin nothing."""


def traced(kind: type[A], ratio: float = 1) -> A:
    """Return an application of a kind whose requests are traced."""
    collector = Collector(endpoint="http://127.0.0.1:9", sampling_ratio=ratio, metrics=False, logs=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vault.server.otlp.feed.CollectorFeed", _Quiet)
        made = kind(telemetry=Telemetry(otlp=collector))
    waiting(made)
    return made


def waiting(application: Application) -> list[Trace]:
    """Take the traces that wait to be sent."""
    feed = application.vault.ground.feed
    assert feed is not None
    found = list(feed._traces._waiting)
    feed._traces._waiting.clear()
    return found


def spans(traces: Sequence[Trace]) -> list[Any]:
    """The spans as they are sent."""
    exporter = Exporter(
        Collector(endpoint="http://127.0.0.1:9"), {}, {}, lambda length: b"\1" * length, Clock()
    )
    sent = encode_spans([span for trace in traces for span in exporter._spans_of(trace)])
    return [
        span for resource in sent.resource_spans for scope in resource.scope_spans for span in scope.spans
    ]


def said(traces: Sequence[Trace]) -> str:
    """All words that are in the spans."""
    found = []
    for trace in traces:
        assert isinstance(trace.facts, RequestFacts)
        found += [str(attributes(trace.facts, trace)), *(part.name for part in trace.parts)]
    return "\n".join(found)
