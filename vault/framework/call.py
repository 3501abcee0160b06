# SPDX-License-Identifier: EUPL-1.2
"""The values that travel through the pipeline: Call, Identity, Reply."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import msgspec

from vault.framework.errors import Reason, Unauthenticated
from vault.framework.fields import Json
from vault.framework.identity import EntityState, IdentityFacts
from vault.framework.reply import Reply
from vault.framework.request.head import NO_HEAD, NO_OPTIONS, NO_PROOFS, Head, Options, Proofs
from vault.framework.request.operation import Operation
from vault.framework.request.record import CallRecord
from vault.framework.route import Route
from vault.framework.secret import Secret
from vault.values.ids import (
    NO_MOUNT,
    NO_TOKEN_KEY,
    NOBODY,
    ROOT_ID,
    EntityId,
    MountAccessor,
    MountId,
    NamespaceId,
    TokenAccessor,
    TokenKey,
)
from vault.values.times import Millis, Nanos, Seconds

if TYPE_CHECKING:
    from vault.barrier.view import ReadView, View

T = TypeVar("T", covariant=True)


class Namespace(msgspec.Struct, frozen=True):
    """A tenant. `path` is empty for the root namespace, else it ends in `/`."""

    id: NamespaceId
    path: str

    def holds(self, other: Namespace) -> bool:
        """Whether `other` is this namespace or one below it."""
        return other.path.startswith(self.path)


ROOT = Namespace(ROOT_ID, "")


class MountFacts(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """What the pipeline needs to know of a mount; see `vault.mount` for the whole entry.

    `path` ends in `/`, and begins with `auth/` for an auth mount, whose tokens depend on `logins`. TTLs: seconds, 0 for default.
    """

    uuid: MountId
    path: str
    kind: str
    accessor: MountAccessor
    category: str
    options: Mapping[str, str]
    default_ttl: Seconds
    max_ttl: Seconds
    clear_request_keys: frozenset[str] = frozenset()
    clear_response_keys: frozenset[str] = frozenset()
    passthrough_headers: frozenset[str] = frozenset()
    response_headers: frozenset[str] = frozenset()
    logins: str = ""


NOWHERE = MountFacts(
    uuid=NO_MOUNT,
    path="",
    kind="",
    accessor=MountAccessor(""),
    category="",
    options={},
    default_ttl=Seconds(0),
    max_ttl=Seconds(0),
)
"""Stands for the mount of a path that has none."""


class Destination(msgspec.Struct, frozen=True, eq=False):
    """Where a call leads, as resolve found it; before that, all of the path stands below the root namespace.

    Calls with the same path share one, so nothing in it is of a single request.
    """

    namespace: Namespace = ROOT
    path: str = ""
    """The canonical path below `namespace`; `full` is all of it."""
    mount: MountFacts = NOWHERE
    local: str = ""
    """The part of the path after the mount."""
    prefix: str = ""
    """Where the mount's data lies in storage; empty without a route."""
    captures: Mapping[str, str] = {}

    @property
    def full(self) -> str:
        """The path from the root namespace, which never changes."""
        return self.namespace.path + self.path


class Decision(Protocol):
    """What the ACL said about one call."""

    @property
    def allowed(self) -> bool:
        """Whether the operation may go on."""
        ...

    @property
    def root(self) -> bool:
        """Whether the root policy decided."""
        ...

    @property
    def sudo(self) -> bool:
        """Whether the sudo capability was granted too."""
        ...

    @property
    def pagination_limit(self) -> int | None:
        """The limit that a listing must use, or None to leave the request's own."""
        ...

    @property
    def filter_path(self) -> str:
        """The template that listed keys are filtered by; empty for none."""
        ...

    @property
    def granting(self) -> Sequence[str]:
        """The names of the policies that granted it, for the audit record."""
        ...

    @property
    def rule(self) -> str:
        """The path of the rule that decided, templates filled in; empty where no rule did."""
        ...

    @property
    def policies(self) -> Sequence[str]:
        """The names of the policies that have that rule, whether it granted or refused."""
        ...

    @property
    def reason(self) -> Reason | None:
        """Why it was refused; None where it was allowed."""
        ...


