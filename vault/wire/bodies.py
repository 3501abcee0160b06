# SPDX-License-Identifier: EUPL-1.2
"""Bodies of requests, read before the caller is known: each under its own limit, and all under one limit together.

An invented token is enough to send a longer body than without one. So all long bodies that are being read share a
fixed amount of memory, and those of one address may take half of it. Beyond that a request is refused; the client may
try again.
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
"""How many bodies of the largest size may be read at a time."""
_OF_ADDRESS: Final = 4
"""How many of them may come from one address."""


class Bodies:
    """The bodies that a listener is reading."""

    def __init__(self, most: int, *, unknown: int) -> None:
        """`most` is how many bytes a body may have, `unknown` how many if its request shows no credential."""
        self._most = most
        self._unknown = unknown
        self._held: Counter[str] = Counter()
        """Bytes that are reserved, by the place of the client's address."""
        self._all = 0

    async def read(self, receive: Receive, address: str, *, shown: bool) -> bytes:
        """Return a body; `shown` says that its request shows a credential, valid or not.

        Raises `TooLarge`, `Busy` where there is no memory for it, and `Malformed` for an incomplete body.
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
        """Reserve memory. Raises `Busy`."""
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
