# SPDX-License-Identifier: EUPL-1.2
"""Where a request begins and ends on a connection: heads whole, bodies by their framing, one request at a time.

One parser reads every verb. llhttp knows a fixed list of methods, and a verb may be any word (RFC 9110, section 9.1):
the verb is taken from the request line, and llhttp reads the same head with a method that it knows in its place. So it
is given one head at a time, and never what is behind a message together with the message.
"""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import unquote

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser, parse_url
from uvicorn.config import Config as UvicornConfig
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from vault.server.http.head_rules import (
    CHUNKED,
    HEAD_END,
    LONGEST_HEAD,
    MOST_HEADERS,
    body_length,
    may_become_head,
    verb_in,
)

_STANDS_IN: Final = b"POST"
"""The method that llhttp reads; none of those that it treats in a way of their own."""
_IN_A_ROW: Final = 16
"""Requests of one connection that begin before others have their turn."""
_MOST_FRAMING: Final = 16 * 1024
_FRAMING_PER_BYTE: Final = 18
"""What chunks may cost beside their content: so much, and so much more for each byte. Chunks of one byte fit."""
_MOST_EMPTY_LINES: Final = 1000
"""Empty lines in chunks that are taken for what may be the end of a request."""
_INVALID: Final = 400, b"Invalid HTTP request received."
_TOO_LARGE: Final = 431, b"Request Header Fields Too Large"
_GO_AHEAD: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_UNMET: Final = 417, b"Expectation Failed"
_MOST_HELD: Final = LONGEST_HEAD
"""Bytes behind a request in flight that are read: only who is read is seen to leave."""


