# SPDX-License-Identifier: EUPL-1.2
"""The head cache: a request that repeats byte for byte is not parsed again, because a digest finds its parsed head.

A client sends the same head whenever it reads the same secret. Equal bytes mean the same request, so nothing is
decided here: the plan beside the head says how long it is valid, and the pipeline records, runs and fences each call.

Of a write the head alone is known, for its body is another one each time. It has no plan: it goes through every stage.
So does a read that came before with another token: of that the head is known without the token.
"""

from __future__ import annotations

import re
from collections.abc import Coroutine, MutableMapping
from hashlib import sha256
from typing import Any, Final, NamedTuple, Protocol

from msgspec.structs import replace

from vault.cache.follow import BoundedCache
from vault.framework.call import Call, Destination, Identity
from vault.framework.request.head import NO_OPTIONS, NO_PROOFS, Head
from vault.framework.request.operation import Operation
from vault.framework.request.record import RecordBatch
from vault.framework.secret import Secret
from vault.repeated.plan import Plan
from vault.repeated.plans import Plans
from vault.values.times import Millis

HEAD: Final = "coffre.head"
"""Key of the ASGI scope: for a request that arrived in one piece, its `Came`; None for any other."""
_KEPT: Final = 4096
"""Heads in the cache."""
_WRITES: Final = 1024
"""Heads of writes in the cache."""
_TOKEN: Final = b"x-vault-token"
_TOKEN_LINE: Final = re.compile(rb"\r\n[Xx]-[Vv]ault-[Tt]oken: ([A-Za-z0-9_=-]{200,})\r\n")
"""Of a token that is as long as one which a holder has narrowed."""
_FRAMING: Final = frozenset({b"transfer-encoding", b"expect", b"upgrade"})
"""Headers of requests that are not cached: their framing or answer depends on more than head and body length."""


BODIED: Final = frozenset({"POST", "PUT", "PATCH"})
"""Methods of requests with a body."""
_KNOWN: Final = frozenset({"POST", "PUT"})
"""Methods of writes whose heads are cached."""


class Cut(NamedTuple):
    """A request without its token: the digest of what is left, and the token."""

    rest: bytes
    token: str


def cut_token(request: bytes) -> Cut | None:
    """Cut the token out of a request, where it is a long one that is spelled plainly; else None.

    It is between the colon and the end of one line: what has the same rest is, but for the token, parsed alike.
    """
    found = _TOKEN_LINE.search(request)
    if found is None:
        return None
    begin, end = found.span(1)
    return Cut(sha256(request[:begin] + request[end:]).digest(), found[1].decode("ascii"))


class Came(NamedTuple):
    """What arrived in one piece: the digest of it, or of its head alone if it is not `whole`; how much follows the head."""

    digest: bytes
    behind: int
    whole: bool
    cut: Cut | None = None
    """The same with the token cut out, where it may come with others."""


class Outlet(Protocol):
    """The way back to a client."""

    def respond(self, status: int, head: bytes, body: bytes, /) -> bool:
        """Send a whole answer; `head` holds finished header lines. False where ASGI's messages must do it."""
        ...

    def send(self, message: Any, /) -> Coroutine[Any, Any, None]:  # noqa: ANN401 - ASGI's own type
        """Send one of ASGI's messages."""
        ...

    def wait(self, batch: RecordBatch, /) -> None:
        """The answer comes once this batch is written."""
        ...

    def close(self) -> None:
        """End the connection without an answer."""
        ...


class Again(Protocol):
    """Serves a request that came before."""

    def __call__(
        self,
        head: bytes,
        client: tuple[str, int],
        outlet: Outlet,
        body: bytes | None,
        cut: Cut | None = None,
        /,
    ) -> Coroutine[Any, Any, None] | None:
        """Serve a request by the digest of its bytes, its client and the way back; None where it has to be parsed.

        With a body the digest is that of its head alone. A `cut` request came before with another token.
        """
        ...


