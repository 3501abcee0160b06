# SPDX-License-Identifier: EUPL-1.2
"""ASGI to Call and back: heads, bodies under limits, headers of every answer. Decides nothing about rights."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, MutableMapping
from functools import partial
from hashlib import sha256
from html import escape
from time import perf_counter_ns
from typing import Any, Final

from vault.framework import schema
from vault.framework.call import Call, Destination, Login
from vault.framework.clock import Clock, Entropy, Ids
from vault.framework.concurrency.offload import client_of
from vault.framework.errors import (
    Busy,
    Internal,
    Limited,
    Malformed,
    NotFound,
    Sealed,
    Unauthenticated,
    UnsupportedOperation,
    UnsupportedPath,
    VaultError,
)
from vault.framework.limits import USUAL_LIMITS
from vault.framework.path import NotATarget, Redirect, Unprintable, canonical
from vault.framework.reply import Reply
from vault.framework.request.head import Head, Options
from vault.framework.request.operation import Operation
from vault.framework.secret import Secret
from vault.repeated.head_cache import BODIED, HEAD, HeadCache, KnownHead, Outlet
from vault.repeated.plan import Plan
from vault.repeated.plans import Key, Plans
from vault.values.times import Seconds
from vault.wire import inline_auth, native, v1
from vault.wire.early import METHODS
from vault.wire.in_flight import ListenerRequests
from vault.wire.options import (
    ANYWHERE,
    ROOT_ONLY,
    check_consistency,
    check_merge_patch,
    listing,
    only_readable,
    within,
    wrap_ttl,
)
from vault.wire.proofs import prove
from vault.wire.stream import stream, until_left

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]
Answer = tuple[int, bytes, Headers]
"""Status, body, headers."""

NO_STORE: Final = (b"cache-control", b"no-store")
TRANSPORT: Final = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")
_COMMON: Final = [NO_STORE, (b"content-type", b"application/json"), TRANSPORT]
_PROBLEM: Final = [NO_STORE, (b"content-type", b"application/problem+json"), TRANSPORT]


def _lines(headers: Headers) -> bytes:
    return b"".join([b"%b: %b\r\n" % header for header in headers])


_COMMON_HEAD: Final = _lines(_COMMON)
RESPOND: Final = "coffre.respond"
"""Key of the ASGI scope: `(status, header lines, body) -> bool`, which sends a whole answer or declines."""
_BODY: Final = "coffre.body"
"""Key of the scope of a write whose head is known: its body."""
_LISTS: Final = frozenset({Operation.LIST, Operation.SCAN})
_USUAL: Final = frozenset(
    {
        *(b"x-vault-token", b"x-vault-request", b"host", b"user-agent", b"accept", b"accept-encoding"),
        *(b"content-type", b"content-length", b"transfer-encoding", b"connection"),
    }
)
"""Headers that ask for nothing here but what every request has."""
_UNKNOWN: Final = 600
"""A status from here on belongs to no class; answers of OpenBao then lack the transport header."""
_TOO_LARGE: Final = 413
"""OpenBao's HTTP layer refuses a body over the limit, and sets no header but the type."""
_BARE: Final[Mapping[type[VaultError], Answer]] = {
    Unprintable: (400, b"", []),
    NotATarget: (400, b"400 Bad Request", [(b"content-type", b"text/plain; charset=utf-8")]),
}
"""The answers to paths that are none."""
_BODILESS: Final = frozenset({204, 304})
_NOT_NOW: Final = frozenset({429, 503})
_LONGEST_WAIT: Final = 2
"""Longest `Retry-After` of a refusal, in seconds."""