@dataclass(slots=True, eq=False)
class Identity:
    """Who calls: the verified credential behind a request. Compared by identity, cached by the token's digest.

    `expires` is in milliseconds since the epoch, 0 for never. `uses` is what remains, 0 for unlimited.
    `until` is when the first of the credential and its ancestors expires; 0 where that is `expires`.
    """

    token: Secret
    key: TokenKey
    accessor: TokenAccessor
    policies: tuple[str, ...]
    display_name: str = "token"
    metadata: Mapping[str, str] | None = None
    kind: str = "service"
    entity_id: EntityId = NOBODY
    orphan: bool = True
    parent: TokenKey = NO_TOKEN_KEY
    """Of a batch token, the key of the token that it was made with: what it makes ends with that."""
    depth: int = 0
    """How many ancestors it had when it was issued."""
    created: Nanos = Nanos(0)
    expires: Millis = Millis(0)
    until: Millis = Millis(0)
    ttl: Seconds = Seconds(0)
    uses: int = 0
    recheck_at: Millis = Millis(0)
    """When a cache must authenticate it again, so that its use is noticed (ms since the epoch); 0 for never."""
    cache: dict[object, object] = field(default_factory=dict, repr=False)
    """Facts derived from this credential (compiled ACL, encoded audit parts). They are dropped together with it."""
    common: dict[object, object] | None = field(default=None, repr=False)
    """As `cache`, of what is the same for all chains that begin with one block; None for a credential of no such kind."""
    mark: object = field(default_factory=object, repr=False)
    """Identifies this object where a reference would keep it alive."""
    fleeting: bool = False
    """Whether it serves one request only: nothing can end with it, so it can own nothing."""
    held: bool = False
    """Whether a cache has it and drops it as soon as it is no longer true; that cache clears this then."""
    hooks: tuple[TokenKey, ...] = ()
    """Of one that is `held`, the keys of all that it hangs on, its own first: it is true until one of these is not."""
    namespace: Namespace = ROOT
    """The namespace of the credential: its policies come from here, and it can act here and below only."""
    entity: EntityState | None = field(default=None, repr=False)
    """The entity that the credential belongs to, as it was when the credential was looked up; None without one."""
    narrowing: Restriction | None = field(default=None, repr=False)
    """What the credential itself forbids; None for nothing."""
    template_facts: IdentityFacts | None = field(default=None, repr=False)
    """What templates of policies see of a workload, which has no entity; those of an entity are in `entity`."""
    revocation_ids: tuple[str, ...] = ()
    """Of a Biscuit, the id of each of its blocks, the authority's first: what it made ends with any of them."""
    ancestor: str = ""
    """Of a token that was made with a Biscuit, the name under which that is kept; see `vault.token.ancestors`."""

    @property
    def shared(self) -> dict[object, object]:
        """Where facts are kept that rest on neither the token's text nor its accessor."""
        return self.cache if self.common is None else self.common

    @property
    def ends(self) -> Millis:
        """When it may be used no longer, in milliseconds since the epoch; 0 for never."""
        return self.until or self.expires

    @property
    def identity_policies(self) -> tuple[str, ...]:
        """The policies that entity and groups give, sorted; `policies` are the credential's own."""
        return self.entity.policies if self.entity is not None else ()

    @property
    def all_policies(self) -> tuple[str, ...]:
        """Every policy that counts, sorted."""
        given = self.identity_policies
        return tuple(sorted({*self.policies, *given})) if given else self.policies


class Restriction(Protocol):
    """What a credential forbids itself, although its policies would allow it."""

    @property
    def steady(self) -> bool:
        """Whether its verdict on a request stays the same until the credential ends."""
        ...

    def allows(self, call: Call, operation: str, *, path: str) -> bool:
        """Whether `call` may do `operation` on `path`, which is the full path from the root namespace."""
        ...


class Login(msgspec.Struct):
    """A login that is part of one request. Its token is not stored."""

    identity: Identity | None = None
    """Who logged in, once that is known."""


class BoundRoute(msgspec.Struct, frozen=True):
    """A route on a live engine: `invoke` runs the handler; `exists` and `before` are as in `Access`."""

    route: Route
    invoke: Callable[[Call, Any], Awaitable[Reply[object] | msgspec.Struct | None]]
    exists: Callable[[Call], Awaitable[bool]] | None
    before: Callable[[Call, Any], Awaitable[object]] | None = None


_UNKNOWN: Final = Destination()


class _LaterParts:
    """What a call has no value for until its stage fills it in: who reads it before that gets an `AttributeError`."""

    __slots__ = (
        *("id", "now", "client_address", "client_port", "token"),
        *("bound", "operation", "params", "reader", "tx", "core"),
    )

    # The front.
    id: str
    now: Millis
    """Milliseconds since the epoch at arrival: the one 'now' of this request."""
    client_address: str
    client_port: int
    token: Secret
    operation: Operation

    # Resolve.
    bound: BoundRoute
    """The route, or one that refuses where there is none; set once the mount table was asked."""
    reader: ReadView
    """This mount's data; committed data, or the open transaction's in a write."""

    # What the handler works with.
    params: Any
    tx: View
    """The open transaction on this mount; set only while a write handler runs."""
    core: View
    """The open transaction on the namespace's own data; set only while a write handler runs."""


