# SPDX-License-Identifier: EUPL-1.2
"""One connection: uvicorn's HTTP/1.1 protocol, with what a vault adds per connection and never per request.

An ASGI scope carries in `state`: `listener` (its `Listener`), `client_certificate` (DER, or None), and
`client_intermediates` (DER of what the client has sent beside it, unverified).
"""

from __future__ import annotations

import asyncio
import ssl
import sys
import types
from collections.abc import Coroutine, Generator
from functools import partial
from hashlib import sha256
from typing import Any, Final, cast

from httptools import HttpParserUpgrade
from uvicorn.config import Config as UvicornConfig
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from vault.framework.batch import Batch
from vault.server.heads import plain_head
from vault.server.settings import Listener
from vault.server.tls import presented
from vault.server.verbs import FAST, AnyVerb
from vault.wire.again import HEAD, Again
from vault.wire.http import RESPOND

for _code in range(200, 1000):  # sys/health answers with whatever code it was asked for
    STATUS_LINE.setdefault(_code, b"HTTP/1.1 %d status code %d\r\n" % (_code, _code))

LONGEST_HEAD: Final = 64 * 1024
"""Most bytes that a request's line and headers may take, once they come in more than one read."""

_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
)


_HEAD_END: Final = b"\r\n\r\n"
_ASKING: Final = frozenset({b"GET ", b"POST", b"PUT "})
"""How requests begin that may only ask."""
_LONGEST_KNOWN: Final = 16 * 1024
"""Most bytes of a request that is known by them (SL-71)."""


async def _rest(begun: Coroutine[Any, Any, None], waited: object) -> None:
    """Go on with a coroutine that was begun outside any task and waits for `waited`.

    A coroutine itself, for tasks of Python 3.12 and later take no generator.
    """
    await _carried_on(begun, waited)


@types.coroutine
def _carried_on(begun: Coroutine[Any, Any, None], waited: object) -> Generator[Any, Any, None]:
    try:
        while True:
            try:
                sent = yield waited
            except BaseException as error:  # noqa: BLE001 - a cancellation is the coroutine's own affair
                waited = begun.throw(error)
            else:
                waited = begun.send(sent)
    except StopIteration:
        return


