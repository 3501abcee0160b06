# SPDX-License-Identifier: EUPL-1.2
"""ASGI to Call and back: heads, and bodies under limits. Decides nothing about rights."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, MutableMapping
from functools import partial
from hashlib import sha256
from time import perf_counter_ns
from typing import Any, Final

from vault.framework import schema
from vault.framework.call import Call, Destination, Login
from vault.framework.clock import Clock, Entropy, Ids
from vault.framework.concurrency.offload import client_of
from vault.framework.errors import (
    Busy,
    Internal,
    Malformed,
    Sealed,
    Unauthenticated,
    UnsupportedOperation,
    VaultError,
    forget_frames,
)
from vault.framework.limits import USUAL_LIMITS
from vault.framework.path import Redirect, canonical
from vault.framework.reply import Reply
from vault.framework.request.accept import accept_lines
from vault.framework.request.conditions import conditions_of
from vault.framework.request.head import Head, Options
from vault.framework.request.idempotency import key_lines
from vault.framework.request.operation import Operation
from vault.framework.secret import Secret
from vault.repeated.head_cache import BODIED, HEAD, Cut, FormHead, HeadCache, KnownHead, Outlet
from vault.repeated.plan import Plan
from vault.repeated.plans import Key, Plans
from vault.values.times import Seconds
from vault.wire import inline_auth
from vault.wire.answers import (
    BODILESS,
    LARGEST_AT_ONCE,
    RESPOND,
    USUAL,
    Answer,
    Scope,
    Send,
    answer_behind,
    answer_in_pieces,
    answer_of,
    answer_redirect,
    leave,
    refuse,
    reply_with,
    usual_headers,
    with_own,
)
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

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
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
        self,
        head: bytes,
        client: tuple[str, int],
        outlet: Outlet,
        body: bytes | None,
        cut: Cut | None = None,
    ) -> Coroutine[Any, Any, None] | None:
        """See `Again`."""
        known: KnownHead | None
        if cut is not None:
            known = self._heads.find_form(cut, head)
        elif body is None:
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
        trace = first.get(b"traceparent", b"")
        call.head = Head(method=scope["method"], headers=scope["headers"], echo=echo, trace=trace)
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
                known.fill(call, scope["client"], scope[_BODY])
                plan: Plan | None = known.plan or self._plan_of(known, call)
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
            await answer_redirect(redirect, scope, send)
        except VaultError as error:
            lane.note_refusal(call, scope, error, begun=began > 0)
            await refuse(call, error, scope, send)
        except asyncio.CancelledError as ended:
            await refuse(call, await lane.late(call, ended), scope, send)
        except Exception as error:  # noqa: BLE001 -- the last boundary: no request may end the process (SL-75)
            defect = Internal(detail=type(error).__name__)
            forget_frames(error)
            if not began:
                lane.tell_of(call, scope, defect)
            await refuse(call, defect, scope, send)
        else:
            if reply is not None and (reply.stream is not None or reply.pieces is not None):
                await _answer_in_parts(call, reply, scope, receive, send)
                return
            answer = answer or answer_of(
                call, reply
            )  # 4. The answer, which leaves at once or with its record.
            if known is None and call.key is not None:
                (self._heads.learn_write if call.body else self._heads.learn_form)(scope, call)
            batch = call.record.batch
            if batch is None:
                await reply_with(call, answer, scope, send)
            elif outlet is not None and _leaves_at_once(answer):
                outlet.wait(batch)
                batch.then(partial(leave, call, outlet, answer))
            else:
                await answer_behind(call, answer, scope, send)

    async def _answer_apart(self, call: Call, reply: Reply[object]) -> Answer:
        """Return a long answer, encoded off the event loop once it is recorded. Raises its refusal.

        A full queue refuses only calls without effect, and that refusal is recorded.
        """
        if reply.raw is not None:
            return answer_of(call, reply)
        call.record.flush()
        owed = call.spent or call.bound.route.access.writes
        try:
            return await self._lane.pool.run(client_of(call), partial(answer_of, call, reply), owed=owed)
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
            accept=accept_lines(first, headers),
            content_type=first.get(b"content-type", b""),
            echo=first.get(b"x-vault-namespace", b"").strip(),
            trace=first.get(b"traceparent", b"") if unusual else b"",
            limits=self._lane.json_limits if method in BODIED else USUAL_LIMITS,
            conditions=conditions_of(first, headers) if unusual else None,
            idempotency_key=key_lines(first, headers) if unusual else b"",
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

    def _plan_of(self, known: KnownHead, call: Call) -> Plan | None:
        """Return the plan of a read whose head was known but for the token: it is kept with the whole head from now on."""
        if not isinstance(known, FormHead) or call.key is None:
            return None
        plan = self._plans.recall(call, call.key)
        if plan is not None:
            self._heads.learn_of(known, call, plan)
        return plan

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


async def _answer_in_parts(
    call: Call, reply: Reply[object], scope: Scope, receive: Receive, send: Send
) -> None:
    """Send an answer that is not one whole."""
    if reply.stream is None:
        await answer_in_pieces(call, reply, scope, send)
    else:
        await stream(reply.stream, with_own(call, usual_headers(call)), reply.headers or {}, receive, send)


def _leaves_at_once(answer: Answer) -> bool:
    """Whether an answer may leave with its record, without its request going on."""
    return answer[2] is USUAL and answer[0] not in BODILESS and len(answer[1]) <= LARGEST_AT_ONCE