class Call(_LaterParts, msgspec.Struct, eq=False, kw_only=True):
    """One request on its way through the pipeline. Each stage fills in what it found out, and only reads the others'."""

    # The front fills in what came.
    head: Head = NO_HEAD
    options: Options = NO_OPTIONS
    proofs: Proofs = NO_PROOFS
    """What the front read of the head; no later stage changes it."""
    body: bytes = b""
    within: str = ""
    """The namespace that the header names, as the prefix of the path; empty for none."""
    login: Login | None = None
    """For a request with inline authentication, and for its login: the state of that login; None for all others."""
    key: tuple[bytes, bytes, str] | None = None
    """The key under which a plan for calls like this one is cached; see `vault.repeated.plans`. None for none."""

    left: Callable[[], Awaitable[None]] | None = None
    """Returns once the client has left, for a read with a query, which may ask to wait; None for what never waits."""

    # Resolve finds out where it leads.
    destination: Destination = _UNKNOWN
    """Where the call leads. It is replaced as a whole; all other stages only read it."""

    # Admit asks the rate limits.
    admission: Sequence[tuple[bytes, bytes]] = ()
    admitted: bool = False
    """Headers on rate limits or a failed login; whether the rate limits admitted the call."""
    counted: tuple[int, str] | None = None
    """Which of them has counted it, and as whose."""

    # Authenticate finds out who calls, authorise whether they may.
    credential: object = None
    """What the authenticator of the token keeps of it for all attempts: its own business. None until then."""
    spent: bool = False
    """Whether this request already used up one use of a use-limited token."""
    identity: Identity | None = None
    decision: Decision | None = None
    unsettled: bool = False
    """Whether the transaction is to find out if the call creates or updates, as the caller may do either alike."""
    epoch: int = 0
    """The epoch of the facts (tokens, policies, mounts) by which this call was authorised, or a later one at which they
    are true too."""
    in_turn: bool = False
    """Whether the call has its turn to write: who opened another transaction for it would wait for itself."""

    # The handler works with these.
    parsed: dict[str, Json] | None = None
    """The decoded body, None until then; it is decoded once for all attempts whose routes read it alike."""
    parsed_as: tuple[bool, str] | None = None
    """How it was decoded: whether numbers stay as they are spelled, and what it was said to be."""
    fingerprint: bytes = b""
    """What tells a request with an idempotency key from others with that key; empty until it is needed."""
    data: Mapping[str, Json] = {}
    """The decoded body or query, before coercion: what the ACL's parameter rules and the audit log see."""
    asked: Mapping[str, Json] | None = None
    """What `data` was before the ACL put the limit of a rule into it; None where it did not."""
    prepared: object = None
    """The result of the route's `before`, which stays when the call starts over."""
    warnings: list[str] = []
    after: Callable[[], Awaitable[None]] | None = None
    """Runs once the answer is recorded and everything is committed."""

    # The answer is made.
    etag: bytes = b""
    """The entity tag that the answer carries; empty for none."""
    replayed: bool = False
    """Whether the answer is one that the same request was given before."""

    # The audit broker keeps its own here.
    record: CallRecord = msgspec.field(default_factory=CallRecord)

    @property
    def namespace(self) -> Namespace:
        """The namespace of the path; the root namespace until the mount table was asked."""
        return self.destination.namespace

    @property
    def path(self) -> str:
        """The canonical path below `namespace`."""
        return self.destination.path

    @property
    def mount(self) -> MountFacts:
        """The mount that the path leads to."""
        return self.destination.mount

    @property
    def local(self) -> str:
        """The part of the path after the mount."""
        return self.destination.local

    @property
    def captures(self) -> Mapping[str, str]:
        """What the route captures of the path."""
        return self.destination.captures

    def caller(self) -> Identity:
        """Return who calls. Raises `Unauthenticated` where a public route needs a caller and there is none."""
        if self.identity is None:
            raise Unauthenticated
        return self.identity

    def start_over(self) -> None:
        """Forget the results and decisions of an attempt, because the facts behind them have changed.

        Raises `CommitRefused` where no device takes what the attempt recorded.
        """
        self.record.end_attempt()
        if self.operation is Operation.CREATE:
            self.operation = Operation.UPDATE
        self.destination = Destination(path=self.destination.full)
        if self.asked is not None:
            self.data, self.asked = self.asked, None
        self.identity = None
        self.decision = None
        self.unsettled = False
        self.after = None
        self.warnings = []
        self.replayed = False

    @property
    def data_key(self) -> object:
        """What tells the request's data from others', and everything that decides how it is recorded."""
        return id(self.data), self.mount, self.bound

    def __repr__(self) -> str:
        """Name the request without any of its content."""
        return f"<Call {self.id} {self.head.method}>"
