# SPDX-License-Identifier: EUPL-1.2
"""Browsers: who may call from a page of another origin, and what a browser asks before it does (Fetch, section 3.2).

While other origins may call, a request that says it comes from one that is not listed is refused, whatever it asks for. A page
of this server's own is of no other origin: its forms work as ever, and guard themselves against those that other pages
send. What may be is asked of the storage for each request that comes from a page of another origin: another process may have
changed it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from vault.engines.system.operations.cors import CorsSettings, CrossOrigins
from vault.framework.errors import Forbidden, Reason, UnsupportedOperation
from vault.framework.telemetry.refusals import CountRefusal
from vault.repeated.head_cache import HEAD, Again
from vault.server.application import Answer, Message
from vault.wire.answers import NO_STORE, RESPOND, TRANSPORT
from vault.wire.early import TurnAway

Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_METHODS: Final = ("DELETE", "GET", "OPTIONS", "POST", "PUT", "LIST", "SCAN")
_MAX_AGE: Final = b"300"
_REFUSED: Final = b'{"errors":["origin not allowed"]}\n'


class Cors:
    """Middleware: lets pages of listed origins call, and refuses those of others."""

    def __init__(
        self, inner: Answer, origins: CrossOrigins, refused: CountRefusal, turn_away: TurnAway
    ) -> None:
        """`refused` is told of what never becomes a request, `turn_away` of what is refused here."""
        self._inner = inner
        self.refused: Final = refused
        self._origins, self._turn_away = origins, turn_away
        self.again: Final[Again | None] = getattr(inner, "again", None)
        self.asked: Final[Mapping[bytes, bool]] = getattr(inner, "asked", {})

    def __call__(self, scope: Message, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer one request."""
        origin = _header(scope, b"origin")
        if not origin or _own(scope, origin):
            return self._inner(scope, receive, send)
        scope[HEAD] = None  # it is asked about each time, so it never becomes one that came before
        return self._from_elsewhere(scope, receive, send, origin)

    async def _from_elsewhere(self, scope: Message, receive: Receive, send: Send, origin: bytes) -> None:
        settings = await self._origins.newest()
        if settings is None:
            await self._inner(scope, receive, send)
            return
        if not settings.allows(origin.decode("latin-1")):
            self._turn_away(scope, Forbidden(reason=Reason.ORIGIN))
            kind = (b"content-type", b"application/json")
            await _send(send, 403, [NO_STORE, kind, TRANSPORT], _REFUSED)
            return
        if scope["method"] == "OPTIONS":
            await self._before(scope, send, settings, origin)
            return
        allowed = _allowed(settings, origin)

        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *allowed]
            await send(message)

        scope.pop(RESPOND, None)
        await self._inner(scope, receive, headed)

    def _before(self, scope: Message, send: Send, settings: CorsSettings, origin: bytes) -> Awaitable[None]:
        """Answer what a browser asks before it calls."""
        if _header(scope, b"access-control-request-method").decode("latin-1") not in _METHODS:
            self._turn_away(scope, UnsupportedOperation())
            return _send(send, 405, [NO_STORE, TRANSPORT], b"")
        headers = [
            NO_STORE,
            *_allowed(settings, origin),
            (b"access-control-allow-headers", ",".join(settings.all_headers).encode("latin-1", "replace")),
            (b"access-control-allow-methods", ",".join(_METHODS).encode()),
            (b"access-control-max-age", _MAX_AGE),
        ]
        return _send(send, 200, headers, b"")


def _own(scope: Message, origin: bytes) -> bool:
    """Whether an origin is the host that is asked (RFC 6454, section 4), which a browser alone says of itself.

    What came without TLS may have come to a proxy with it; what came with TLS is never of a page without it.
    """
    host = _header(scope, b"host")
    schemes = (b"https://",) if scope.get("scheme") == "https" else (b"https://", b"http://")
    return bool(host) and origin in [scheme + host for scheme in schemes]


def _allowed(settings: CorsSettings, origin: bytes) -> Headers:
    credentials = [(b"access-control-allow-credentials", b"true")] if settings.credentials else []
    return [(b"access-control-allow-origin", origin), (b"vary", b"Origin"), *credentials]


def _header(scope: Message, wanted: bytes) -> bytes:
    return next((value for name, value in scope["headers"] if name == wanted), b"")


async def _send(send: Send, status: int, headers: Headers, body: bytes) -> None:
    headers = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
