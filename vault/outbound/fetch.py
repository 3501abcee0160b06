# SPDX-License-Identifier: EUPL-1.2
"""The one place from which the server asks others over HTTP: key sets, identity providers, revocation lists.

What is asked comes from configuration alone, never from who logs in (SL-28). The host's name is resolved once; what
it resolved to is judged (`Places`), and connected to, so that no second answer of the resolver can lead elsewhere.
TLS is verified, redirects are not followed, the answer is bounded in size, and all of it in time. Nothing but what
the caller gives is sent: no cookies, no credentials, no proxy of the environment.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from weakref import WeakValueDictionary

import h11
import msgspec

from vault.outbound import tls
from vault.outbound.failure import Unreachable
from vault.outbound.places import Places
from vault.outbound.url import Url, parse

SECONDS: Final = 10.0
"""How long one exchange may take, from resolving the name to the last byte."""
LARGEST: Final = 1 << 20
"""How many bytes an answer may have."""
_TOGETHER: Final = 128
"""Exchanges at one time; others wait, within their own time."""
_EACH: Final = 16
"""Of these, with one host: where one does not answer, there are turns left for others."""
_CHUNK: Final = 65_536

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Finds the addresses of a host's name. Raises `OSError`."""


class Outgoing(msgspec.Struct, frozen=True):
    """A request. `authorities` are PEM certificates instead of the machine's; `names` replace the host's in TLS."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    body: bytes = b""
    authorities: str = ""
    names: tuple[str, ...] = ()
    seconds: float = SECONDS
    largest: int = LARGEST

    def __repr__(self) -> str:
        """Show neither headers nor body."""
        return f"<Outgoing {self.method}>"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status, and the whole body."""

    status: int
    body: bytes = field(repr=False)
    content_type: str = ""


async def resolve(host: str, port: int) -> Sequence[str]:
    """Ask the machine's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Fetcher:
    """Makes requests."""

    def __init__(self, places: Places, resolver: Resolve = resolve) -> None:
        self._places = places
        self._resolve = resolver
        self._turns = asyncio.Semaphore(_TOGETHER)
        self._hosts: WeakValueDictionary[tuple[str, int], asyncio.Semaphore] = WeakValueDictionary()

    async def send(self, request: Outgoing) -> Answer:
        """Return the answer, whatever its status. Raises `Unreachable`."""
        url = parse(request.url)
        turn = self._hosts.setdefault((url.host, url.port), asyncio.Semaphore(_EACH))
        try:
            async with asyncio.timeout(request.seconds), turn, self._turns:
                return await self._exchange(url, request)
        except TimeoutError:
            raise Unreachable(f"no answer within {request.seconds:g} s") from None
        except ssl.SSLCertVerificationError as error:
            raise Unreachable(f"its certificate is not accepted: {error.verify_message}") from None
        except ssl.SSLError:
            raise Unreachable("no TLS connection could be made") from None
        except ConnectionRefusedError:
            raise Unreachable("connection refused") from None
        except OSError:
            raise Unreachable("the connection failed") from None
        except (h11.LocalProtocolError, UnicodeEncodeError):
            raise Unreachable("a header of the request cannot be sent") from None
        except h11.RemoteProtocolError:
            raise Unreachable("the answer is no HTTP") from None

    async def body(self, request: Outgoing) -> bytes:
        """Return the body of an answer with status 200. Raises `Unreachable`, for any other status too."""
        answer = await self.send(request)
        if answer.status != 200:
            raise Unreachable(f"it answers with status {answer.status}")
        return answer.body

    async def _exchange(self, url: Url, request: Outgoing) -> Answer:
        address = await self._address(url)
        context = tls.context(request.authorities, own_names=bool(request.names)) if url.tls else None
        reader, writer = await asyncio.open_connection(
            address, url.port, ssl=context, server_hostname=url.host if url.tls else None
        )
        try:
            if request.names and url.tls:
                tls.check_name(
                    writer.get_extra_info("ssl_object").getpeercert(binary_form=True), request.names
                )
            return await _talk(reader, writer, url, request)
        finally:
            writer.close()

    async def _address(self, url: Url) -> str:
        """Return the one address that is connected to. Raises `Unreachable`."""
        try:
            found = await self._resolve(url.host, url.port)
        except OSError:
            raise Unreachable("its name cannot be resolved") from None
        objections = [self._places.objection(address) for address in found]
        for address, objection in zip(found, objections, strict=True):
            if not objection:
                return address
        if not found:
            raise Unreachable("its name has no address")
        raise Unreachable(f"it is {objections[0]}, which `outbound_allow` does not name")


async def _talk(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, url: Url, request: Outgoing
) -> Answer:
    connection = h11.Connection(our_role=h11.CLIENT)
    headers = {
        "Host": url.authority,
        "User-Agent": "coffre",
        "Accept": "application/json, */*;q=0.5",
        "Connection": "close",
        **request.headers,
    }
    if request.body:
        headers["Content-Length"] = str(len(request.body))
    head = h11.Request(method=request.method, target=url.target, headers=list(headers.items()))
    sent = connection.send(head) or b""
    if request.body:
        sent += connection.send(h11.Data(data=request.body)) or b""
    writer.write(sent + (connection.send(h11.EndOfMessage()) or b""))
    await writer.drain()
    return await _read(reader, connection, request.largest)


async def _read(reader: asyncio.StreamReader, connection: h11.Connection, largest: int) -> Answer:
    status, kind, body = 0, "", bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(_CHUNK))
        elif isinstance(event, h11.Response):
            status = event.status_code
            kind = dict(event.headers).get(b"content-type", b"").decode("latin-1")
            if 300 <= status < 400:
                raise Unreachable("it redirects elsewhere, which is not followed")
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > largest:
                raise Unreachable(f"the answer is larger than {largest} bytes")
        elif isinstance(event, h11.EndOfMessage):
            return Answer(status, bytes(body), kind)
        elif isinstance(event, h11.ConnectionClosed):
            raise Unreachable("the connection was closed before the answer was whole")
