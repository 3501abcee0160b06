# SPDX-License-Identifier: EUPL-1.2
"""One connection: uvicorn's HTTP/1.1 protocol, with what a vault adds per connection and never per request.

An ASGI scope carries in `state`: `listener` (its `Listener`), and `client_certificate` (DER, or None).
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any, Final, cast

from uvicorn.config import Config as UvicornConfig
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from vault.server.settings import Listener
from vault.server.verbs import FAST, AnyVerb

for _code in range(200, 1000):  # sys/health answers with whatever code it was asked for
    STATUS_LINE.setdefault(_code, b"HTTP/1.1 %d status code %d\r\n" % (_code, _code))

LONGEST_HEAD: Final = 64 * 1024
"""Most bytes that a request's line and headers may take, once they come in more than one read."""

_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
)


class _Corked:
    """The transport as a response sees it: head and body leave together, in one TLS record and one system call."""

    __slots__ = ("_held", "close", "is_closing", "transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self._held: list[bytes] = []
        self.is_closing = transport.is_closing
        self.close = self._close

    def write(self, data: bytes) -> None:
        if data.startswith(b"HTTP/1.1 100"):
            self.transport.write(data)
        else:
            self._held.append(data)

    def flush(self) -> None:
        held = self._held
        if held:
            self.transport.write(b"".join(held))
            held.clear()

    def _close(self) -> None:
        self.flush()
        self.transport.close()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the transport has
        return getattr(self.transport, name)


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
        self._watched: object = self
        self._watched_since = 0.0

    def connection_made(  # type: ignore[override]  # asyncio's base class says less than uvicorn's
        self, transport: asyncio.Transport
    ) -> None:
        super().connection_made(transport)
        self._corked = _Corked(transport)
        self.transport = cast("asyncio.Transport", self._corked)
        tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        certificate = tls.getpeercert(binary_form=True) if tls is not None else None
        self.app_state = {"listener": self.listener, "client_certificate": certificate}

    def on_message_begin(self) -> None:
        self._between = False
        super().on_message_begin()

    def on_message_complete(self) -> None:
        self._between = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self._corked.flush()
        super().on_response_complete()

    def _hand_over(self, data: bytes) -> None:
        """Let h11 serve the rest of this connection, from `data` on: it begins with a verb that llhttp refuses."""
        self._unset_keepalive_if_required()
        self.connections.discard(self)
        other = AnyVerb(self.config, self.server_state, self.listener, self.loop, self.app_state)
        transport = self._corked.transport
        transport.set_protocol(other)
        other.connection_made(transport)
        other.data_received(data)

    def data_received(self, data: bytes) -> None:
        if self._between and not data.startswith(FAST):
            cycle: Any = self.cycle
            if cycle is None or cycle.response_complete:
                self._hand_over(data)
                return
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
        scope: dict[str, Any] | None = cast("Any", self.scope)
        if scope is None:
            return self.parser, self.listener.http_read_header_timeout
        if "method" not in scope:
            return scope, self.listener.http_read_header_timeout
        cycle: Any = self.cycle
        if cycle is not None and cycle.more_body and not cycle.response_complete:
            return cycle, self.listener.http_read_timeout
        if cycle is not None and cycle.response_complete and self.timeout_keep_alive_task is None:
            return cycle, self.listener.http_read_header_timeout  # bytes that begin no request
        return None, 0.0
