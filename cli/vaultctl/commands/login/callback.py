# SPDX-License-Identifier: EUPL-1.2
"""The port on which a browser comes back from an OpenID provider.

Anybody on this machine can connect to it, and browsers connect ahead of what they have to say. So no connection holds
up another, none lasts long or sends much, and only an answer that knows the sign-in's `state` ends the waiting.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

PATH = "/oidc/callback"
_MOST = 64
"""Connections at once; one more ends the oldest."""
_LONGEST_HEAD = 16_384
"""Bytes of a request: an address with a code, and the browser's headers."""
_SECONDS = 5.0
"""What one connection has for its request and the answer to it."""
_FIELDS = 32
"""Parameters of a query: a provider sends less than ten (OpenID Connect Core 1.0, 3.1.2.5)."""


def page(title: str, text: str) -> bytes:
    """A page of fixed words."""
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>\n'
        f"<body><h1>{title}</h1><p>{text}</p></body></html>\n"
    ).encode()


_SIGNED_IN = page("Signed in", "Go back to the terminal. You can close this page.")
_ANOTHER = page("Another sign-in", "The terminal waits for another sign-in than this one.")
_NOT_FOUND = page("Not found", "There is nothing here.")


def listen(address: str, port: int) -> socket.socket:
    """Take the port. Raises OSError when it is taken or the address is none of this machine's."""
    return socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET)


def await_answer(listener: socket.socket, state: str, seconds: float) -> dict[str, str]:
    """Serve until the browser brings the answer of the sign-in with this `state`; return its query.

    Raises TimeoutError when nobody has within `seconds`.
    """
    return asyncio.run(_Callback(state).awaited(listener, seconds))


class _Callback:
    """What waits for one answer."""

    def __init__(self, state: str) -> None:
        self._state = state.encode()
        self._answer: asyncio.Future[dict[str, str]] | None = None
        self._open: dict[asyncio.StreamWriter, None] = {}

    async def awaited(self, listener: socket.socket, seconds: float) -> dict[str, str]:
        self._answer = asyncio.get_running_loop().create_future()
        async with asyncio.timeout(seconds):
            server = await asyncio.start_server(self._serve, sock=listener, limit=_LONGEST_HEAD)
            try:
                return await self._answer
            finally:
                server.close()
                for writer in self._open:
                    writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open[writer] = None
        if len(self._open) > _MOST:
            next(iter(self._open)).transport.abort()
        try:
            async with asyncio.timeout(_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                status, body, answer = self._answered(head)
                writer.write(_response(status, body))
                await writer.drain()
                if answer is not None and self._answer is not None and not self._answer.done():
                    self._answer.set_result(answer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # silent for too long (a TimeoutError is an OSError), gone, or at too great length: nobody to tell
        finally:
            self._open.pop(writer, None)
            writer.close()

    def _answered(self, head: bytes) -> tuple[HTTPStatus, bytes, dict[str, str] | None]:
        """What one request is told, and the query if it is the answer that is waited for."""
        method, _, rest = head.partition(b"\r\n")[0].decode("latin-1").partition(" ")
        target = rest.partition(" ")[0]
        try:
            parts = urlsplit(target)
            query = {
                name: values[0] for name, values in parse_qs(parts.query, max_num_fields=_FIELDS).items()
            }
        except ValueError:
            return HTTPStatus.NOT_FOUND, _NOT_FOUND, None
        if method != "GET" or parts.path != PATH:
            return HTTPStatus.NOT_FOUND, _NOT_FOUND, None
        if not secrets.compare_digest(query.get("state", "").encode(), self._state):
            return HTTPStatus.BAD_REQUEST, _ANOTHER, None
        return HTTPStatus.OK, _SIGNED_IN, query


def _response(status: HTTPStatus, body: bytes) -> bytes:
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}",
        "Content-Type: text/html; charset=utf-8",
        f"Content-Length: {len(body)}",
        "Connection: close",
    )
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body
