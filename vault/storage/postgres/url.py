# SPDX-License-Identifier: EUPL-1.2
"""Where a database is, as operators write it: `postgresql://USER@HOST:PORT/DATABASE`."""

from __future__ import annotations

import os
from typing import Final, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

_SCHEMES: Final = ("postgresql", "postgres")
_FORM: Final = "postgresql://USER@HOST:PORT/DATABASE"


class UnfitUrl(ValueError):
    """It cannot be used; the text says why and what to do, and holds nothing of it."""


class DatabaseAddress(NamedTuple):
    """What a URL names: `host` is a name, an address, or the absolute directory of a Unix socket."""

    host: str
    port: int
    user: str
    database: str

    @property
    def is_socket(self) -> bool:
        """Whether it is reached through a Unix socket."""
        return os.path.isabs(self.host)


def parse(url: str) -> DatabaseAddress:
    """Take a URL apart. Raises `UnfitUrl`."""
    try:
        parts = urlsplit(url)
        port = parts.port or 5432
        query = parse_qs(parts.query, strict_parsing=bool(parts.query))
    except ValueError:
        raise UnfitUrl(f"must have the form {_FORM}") from None
    if parts.scheme not in _SCHEMES or parts.fragment:
        raise UnfitUrl(f"must have the form {_FORM}")
    if parts.password is not None or "password" in query:
        raise UnfitUrl("must hold no password; name the file that does in password_file")
    hosts = query.pop("host", [])
    for name in sorted(query):
        if name.startswith("ssl"):
            raise UnfitUrl("says nothing of TLS; use tls_ca_file, tls_cert_file, tls_key_file or tls_disable")
        raise UnfitUrl("has no options but `host`, the directory of a Unix socket")
    host = hosts[-1] if hosts else unquote(parts.hostname or "")
    if "," in host or len(hosts) > 1:
        raise UnfitUrl("names one host: an address that always leads to the primary")
    if hosts and not os.path.isabs(host):
        raise UnfitUrl("has a `host` that is not the absolute directory of a Unix socket")
    user, database = unquote(parts.username or ""), unquote(parts.path.removeprefix("/"))
    if not (host and user and database):
        raise UnfitUrl(f"must name user, host and database: {_FORM}")
    return DatabaseAddress(host, port, user, database)
