# SPDX-License-Identifier: EUPL-1.2
"""`Idempotency-Key`: by which a client says that a request is one that it has sent before (ESA-KV-021).

The text that defines the header is a draft (draft-ietf-httpapi-idempotency-key-header): its value is a String of RFC 9651. The
front takes it from the head as it came. It is read once the caller may do what is asked for.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Final

from vault.framework.errors import Malformed
from vault.framework.request.head import Head

_HEADER: Final = b"idempotency-key"
_STRING: Final = re.compile(rb'[ \t]*"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\]){1,255})"[ \t]*')
"""A String of RFC 9651, section 3.3.3, of 1 to 255 characters."""


def key_lines(first: Mapping[bytes, bytes], headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Return the lines of the header as one, empty without any. `first` has the first of each header."""
    if _HEADER not in first:
        return b""
    return b", ".join(value for name, value in headers if name == _HEADER) or b","


def read_key(value: bytes) -> bytes:
    """Return what stands between the quotes. Raises `Malformed`, which repeats nothing of it."""
    found = _STRING.fullmatch(value)
    if found is None:
        raise Malformed("Idempotency-Key is no text of 1 to 255 characters in double quotes")
    return found[1]


def fingerprint(head: Head, sent: bytes) -> bytes:
    """Return what tells a request from others with the same key: `sent` is its body, or its query where it has none.

    The key is the key of the hash. It is stored nowhere, so what is kept helps nobody to guess a secret that was sent.
    """
    asked = head.conditions
    conditions = () if asked is None else (asked.if_match, asked.if_none_match)
    of = hmac.new(head.idempotency_key, digestmod=sha256)
    of.update(repr(("PATCH" if head.method == "PATCH" else "", head.method == "DELETE", conditions)).encode())
    of.update(b"\n")
    of.update(sent)
    return of.digest()
