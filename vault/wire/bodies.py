# SPDX-License-Identifier: EUPL-1.2
"""Bodies of requests, read before anybody knows whose they are: each under its limit, and all of them under one.

A made-up token is enough to be heard for longer than without one. So the bodies that are longer than that have only
so much memory at a time while they come in, and those from one address half of it: what is over is refused, and may
come again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from vault.framework import schema
from vault.framework.concurrency.offload import place_of
from vault.framework.errors import Busy, Malformed

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

CUT: Final = "the request's body did not arrive whole"
_AT_A_TIME: Final = 8
"""Bodies of the largest size for which there is room."""
_OF_ADDRESS: Final = 4
"""Of them those from one address."""


class Bodies:
    """The bodies that a listener is reading."""

    def __init__(self, most: int, unknown: int) -> None:
        """`most` is how many bytes a body may have, `unknown` how many without any sign of whose it is."""
        self._most = most
        self._unknown = unknown
        self._held: Counter[str] = Counter()
        """Bytes by place; of nobody there is none."""
        self._all = 0

    async def read(self, receive: Receive, address: str, *, shown: bool) -> bytes:
        """Return a body; `shown` says that its request shows a credential, whether good or not.

        Raises `TooLarge`, `Busy` where there is no room for it, and `Malformed` for one that ends before its end.
        """
        limit = self._most if shown else self._unknown
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Malformed(CUT)
        body: bytes = message.get("body", b"")
        if not message.get("more_body", False):
            schema.refuse_over(limit, len(body))
            return body
        chunks, size, held, place = [body], len(body), 0, place_of(address)
        try:
            while message.get("more_body", False):
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Malformed(CUT)
                chunk = message.get("body", b"")
                size += len(chunk)
                schema.refuse_over(limit, size)
                if size > self._unknown:
                    self._hold(place, len(chunk))
                    held += len(chunk)
                chunks.append(chunk)
            return b"".join(chunks)
        finally:
            if held:
                self._release(place, held)

    def _hold(self, place: str, size: int) -> None:
        """Take room. Raises `Busy`."""
        held = self._held[place] + size if place in self._held else size
        if self._all + size > _AT_A_TIME * self._most or held > _OF_ADDRESS * self._most:
            raise Busy
        self._held[place] = held
        self._all += size

    def _release(self, place: str, size: int) -> None:
        self._all -= size
        self._held[place] -= size
        if not self._held[place]:
            del self._held[place]
