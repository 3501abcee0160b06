# SPDX-License-Identifier: EUPL-1.2
"""What one listener serves: metrics or not, with or without a token, and headers of its own."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import unquote

import pytest

from vault.barrier.barrier import Barrier
from vault.engines.system.operations.cors import CrossOrigins
from vault.framework.clock import Clock
from vault.framework.telemetry.metrics import Metrics
from vault.server.config.settings import Listener, ListenerTelemetry, Telemetry
from vault.server.http.listener_app import listener_application
from vault.wire.http import Front

ONLY = ListenerTelemetry(metrics_only=True)
NEVER = ListenerTelemetry(disallow_metrics=True)
OPEN = ListenerTelemetry(unauthenticated_metrics_access=True)


class Answered:
    """What came back."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""

    async def take(self, message: Mapping[str, Any]) -> None:
        """As ASGI's `send`."""
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], list(message["headers"])
        else:
            self.body += message["body"]


async def front(scope: Any, receive: Any, send: Any) -> None:
    """Stands for the API: answers 200 with the path that it was asked for."""
    await send(
        {
            "type": "http.response.start",
            "status": 404 if scope["path"].endswith("none") else 200,
            "headers": [(b"content-type", b"text/plain"), (b"x-own", b"front")],
        }
    )
    await send({"type": "http.response.body", "body": b"front"})


front.again = None  # type: ignore[attr-defined]  # it knows no head
front.asked = ()  # type: ignore[attr-defined]  # and no body
front.turn_away = lambda *_: None  # type: ignore[attr-defined]  # nor is it told what others refuse


async def _up_to_date() -> None:
    """Nobody changes the settings of browsers."""


def ask(
    target: str,
    listener: ListenerTelemetry,
    *,
    method: str = "GET",
    telemetry: Telemetry | None = None,
    headers: Mapping[str, Mapping[str, str]] | None = None,
) -> Answered:
    """Send one request to a listener."""
    path, _, query = target.partition("?")
    answered = Answered()
    metrics = Metrics(Clock())
    metrics.gauge("core.unsealed", lambda: 1.0)
    answer = listener_application(
        Listener(kind="tcp", telemetry=listener, custom_response_headers=dict(headers or {})),
        cast("Front", front),
        origins=CrossOrigins(cast("Barrier", None), _up_to_date),
        refused=lambda *_: None,
        metrics=metrics.whole,
        telemetry=telemetry or Telemetry(),
        sessions=None,
    )
    scope = {
        "type": "http",
        "headers": [],
        "method": method,
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
    }

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def run() -> None:
        await answer(scope, receive, answered.take)

    asyncio.run(run())
    return answered


@pytest.mark.parametrize(
    "target", ["/v1", "/%76%31/kv/a", "/V1/kv/a", "//v1/kv/a", "/x/../v1/kv/a", "/v1%2fkv/a"]
)
def test_only_what_is_spelled_as_the_api_is_the_api(target: str) -> None:
    answered = ask(target, ListenerTelemetry())
    assert (answered.status, answered.body) == (404, b'{"errors":[]}\n')


@pytest.mark.parametrize(
    ("listener", "target", "status", "text"),
    [
        (ONLY, "/v1/sys/metrics", 200, b"front"),
        (ONLY, "/v1/sys/%6detrics", 200, b"front"),
        (ONLY, "/v1/sys/metrics/", 404, b"this listener only serves the metrics endpoint\n"),
        (ONLY, "/v1/sys/health", 404, b"this listener only serves the metrics endpoint\n"),
        (NEVER, "/v1/sys/health", 200, b"front"),
        (NEVER, "/v1/sys/metrics", 403, b"metrics endpoint is disabled for this listener\n"),
        (NEVER, "/v1/sys/metrics/", 403, b"metrics endpoint is disabled for this listener\n"),
        (NEVER, "/v1/sys/%6detrics", 403, b"metrics endpoint is disabled for this listener\n"),
        (NEVER, "/v1/sys%2fmetrics", 403, b"metrics endpoint is disabled for this listener\n"),
    ],
)
def test_metrics_alone_or_never_however_the_path_is_spelled(
    listener: ListenerTelemetry, target: str, status: int, text: bytes
) -> None:
    answered = ask(target, listener)
    assert (answered.status, answered.body) == (status, text)


@pytest.mark.parametrize(
    ("target", "retention", "status", "kind", "begins"),
    [
        ("/v1/sys/metrics", 0.0, 200, b"application/json", b'{"Timestamp":'),
        ("/v1/sys/metrics?format=", 0.0, 200, b"application/json", b'{"Timestamp":'),
        ("/v1/sys/metrics?format=prometheus", 60.0, 200, b"text/plain; version=0.0.4", b"# HELP"),
        ("/v1/sys/metrics?format=prometheus", 0.0, 400, b"text/plain", b"prometheus is not enabled"),
        ("/v1/sys/metrics?format=hunter2", 60.0, 400, b"text/plain", b"metric response format unknown"),
    ],
)
def test_metrics_without_a_token_come_in_the_format_that_was_asked_for(
    target: str, retention: float, status: int, kind: bytes, begins: bytes
) -> None:
    answered = ask(target, OPEN, telemetry=Telemetry(prometheus_retention_time=retention))
    assert answered.status == status
    assert dict(answered.headers)[b"content-type"].startswith(kind)
    assert dict(answered.headers)[b"cache-control"] == b"no-store"
    assert answered.body.startswith(begins)
    assert b"hunter2" not in answered.body


def test_metrics_carry_the_prefix_of_the_configuration() -> None:
    answered = ask("/v1/sys/metrics", OPEN, telemetry=Telemetry(metrics_prefix="house"))
    names = [gauge["Name"] for gauge in json.loads(answered.body)["Gauges"]]
    assert names == ["house.core.unsealed"]


@pytest.mark.parametrize(
    ("target", "method"), [("/v1/sys/health", "GET"), ("/v1/sys/metrics", "PUT"), ("/v1/sys/metrics/", "GET")]
)
def test_everything_but_reading_metrics_goes_on_to_the_pipeline(target: str, method: str) -> None:
    assert ask(target, OPEN, method=method).body == b"front"


def test_where_metrics_are_forbidden_nobody_gets_them_without_a_token_either() -> None:
    both = ListenerTelemetry(disallow_metrics=True, unauthenticated_metrics_access=True)
    assert ask("/v1/sys/metrics", both).status == 403


def test_headers_of_the_listener_go_from_general_to_particular_and_never_say_what_an_answer_is() -> None:
    configured = {
        "default": {"X-A": "default", "X-B": "default", "X-C": "default", "Content-Type": "hunter2"},
        "4xx": {"X-B": "class", "X-C": "class"},
        "404": {"X-C": "status", "X-Own": "replaced"},
    }
    found = ask("/v1/none", ListenerTelemetry(), headers=configured)
    assert found.headers == [
        (b"content-type", b"text/plain"),
        (b"x-a", b"default"),
        (b"x-b", b"class"),
        (b"x-c", b"status"),
        (b"x-own", b"replaced"),
    ]
    good = ask("/v1/some", ListenerTelemetry(), headers=configured)
    assert (b"x-c", b"default") in good.headers
    assert (b"x-own", b"front") in good.headers
