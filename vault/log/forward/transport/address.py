# SPDX-License-Identifier: EUPL-1.2
"""Addresses of receivers. They come from the configuration alone, so that nobody else decides whom the server talks to."""

from __future__ import annotations

import re
from typing import Final

import msgspec

_AUTHORITY: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9._-]{1,253}))(?::([0-9]{1,5}))?")
_TARGET: Final = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]{0,1023}")
_LOOPBACK: Final = re.compile(r"127(?:\.[0-9]{1,3}){3}")
_PORTS: Final = {"https": 443, "http": 80, "tls": 6514}
"""Ports that need not be named; that of `tls` is RFC 5425's."""
_WEB: Final = frozenset({"https", "http"})
_LONGEST_PATH: Final = 107
"""Characters of the path of a Unix socket, as far as the system takes it."""


class BadAddress(ValueError):
    """An address cannot be read; the text completes "address …"."""


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Where a receiver is: a scheme, and a host with port and target, or the path of a Unix socket."""

    scheme: str
    host: str = ""
    port: int = 0
    target: str = ""
    """Path and query of `http` and `https`."""
    path: str = ""

    @property
    def tls(self) -> bool:
        """Whether the receiver shows a certificate."""
        return self.scheme in {"https", "tls"}

    @property
    def protected(self) -> bool:
        """Whether nobody on the way can read or change what is sent."""
        return (
            self.tls
            or bool(self.path)
            or self.host in {"localhost", "::1"}
            or bool(_LOOPBACK.fullmatch(self.host))
        )

    @property
    def authority(self) -> str:
        """The value of the `Host` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS.get(self.scheme) else f"{host}:{self.port}"


def parse_address(text: str) -> Address:
    """Read `tls://HOST:PORT`, `tcp://HOST:PORT`, `unix:///PATH`, `https://HOST/PATH` or `http://…`. Raises `BadAddress`."""
    scheme, separator, rest = text.partition("://")
    if not separator or scheme not in {*_PORTS, "tcp", "unix"}:
        raise BadAddress("must begin with tls://, tcp://, unix://, https:// or http://")
    if scheme == "unix":
        if not rest.startswith("/") or len(rest.encode()) > _LONGEST_PATH or "\0" in rest:
            raise BadAddress(
                f"must be the absolute path of a socket after unix://, of at most {_LONGEST_PATH} bytes"
            )
        return Address(scheme=scheme, path=rest)
    authority, slash, target = rest.partition("/")
    found = _AUTHORITY.fullmatch(authority)
    if found is None:
        raise BadAddress("must have a host and a port after ://, and no user and no password")
    if slash and scheme not in _WEB:
        raise BadAddress("must end with the port")
    if not _TARGET.fullmatch(slash + target or "/"):
        raise BadAddress("must have a path without spaces and fragments")
    port = int(found[3] or _PORTS.get(scheme, 0))
    if not 0 < port < 65_536:
        raise BadAddress("must have a port, from 1 to 65535")
    return Address(scheme=scheme, host=(found[1] or found[2]).lower(), port=port, target=slash + target)