class Front:
    """The endpoint of everything below `/v1/`."""

    def __init__(
        self,
        lane: ListenerRequests,
        plans: Plans,
        clock: Clock,
        entropy: Entropy,
        *,
        fixed: Mapping[str, Collection[Operation]],
        sealed: Callable[[], bool],
    ) -> None:
        """`fixed` names the paths that the listener serves itself, with their verbs; any other verb is a 405."""
        self._fixed = fixed
        self._sealed = sealed
        self._lane = lane
        self._plans = plans
        self._heads = HeadCache(plans)
        self.asked: Final = plans.asked
        self._handle = lane.handle
        self._clock = clock
        self._ids = Ids(entropy)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        """Serve one request. No content of a request can make this raise."""
        return self._serve(scope, receive, send, None, None)

    def again(
        self, head: bytes, client: tuple[str, int], outlet: Outlet, body: bytes | None
    ) -> Coroutine[Any, Any, None] | None:
        """Serve a request from the head cache, by the digest of its bytes; None if it has to be parsed.

        With a body the digest is that of its head alone.
        """
        known: KnownHead | None
        if body is None:
            known = self._heads.find(head, client[0], self._clock.millis())
        else:
            known = self._heads.find_write(head, body)
        if known is None:
            return None
        scope = {"client": client, RESPOND: outlet.respond, _BODY: body}
        return self._serve(scope, _nothing, outlet.send, known, outlet)

    def turn_away(self, scope: Mapping[str, Any], error: VaultError) -> None:
        """Record a request that is refused before it comes here."""
        first = dict(reversed(scope["headers"]))
        call = Call()
        call.id, call.now = self._ids.next(), self._clock.millis()
        call.client_address, call.client_port = scope.get("client") or ("", 0)
        call.token = Secret(first.get(b"x-vault-token", b"").strip().decode("latin-1"))
        echo = first.get(b"x-vault-namespace", b"").strip()
        call.head = Head(method=scope["method"], headers=scope["headers"], echo=echo)
        self._lane.tell_of(call, scope, error)

    async def _serve(
        self, scope: Scope, receive: Receive, send: Send, known: KnownHead | None, outlet: Outlet | None
    ) -> None:
        lane = self._lane
        call = Call()  # 1. What is asked for, by a head that is known or is read now.
        call.id, call.now = self._ids.next(), self._clock.millis()
        began = 0  # until the pipeline has it
        try:
            if known is not None:
                plan: Plan | None = known.plan
                known.fill(call, scope["client"], scope[_BODY])
            else:
                plan = self._head(call, scope)
                if call.head.method in BODIED:
                    shown = bool(call.token) or call.login is not None
                    call.body = await lane.bodies.read(receive, call.client_address, shown=shown)
                    if call.key is not None and call.key[0]:
                        plan = self._recall(call, scope, call.key)
                elif scope["query_string"]:
                    call.left = partial(until_left, receive)
            lane.running[call] = began = perf_counter_ns()
            try:
                if call.login is not None:
                    await self._log_in(call)
                reply = await self._handle(call, plan)  # 2. The pipeline.
                answer = await self._answer_apart(call, reply) if reply is not None and reply.long else None
            finally:
                del lane.running[call]
                times = lane.times.get((call.destination.mount.path, call.operation))
                (lane.new_times(call) if times is None else times).append(perf_counter_ns() - began)
        except Redirect as redirect:  # 3. A refusal, in its form.
            await _redirect(redirect, scope, send)
        except VaultError as error:
            if not began:
                lane.refuse_early(call, scope, error)
            await _refuse(call, error, scope, send)
        except asyncio.CancelledError as ended:
            await _refuse(call, await lane.late(call, ended), scope, send)
        except Exception as error:  # noqa: BLE001 -- the last boundary: no request may end the process (SL-75)
            defect = Internal(detail=type(error).__name__)
            if not began:
                lane.tell_of(call, scope, defect)
            await _refuse(call, defect, scope, send)
        else:
            if reply is not None and reply.stream is not None:
                await stream(reply.stream, _receipted(call, _common(call)), receive, send)
                return
            answer = answer or _answer(call, reply)  # 4. The answer, which leaves at once or with its record.
            if known is None and call.key is not None and call.body:
                self._heads.learn_write(scope, call)
            batch = call.record.batch
            if batch is None:
                await _reply(call, answer, scope, send)
            elif outlet is not None and answer[2] is _COMMON and answer[0] not in _BODILESS:
                outlet.wait(batch)
                batch.then(partial(_leave, call, outlet, answer))
            else:
                await _behind(call, answer, scope, send)

    async def _answer_apart(self, call: Call, reply: Reply[object]) -> Answer:
        """Return a long answer, encoded off the event loop once it is recorded. Raises its refusal.

        A full queue refuses only calls without effect, and that refusal is recorded.
        """
        if reply.raw is not None:
            return _answer(call, reply)
        call.record.flush()
        owed = call.spent or call.bound.route.access.writes
        try:
            return await self._lane.pool.run(client_of(call), partial(_answer, call, reply), owed=owed)
        except Busy as crowded:
            await self._lane.refuse(call, crowded)
            raise

    def _head(self, call: Call, scope: Scope) -> Plan | None:
        """Read a head; return the plan that stands for the rest of it, if there is one."""
        call.client_address, call.client_port = scope.get("client") or ("", 0)
        method, headers = scope["method"], scope["headers"]
        first = dict(reversed(headers))  # the first of a repeated header counts
        unusual = first.keys() - _USUAL
        special = [name for name in first if name in unusual and name[:8] == b"x-vault-"] if unusual else ()
        call.token = Secret(first.get(b"x-vault-token", b"").strip().decode("latin-1"))
        call.head = Head(
            method=method,
            headers=headers,
            accept=first.get(b"accept", b""),
            content_type=first.get(b"content-type", b""),
            echo=first.get(b"x-vault-namespace", b"").strip(),
            limits=self._lane.json_limits if method in BODIED else USUAL_LIMITS,
        )
        if not (special or scope["query_string"] or b"dpop" in first or b"authorization" in first):
            came = scope.get(HEAD)
            if method in BODIED:
                target: bytes = b"%b %b" % (method.encode(), scope["raw_path"])
                whole = b"" if came is None or not came.whole else came.digest
                call.key = (whole, target, call.client_address)
            elif method == "GET" and call.token:
                digest = sha256(call.token.reveal().encode()).digest()
                plan = self._plans.recall(call, (digest, scope["raw_path"], call.client_address))
                if plan is not None:
                    self._heads.learn(scope, call, plan)
                    return plan
        self._unplanned_head(call, scope, first, special)
        return None

    def _unplanned_head(
        self, call: Call, scope: Scope, first: Mapping[bytes, bytes], special: Collection[bytes]
    ) -> None:
        """Read a head that no plan stands for; `special` are its headers of OpenBao's but for the token."""
        for name in special:
            check_consistency(name, first[name])
        readable = b"x-vault-list-filter" in first and only_readable(first[b"x-vault-list-filter"])
        prove(call, scope, first)
        path = canonical(scope["raw_path"][4:])
        if path == "sys" and not schema.decode_query(scope["query_string"]).get("help"):
            raise Redirect("/v1/sys/")
        if b"x-vault-namespace" in first:
            self._namespace(call, path)
        self._operation(call, path, scope)
        if call.operation in _LISTS and not path.endswith("/"):
            path += "/"
        offered = path in self._fixed
        wrap = b"" if offered else first.get(b"x-vault-wrap-ttl", b"")
        if wrap or readable or offered:
            call.options = Options(
                wrap_ttl=wrap_ttl(wrap) if wrap else Seconds(0),
                wrap_asked=bool(wrap),
                wrap_format=first.get(b"x-vault-wrap-format", b"").decode("latin-1"),
                readable=readable,
                offered=offered,
            )
        if special and not offered and any(name[:20] == inline_auth.PREFIX for name in special):
            call.login = Login() if inline_auth.in_use(call.head.headers) else None
        call.destination = Destination(path=call.within + path)

    def _recall(self, call: Call, scope: Scope, key: Key) -> Plan | None:
        """Return the plan of a request with a body, if its key covers the whole request."""
        chunked = any(name == b"transfer-encoding" for name, _ in call.head.headers)
        if chunked or len(call.body) != scope[HEAD].behind:
            call.key = None
            return None
        plan = self._plans.recall(call, key)
        if plan is not None:
            self._heads.learn(scope, call, plan)
        return plan

    async def _log_in(self, call: Call) -> None:
        """Carry out the login of a request with inline authentication. Raises its refusal."""
        try:
            login = inline_auth.login_of(call, self._ids.next(), self._fixed)
            await self._handle(login)
            call.login = login.login
            if call.login is None or call.login.identity is None:
                raise Unauthenticated
        except VaultError as error:
            known = inline_auth.refusal(error)
            call.login = None
            self._lane.tell(call, known)
            if inline_auth.is_login_refusal(known):
                call.admission = [inline_auth.FAILED]
            raise known from error

    def _namespace(self, call: Call, path: str) -> None:
        """Put the namespace of the header in front of the path: from here on both are one path."""
        value = call.head.echo
        if path in self._fixed:
            if path not in ANYWHERE and value:
                raise Malformed("operation unavailable in namespaces")
            return
        call.within = within(value)
        if call.within and path in ROOT_ONLY:
            raise Malformed("operation unavailable in namespaces")

    def _refuse_method(self, call: Call) -> None:
        if call.head.method != "OPTIONS":
            raise UnsupportedOperation("")
        raise Sealed if self._sealed() else Malformed("cannot handle internal-only request operation")

    def _operation(self, call: Call, path: str, scope: Scope) -> None:
        method = call.head.method
        operation = METHODS.get(method)
        taken = self._fixed.get(path)
        if taken is not None:
            call.key = None
            if method == "HEAD" and path == "sys/health":
                operation = Operation.READ
            if operation not in taken and not _asks_for_help(call, scope):
                raise UnsupportedOperation("")
        if operation is None:
            self._refuse_method(call)
            operation = Operation.READ
        call.operation = operation
        if method in BODIED:
            if path.endswith("/"):
                raise Malformed("cannot write to a path ending in '/'")
            if operation is Operation.PATCH:
                check_merge_patch(call.head.content_type)
            return
        query = scope["query_string"]
        if query:
            data = schema.decode_query(query)
            if operation is Operation.READ and method == "GET":
                listing(call, data)
            call.data = data


