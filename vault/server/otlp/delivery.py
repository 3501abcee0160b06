# SPDX-License-Identifier: EUPL-1.2
"""Posts to the collector: one kind of message to one address, as the OTLP specification asks (1.5, OTLP/HTTP).

All of a delivery has one deadline, from the connection to the last byte of the answer. A redirect is not followed, as the
headers may hold a token: it is a refusal like any other status.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Final

from vault.framework.clock import Clock
from vault.log.forward.transport.address import parse_address
from vault.log.forward.transport.exchange import Receiver, asked_wait
from vault.log.forward.transport.failure import SendFailure
from vault.log.forward.transport.stream import Deadline, TlsFiles
from vault.server.otlp.outbox import NotTaken
from vault.values.times import exact_seconds

PATIENCE: Final = 5.0
"""Seconds that one delivery may take."""
_LEVEL: Final = 6
_PASSING: Final = frozenset({408, 429, 502, 503, 504})
"""What is to be sent again (Failures), and 408, which is no judgement of the message."""
_NAMED: Final = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}


class Delivery:
    """Posts to one address, from one thread."""

    def __init__(
        self,
        endpoint: str,
        files: TlsFiles,
        headers: Mapping[str, str],
        rejected: Callable[[bytes], int],
        clock: Clock,
        *,
        patience: float = PATIENCE,
    ) -> None:
        """`rejected` reads from the body of an answer how much of a message the collector will not have."""
        self._receiver = Receiver(parse_address(endpoint), files)
        self._headers = {**headers, **_NAMED}
        self._rejected, self._clock, self._patience = rejected, clock, patience

    def send(self, message: bytes) -> int:
        """Send a message; return how much of it the collector will not have. Raises `NotTaken`. Blocks for seconds."""
        body = gzip.compress(message, _LEVEL, mtime=0)
        try:
            answer = self._receiver.post(self._headers, body, Deadline(monotonic, self._patience))
        except SendFailure as failure:
            raise NotTaken(str(failure), again=True) from None
        if answer.status == 200:
            return self._rejected(answer.body) if answer.body else 0
        raise NotTaken(
            f"it answers with status {answer.status}",
            again=answer.status in _PASSING,
            wait=asked_wait(answer, exact_seconds(self._clock.nanos())),
        )

    def end(self) -> None:
        """End what is under way, and take no more; called from another thread."""
        self._receiver.abort()
