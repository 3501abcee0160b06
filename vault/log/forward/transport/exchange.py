# SPDX-License-Identifier: EUPL-1.2
"""Requests to one receiver over HTTP/1.1, one after the other by one connection as long as it stands."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final

import h11
import msgspec

from vault.log.forward.transport.address import Address
from vault.log.forward.transport.failure import ConnectionLost, SendFailure
from vault.log.forward.transport.lookup import NameLookup
from vault.log.forward.transport.stream import Deadline, Stream, TlsFiles

LONGEST_WAIT: Final = 300.0
"""Seconds that a receiver may ask to be left alone."""
_LARGEST_BODY: Final = 1 << 16
"""Bytes of an answer that are kept; what is longer is not read, and the connection ends."""


class Answer(msgspec.Struct, frozen=True):
    """What a receiver answered."""

    status: int
    headers: Mapping[bytes, bytes]
    body: bytes


def asked_wait(answer: Answer, now: float) -> float:
    """Return the seconds for which a receiver wants to be left alone, 0 where it does not say that; `now` in Unix seconds.

    `Retry-After` is a number or a date (RFC 9110, section 10.2.3).
    """
    value = answer.headers.get(b"retry-after", b"").decode("latin-1").strip()
    if value.isascii() and value.isdigit() and len(value) < 10:
        return min(float(value), LONGEST_WAIT)
    try:
        until = parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError):
        return 0.0
    return min(max(0.0, until - now), LONGEST_WAIT)


class Receiver:
    """Posts to one address."""

    def __init__(self, address: Address, files: TlsFiles) -> None:
        """Nothing is connected before the first request."""
        self._address, self._files = address, files
        self._names = NameLookup(address.host, address.port)
        self._stream: Stream | None = None
        self._connection = h11.Connection(h11.CLIENT)
        self._ended = False

    def post(self, headers: Mapping[str, str], body: bytes, deadline: Deadline) -> Answer:
        """Return the answer, whatever its status. Raises `SendFailure`.

        A connection that stood idle may be one that the receiver has left: then the request goes by a new one.
        """
        try:
            return self._posted(headers, body, deadline)
        except SendFailure:
            self.close()
            raise

    def _posted(self, headers: Mapping[str, str], body: bytes, deadline: Deadline) -> Answer:
        if self._stream is not None:
            try:
                return self._exchange(self._stream, headers, body, deadline)
            except ConnectionLost:
                self.close()
        if self._ended:
            raise ConnectionLost("the connection is closed")
        stream = self._stream = Stream(self._address, self._files, self._names)
        stream.connect(deadline)
        return self._exchange(stream, headers, body, deadline)

    def _exchange(
        self, stream: Stream, headers: Mapping[str, str], body: bytes, deadline: Deadline
    ) -> Answer:
        connection = self._connection
        named = {
            "Host": self._address.authority,
            "User-Agent": "coffre",
            "Content-Length": str(len(body)),
            **headers,
        }
        head = h11.Request(method="POST", target=self._address.target, headers=list(named.items()))
        sent = (connection.send(head) or b"") + (connection.send(h11.Data(data=body)) or b"")
        stream.send(sent + (connection.send(h11.EndOfMessage()) or b""), deadline)
        try:
            answer = self._answer(stream, deadline)
        except h11.RemoteProtocolError:
            self.close()
            raise SendFailure("the receiver does not answer as HTTP asks") from None
        if connection.our_state is h11.DONE and connection.their_state is h11.DONE:
            connection.start_next_cycle()
        else:
            self.close()
        return answer

    def _answer(self, stream: Stream, deadline: Deadline) -> Answer:
        status, headers, body = 0, dict[bytes, bytes](), bytearray()
        while True:
            event = self._connection.next_event()
            if event is h11.NEED_DATA:
                data = stream.receive(deadline)
                if not data and not status:
                    raise ConnectionLost("the receiver ended the connection")
                self._connection.receive_data(data)
            elif isinstance(event, h11.Response):
                status, headers = event.status_code, dict(event.headers)
            elif isinstance(event, h11.Data):
                body += event.data
            if isinstance(event, h11.EndOfMessage) or len(body) > _LARGEST_BODY:
                return Answer(status, headers, bytes(body))

    def abort(self) -> None:
        """Wake whoever waits for the receiver; called from another thread."""
        self._ended = True
        if self._stream is not None:
            self._stream.abort()

    def close(self) -> None:
        """Release the connection."""
        if self._stream is not None:
            self._stream.close()
        self._stream = None
        self._connection = h11.Connection(h11.CLIENT)