def _asks_for_help(call: Call, scope: Scope) -> bool:
    """Whether a read asks for help on a path, even a path that has no read."""
    query = scope["query_string"]
    return call.head.method == "GET" and b"help" in query and bool(schema.decode_query(query).get("help"))


async def _nothing() -> MutableMapping[str, Any]:
    return {"type": "http.request", "body": b""}


def _common(call: Call) -> Headers:
    if not call.head.echo and not call.admission:
        return _COMMON
    echo = [(b"x-vault-namespace", call.head.echo)] if call.head.echo else []
    return [*_COMMON, *echo, *call.admission]


def _ask_to_come_again(call: Call, status: int, seconds: Seconds) -> None:
    """Set `Retry-After` on every answer that means "not now" (RFC 9110, section 10.2.3).

    The value of a rate limit quota stands. Otherwise it is no more than stock clients wait by themselves, because those
    that read the header sleep for that long.
    """
    if status in _NOT_NOW and not any(name == b"retry-after" for name, _ in call.admission):
        shown = min(max(seconds, 1), _LONGEST_WAIT)
        call.admission = [*call.admission, (b"retry-after", b"%d" % shown)]


def _answer(call: Call, reply: Reply[object] | None) -> Answer:
    """Return status, body and headers of an answer; the usual headers are `_COMMON` itself."""
    if reply is not None and reply.status in _NOT_NOW:
        _ask_to_come_again(call, reply.status, Seconds(1))
    common = _common(call)
    if reply is None:
        return 204, b"", common
    if reply.raw is not None:
        own = {name.encode(): value.encode() for name, value in (reply.headers or {}).items()}
        usual = [header for header in (_COMMON[0], *common[2:]) if header[0] not in own]
        headers = [*usual, (b"content-type", reply.content_type.encode()), *own.items()]
        return reply.status or 200, reply.raw, headers
    if reply.embed and call.namespace.path != call.within:
        reply.embed = False  # as OpenBao, whose old clients know no namespaces in paths
    body = b"" if call.head.method == "HEAD" else v1.reply_body(reply, call.id)
    if reply.headers:
        common = [*common, *((name.encode(), value.encode()) for name, value in reply.headers.items())]
    elif reply.status >= _UNKNOWN:
        common = common[:2]
    return reply.status or 200, body, common