class Connection(HttpToolsProtocol):
    """A client's connection; `stalled` is asked by the watch, so that timeouts cost a request nothing."""

    def __init__(
        self,
        config: UvicornConfig,
        server_state: ServerState,
        listener: Listener,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(config, server_state, {}, loop)
        self.listener = listener
        self._head_bytes = 0
        self._between = True
        self._begun = False
        self._queued = False
        self._arrived = b""
        self._again: Again | None = getattr(self.app, "again", None)
        self._head: tuple[bytes, int] | None = None
        self._repeating = False
        self._batch: Batch | None = None
        self._always: tuple[object, bytes] = (None, b"")
        self._watched: object = self
        self._watched_since = 0.0

    def connection_made(  # type: ignore[override]  # asyncio's base class says less than uvicorn's
        self, transport: asyncio.Transport
    ) -> None:
        super().connection_made(transport)
        tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        shown = presented(tls)
        self.app_state = {
            "listener": self.listener,
            "client_certificate": shown[0] if shown else None,
            "client_intermediates": shown[1:],
        }

    def on_url(self, url: bytes) -> None:
        """Take a target, in which `#` is a letter like any other: there are no fragments here (RFC 9112, 3.2)."""
        super().on_url(url.replace(b"#", b"%23"))

    def on_headers_complete(self) -> None:
        """As uvicorn's, of a head that can be meant in one way; trailers are no headers (RFC 9110, 6.5.1)."""
        if not plain_head(self.parser.get_http_version(), self.headers):
            raise ValueError
        super().on_headers_complete()
        if not self.parser.should_upgrade():
            self.headers = []

    def on_message_begin(self) -> None:
        self._between = False
        super().on_message_begin()

    def on_message_complete(self) -> None:
        self._between = True
        super().on_message_complete()

    def _respond(self, cycle: RequestResponseCycle, status: int, head: bytes, body: bytes) -> bool:
        """Send a whole answer at once: one TLS record, one system call. False where ASGI's messages must do it.

        `head` holds finished header lines, without the content's length. It does what the cycle's `send` does
        with a start and one body.
        """
        if cycle.response_started or cycle.disconnected or cycle.flow.write_paused:
            return False
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
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

    def wait(self, batch: Batch) -> None:
        """Know that an answer is ready and leaves with this batch."""
        self._batch = batch

    def close(self) -> None:
        """End the connection of a request that cannot be answered."""
        self._batch = None
        self.transport.close()

    def shutdown(self) -> None:
        if self._batch is not None:
            self._batch.flush()
        super().shutdown()

    async def send(self, message: Any) -> None:  # noqa: ANN401 - ASGI's own type
        """Answer a request that came again by ASGI's messages."""
        await self._waiting_cycle().send(message)

    def _waiting_cycle(self) -> RequestResponseCycle:
        """Return the cycle of a request that came again, and was not answered at once."""
        cycle: Any = self.cycle
        if cycle is None or cycle.response_complete:
            cycle = self.cycle = RequestResponseCycle(
                scope={"type": "http", "method": "GET"},  # type: ignore[typeddict-item]  # nobody asks for more
                transport=self.transport,
                flow=self.flow,
                logger=self.logger,
                access_logger=self.access_logger,
                access_log=False,
                default_headers=self.server_state.default_headers,
                message_event=asyncio.Event(),
                expect_100_continue=False,
                keep_alive=True,
                on_response=self.on_response_complete,
            )
            cycle.more_body = False
        return cast("RequestResponseCycle", cycle)

    def _repeated(self, data: bytes) -> bool:
        """Answer what only asks and came before, byte for byte, without parsing it; False where it has to be.

        Only what comes whole, between requests and with nothing in flight, may be known from now on.
        """
        cycle: Any = self.cycle
        busy = cycle is not None and not cycle.response_complete
        if self._again is None or busy or self.flow.write_paused:
            return False
        head = sha256(data).digest()
        begun = self._again(head, self.client or ("", 0), self)
        if begun is None:
            end = data.find(_HEAD_END)
            self._head = (head, len(data) - end - len(_HEAD_END)) if end >= 0 else None
            return False
        self._repeating = True
        self._arrived = data
        try:
            waited = begun.send(None)
        except StopIteration:
            return True
        self._waiting_cycle()
        self._go_on(begun, waited)
        return True

    def on_response_complete(self) -> None:
        """As uvicorn's, but for the timer of idle connections: the watch closes those, once a second."""
        self._begun = False
        if self.pipeline:
            self._queued = True
            super().on_response_complete()
            self._queued = False
            return
        self.server_state.total_requests += 1
        if not self.transport.is_closing():
            self.flow.resume_reading()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:  # noqa: ANN401 - ASGI's own type
        """Begin a read at once: most finish without waiting, and need no task. What waits becomes one.

        Not so a request that others kept waiting: it begins within the end of the one before, and a thousand
        of them would begin within each other.
        """
        scope: dict[str, Any] = cast("Any", cycle.scope)
        scope[RESPOND] = partial(self._respond, cycle)
        scope[HEAD], self._head = self._head, None  # of what came at once, the first request alone
        if self._queued or scope["method"] != "GET":
            super()._start_asgi_task(cycle, app)
            return
        begun = cycle.run_asgi(app)
        try:
            waited = begun.send(None)
        except StopIteration:
            return
        self._go_on(begun, waited)

    def _go_on(self, begun: Coroutine[Any, Any, None], waited: object) -> None:
        task = self.loop.create_task(_rest(begun, waited))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def _should_upgrade(self) -> bool:
        """Every wish for another protocol: llhttp takes what follows such a head for that protocol, a body too."""
        return True

    def handle_websocket_upgrade(self) -> None:
        """Give the request to h11 without the wish: nothing is spoken here but HTTP/1.1 (RFC 9110, 7.8).

        Left to llhttp, the request would lose its body, and the body would be taken for a request.
        """
        cycle: Any = self.cycle
        if cycle is not None and not cycle.response_complete:
            self.transport.close()
            return
        scope: dict[str, Any] = cast("Any", self.scope)
        lines = [b"%b %b HTTP/%b" % (scope["method"].encode(), self.url, scope["http_version"].encode())]
        lines += [b"%b: %b" % (name, value) for name, value in self.headers if name != b"upgrade"]
        self._hand_over(b"\r\n".join([*lines, b"", b""]) + self._arrived[self._taken() :])

    def _taken(self) -> int:
        """Return how much of what arrived last belongs to the head that wished for another protocol."""
        wish = sys.exception()
        return int(wish.args[0]) if isinstance(wish, HttpParserUpgrade) else len(self._arrived)

    def _hand_over(self, data: bytes) -> None:
        """Let h11 serve the rest of this connection, from `data` on: it begins with what llhttp does not serve."""
        self._unset_keepalive_if_required()
        self.connections.discard(self)
        other = AnyVerb(self.config, self.server_state, self.listener, self.loop, self.app_state)
        self.transport.set_protocol(other)
        other.connection_made(self.transport)
        other.data_received(data)

    def data_received(self, data: bytes) -> None:
        self._head = None
        if self._batch is not None:
            self._batch.flush()
        if self._between and len(data) <= _LONGEST_KNOWN and data[:4] in _ASKING and self._repeated(data):
            return
        self._repeating = False
        if self._between and not data.startswith(FAST):
            cycle: Any = self.cycle
            if cycle is None or cycle.response_complete:
                self._hand_over(data)
                return
        self._begun = True
        self._arrived = data
        super().data_received(data)
        scope: dict[str, Any] | None = cast("Any", self.scope)
        if scope is not None and "method" not in scope:
            self._head_bytes += len(data)
            if self._head_bytes > LONGEST_HEAD and not self.transport.is_closing():
                self.transport.write(_TOO_LARGE)
                self.transport.close()
        else:
            self._head_bytes = 0

    def stalled(self, now: float) -> bool:
        """Tell whether the client has kept us waiting for the rest of one request for too long.

        `now` is in seconds of the event loop's clock. What is waited for is known by its identity.
        """
        waiting, patience = self._awaited()
        if waiting is None or waiting is not self._watched:
            self._watched, self._watched_since = waiting, now
            return False
        return now - self._watched_since > patience

    def _awaited(self) -> tuple[object | None, float]:
        cycle: Any = self.cycle
        if self._repeating and not self.flow.write_paused and (cycle is None or cycle.response_complete):
            return self._arrived, self.listener.http_idle_timeout
        scope: dict[str, Any] | None = cast("Any", self.scope)
        if scope is None:
            return self.parser, self.listener.http_read_header_timeout
        if "method" not in scope:
            return scope, self.listener.http_read_header_timeout
        if self.flow.write_paused:
            return self.flow, self.listener.http_read_timeout  # a client that does not read its answers
        if cycle is not None and cycle.more_body and not cycle.response_complete:
            return cycle, self.listener.http_read_timeout
        if cycle is not None and cycle.response_complete and self.timeout_keep_alive_task is None:
            idle = self._between and not self._begun
            return cycle, self.listener.http_idle_timeout if idle else self.listener.http_read_header_timeout
        return None, 0.0
