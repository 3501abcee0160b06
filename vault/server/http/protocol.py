# SPDX-License-Identifier: EUPL-1.2
"""One connection: uvicorn's HTTP/1.1 protocol, with what a vault adds per connection and never per request.

An ASGI scope carries in `state`: `listener` (its `Listener`), `client_certificate` (DER, or None), and
`client_intermediates` (DER of what the client has sent beside it, unverified), and `refused` where what came of the body
was refused, and counted, here.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from functools import partial
from hashlib import sha256
from typing import Any, Final, cast

from uvicorn.config import Config as UvicornConfig
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle
from uvicorn.server import ServerState

from vault.framework.request.record import RecordBatch
from vault.framework.telemetry.refusals import CountRefusal, Reason
from vault.repeated.head_cache import HEAD, Again, Came, cut_token
from vault.repeated.starter import Starter
from vault.server.config.settings import Listener
from vault.server.http.delivery import Delivery
from vault.server.http.framing import FramedProtocol
from vault.server.http.head_rules import HEAD_END
from vault.server.http.tls import presented
from vault.wire.answers import RESPOND

_ZERO: Final = b"\0"
_DEQUE: Final = 66 * 8 - b"".__sizeof__()
"""Zeros that make an object as long as the block of a `deque`: 64 places and two links."""
_BLOCKS: Final = 7
"""As many as glibc keeps at hand of a size."""

for _code in range(200, 1000):  # sys/health answers with whatever code it was asked for
    STATUS_LINE.setdefault(_code, b"HTTP/1.1 %d status code %d\r\n" % (_code, _code))

_HEAD_TOO_LARGE: Final = 431
_BEHIND_VERB: Final = len("POST ")
"""Where the target of a request begins that may only ask."""
_READS: Final = frozenset({"GET", "LIST"})
"""Verbs of requests that are begun without a task each time; others are if their head is known."""
_STAYS: Final = (b"connection", b"keep-alive")
"""Says to a client of HTTP/1.0 that the connection stays, as it wished: without it none would ask again."""
_EMPTY: Final = frozenset({204, 304})
"""Statuses of answers that never have a body, and so no length."""
_LONGEST_KNOWN: Final = 16 * 1024
"""Most bytes of a request that is known by them (SL-71)."""


class _Former:
    """Answers a client of HTTP/1.0: it is told where the connection stays, and knows no chunks.

    What has no length ends with the connection (RFC 9112, sections 6.1 and 6.3).
    """

    def __init__(self, cycle: RequestResponseCycle, app: Any) -> None:  # noqa: ANN401 - ASGI's own types
        self._cycle: Any = cycle
        self._app = app
        self._endless = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI's own types
        del send
        await self._app(scope, receive, self._send)

    async def _send(self, message: Any) -> None:  # noqa: ANN401 - ASGI's own type
        cycle = self._cycle
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            bodiless = message["status"] in _EMPTY or cycle.scope["method"] == "HEAD"
            self._endless = not bodiless and all(name != b"content-length" for name, _ in headers)
            if self._endless:
                cycle.keep_alive = cycle.chunked_encoding = False
            elif cycle.keep_alive:
                message = {**message, "headers": [_STAYS, *headers]}
        elif self._endless:  # each piece is all that uvicorn expects
            cycle.expected_content_length = len(message.get("body", b""))
        await cycle.send(message)


class _NobodyWaits:
    """Stands for the event that wakes who waits for a body."""

    def set(self) -> None:
        """Wake nobody."""


class _WaitingCycle(RequestResponseCycle):
    """The cycle of a request that came again and has to wait. It came whole: what is so for each of them is the class's.

    Each write whose head is known has one, so it is made of no more than what an answer needs.
    """

    access_log = False
    message_event: Any = _NobodyWaits()
    disconnected = waiting_for_100_continue = more_body = response_started = response_complete = False
    keep_alive = True
    chunked_encoding = None
    expected_content_length = 0

    def __init__(self, connection: Connection) -> None:
        self.scope: Any = {"type": "http", "method": "GET"}  # nobody asks for more
        self.transport = connection.transport
        self.flow = connection.flow
        self.default_headers = connection.server_state.default_headers
        self.on_response = connection.on_response_complete


def _clear_blocks() -> None:
    """Write over what is given out next for a `deque`: an empty one keeps its block as it was found, as long as it lives.

    A connection has three (uvicorn's, uvloop's), and whoever logs in and connects anew would leave the answer there (SL-58).
    """
    blocks = [_ZERO * _DEQUE for _ in range(_BLOCKS)]  # all at once, or it would be one block each time
    blocks.clear()


class Connection(FramedProtocol):
    """A client's connection; `stalled` is asked by the watch, so that timeouts cost a request nothing."""

    def __init__(
        self,
        config: UvicornConfig,
        server_state: ServerState,
        listener: Listener,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        _clear_blocks()
        super().__init__(config, server_state, loop)
        self.listener = listener
        self._arrived = b""
        self._again: Again | None = getattr(self.app, "again", None)
        self._asked: Mapping[bytes, bool] = getattr(self.app, "asked", {})
        self._refused: CountRefusal | None = getattr(self.app, "refused", None)
        self._head: Came | None = None
        self._repeating = False
        self._batch: RecordBatch | None = None
        self._always: tuple[object, bytes] = (None, b"")
        starter = Starter(loop, self.tasks)
        self._begin, self._settle = starter.begin, starter.settle
        self._watched: object = self
        self._watched_since = 0.0
        self._delivery: Delivery | None = None

    def connection_made(  # type: ignore[override]  # asyncio's base class says less than uvicorn's
        self, transport: asyncio.Transport
    ) -> None:
        _clear_blocks()
        super().connection_made(transport)
        tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        shown = presented(tls)
        self.app_state = {
            "listener": self.listener,
            "client_certificate": shown[0] if shown else None,
            "client_intermediates": shown[1:],
        }

    def connection_lost(self, exc: Exception | None) -> None:
        """As uvicorn's, and no token stays with what the collector of garbage has yet to find (SL-58)."""
        super().connection_lost(exc)
        gone: Any = self
        gone.cycle = gone.scope = self._head = self._delivery = None
        self.headers, self._arrived = [], b""
        self._rest = bytearray()
        self._early.clear()

    def pause_writing(self) -> None:
        """As uvicorn's; from now on it is watched whether the client takes what waits for it."""
        super().pause_writing()
        self._delivery = Delivery(self.transport)

    def _respond(self, cycle: RequestResponseCycle, status: int, head: bytes, body: bytes) -> bool:
        """Send a whole answer at once: one TLS record, one system call. False where ASGI's messages must do it.

        `head` holds finished header lines, without the content's length. It does what the cycle's `send` does
        with a start and one body.
        """
        if cycle.response_started or cycle.disconnected or cycle.flow.write_paused:
            return False
        cycle.response_started = cycle.response_complete = True
        cycle.message_event.set()
        ending = b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n"
        self.transport.write(
            b"%b%b%bcontent-length: %d\r\n%b%b"
            % (STATUS_LINE[status], self._default_head(), head, len(body), ending, body)
        )
        if not cycle.keep_alive:
            self.transport.close()
        cycle.on_response()
        return True

    def _default_head(self) -> bytes:
        """Return the header lines of every answer; they change once a second."""
        headers = self.server_state.default_headers
        if self._always[0] is not headers:
            self._always = (headers, b"".join([b"%b: %b\r\n" % header for header in headers]))
        return self._always[1]

    def respond(self, status: int, head: bytes, body: bytes) -> bool:
        """Answer a request that came again, as `_respond` does; one that had to wait has a cycle by now."""
        cycle: Any = self.cycle
        self._batch = None
        if cycle is not None and not cycle.response_complete:
            return self._respond(cycle, status, head, body)
        if self.transport.is_closing():
            return True
        self.server_state.total_requests += 1
        self.transport.write(
            b"%b%b%bcontent-length: %d\r\n\r\n%b"
            % (STATUS_LINE[status], self._default_head(), head, len(body), body)
        )
        return True

    def wait(self, batch: RecordBatch) -> None:
        """Know that an answer is ready and leaves with this batch."""
        self._batch = batch

    def close(self) -> None:
        """End the connection of a request that cannot be answered."""
        self._batch = None
        self.transport.close()

    def shutdown(self) -> None:
        if self._batch is not None:
            self._batch.flush()
        self._settle()
        super().shutdown()

    async def send(self, message: Any) -> None:  # noqa: ANN401 - ASGI's own type
        """Answer a request that came again by ASGI's messages."""
        await self._waiting_cycle().send(message)

    def _waiting_cycle(self) -> RequestResponseCycle:
        """Return the cycle of a request that came again, and was not answered at once."""
        cycle: Any = self.cycle
        if cycle is None or cycle.response_complete:
            cycle = self.cycle = _WaitingCycle(self)
        return cast("RequestResponseCycle", cycle)

    def _repeated(self, data: bytes) -> bool:
        """Answer what only asks and came before, byte for byte, without parsing it, and a write whose head did.

        False where it has to be parsed. Only what comes whole, between requests and with nothing in flight, may be known
        from now on.
        """
        asks = data[:4] == b"GET " or self._asked.get(data[: data.find(b" ", _BEHIND_VERB)])
        if asks is None or self._again is None or self._busy() or self.flow.write_paused:
            return False
        head, body = data, None
        if not asks:
            head, seam, body = data.partition(HEAD_END)
            if not seam or self.app_state["client_certificate"]:  # of which no head says anything
                return False
            head += seam
        digest = sha256(head).digest()
        client = self.client or ("", 0)
        begun = self._again(digest, client, self, body)
        cut = cut_token(data) if begun is None and self._may_be_cut(data) else None
        if cut is not None:
            begun = self._again(digest, client, self, None, cut)
        if begun is None:
            end = data.find(HEAD_END)
            self._head = Came(digest, len(data) - end - len(HEAD_END), asks, cut) if end >= 0 else None
            return False
        self._repeating = True
        self._arrived = digest
        if not self._begin(begun):
            self._waiting_cycle()
        return True

    def _may_be_cut(self, data: bytes) -> bool:
        """Whether a read may have come before with another token: not where a certificate tells of the client, too."""
        return data[:4] == b"GET " and not self.app_state["client_certificate"]

    def on_response_complete(self) -> None:
        """As uvicorn's, but for the timer of idle connections: the watch closes those, once a second."""
        self.server_state.total_requests += 1
        cycle: Any = self.cycle
        cycle.scope.pop(RESPOND, None)  # it leads back to the cycle, and a token is in the scope (SL-58)
        if not self.transport.is_closing():
            self.flow.resume_reading()
            if self._rest:
                self.loop.call_soon(self._resume)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:  # noqa: ANN401 - ASGI's own type
        """Begin a read at once: most finish without waiting, and need no task. What waits becomes one."""
        scope: dict[str, Any] = cast("Any", cycle.scope)
        old = scope["http_version"] == "1.0"
        cycle.keep_alive = cycle.keep_alive or (old and self.parser.should_keep_alive())
        if old:
            app = _Former(cycle, app)
        if not old or not cycle.keep_alive:
            scope[RESPOND] = partial(self._respond, cycle)
        scope[HEAD], self._head = self._head, None  # of what came at once, the first request alone
        if scope["method"] not in _READS:
            super()._start_asgi_task(cycle, app)
            return
        self._begin(cycle.run_asgi(app))

    def data_received(self, data: bytes) -> None:
        self._head = None
        if self._batch is not None:
            self._batch.flush()
        if self._rest:
            self._hold(data)
            return
        fresh = self._between and not self._early and not self._over
        if fresh and len(data) <= _LONGEST_KNOWN and self._repeated(data):
            return
        self._repeating = False
        self._take(data)

    def _refuse(self, status: int, text: bytes) -> None:
        """As before, and counted: nobody else hears of what never became a request."""
        if not self.transport.is_closing():
            self._count("size" if status == _HEAD_TOO_LARGE else "head" if self._between else "body")
        super()._refuse(status, text)

    def _count(self, reason: Reason) -> None:
        if self._refused is not None:
            self._refused(reason, (self.client or ("", 0))[0])

    def stalled(self, now: float) -> bool:
        """Tell whether the client has kept us waiting for too long: for the rest of one request, or to take its answer.

        `now` is in seconds of the event loop's clock. What is waited for is known by its identity. A request that waits
        for us has a task from now on, by which it is found if it takes too long.
        """
        self._settle()
        waiting, patience = self._awaited()
        if waiting is None or waiting is not self._watched:
            self._watched, self._watched_since = waiting, now
            return False
        if now - self._watched_since <= patience:
            if self._between and not self._early and not self._rest and not self._busy():
                self._forget_answered()
            return False
        if (self._early or self._busy()) and not self._over:
            self._count("time")
        return True

    def _forget_answered(self) -> None:
        """Keep no token of what was answered, while the client asks nothing and the connection stays (SL-58)."""
        idle: Any = self
        idle.scope, idle.url = None, b""
        cycle: Any = self.cycle
        if cycle is not None:
            cycle.scope, cycle.body = {}, b""
        if self._watched is self._arrived:
            self._watched = b""
        self._arrived = b""

    def _awaited(self) -> tuple[object | None, float]:
        cycle: Any = self.cycle
        if self.flow.write_paused:
            return self._delivery and self._delivery.stage(), self.listener.http_read_timeout
        if self._repeating and (cycle is None or cycle.response_complete):
            return self._arrived, self.listener.http_idle_timeout
        if cycle is None:
            return self.parser, self.listener.http_read_header_timeout
        if not cycle.response_complete:
            return (cycle, self.listener.http_read_timeout) if cycle.more_body else (None, 0.0)
        if self._early:
            return self._early, self.listener.http_read_header_timeout
        return (
            cycle,
            self.listener.http_idle_timeout if self._between else self.listener.http_read_header_timeout,
        )