def _leave(call: Call, outlet: Outlet, answer: Answer, failure: VaultError | None) -> None:
    """Send an answer with the usual headers, or its refusal; close a connection that cannot be answered."""
    left = False
    try:
        if failure is not None:
            call.record.receipt = b""  # it names a record that is not there
        status, body, headers = answer if failure is None else _refusal(call, failure)
        head = _common_head(call) if headers is _COMMON else _lines(_receipted(call, headers))
        left = outlet.respond(status, head, body)
    finally:
        if not left:
            outlet.close()


async def _behind(call: Call, answer: Answer, scope: Scope, send: Send) -> None:
    """Write the waiting audit lines now, then answer."""
    failure = None if call.record.batch is None else call.record.batch.flush()
    if failure is not None:
        call.record.receipt = b""  # it names a record that is not there
        await _refuse(call, failure, scope, send)
    else:
        await _reply(call, answer, scope, send)


def _refusal(call: Call, error: VaultError) -> Answer:
    """Return the answer for a refusal, in the requested form, which one that OpenBao's HTTP layer refuses has not."""
    if type(error) in _BARE:
        return _BARE[type(error)]
    status = v1.STATUS[type(error)]
    _ask_to_come_again(call, status, error.retry_after if isinstance(error, Busy | Limited) else Seconds(1))
    if b"application/problem+json" in call.head.accept:
        return status, native.problem(call, error, status), [*_PROBLEM, *call.admission]
    nothing = isinstance(error, NotFound) and not error.message
    if nothing and call.options.wrap_ttl and call.operation is Operation.LIST:
        error = UnsupportedPath(chained=False)  # OpenBao's words where an answer was to be wrapped
    body = b"" if call.head.method == "HEAD" else v1.error_body(error)
    return status, body, [_COMMON[1]] if status == _TOO_LARGE else _common(call)


