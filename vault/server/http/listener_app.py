# SPDX-License-Identifier: EUPL-1.2
"""What is particular to one listener: which paths it serves, its own headers, metrics without a token.

A listener without particulars gets the front itself behind one comparison, so that the hot path pays for nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final
from urllib.parse import parse_qsl

from vault.framework.telemetry.exposition import PROMETHEUS_TYPE, render_json, render_prometheus
from vault.framework.telemetry.metrics import Metrics
from vault.server.application import Answer, Message
from vault.server.config.settings import Listener, Telemetry
from vault.server.http.forwarded import Forwarded
from vault.ui.session.sessions import Sessions
from vault.wire.http import RESPOND, Front

Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_METRICS: Final = "/v1/sys/metrics"
_COMMON: Final = [
    (b"cache-control", b"no-store"),
    (b"strict-transport-security", b"max-age=31536000; includeSubDomains"),
]
_KEPT: Final = frozenset({b"content-length", b"content-type"})
"""Headers that say what an answer is; no setting replaces them."""


def edge(
    listener: Listener, front: Front, metrics: Metrics, telemetry: Telemetry, sessions: Sessions | None
) -> Answer:
    """Return what answers on `listener`; `sessions` of the page for security teams, None where there is none."""
    answer: Answer = _Plain(front, sessions)
    if listener.telemetry.metrics_only or listener.telemetry.disallow_metrics:
        answer = _Restricted(answer, only=listener.telemetry.metrics_only)
    if listener.telemetry.unauthenticated_metrics_access and not listener.telemetry.disallow_metrics:
        answer = _OpenMetrics(answer, metrics, telemetry)
    if listener.x_forwarded_for_authorized_addrs:
        answer = Forwarded(answer, listener)
    if listener.custom_response_headers:
        answer = _Headed(answer, listener.custom_response_headers)
    return answer


class _Plain:
    """Everything below `/v1/` to the front, the rest to what is built when it is first asked for."""

    def __init__(self, front: Front, sessions: Sessions | None) -> None:
        self._front = front
        self._sessions = sessions
        self.again = front.again
        self._elsewhere: Answer | None = None

    def __call__(self, scope: Message, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["raw_path"][:4] == b"/v1/":
            return self._front(scope, receive, send)
        if self._elsewhere is None:
            from vault.server.http.other_paths import elsewhere

            self._elsewhere = elsewhere(self._front, self._sessions)
        return self._elsewhere(scope, receive, send)


class _Restricted:
    """Metrics and nothing else, or everything but metrics."""

    def __init__(self, inner: Answer, *, only: bool) -> None:
        self._inner = inner
        self._only = only

    def __call__(self, scope: Message, receive: Receive, send: Send) -> Awaitable[None]:
        path: str = scope["path"]  # decoded: an escaped letter hides nothing
        if self._only:
            if path == _METRICS:
                return self._inner(scope, receive, send)
            return _text(send, 404, b"this listener only serves the metrics endpoint\n")
        if path.rstrip("/") == _METRICS:
            return _text(send, 403, b"metrics endpoint is disabled for this listener\n")
        return self._inner(scope, receive, send)


class _OpenMetrics:
    """Metrics for whoever asks on this listener, in every state of the seal."""

    def __init__(self, inner: Answer, metrics: Metrics, telemetry: Telemetry) -> None:
        self._inner = inner
        self._metrics = metrics
        self._telemetry = telemetry

    def __call__(self, scope: Message, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["path"] != _METRICS or scope["method"] != "GET":
            return self._inner(scope, receive, send)
        form = dict(parse_qsl(scope["query_string"].decode("latin-1"))).get("format", "")
        if form == "prometheus" and self._telemetry.prometheus_retention_time > 0:
            body = render_prometheus(self._metrics, prefix=self._telemetry.metrics_prefix)
            return _send(send, 200, PROMETHEUS_TYPE.encode(), body, _COMMON)
        if form:
            problem = (
                "prometheus is not enabled" if form == "prometheus" else "metric response format unknown"
            )
            return _send(send, 400, b"text/plain", problem.encode(), _COMMON)
        body = render_json(self._metrics, prefix=self._telemetry.metrics_prefix)
        return _send(send, 200, b"application/json", body, _COMMON)


class _Headed:
    """Adds the listener's own headers: those for every status, for its class, and for the status itself."""

    def __init__(self, inner: Answer, configured: Mapping[str, Mapping[str, str]]) -> None:
        self._inner = inner
        self._configured = {
            status: {
                name.lower().encode(): value.encode("latin-1", "replace") for name, value in headers.items()
            }
            for status, headers in configured.items()
        }

    def __call__(self, scope: Message, receive: Receive, send: Send) -> Awaitable[None]:
        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = self._merged(message["status"], list(message.get("headers", ())))
            await send(message)

        scope.pop(RESPOND, None)
        return self._inner(scope, receive, headed)

    def _merged(self, status: int, headers: Headers) -> Headers:
        added: dict[bytes, bytes] = {}
        for which in ("default", f"{status // 100}xx", str(status)):
            added.update(self._configured.get(which, {}))
        added = {name: value for name, value in added.items() if name not in _KEPT}
        return [pair for pair in headers if pair[0] not in added] + list(added.items())


def _text(send: Send, status: int, body: bytes) -> Awaitable[None]:
    return _send(send, status, b"text/plain; charset=utf-8", body, [(b"x-content-type-options", b"nosniff")])


async def _send(send: Send, status: int, kind: bytes, body: bytes, more: Headers) -> None:
    headers = [*more, (b"content-type", kind), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
