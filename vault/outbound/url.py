# SPDX-License-Identifier: EUPL-1.2
"""Addresses of services as they are configured: parsed once, so that what was checked is what is asked."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

import msgspec

from vault.outbound.failure import Unreachable

_HOST: Final = re.compile(
    r"(?=[0-9a-z][0-9a-z._-]{0,253}\Z)(?:[0-9a-z_-]{1,63}\.)*[0-9a-z_-]{0,62}[0-9a-z]\.?|(?=[^:]*:)[0-9a-f:.]{2,45}"
)
"""A name of labels (RFC 1035 section 2.3.4), or an IPv6 address."""
_TARGET: Final = re.compile(r"[!-~]*")
_LONGEST: Final = 4096


class Url(msgspec.Struct, frozen=True):
    """An absolute http or https URL without user, password and fragment. `target` is path and query."""

    tls: bool
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """What the Host header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"


def parse(text: str) -> Url:
    """Read a URL. Raises `Unreachable` for anything but a plain one; no message repeats it."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise Unreachable("the URL cannot be read") from None
    if parts.scheme not in {"http", "https"}:
        raise Unreachable("the URL must begin with https:// or http://")
    host = (parts.hostname or "").lower()
    if len(text) > _LONGEST or not _HOST.fullmatch(host):
        raise Unreachable("the URL must name a host")
    if "@" in parts.netloc or parts.fragment:
        raise Unreachable("the URL must hold no user, password or fragment")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not _TARGET.fullmatch(target):
        raise Unreachable("the URL must be percent-encoded ASCII")
    tls = parts.scheme == "https"
    return Url(tls, host, port or (443 if tls else 80), target)
