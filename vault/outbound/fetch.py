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
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import h11
import msgspec

from vault.framework.concurrency.deadline import within
from vault.outbound import tls
from vault.outbound.failure import Unreachable
from vault.outbound.names import Lookup, NameLookup, machine
from vault.outbound.places import Places
from vault.outbound.shares import Owner, Shares
from vault.outbound.url import Url, parse

SECONDS: Final = 10.0
"""How long one exchange may take, from resolving the name to the last byte."""
LARGEST: Final = 1 << 19
"""How many bytes an answer may have."""
_TOGETHER: Final = 256
"""Exchanges at one time; others wait, within their own time. A tenant has half of them at most, a mount a
quarter, a mount with one host an eighth, and of these one client half: where somebody's hosts do not answer, or strangers
keep them busy, there are turns left for others."""
_CHUNK: Final = 16_384
_PIECES: Final = 1000
_PIECE: Final = 256
"""An answer may come in a thousand pieces, and one more for each so many bytes: each costs time, also an empty one."""


class OutboundRequest(msgspec.Struct, frozen=True):
    """A request, for `owner`. `authorities` are PEM certificates instead of the machine's; `names` replace the host's in TLS."""

    url: str
    owner: Owner = Owner()
    method: str = "GET"
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    body: bytes = b""
    authorities: str = ""
    names: tuple[str, ...] = ()
    seconds: float = SECONDS
    largest: int = LARGEST

    def __repr__(self) -> str:
        """Show neither headers nor body."""
        return f"<OutboundRequest {self.method}>"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status, and the whole body."""

    status: int
    body: bytes = field(repr=False)
    content_type: str = ""


class Fetcher:
    """Makes requests."""

    def __init__(self, places: Places, lookup: Lookup = machine) -> None:
        self._places = places
        self._names = NameLookup(lookup)
        self._shares = Shares(_TOGETHER)

    async def send(self, request: OutboundRequest) -> Answer:
        """Return the answer, whatever its status. Raises `Unreachable`."""
        url = parse(request.url)
        try:
            return await within(request.seconds, self._send(url, request))
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

    async def _send(self, url: Url, request: OutboundRequest) -> Answer:
        tenant, mount, client = request.owner
        address = await self._address(url, request.owner)
        async with self._shares.turn((tenant, mount, url.authority, client)):
            return await self._exchange(url, address, request)

    async def body(self, request: OutboundRequest) -> bytes:
        """Return the body of an answer with status 200. Raises `Unreachable`, for any other status too."""
        answer = await self.send(request)
        if answer.status != 200:
            raise Unreachable(f"it answers with status {answer.status}")
        return answer.body

    async def _exchange(self, url: Url, address: str, request: OutboundRequest) -> Answer:
        context = tls.context(request.authorities, own_names=bool(request.names)) if url.tls else None
        reader, writer = await asyncio.open_connection(
            address,
            url.port,
            ssl=context,
            server_hostname=url.host if url.tls else None,
            flags=socket.AI_NUMERICHOST,  # whatever it is, it is not looked up again
        )
        try:
            if request.names and url.tls:
                tls.check_name(
                    writer.get_extra_info("ssl_object").getpeercert(binary_form=True), request.names
                )
            return await _talk(reader, writer, url, request)
        finally:
            writer.close()

    async def _address(self, url: Url, owner: Owner) -> str:
        """Return the one address that is connected to. Raises `Unreachable`."""
        try:
            found = await self._names.find(owner, url.host)
        except TimeoutError:
            raise Unreachable("its name server does not answer") from None
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
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, url: Url, request: OutboundRequest
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
    status, kind, body, pieces = 0, "", bytearray(), 0
    while True:
        event = connection.next_event()
        pieces += 1
        if pieces > _PIECES + len(body) // _PIECE:
            raise Unreachable("the answer comes in too many pieces")
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
