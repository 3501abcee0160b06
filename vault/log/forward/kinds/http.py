# SPDX-License-Identifier: EUPL-1.2
"""Posts batches over HTTP: records as lines of JSON (`http`), or as OpenTelemetry logs (`otlp`).

An answer of 2xx says that the receiver has the records. A request that comes again is the same: its header says which
records of which log it has.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from vault.framework.clock import Clock
from vault.log.forward.batch import Batch
from vault.log.forward.transport.exchange import Answer, Receiver, asked_wait
from vault.log.forward.transport.failure import BatchTooLarge, SendFailure
from vault.log.forward.transport.stream import Deadline
from vault.values.times import exact_seconds

_LONGEST_TOKEN: Final = 16_384
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/=-]+")
"""RFC 6750, section 2.1."""
_LASTING: Final = {
    401: "the receiver refuses the token, or wants one",
    403: "the receiver refuses the token, or wants one",
    404: "the receiver has nothing at this address",
    405: "the receiver has nothing at this address",
}
_PASSING: Final = {
    408: "the receiver does not take records in time",
    429: "the receiver wants to be left alone",
    503: "the receiver wants to be left alone",
    507: "the receiver is full",
}


def nothing_refused(body: bytes) -> int:
    """Return that a receiver which answers with 2xx has all records."""
    del body
    return 0


class HttpSender:
    """Posts to one address."""

    settles: Final = 0.0

    def __init__(
        self,
        receiver: Receiver,
        kind: str,
        encode: Callable[[Batch], bytes],
        *,
        clock: Clock,
        token_file: str = "",
        refused: Callable[[bytes], int] = nothing_refused,
    ) -> None:
        """`encode` makes the body of a batch, whose media type is `kind`; `token_file` is read anew for each request.

        `refused` reads from an answer of 2xx how many records the receiver will not have.
        """
        self._receiver, self._kind, self._encode = receiver, kind, encode
        self._clock, self._token_file, self._refused = clock, token_file, refused
        self.refused = 0

    def send(self, batch: Batch, deadline: Deadline) -> None:
        """Post records; the receiver has them when this returns. Raises `SendFailure`."""
        answer = self._receiver.post(self._headers(batch), self._encode(batch), deadline)
        if not 200 <= answer.status < 300:
            raise self._failure(answer, len(batch.records))
        if answer.body:
            self.refused += self._refused(answer.body)

    def _headers(self, batch: Batch) -> Mapping[str, str]:
        named = {
            "Content-Type": self._kind,
            "Idempotency-Key": f'"{batch.log}/{batch.first}-{batch.last}"',
            "Log-Records": f'log="{batch.log}", first={batch.first}, last={batch.last}',
        }
        return {**named, "Authorization": f"Bearer {self._token()}"} if self._token_file else named

    def _token(self) -> str:
        try:
            with Path(self._token_file).open(encoding="ascii") as file:
                token = file.read(_LONGEST_TOKEN).strip()
        except (OSError, ValueError):
            raise SendFailure("the file with the token cannot be read", lasting=True) from None
        if not _TOKEN.fullmatch(token):
            raise SendFailure("the file with the token holds no bearer token", lasting=True)
        return token

    def _failure(self, answer: Answer, records: int) -> SendFailure:
        status = answer.status
        if status == 413:
            if records > 1:
                return BatchTooLarge("the receiver takes smaller batches")
            return SendFailure("a record is too large for the receiver", lasting=True)
        if status in _PASSING:
            return SendFailure(_PASSING[status], wait=self._wait(answer))
        if status >= 500:
            return SendFailure("the receiver fails", wait=self._wait(answer))
        if status >= 400:
            return SendFailure(_LASTING.get(status, "the receiver refuses the records"), lasting=True)
        return SendFailure("the receiver redirects elsewhere, which is not followed", lasting=True)

    def _wait(self, answer: Answer) -> float:
        return asked_wait(answer, exact_seconds(self._clock.nanos()))

    def check(self) -> None:
        """Do nothing: what was accepted is, whatever becomes of the connection."""

    def finish(self, deadline: Deadline) -> bool:
        """End the connection; the receiver has all that it has answered for."""
        del deadline
        self.close()
        return True

    def abort(self) -> None:
        """Wake whoever is in `send`."""
        self._receiver.abort()

    def close(self) -> None:
        """Release the connection."""
        self._receiver.close()
