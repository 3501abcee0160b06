# SPDX-License-Identifier: EUPL-1.2
"""What a request's head has to be, so that no two servers can read it in two ways.

llhttp refuses most of what could: bare LF, folded lines, blanks before a colon, lengths that are none, a length beside
chunks. The rules here come on top, and are the same for every verb (RFC 9112, sections 3 and 6).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

LONGEST_HEAD: Final = 64 * 1024
"""Most bytes that a request's line and headers may take."""
MOST_HEADERS: Final = 256
"""Most headers of one request."""
HEAD_END: Final = b"\r\n\r\n"

_LETTERS: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]"
"""Those of a verb (RFC 9110, section 5.6.2); no verb is longer than 32."""
_REQUEST_LINE: Final = re.compile(rb"(?:\r\n)?(%b{1,32}) [!-~]+ HTTP/1\.[01]\r\n" % _LETTERS)
_BEGINNING: Final = re.compile(rb"\r?\Z|(?:\r\n)?%b{1,32}(?: |\Z)|\r\n\Z" % _LETTERS)
_LONGEST_BEGINNING: Final = 40
_BARE_LF: Final = re.compile(rb"(?<!\r)\n")
_HOST: Final = re.compile(rb"[0-9A-Za-z._~!$&'()*+,;=:@%\[\]-]*")
_CHUNKED: Final = b"chunked"


def verb_in(head: bytes) -> tuple[int, int] | None:
    """Return where the verb of a whole head begins and ends; None without a request line of HTTP/1.0 or HTTP/1.1.

    One empty line may come before (RFC 9112, section 2.2).
    """
    found = _REQUEST_LINE.match(head)
    return None if found is None else found.span(1)


def may_become_head(arrived: bytearray, known: int) -> bool:
    """Whether a head can still come of what has `arrived`, whose first `known` bytes were asked about before."""
    if _BARE_LF.search(arrived, known):
        return False
    return known > _LONGEST_BEGINNING or _BEGINNING.match(arrived[:_LONGEST_BEGINNING]) is not None


CHUNKED: Final = -1
"""The length of a body that comes in chunks, and says where it ends."""


def body_length(version: str, headers: Sequence[tuple[bytes, bytes]]) -> int | None:
    """Return how long a request's body is, or `CHUNKED`.

    None where its head does not name one host (RFC 9112, 3.2), or not all think that its body ends in one place (6.1).
    """
    host: bytes | None = None
    length: int | None = None
    for name, value in headers:
        if name == b"host":
            if host is not None or _HOST.fullmatch(value) is None:
                return None
            host = value
        elif name == b"content-length":
            if length == CHUNKED:
                return None
            length = int(value)
        elif name == b"transfer-encoding":
            if length is not None or value.lower() != _CHUNKED or version == "1.0":
                return None
            length = CHUNKED
    return None if host is None and version != "1.0" else length or 0
