# SPDX-License-Identifier: EUPL-1.2
"""What one listener serves, as a Starlette application: the API, pages, and what its settings put before them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from vault.engines.system.operations.cors import CrossOrigins
from vault.framework.errors import Forbidden, NotFound
from vault.framework.telemetry.exposition import PROMETHEUS_TYPE, render_json, render_prometheus
from vault.framework.telemetry.metrics import WholeMetrics
from vault.framework.telemetry.refusals import CountRefusal
from vault.repeated.head_cache import Again
from vault.server.application import Message
from vault.server.config.settings import Listener, Telemetry
from vault.server.http.cors import Cors
from vault.server.http.forwarded import ForwardedMiddleware
from vault.ui.session.sessions import UiSessions
from vault.wire.answers import NO_STORE, RESPOND, TRANSPORT
from vault.wire.early import TurnAway
from vault.wire.http import Front

Headers = list[tuple[bytes, bytes]]

_METRICS: Final = "/v1/sys/metrics"
_COMMON: Final = [NO_STORE, TRANSPORT]
_KEPT: Final = frozenset({b"content-length", b"content-type"})
"""Headers that say what an answer is; no setting replaces them."""


def listener_application(
    listener: Listener,
    front: Front,
    *,
    origins: CrossOrigins,
    refused: CountRefusal,
    metrics: WholeMetrics,
    telemetry: Telemetry,
    sessions: UiSessions | None,
    told: Callable[[], Sequence[BaseRoute]] = tuple,
) -> ListenerApplication:
    """Return what answers on `listener`: the API, pages, and what its settings put before them.

    `told` are the routes of what the server says of itself; `refused` is told of what never becomes a request; `sessions` are those of the page for security teams, None where
    there is none.
    """
    settings = listener.telemetry
    middleware = [Middleware(Cors, origins, refused, front.turn_away)]
    if listener.custom_response_headers:
        middleware.append(Middleware(ResponseHeaders, listener.custom_response_headers))
    if listener.x_forwarded_for_authorized_addrs:
        middleware.append(Middleware(ForwardedMiddleware, listener, front.turn_away))
    if settings.unauthenticated_metrics_access and not settings.disallow_metrics:
        middleware.append(Middleware(OpenMetrics, metrics, telemetry))
    if settings.metrics_only or settings.disallow_metrics:
        kept = MetricsOnly if settings.metrics_only else NoMetrics
        middleware.append(Middleware(kept, front.turn_away))
    return ListenerApplication(front, lambda: (*told(), *_pages(front, sessions)), middleware)


def _pages(front: Front, sessions: UiSessions | None) -> Sequence[BaseRoute]:
    from vault.server.http.other_paths import routes

    return routes(front, sessions)


class ListenerApplication(Starlette):
    """A Starlette application: pages are its routes, and its middleware is pure ASGI, in front of the API too.

    `/v1` is mounted between the middleware and Starlette's router, which would add 7 microseconds to each request, a
    tenth of a read; and it decodes paths, which are told apart here as they came.
    """

    def __init__(
        self, api: Front, pages: Callable[[], Sequence[BaseRoute]], middleware: Sequence[Middleware]
    ) -> None:
        """`pages` is called when the first request for one comes, because few servers ever have one."""
        super().__init__(middleware=middleware, exception_handlers={404: not_found})
        self._api = api
        self._pages = pages
        self._stack = self.middleware_stack = self.build_middleware_stack()

    def build_middleware_stack(self) -> ASGIApp:
        """Return the middleware, first the one that is listed first, around what tells the API from pages."""
        answer: ASGIApp = ApiOrPages(self._api, self)
        for middleware in reversed(self.user_middleware):
            answer = middleware.cls(answer, *middleware.args, **middleware.kwargs)
        return answer

    def build_pages(self) -> ASGIApp:
        """Return what answers on every path but those of the API."""
        self.router.routes.extend(self._pages())
        return ExceptionMiddleware(self.router, handlers=self.exception_handlers)

    def __call__(  # type: ignore[override]  # what it awaits is handed on, which saves a coroutine for each request
        self, scope: Scope, receive: Receive, send: Send
    ) -> Awaitable[None]:
        """Answer one request."""
        return self._stack(scope, receive, send)

    @property
    def again(self) -> Again | None:
        """Answers a request that came before, byte for byte, where no middleware has to see it."""
        return getattr(self._stack, "again", None)

    @property
    def asked(self) -> Mapping[bytes, bool]:
        """See `Plans.asked`."""
        known: Mapping[bytes, bool] = getattr(self._stack, "asked", {})
        return known

    @property
    def refused(self) -> CountRefusal | None:
        """Told of what never becomes a request."""
        return getattr(self._stack, "refused", None)


class ApiOrPages:
    """Everything below `/v1/` to the API, the rest to pages, which are built when they are first asked for."""

    def __init__(self, api: Front, application: ListenerApplication) -> None:
        self._api = api
        self._application = application
        self._pages: ASGIApp | None = None
        self.again = api.again
        self.asked = api.asked

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer one request."""
        if scope["raw_path"][:4] == b"/v1/":
            return self._api(scope, receive, send)
        if self._pages is None:
            self._pages = self._application.build_pages()
        scope["app"] = self._application
        return self._pages(scope, receive, send)


