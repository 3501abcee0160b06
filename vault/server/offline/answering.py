# SPDX-License-Identifier: EUPL-1.2
"""Whether the server of a configuration answers, on each of its listeners: what a container's health check asks.

It is about the process, not the vault: sealed and not initialised are answers, for which nobody is to start it anew.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
from collections.abc import Sequence
from typing import Final

from vault.server.config.settings import Listener
from vault.server.config.stanzas import host_and_port

_REQUEST: Final = b"GET /v1/sys/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
_EVERY: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - nothing is bound here
"""Where a listener on all addresses of a kind is asked."""


def silent(listeners: Sequence[Listener], seconds: float) -> list[str]:
    """Return what keeps each listener that does not answer within so many seconds from it; its certificate is not judged."""
    found: list[str] = []
    for listener in listeners:
        try:
            _ask(listener, seconds)
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            found.append(f"listener {listener.address} does not answer: {reason}")
    return found


def _ask(listener: Listener, seconds: float) -> None:
    """Raises OSError or HTTPException where there is no answer."""
    with contextlib.ExitStack() as stack:
        line = stack.enter_context(_connected(listener, seconds))
        if not listener.tls_disable and listener.tls_cert_file:
            line = stack.enter_context(_unjudged().wrap_socket(line))
            if listener.tls_require_and_verify_client_cert:
                return  # it has shown its certificate, and waits for one that nobody has here
        line.sendall(_REQUEST)
        http.client.HTTPResponse(line).begin()


def _connected(listener: Listener, seconds: float) -> socket.socket:
    if listener.kind == "unix":
        line = socket.socket(socket.AF_UNIX)
        line.settimeout(seconds)
        try:
            line.connect(listener.address)
        except OSError:
            line.close()
            raise
        return line
    host, port = host_and_port(listener.address) or ("", 0)
    return socket.create_connection((_EVERY.get(host, host), port), seconds)


def _unjudged() -> ssl.SSLContext:
    """Nothing is told to the other side, and a certificate that was renewed a moment ago is no reason to end anything."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