class CachedHead:
    """A parsed head with its plan."""

    __slots__ = ("body", "head", "plan")

    def __init__(self, plan: Plan, call: Call) -> None:
        self.plan: Final = plan
        self.head: Final = call.head
        self.body: Final = call.body

    def fill(self, call: Call, client: tuple[str, int], body: bytes | None) -> None:
        """Fill a call as parsing and planning would; its body is the one that came before."""
        del body
        call.client_address, call.client_port = client
        call.head = self.head
        call.token = self.plan.identity.token
        call.body = self.body  # it is decoded again if the call starts over
        self.plan.fill(call)


class WriteHead:
    """The parsed head of a write. It says nothing of what is allowed: `era` and caller are how long it is kept."""

    __slots__ = ("behind", "destination", "era", "head", "identity", "token")

    plan: Final = None

    def __init__(self, call: Call, behind: int, era: object) -> None:
        """`behind` is how many bytes follow the head."""
        self.behind: Final = behind
        self.era: Final = era
        self.head: Final = call.head
        self.token: Final = call.token
        self.identity: Final[Identity | None] = call.identity
        self.destination: Final = Destination(path=call.destination.full)

    def fill(self, call: Call, client: tuple[str, int], body: bytes | None) -> None:
        """Fill a call as parsing would."""
        call.client_address, call.client_port = client
        call.head, call.token = self.head, self.token
        call.operation, call.destination = Operation.UPDATE, self.destination
        call.body = body or b""


class ReadForm:
    """The parsed head of a read without its token: that is another one each time, where clients narrow for each request.

    It says nothing of what is allowed, and whoever sends it is asked everything. It is kept as long as an `era`.
    """

    __slots__ = ("_after", "_before", "_head", "destination", "era", "target")

    def __init__(self, call: Call, target: bytes, era: object) -> None:
        """The head has one token. `target` is as it came."""
        self.era: Final = era
        headers = call.head.headers
        place = [name for name, _ in headers].index(_TOKEN)
        self._before, self._after = headers[:place], headers[place + 1 :]
        self._head = replace(call.head, headers=())
        self.target: Final = target
        self.destination: Final = Destination(path=call.destination.full)

    def head(self, token: bytes) -> Head:
        """Return the head with a token."""
        return replace(self._head, headers=[*self._before, (_TOKEN, token), *self._after])


class FormHead:
    """The head of one request of a known form."""

    __slots__ = ("_cut", "_form", "whole")

    plan: Final = None

    def __init__(self, form: ReadForm, cut: Cut, whole: bytes) -> None:
        """`whole` is the digest of the request with its token."""
        self._form = form
        self._cut = cut
        self.whole: Final = whole

    def fill(self, call: Call, client: tuple[str, int], body: bytes | None) -> None:
        """Fill a call as parsing would."""
        del body
        form, token = self._form, self._cut.token.encode()
        call.client_address, call.client_port = client
        call.head, call.token = form.head(token), Secret(self._cut.token)
        call.operation, call.destination = Operation.READ, form.destination
        call.key = (sha256(token).digest(), form.target, client[0])


KnownHead = CachedHead | WriteHead | FormHead