class MetricsOnly:
    """Serves metrics and nothing else."""

    def __init__(self, app: ASGIApp, turn_away: TurnAway) -> None:
        """`turn_away` is told of what is refused here."""
        self._app, self._turn_away = app, turn_away

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer one request."""
        if scope["path"] == _METRICS:  # decoded: an escaped letter hides nothing
            return self._app(scope, receive, send)
        self._turn_away(scope, NotFound())
        return _text(send, 404, b"this listener only serves the metrics endpoint\n")


class NoMetrics:
    """Serves everything but metrics."""

    def __init__(self, app: ASGIApp, turn_away: TurnAway) -> None:
        """`turn_away` is told of what is refused here."""
        self._app, self._turn_away = app, turn_away

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer one request."""
        if scope["path"].rstrip("/") == _METRICS:  # decoded: an escaped letter hides nothing
            self._turn_away(scope, Forbidden())
            return _text(send, 403, b"metrics endpoint is disabled for this listener\n")
        return self._app(scope, receive, send)


class OpenMetrics:
    """Metrics for whoever asks on this listener, in every state of the seal."""

    def __init__(self, app: ASGIApp, metrics: WholeMetrics, telemetry: Telemetry) -> None:
        self._app = app
        self._metrics = metrics
        self._telemetry = telemetry

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["path"] != _METRICS or scope["method"] != "GET":
            return self._app(scope, receive, send)
        return self._show(scope, send)

    async def _show(self, scope: Scope, send: Send) -> None:
        form = dict(parse_qsl(scope["query_string"].decode("latin-1"))).get("format", "")
        if form == "prometheus" and self._telemetry.prometheus_retention_time > 0:
            body = await render_prometheus(await self._metrics(), prefix=self._telemetry.metrics_prefix)
            await _send(send, 200, PROMETHEUS_TYPE.encode(), body, _COMMON)
            return
        if form:
            problem = (
                "prometheus is not enabled" if form == "prometheus" else "metric response format unknown"
            )
            await _send(send, 400, b"text/plain", problem.encode(), _COMMON)
            return
        body = await render_json(await self._metrics(), prefix=self._telemetry.metrics_prefix)
        await _send(send, 200, b"application/json", body, _COMMON)


class ResponseHeaders:
    """Adds the listener's own headers: those for every status, for its class, and for the status itself."""

    def __init__(self, app: ASGIApp, configured: Mapping[str, Mapping[str, str]]) -> None:
        self._app = app
        self._configured = {
            status: {
                name.lower().encode(): value.encode("latin-1", "replace") for name, value in headers.items()
            }
            for status, headers in configured.items()
        }

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = self._merged(message["status"], list(message.get("headers", ())))
            await send(message)

        scope.pop(RESPOND, None)
        return self._app(scope, receive, headed)

    def _merged(self, status: int, headers: Headers) -> Headers:
        added: dict[bytes, bytes] = {}
        for which in ("default", f"{status // 100}xx", str(status)):
            added.update(self._configured.get(which, {}))
        added = {name: value for name, value in added.items() if name not in _KEPT}
        return [pair for pair in headers if pair[0] not in added] + list(added.items())


async def not_found(request: Request, error: Exception) -> Response:
    """Answer as OpenBao does for a path that nothing serves."""
    del request, error
    return Response(
        b'{"errors":[]}\n',
        status_code=404,
        media_type="application/json",
        headers={name.decode(): value.decode() for name, value in _COMMON},
    )


def _text(send: Send, status: int, body: bytes) -> Awaitable[None]:
    return _send(send, status, b"text/plain; charset=utf-8", body, [(b"x-content-type-options", b"nosniff")])


async def _send(send: Send, status: int, kind: bytes, body: bytes, more: Headers) -> None:
    headers = [*more, (b"content-type", kind), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
