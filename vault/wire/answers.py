# SPDX-License-Identifier: EUPL-1.2
"""Replies and refusals to bytes: status, headers and body of every answer below `/v1/`, and how they leave."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from html import escape
from typing import Any, Final

import msgspec

from vault.framework.call import Call
from vault.framework.errors import (
    Busy,
    Limited,
    NotFound,
    UnsupportedPath,
    VaultError,
    forget_frames,
)
from vault.framework.path import NotATarget, Redirect, Unprintable
from vault.framework.reply import JSON, Reply
from vault.framework.request.accept import prefers
from vault.framework.request.operation import Operation
from vault.repeated.head_cache import Outlet
from vault.values.times import Seconds
from vault.wire import native, v1

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]
Answer = tuple[int, bytes, Headers]
"""Status, body, headers."""

NO_STORE: Final = (b"cache-control", b"no-store")
TRANSPORT: Final = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")
USUAL: Final = [NO_STORE, (b"content-type", b"application/json"), TRANSPORT]
_PROBLEM: Final = [NO_STORE, (b"content-type", b"application/problem+json"), TRANSPORT]


def _lines(headers: Headers) -> bytes:
    return b"".join([b"%b: %b\r\n" % header for header in headers])


_USUAL_HEAD: Final = _lines(USUAL)
RESPOND: Final = "coffre.respond"
"""Key of the ASGI scope: `(status, header lines, body) -> bool`, which sends a whole answer or declines."""
_UNKNOWN: Final = 600
"""A status from here on belongs to no class; answers of OpenBao then lack the transport header."""
_TOO_LARGE: Final = 413
"""OpenBao's HTTP layer refuses a body over the limit, and sets no header but the type."""
_BARE: Final[Mapping[type[VaultError], Answer]] = {
    Unprintable: (400, b"", []),
    NotATarget: (400, b"400 Bad Request", [(b"content-type", b"text/plain; charset=utf-8")]),
}
"""The answers to paths that are none."""
BODILESS: Final = frozenset({204, 304})
"""Statuses of answers that have no body, and so no length."""
_REPLAYED: Final = (b"idempotency-replayed", b"?1")
"""Says that the answer was given before (a Boolean of RFC 9651)."""
LARGEST_AT_ONCE: Final = 64 << 10
"""Bytes of a body that leave at once; of a larger one others are served between two pieces."""
_NOT_NOW: Final = frozenset({429, 503})
_NOTHING: Final = 404
_LONGEST_WAIT: Final = 2
"""Longest `Retry-After` of a refusal, in seconds."""


def usual_headers(call: Call) -> Headers:
    """Return the headers of every answer: `USUAL` itself where the call adds none."""
    if not call.head.echo and not call.admission:
        return USUAL
    echo = [(b"x-vault-namespace", call.head.echo)] if call.head.echo else []
    return [*USUAL, *echo, *call.admission]


def _ask_to_come_again(call: Call, status: int, seconds: Seconds) -> None:
    """Set `Retry-After` on every answer that means "not now" (RFC 9110, section 10.2.3).

    The value of a rate limit quota stands. Otherwise it is no more than stock clients wait by themselves, because those
    that read the header sleep for that long.
    """
    if status in _NOT_NOW and not any(name == b"retry-after" for name, _ in call.admission):
        shown = min(max(seconds, 1), _LONGEST_WAIT)
        call.admission = [*call.admission, (b"retry-after", b"%d" % shown)]


def answer_of(call: Call, reply: Reply[object] | None) -> Answer:
    """Return status, body and headers of an answer; the usual headers are `USUAL` itself.

    What says that nothing is there is a problem for who asked for problems, whatever else it would say (ESA-ERR-006).
    """
    if reply is not None and reply.status == _NOTHING and prefers(call.head.accept, native.PROBLEM):
        return _refusal(call, NotFound())
    if reply is not None and reply.status in _NOT_NOW:
        _ask_to_come_again(call, reply.status, Seconds(1))
    common = usual_headers(call)
    if call.replayed:
        common = [*common, _REPLAYED]
    if reply is None:
        return 204, b"", common
    if reply.etag:
        call.etag = reply.etag
    if reply.raw is not None:
        own = {name.encode(): value.encode() for name, value in (reply.headers or {}).items()}
        usual = [header for header in (USUAL[0], *common[2:]) if header[0] not in own]
        headers = [*usual, (b"content-type", reply.content_type.encode()), *own.items()]
        return reply.status or 200, reply.raw, headers
    if reply.embed and call.namespace.path != call.within:
        reply.embed = False  # as OpenBao, whose old clients know no namespaces in paths
    bare = call.head.method == "HEAD" or reply.status in BODILESS
    body = b"" if bare else v1.reply_body(reply, call.id)
    if reply.headers:
        common = [*common, *((name.encode(), value.encode()) for name, value in reply.headers.items())]
    elif reply.status >= _UNKNOWN:
        common = common[:2]
    return reply.status or 200, body, common


def leave(call: Call, outlet: Outlet, answer: Answer, failure: VaultError | None) -> None:
    """Send an answer with the usual headers, or its refusal; close a connection that cannot be answered."""
    left = False
    try:
        if failure is not None:
            _take_back(call)
        status, body, headers = answer if failure is None else _refusal(call, failure)
        head = _usual_head(call) if headers is USUAL else _lines(with_own(call, headers))
        left = outlet.respond(status, head, body)
    finally:
        if not left:
            outlet.close()


