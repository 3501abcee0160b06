# SPDX-License-Identifier: EUPL-1.2
"""A small HTTP service on loopback that does as a test says, in the test's own loop."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Behave = Callable[[asyncio.StreamWriter, bytes], Awaitable[None]]


class Service:
    """Answers with `reply`, or as `behave` says; `seen` are the heads of the requests that came."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []
        self.status = "200 OK"
        self.body = b"{}"
        self.head = ""
        self.behave: Behave | None = None
        self.port = 0
        self.connections = 0

    @property
    def url(self) -> str:
        return f"http://service.test:{self.port}/keys"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                (
                    int(line[15:])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length:")
                ),
                0,
            )
            self.seen.append(head + await reader.readexactly(length))
            if self.behave is not None:
                await self.behave(writer, head)
            else:
                answer = f"HTTP/1.1 {self.status}\r\nContent-Length: {len(self.body)}\r\n{self.head}\r\n"
                writer.write(answer.encode() + self.body)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def service(context: ssl.SSLContext | None = None) -> AsyncIterator[Service]:
    """Run one, with TLS where there is a context."""
    made = Service()
    server = await asyncio.start_server(made._serve, "127.0.0.1", 0, ssl=context)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
