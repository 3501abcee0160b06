# SPDX-License-Identifier: EUPL-1.2
"""Sends over a stream by which nothing comes back: `syslog` and `socket`.

TCP tells what the receiver's system has got, not what its program has read. So records count as accepted when that
system has confirmed them and the connection has stood for a while after: a program that falls with records unread ends
its connection, and what it was sent last comes again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from vault.log.forward.batch import Batch
from vault.log.forward.transport.address import Address
from vault.log.forward.transport.failure import ConnectionLost, SendFailure
from vault.log.forward.transport.lookup import NameLookup
from vault.log.forward.transport.stream import Deadline, Stream, TlsFiles

SETTLES: Final = 1.0


class StreamSender:
    """Writes batches to one stream after the other."""

    refused: Final = 0

    def __init__(
        self, address: Address, files: TlsFiles, encode: Callable[[Batch], bytes], settles: float = SETTLES
    ) -> None:
        """`encode` makes of a batch what is written."""
        self._address, self._files, self._encode = address, files, encode
        self._names = NameLookup(address.host, address.port)
        self.settles = settles
        self._stream: Stream | None = None
        self._ended = False

    def send(self, batch: Batch, deadline: Deadline) -> None:
        """Write records, and wait until the receiver's system has them. Raises `SendFailure`."""
        try:
            stream = self._connected(deadline)
            stream.send(self._encode(batch), deadline)
            stream.drain(deadline)
        except SendFailure:
            self.close()
            raise

    def _connected(self, deadline: Deadline) -> Stream:
        if self._ended:
            raise ConnectionLost("the connection is closed")
        if self._stream is None:
            self._stream = Stream(self._address, self._files, self._names)
            self._stream.connect(deadline)
        return self._stream

    def check(self) -> None:
        """Make sure that the connection stands, if there is one. Raises `ConnectionLost`."""
        if self._stream is not None:
            try:
                self._stream.check()
            except ConnectionLost:
                self.close()
                raise

    def finish(self, deadline: Deadline) -> bool:
        """End the connection, and return whether the receiver has read all that was sent by it."""
        done = self._stream is not None and self._stream.finish(deadline)
        self.close()
        return done

    def abort(self) -> None:
        """Wake whoever is in `send`."""
        self._ended = True
        if self._stream is not None:
            self._stream.abort()

    def close(self) -> None:
        """Release the connection."""
        if self._stream is not None:
            self._stream.close()
        self._stream = None