async def answer_behind(call: Call, answer: Answer, scope: Scope, send: Send) -> None:
    """Write the waiting audit lines now, then answer."""
    if await _recorded(call, scope, send):
        await reply_with(call, answer, scope, send)


async def _recorded(call: Call, scope: Scope, send: Send) -> bool:
    """Write the waiting audit lines; where they cannot be written, refuse and return False."""
    failure = None if call.record.batch is None else call.record.batch.flush()
    if failure is None:
        return True
    _take_back(call)
    await refuse(call, failure, scope, send)
    return False


async def answer_in_pieces(call: Call, reply: Reply[object], scope: Scope, send: Send) -> None:
    """Write the waiting audit lines now, then answer with pieces; others are served between two of them."""
    if not await _recorded(call, scope, send):
        return
    whole = reply.content_type != JSON
    plain = msgspec.structs.replace(reply, pieces=None, data=None, raw=b"" if whole else None)
    status, _, headers = answer_of(call, plain)
    pieces: list[bytes] = []
    if call.head.method != "HEAD":
        for piece in v1.pieces_of_body(reply, call.id):
            pieces.append(piece)
            await asyncio.sleep(0)
    await _send_pieces(send, status, pieces, with_own(call, headers))


def _refusal(call: Call, error: VaultError) -> Answer:
    """Return the answer for a refusal, in the requested form, which one that OpenBao's HTTP layer refuses has not."""
    if type(error) in _BARE:
        return _BARE[type(error)]
    status = v1.STATUS[type(error)]
    _ask_to_come_again(call, status, error.retry_after if isinstance(error, Busy | Limited) else Seconds(1))
    if prefers(call.head.accept, native.PROBLEM):
        return status, native.problem(call, error, status), [*_PROBLEM, *call.admission]
    nothing = isinstance(error, NotFound) and not error.message
    if nothing and call.options.wrap_ttl and call.operation is Operation.LIST:
        error = UnsupportedPath(chained=False)  # OpenBao's words where an answer was to be wrapped
    body = b"" if call.head.method == "HEAD" else v1.error_body(error)
    return status, body, [USUAL[1]] if status == _TOO_LARGE else usual_headers(call)


async def refuse(call: Call, error: VaultError, scope: Scope, send: Send) -> None:
    """Send the answer for a refusal, which leads nowhere from then on."""
    forget_frames(error)
    await reply_with(call, _refusal(call, error), scope, send)


async def answer_redirect(redirect: Redirect, scope: Scope, send: Send) -> None:
    """Send the client to the one spelling of what it asked for."""
    location = redirect.location.encode("latin-1")
    if scope["query_string"]:
        location += b"?" + scope["query_string"]
    headers = [USUAL[0], USUAL[2], (b"location", location)]
    body = b""
    if scope["method"] in {"GET", "HEAD"}:
        headers.append((b"content-type", b"text/html; charset=utf-8"))
    if scope["method"] == "GET":
        body = f'<a href="{escape(location.decode("latin-1"))}">Temporary Redirect</a>.\n\n'.encode("latin-1")
    await _send(send, 307, body, headers)


def _usual_head(call: Call) -> bytes:
    """Return the usual header lines, with what is this answer's own."""
    receipt, etag = call.record.receipt, call.etag
    if not receipt:
        return b"%betag: %b\r\n" % (_USUAL_HEAD, etag) if etag else _USUAL_HEAD
    if not etag:
        return b"%blog-receipt: %b\r\n" % (_USUAL_HEAD, receipt)
    return b"%betag: %b\r\nlog-receipt: %b\r\n" % (_USUAL_HEAD, etag, receipt)


def with_own(call: Call, headers: Headers) -> Headers:
    """Return headers with what is this answer's own: its entity tag, and the receipt.

    That says where the outcome is in the log, for who wants a proof of it.
    """
    own = ((b"etag", call.etag), (b"log-receipt", call.record.receipt))
    return [*headers, *(header for header in own if header[1])]


def _take_back(call: Call) -> None:
    """Forget what an answer was to carry that is refused instead: it tells of a record, or a version, that is not there."""
    call.record.receipt = call.etag = b""


async def reply_with(call: Call, answer: Answer, scope: Scope, send: Send) -> None:
    """Send an answer directly through the connection if that can, else by ASGI."""
    status, body, headers = answer
    if headers is USUAL and status not in BODILESS and len(body) <= LARGEST_AT_ONCE:
        respond = scope.get(RESPOND)
        if respond is not None and respond(status, _usual_head(call), body):
            return
    await _send(send, status, body, with_own(call, headers))


async def _send(send: Send, status: int, body: bytes, headers: Headers) -> None:
    """Send a whole answer by ASGI messages, a large body in pieces."""
    starts = range(0, len(body), LARGEST_AT_ONCE)
    await _send_pieces(send, status, [body[start : start + LARGEST_AT_ONCE] for start in starts], headers)


async def _send_pieces(send: Send, status: int, pieces: Sequence[bytes], headers: Headers) -> None:
    """Send an answer by ASGI messages, each piece when the client has taken others, and others were served."""
    if status in BODILESS:
        pieces = ()
    else:
        headers = [*headers, (b"content-length", b"%d" % sum(map(len, pieces)))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    for piece in pieces[:-1]:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": pieces[-1] if pieces else b""})
