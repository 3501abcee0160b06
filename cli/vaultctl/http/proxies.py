# SPDX-License-Identifier: EUPL-1.2
"""Which proxy leads to a server, by BAO_PROXY_ADDR, BAO_HTTP_PROXY and the usual HTTPS_PROXY, HTTP_PROXY, NO_PROXY."""

from __future__ import annotations

import http.client
from urllib.parse import unquote, urlsplit

from vaultctl.errors import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from ipaddress import IPv4Address, IPv6Address


class Proxy:
    """A proxy's host and port, and the headers that it gets."""

    __slots__ = ("headers", "host", "port")

    def __init__(self, address: str, variable: str) -> None:
        """Read `http://user:password@host:port`. CommandError, without the address, for anything else."""
        try:
            parts = urlsplit(address)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            parts, host, port = urlsplit(""), "", None
        if parts.scheme != "http" or not host:
            raise CommandError(f"{variable} must look like http://host:port")
        self.host, self.port = host, port
        self.headers: dict[str, str] = {}
        if parts.username is not None:
            from base64 import b64encode

            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
            self.headers["Proxy-Authorization"] = "Basic " + b64encode(pair).decode()


class ProxiedConnection(http.client.HTTPConnection):
    """Plain HTTP by way of a proxy, which is given whole addresses (RFC 9112, 3.2.2)."""

    def __init__(self, proxy: Proxy, origin: str, timeout: float | None) -> None:
        """`origin` is `http://host:port` of the server."""
        super().__init__(proxy.host, proxy.port, timeout=timeout)
        self._proxy = proxy
        self._origin = origin

    def putrequest(self, method: str, url: str, *more: bool, **named: bool) -> None:
        """As the base class's, with the whole address and the proxy's own headers."""
        super().putrequest(method, self._origin + url, *more, **named)
        for name, value in self._proxy.headers.items():
            self.putheader(name, value)


def usual_proxy(environ: Mapping[str, str], scheme: str, host: str, port: int) -> Proxy | None:
    """The proxy that HTTPS_PROXY or HTTP_PROXY names for a server, unless it is this machine or NO_PROXY has it."""
    name = f"{scheme}_proxy"
    found = [each for each in (name.upper(), name) if environ.get(each)]
    if (
        not found
        or _here(host)
        or _excepted(environ.get("NO_PROXY") or environ.get("no_proxy") or "", host, port)
    ):
        return None
    address = environ[found[0]]
    return Proxy(address if "://" in address else f"http://{address}", found[0])


def _here(host: str) -> bool:
    if host == "localhost":
        return True
    address = _address(host)
    return address is not None and address.is_loopback


def _address(host: str) -> IPv4Address | IPv6Address | None:
    from ipaddress import ip_address

    try:
        return ip_address(host)
    except ValueError:
        return None


def _excepted(listed: str, host: str, port: int) -> bool:
    """Whether an entry is the host, a domain above it, an address or block that holds it, or `*`."""
    return any(_fits(entry.strip().lower(), host, port) for entry in listed.split(","))


def _fits(entry: str, host: str, port: int) -> bool:
    if entry in ("", "*"):
        return entry == "*"
    if "/" in entry:
        from ipaddress import ip_network

        address = _address(host)
        try:
            return address is not None and address in ip_network(entry, strict=False)
        except ValueError:
            return False
    if entry.count(":") == 1 or "]:" in entry:
        entry, _, number = entry.rpartition(":")
        if number != str(port):
            return False
    entry = entry.strip("[]").removeprefix("*")
    return host == entry or host.endswith(entry if entry.startswith(".") else "." + entry)
