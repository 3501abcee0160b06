# SPDX-License-Identifier: EUPL-1.2
"""Heads of requests that the parser takes, and that two servers might read in two ways."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_HOST: Final = re.compile(rb"[0-9A-Za-z._~!$&'()*+,;=:@%\[\]-]*")
_VERSIONS: Final = frozenset({"1.0", "1.1"})


def plain_head(version: str, headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Whether a head is of HTTP/1, names one host (RFC 9112, 3.2), and its body ends where all think it does (6.1)."""
    hosts = [value for name, value in headers if name == b"host"]
    if version not in _VERSIONS or len(hosts) > 1 or (not hosts and version == "1.1"):
        return False
    if hosts and _HOST.fullmatch(hosts[0]) is None:
        return False
    return not any(name == b"transfer-encoding" and value.lower() != b"chunked" for name, value in headers)