class FramedProtocol(HttpToolsProtocol):
    """A connection whose requests are told apart. What comes behind one waits, unread, until that is answered."""

    def __init__(
        self, config: UvicornConfig, server_state: ServerState, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(config, server_state, {}, loop)
        self.parser = HttpRequestParser(self)  # uvicorn's own is lenient with what follows the last request
        self._verb = b""
        """That came, and not the one that stands in for it."""
        self._early = bytearray()
        self._between = True
        self._chunked = False
        self._left = self._framing = self._empty_lines = 0
        self._tail = b""
        self._rest = bytearray()
        self._over = self._framed = False

    def _busy(self) -> bool:
        """Whether a request is being answered."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _take(self, data: bytes) -> None:
        """Go through what came: heads, each whole, and bodies."""
        at = begun = 0
        try:
            while at < len(data) and not self._over:
                if not self._between:
                    at = self._fill(data, at)
                elif begun == _IN_A_ROW or self._busy():
                    self._hold(data[at:])
                    return
                elif begun and self.transport.is_closing():
                    return
                else:
                    begun += 1
                    at = self._open(data, at)
        except HttpParserError:
            if not self._over:
                self._refuse(*_INVALID)

    def _hold(self, rest: bytes) -> None:
        """Keep what is behind a request until that is answered; of much, read no more until then."""
        self._rest += rest
        if len(self._rest) >= _MOST_HELD:
            self.flow.pause_reading()
        if not self._busy():
            self.loop.call_soon(self._resume)

    def _resume(self) -> None:
        """Go on with what was held."""
        rest, self._rest = bytes(self._rest), bytearray()
        if not self.transport.is_closing():
            self.flow.resume_reading()
            self._take(rest)

    def _open(self, data: bytes, at: int) -> int:
        """Take a head that begins at `at`, or before, if all of it is there. Returns the place behind what was taken."""
        early, known = self._early, len(self._early)
        if known:
            early += data[at:]
            end = early.find(HEAD_END, max(known - len(HEAD_END) + 1, 2))
        else:
            end = data.find(HEAD_END, at + 2)  # an empty line may come before a request, and is none's end
        if end < 0:
            if not known:
                early += data[at:]
            if len(early) > LONGEST_HEAD:
                self._refuse(*_TOO_LARGE)
            elif not may_become_head(early, known):
                self._refuse(*_INVALID)
            return len(data)
        end += len(HEAD_END)
        head = bytes(early[:end]) if known else data[at:end]
        if known:
            self._early = bytearray()
            end += at - known
        self._parse(head)
        return end

    def _parse(self, head: bytes) -> None:
        if len(head) > LONGEST_HEAD:
            self._refuse(*_TOO_LARGE)
            return
        verb = verb_in(head)
        if verb is None:
            self._refuse(*_INVALID)
            return
        begin, end = verb
        self._verb = head[begin:end]
        self._framed = False
        try:
            self.parser.feed_data(_STANDS_IN + head[end:])
        except HttpParserUpgrade:
            self._stay(head[end:].partition(b"\r\n")[0])
        if not self._framed:
            raise HttpParserError("two readers of one head disagree where it ends")

    def _stay(self, line: bytes) -> None:
        """Read a head without its wish for another protocol: nothing is spoken here but HTTP/1 (RFC 9110, 7.8).

        llhttp takes what follows such a wish for that protocol, a body too.
        """
        headers = [b"%b: %b" % (name, value) for name, value in self.headers if name != b"upgrade"]
        self.parser = HttpRequestParser(self)
        self.parser.feed_data(b"\r\n".join([_STANDS_IN + line, *headers, b"", b""]))

    def _fill(self, data: bytes, at: int) -> int:
        """Take what belongs to the body of the request that has begun. Returns the place behind it."""
        if self._chunked:
            end = self._end_of_chunks(data, at)
            self._framing += end - at
        else:
            end = min(at + self._left, len(data))
            self._left -= end - at
        self.parser.feed_data(data[at:end])
        if self._framing > _MOST_FRAMING:
            raise HttpParserError("a body costs more than it says")
        return end

    def _end_of_chunks(self, data: bytes, at: int) -> int:
        """Return the next place at which a body in chunks may end: it does so with an empty line.

        There may be empty lines in the chunks. After many, the body is taken as it comes, and the connection
        ends with its request.
        """
        self._empty_lines += 1
        if self._empty_lines > _MOST_EMPTY_LINES:
            self.cycle.keep_alive = False
            return len(data)
        seam = (self._tail + data[at : at + 3]).find(HEAD_END)
        if seam >= 0:
            end = at + seam + len(HEAD_END) - len(self._tail)
        else:
            found = data.find(HEAD_END, at)
            if found < 0:
                self._empty_lines -= 1
            end = len(data) if found < 0 else found + len(HEAD_END)
        self._tail = (self._tail + data[max(at, end - 3) : end])[-3:]
        return end

    def _refuse(self, status: int, text: bytes) -> None:
        """Answer what is no request, and end the connection: nobody knows where the next one begins."""
        if self.transport.is_closing():
            return
        self._over = True
        if self._between or not self.cycle.response_started:
            default = b"".join([b"%b: %b\r\n" % header for header in self.server_state.default_headers])
            kind = b"content-type: text/plain; charset=utf-8\r\n"
            end = b"content-length: %d\r\nconnection: close\r\n\r\n%b" % (len(text), text)
            self.transport.write(STATUS_LINE[status] + default + kind + end)
        if self._busy():
            self.cycle.scope["state"]["refused"] = True
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()

    def on_message_begin(self) -> None:
        """As uvicorn's; behind the last request of a connection there is none."""
        if self._over:
            raise HttpParserError("the connection has ended")
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take a target, in which `#` is a letter like any other: there are no fragments here (RFC 9112, 3.2)."""
        self.url += url.replace(b"#", b"%23")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; blanks around a value are not of it (RFC 9112, section 5.1)."""
        name, value = name.lower(), value.strip()
        if name == b"expect" and value and self._between:
            self._expect(value)
        self.headers.append((name, value))

    def _expect(self, value: bytes) -> None:
        """Take what a client expects; what is expected first counts, as in OpenBao. HTTP/1.0 knows no 100 (RFC 9110, 10.1.1)."""
        if any(known == b"expect" for known, _ in self.headers):
            return
        if b"100-continue" not in value.lower().replace(b",", b" ").split():
            self._refuse(*_UNMET)
            raise ValueError
        self.expect_100_continue = self.parser.get_http_version() != "1.0"

    def _go_ahead(self) -> None:
        """Ask for the body at once, if there is one, as every body is read: also that of a request refused by its head.

        Who is refused without having been asked may leave the body out, and its next request would be taken for it.
        """
        self.expect_100_continue = False
        if self._left or self._chunked:
            self.transport.write(_GO_AHEAD)

    def on_headers_complete(self) -> None:
        """As uvicorn's, of a head that can be meant in one way; trailers are no headers (RFC 9110, 6.5.1)."""
        if self.parser.should_upgrade():
            return
        headers = self.headers
        version = self.parser.get_http_version()
        length = body_length(version, headers) if len(headers) <= MOST_HEADERS else None
        if length is None:
            raise ValueError
        self._framing = self._empty_lines = 0
        self._tail = b""
        self._chunked = length == CHUNKED
        self._left = 0 if self._chunked else length
        if self.expect_100_continue:
            self._go_ahead()
        self._answer(version)
        self.headers = []
        self._between, self._framed = False, True

    def _answer(self, version: str) -> None:
        """Begin to answer the request whose head was read; uvicorn does it with more questions than are asked here."""
        scope, target = self.scope, parse_url(self.url)
        raw: bytes = target.path
        path = raw.decode("ascii")
        scope["method"] = self._verb.decode("ascii")
        scope["http_version"] = version
        scope["raw_path"], scope["query_string"] = raw, target.query or b""
        scope["path"] = unquote(path) if "%" in path else path
        self.cycle = RequestResponseCycle(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=version != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        self._start_asgi_task(self.cycle, self.app)

    def on_body(self, body: bytes) -> None:
        """Keep a piece of a body. Nobody is woken before the end, or before there is much of it."""
        cycle = self.cycle
        if self._chunked:
            self._framing -= (_FRAMING_PER_BYTE + 1) * len(body)
        if cycle.response_complete:
            return
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
            cycle.message_event.set()

    def on_message_complete(self) -> None:
        """As uvicorn's; what follows the last request of a connection is none (RFC 9112, section 9.6)."""
        if not self._framed:
            return  # a head that wishes for another protocol; it is read once more
        self._between = True
        cycle = self.cycle
        self._over = not cycle.keep_alive
        if cycle.response_complete:
            if self._over:
                self.transport.close()
            return
        cycle.more_body = False
        cycle.message_event.set()