async def _refuse(call: Call, error: VaultError, scope: Scope, send: Send) -> None:
    await _reply(call, _refusal(call, error), scope, send)


async def _redirect(redirect: Redirect, scope: Scope, send: Send) -> None:
    location = redirect.location.encode("latin-1")
    if scope["query_string"]:
        location += b"?" + scope["query_string"]
    headers = [_COMMON[0], _COMMON[2], (b"location", location)]
    body = b""
    if scope["method"] in {"GET", "HEAD"}:
        headers.append((b"content-type", b"text/html; charset=utf-8"))
    if scope["method"] == "GET":
        body = f'<a href="{escape(location.decode("latin-1"))}">Temporary Redirect</a>.\n\n'.encode("latin-1")
    await _send(send, 307, body, headers)


def _common_head(call: Call) -> bytes:
    """Return the usual header lines, with the receipt."""
    receipt = call.record.receipt
    return b"%blog-receipt: %b\r\n" % (_COMMON_HEAD, receipt) if receipt else _COMMON_HEAD


def _receipted(call: Call, headers: Headers) -> Headers:
    """Return headers with the receipt: where the outcome is in the log, for who wants a proof of it."""
    receipt = call.record.receipt
    return [*headers, (b"log-receipt", receipt)] if receipt else headers


async def _reply(call: Call, answer: Answer, scope: Scope, send: Send) -> None:
    """Send an answer directly through the connection if that can, else by ASGI."""
    status, body, headers = answer
    if headers is _COMMON and status not in _BODILESS:
        respond = scope.get(RESPOND)
        if respond is not None and respond(status, _common_head(call), body):
            return
    await _send(send, status, body, _receipted(call, headers))


async def _send(send: Send, status: int, body: bytes, headers: Headers) -> None:
    """Send a whole answer by ASGI messages."""
    if status in _BODILESS:
        body = b""
    else:
        headers = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
