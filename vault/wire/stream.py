# SPDX-License-Identifier: EUPL-1.2
"""Answers without an end: sent piece by piece, until the source ends or the client leaves."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, MutableMapping
from typing import Any

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


async def stream(
    pieces: AsyncGenerator[bytes, None],
    headers: list[tuple[bytes, bytes]],
    own: Mapping[str, str],
    receive: Receive,
    send: Send,
) -> None:
    """Send `pieces` as they come, without a content type, as OpenBao's streams have none, unless their `own` headers say one.

    The generator is always closed, so that it releases what it holds.
    """
    kept = [header for header in headers if header[0] != b"content-type"]
    kept += [(name.lower().encode(), value.encode()) for name, value in own.items()]
    gone = asyncio.create_task(until_left(receive))
    try:
        await send({"type": "http.response.start", "status": 200, "headers": kept})
        while not gone.done():
            piece = asyncio.ensure_future(anext(pieces, None))
            await asyncio.wait({piece, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not piece.done():
                piece.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await piece
                break
            found = piece.result()
            if found is None:
                break
            await send({"type": "http.response.body", "body": found, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        gone.cancel()
        await pieces.aclose()


async def until_left(receive: Receive) -> None:
    """Return once the client has left."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
