# SPDX-License-Identifier: EUPL-1.2
"""Connections whose requests use verbs that the fast parser does not know: LIST and SCAN, and any other word.

llhttp knows a fixed list of methods; h11 takes every token (RFC 9110 section 9.1). A connection that sends an
unknown verb is served by h11 from then on.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import h11
from uvicorn.config import Config as UvicornConfig
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from vault.server.settings import Listener

FAST: Final = (b"GET ", b"POST ", b"PUT ", b"DELETE ", b"PATCH ", b"HEAD ", b"OPTIONS ")
"""How requests begin that the fast parser takes."""


class AnyVerb(H11Protocol):
    """A connection served by h11; `stalled` is asked by the watch."""

    def __init__(
        self,
        config: UvicornConfig,
        server_state: ServerState,
        listener: Listener,
        loop: asyncio.AbstractEventLoop,
        app_state: dict[str, Any],
    ) -> None:
        super().__init__(config, server_state, app_state, loop)
        self.listener = listener
        self._watched: tuple[object, object] | None = None
        self._watched_since = 0.0

    def stalled(self, now: float) -> bool:
        """Tell whether the client has kept us waiting for the rest of one request for too long.

        `now` is in seconds of the event loop's clock. What is waited for is known by its state and its cycle.
        """
        waiting, patience = self._awaited()
        if waiting is None or waiting != self._watched:
            self._watched, self._watched_since = waiting, now
            return False
        return now - self._watched_since > patience

    def _awaited(self) -> tuple[tuple[object, object] | None, float]:
        state = self.conn.their_state
        if self.flow.write_paused:
            return (self.flow, self.cycle), self.listener.http_read_timeout  # it does not read its answers
        if state is h11.SEND_BODY:
            return (state, self.cycle), self.listener.http_read_timeout
        if state is h11.IDLE and self.conn.trailing_data[0]:
            return (state, self.cycle), self.listener.http_read_header_timeout
        return None, 0.0
