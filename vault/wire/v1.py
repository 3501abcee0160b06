# SPDX-License-Identifier: EUPL-1.2
"""The v1 wire: requests of OpenBao's clients to Calls, Replies and errors to its envelope. No decisions here.

Everything is reproduced as observed, quirks included; `api-spec/divergences.md` lists what is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from vault.framework import schema
from vault.framework.errors import (
    Busy,
    Failed,
    Forbidden,
    Internal,
    Limited,
    Locked,
    Malformed,
    NotFound,
    OtherReplay,
    PreconditionFailed,
    Sealed,
    TooLarge,
    Unauthenticated,
    Unavailable,
    UnsupportedMedia,
    UnsupportedOperation,
    UnsupportedPath,
    VaultError,
)
from vault.framework.reply import JSON, Reply

STATUS: Final[dict[type[VaultError], int]] = {
    Malformed: 400,
    Unauthenticated: 403,
    Forbidden: 403,
    NotFound: 404,
    UnsupportedPath: 404,
    UnsupportedOperation: 405,
    PreconditionFailed: 412,
    TooLarge: 413,
    UnsupportedMedia: 415,
    OtherReplay: 422,
    Limited: 429,
    Failed: 500,
    Unavailable: 500,
    Internal: 500,
    Busy: 503,
    Sealed: 503,
    Locked: 503,
}
"""The status of each kind of refusal."""

_PIECE: Final = 1 << 20
"""Bytes escaped in one go."""
_PLACE: Final = b"\0"
"""Stands where pieces go: no JSON has this byte."""
_ABSENT: Final = 404
"""Answers of this status have no line break at the end, as in OpenBao."""
_ENVELOPE: Final = (
    b'{%b"request_id":"%b","lease_id":"%b","renewable":%b,"lease_duration":%d,"data":%b,'
    b'"wrap_info":%b,"warnings":%b,"auth":%b}'
)


def escape_html(body: bytes) -> bytes:
    """Escape `<`, `>` and `&` as OpenBao's encoder does, so that a body is inert in a browser."""
    if b"<" in body or b">" in body or b"&" in body:
        if len(body) > _PIECE:  # the event loop runs between two pieces
            pieces = [escape_html(body[start : start + _PIECE]) for start in range(0, len(body), _PIECE)]
            return b"".join(pieces)
        # the three that Go's encoding/json escapes by default
        return body.replace(b"&", b"\\u0026").replace(b"<", b"\\u003c").replace(b">", b"\\u003e")
    return body


def error_body(error: VaultError) -> bytes:
    """Return the body of a refusal: a list of messages, in the chained form where OpenBao uses it."""
    if not error.message:
        return b'{"errors":[]}\n'
    # OpenBao wraps errors of its request path in a Go multierror, whose text has this form.
    text = f"1 error occurred:\n\t* {error.message}\n\n" if error.chained else error.message
    return b'{"errors":[' + escape_html(schema.encode(text)) + b"]}\n"


def reply_body(
    reply: Reply[object], request_id: str, escape: Callable[[bytes], bytes] = escape_html
) -> bytes:
    """Return the body of an answer, in the envelope unless it is plain. Keys are in OpenBao's order."""
    encode = schema.encode
    if reply.pieces is not None:
        return b"".join(pieces_of_body(reply, request_id, escape))
    if reply.plain:
        return escape(encode(reply.data)) + b"\n"
    data = encode(reply.data)
    embedded = data[1:-1] + b"," if reply.embed and len(data) > 2 and data[:1] == b"{" else b""
    body = _ENVELOPE % (
        embedded,
        b"" if reply.wrap_info else request_id.encode(),
        reply.lease_id.encode(),
        b"true" if reply.renewable else b"false",
        reply.lease_duration,
        data,
        encode(reply.wrap_info) if reply.wrap_info else b"null",
        encode(reply.warnings) if reply.warnings else b"null",
        encode(reply.auth) if reply.auth else b"null",
    )
    return escape(body) if reply.unended or reply.status == _ABSENT else escape(body) + b"\n"


def pieces_of_body(
    reply: Reply[object], request_id: str, escape: Callable[[bytes], bytes] = escape_html
) -> Iterator[bytes]:
    """Yield the body of an answer that comes in pieces."""
    pieces = reply.pieces or ()
    if reply.content_type != JSON:
        yield from pieces
        return
    around = msgspec.structs.replace(reply, pieces=None, data=msgspec.Raw(_PLACE))
    before, behind = reply_body(around, request_id, escape).split(_PLACE)
    yield before
    yield from map(escape, pieces)
    yield behind


def unescaped_body(reply: Reply[object], request_id: str) -> bytes:
    """Return the body of a cached answer: it is escaped when sent, for that can make it six times as long."""
    return reply_body(reply, request_id, bytes)
