# SPDX-License-Identifier: EUPL-1.2
"""Clients behind a proxy: whose address, and whose certificate, a request counts as coming with.

`X-ForwardedMiddleware-For` is believed of the proxies that the listener names and of nobody else. Each proxy appends whom it
heard from, so the last entry is the one that the nearest proxy vouches for; `x_forwarded_for_hop_skips` goes further
back, past proxies that stand before it. What is not an address is refused, so that no rule ever sees one.

A proxy that ends TLS hands a client's certificate on in a header (RFC 9440). It is believed of the same proxies only;
then the certificate that the proxy itself has shown counts for nothing, so that no client passes for its proxy.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final
from urllib.parse import unquote_to_bytes

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from vault.framework.errors import Malformed
from vault.framework.schema import encode
from vault.server.application import Answer, Message
from vault.server.config.settings import Listener
from vault.token.addresses import within
from vault.wire.early import TurnAway

Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_HEADER: Final = b"x-forwarded-for"
_MISSING: Final = "missing x-forwarded-for header and configured to reject when not present"
_STRANGER: Final = "client address not authorized for x-forwarded-for and configured to reject connection"


class ForwardedMiddleware:
    """Stands before what answers on a listener that is behind proxies."""

    def __init__(self, inner: Answer, listener: Listener, turn_away: TurnAway) -> None:
        """`turn_away` is told of what is refused here."""
        self._inner, self._turn_away = inner, turn_away
        self._proxies = listener.x_forwarded_for_authorized_addrs
        self._skips = listener.x_forwarded_for_hop_skips
        self._present = listener.x_forwarded_for_reject_not_present
        self._authorized = listener.x_forwarded_for_reject_not_authorized
        self._certificates = listener.x_forwarded_for_client_cert_header.lower().encode("latin-1", "replace")
        self._decoders = listener.x_forwarded_for_client_cert_decoders

    def __call__(self, scope: Message, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer one request as whoever it came from."""
        if self._certificates and within((scope.get("client") or ("",))[0], self._proxies):
            try:
                self._hand_on(scope)
            except ValueError:
                return self._refuse(scope, send, "malformed header of a client certificate")
        headers = [value for name, value in scope["headers"] if name == _HEADER]
        if not headers:
            return self._refuse(scope, send, _MISSING) if self._present else self._inner(scope, receive, send)
        peer, port = scope.get("client") or ("", 0)
        if not within(peer, self._proxies):
            return (
                self._refuse(scope, send, _STRANGER)
                if self._authorized
                else self._inner(scope, receive, send)
            )
        chain = b",".join(headers).split(b",")
        if self._skips >= len(chain):
            return self._refuse(
                scope,
                send,
                f"malformed x-forwarded-for configuration or request, hops to skip ({self._skips}) would skip "
                f"before earliest chain link (chain length {len(chain)})",
            )
        try:
            address = _address(chain[-1 - self._skips])
        except ValueError:
            return self._refuse(
                scope, send, "malformed x-forwarded-for header: the entry that counts is not an address"
            )
        scope["client"] = (str(address), port)
        return self._inner(scope, receive, send)

    def _refuse(self, scope: Message, send: Send, problem: str) -> Awaitable[None]:
        self._turn_away(scope, Malformed())
        return _refuse(send, problem)

    def _hand_on(self, scope: Message) -> None:
        """Let the certificate in the header be the client's, or let there be none. Raises `ValueError`."""
        given = [value for name, value in scope["headers"] if name == self._certificates]
        if len(given) > 1:
            raise ValueError
        certificate = _certificate(given[0], self._decoders) if given and given[0] else None
        state = {"client_certificate": certificate, "client_intermediates": ()}
        scope["state"] = {**scope.get("state", {}), **state}


def _certificate(value: bytes, decoders: Sequence[str]) -> bytes:
    """Return the DER in a header. Raises `ValueError`."""
    for decoder in decoders:
        if decoder == "URL":
            value = unquote_to_bytes(value)
        elif decoder == "PEM":
            found = x509.load_pem_x509_certificate(value)
            value = b64encode(found.public_bytes(Encoding.DER))
        else:
            value = value.strip()
            if len(value) < len("::") or not value.startswith(b":") or not value.endswith(b":"):
                raise ValueError
            value = value[1:-1]
    der = b64decode(value, validate=True)
    x509.load_der_x509_certificate(der)
    return der


def _address(entry: bytes) -> IPv4Address | IPv6Address:
    """Read an entry. Raises `ValueError`, for a zone too: it means something on the proxy's own machine alone."""
    if b"%" in entry:
        raise ValueError
    return ip_address(entry.strip().decode("ascii"))


async def _refuse(send: Send, problem: str) -> None:
    body = b'{"errors":[%b]}\n' % encode(problem)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 400, "headers": headers})
    await send({"type": "http.response.body", "body": body})