class HeadCache:
    """The cached heads of one listener."""

    def __init__(self, plans: Plans) -> None:
        self._plans = plans
        self._kept: BoundedCache[tuple[bytes, str], CachedHead] = BoundedCache(_KEPT)
        self._writes: BoundedCache[bytes, WriteHead] = BoundedCache(_WRITES)
        self._forms: BoundedCache[bytes, ReadForm] = BoundedCache(_WRITES)
        plans.accompany(self._tidy)

    def find(self, head: bytes, client: str, now: Millis) -> CachedHead | None:
        """Return the cached head of a request by the digest of its bytes; None when its plan is no longer true."""
        known = self._kept.get((head, client))
        return known if known is not None and self._plans.holds(known.plan, now) else None

    def find_write(self, head: bytes, body: bytes) -> WriteHead | None:
        """Return the cached head of a write by its digest; None where the body is not as long as it says."""
        known = self._writes.get(head)
        return known if known is not None and known.behind == len(body) and self._lasts(known) else None

    def find_form(self, cut: Cut, whole: bytes) -> FormHead | None:
        """Return the head of a read by what is left of it without its token; `whole` is the digest with it."""
        form = self._forms.get(cut.rest)
        return FormHead(form, cut, whole) if form is not None and form.era is self._plans.era else None

    def _lasts(self, known: WriteHead) -> bool:
        return known.era is self._plans.era and (known.identity is None or known.identity.held)

    def _tidy(self, now: Millis) -> None:
        self._kept.discard(lambda known: not self._plans.holds(known.plan, now))
        self._writes.discard(lambda known: not self._lasts(known))
        self._forms.discard(lambda form: form.era is not self._plans.era)

    def learn(self, scope: MutableMapping[str, Any], call: Call, plan: Plan) -> None:
        """Cache the head of a call and its plan, if the bytes are exactly one request."""
        came: Came | None = scope.get(HEAD)
        if came is not None and came.whole and _is_one_request(scope, call, came.behind):
            self._kept.put((came.digest, call.client_address), CachedHead(plan, call))

    def learn_of(self, known: FormHead, call: Call, plan: Plan) -> None:
        """Cache the head of a call of a known form, and its plan."""
        self._kept.put((known.whole, call.client_address), CachedHead(plan, call))

    def learn_form(self, scope: MutableMapping[str, Any], call: Call) -> None:
        """Cache the form of a read that was answered, whose head says all in path and token: others have other tokens."""
        came: Came | None = scope.get(HEAD)
        if (
            came is None
            or came.cut is None
            or call.identity is None
            or call.identity.kind != "biscuit"
            or call.operation is not Operation.READ
            or call.head.method != "GET"
            or call.options is not NO_OPTIONS
            or call.login is not None
            or not _says_all(scope, call)
            or not _is_one_request(scope, call, came.behind)
        ):
            return
        tokens = [value for name, value in call.head.headers if name == _TOKEN]
        if tokens == [came.cut.token.encode()]:
            self._forms.put(came.cut.rest, ReadForm(call, scope["raw_path"], self._plans.era))

    def learn_write(self, scope: MutableMapping[str, Any], call: Call) -> None:
        """Cache the head of a write that was carried out and whose head says all in path and token, from its target's second time on."""
        identity = call.identity
        steady = (
            not call.token
            if identity is None
            else identity.held
            and identity.kind == "service"
            and identity.narrowing is None
            and not identity.uses
        )
        if (
            call.key is None
            or not steady
            or not call.bound.route.access.contained
            or call.head.method not in _KNOWN
            or not _says_all(scope, call)
        ):
            return
        came: Came | None = scope.get(HEAD)
        first = not self._plans.met_write(call.key[1])
        if not first and came is not None and not came.whole and _is_one_request(scope, call, came.behind):
            self._writes.put(came.digest, WriteHead(call, came.behind, self._plans.era))


def _says_all(scope: MutableMapping[str, Any], call: Call) -> bool:
    """Whether path and token say all: with a certificate, a condition, an idempotency key, or in another spelling of the path,
    each request is parsed.
    """
    return (
        call.proofs is NO_PROOFS
        and call.head.conditions is None
        and not call.head.idempotency_key
        and bool(scope["raw_path"][4:] == call.destination.full.encode())
    )


def _is_one_request(scope: MutableMapping[str, Any], call: Call, behind: int) -> bool:
    """Whether a head with so many bytes behind it is exactly one request, after which the connection stays."""
    if scope["http_version"] != "1.1":
        return False
    lengths = []
    for name, value in call.head.headers:
        if name in _FRAMING or (name == b"connection" and value.lower() != b"keep-alive"):
            return False
        if name == b"content-length":
            lengths.append(value)
    return lengths == ([b"%d" % behind] if call.head.method in BODIED else []) and len(call.body) == behind
