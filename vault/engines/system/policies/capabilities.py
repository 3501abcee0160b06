# SPDX-License-Identifier: EUPL-1.2
"""`sys/capabilities*` and the resultant ACL: what a token may do, without doing it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Final

import msgspec

from vault.barrier.barrier import Barrier
from vault.barrier.view import ReadView
from vault.framework.call import Call, Identity, Namespace, Restriction
from vault.framework.concurrency.offload import Pool, client_of
from vault.framework.concurrency.time_slice import TimeSlice
from vault.framework.engine import Engine
from vault.framework.errors import Forbidden, Malformed, Unauthenticated
from vault.framework.fields import CommaList, Doc
from vault.framework.reply import Reply
from vault.framework.route import BISCUITS, Params, read, write
from vault.framework.secret import Secret
from vault.policy.decision.acl import Acl
from vault.policy.decision.explain import EXPLAINED, AclExplanation, explain
from vault.policy.decision.resultant import resultant_acl
from vault.policy.gate import Gate, seen_by
from vault.token.authenticator import core_reader, identified
from vault.token.batch import BatchTokens
from vault.token.model import TokenEntry
from vault.token.other_credentials import NoOtherCredentials, OtherCredentials
from vault.token.store import TokenStore
from vault.values.deprecation import OLD
from vault.values.ids import NO_TOKEN_KEY, TokenAccessor, TokenKey
from vault.values.times import Nanos, millis_to_nanos, millis_to_seconds

_LISTING: Final = frozenset({"list", "scan"})
_APPENDED: Final = ("patch", "scan")
"""Capabilities that the resultant ACL names after all others, as OpenBao does."""

_LONGEST_PATH: Final = 65_536
"""Longest path that is explained: no request could be longer, and the answer repeats it eight times."""
_UNKNOWN: Final = "invalid token"

Capabilities = dict[str, Sequence[str]]


class PathsParams(Params, frozen=True):
    """The paths in question."""

    paths: Annotated[CommaList, Doc("Paths to ask about.", clear=True)] = ()
    path: Annotated[CommaList, Doc("Deprecated name of `paths`.", clear=True, deprecation=OLD)] = ()
    token: Annotated[str, Doc("The token in question.")] = ""


class AccessorPathsParams(Params, frozen=True):
    """A token by its accessor, and the paths in question."""

    accessor: Annotated[str, Doc("Accessor of the token in question.")] = ""
    paths: Annotated[CommaList, Doc("Paths to ask about.", clear=True)] = ()
    path: Annotated[CommaList, Doc("Deprecated name of `paths`.", clear=True, deprecation=OLD)] = ()


class ExplainParams(Params, frozen=True):
    """The path, and the token or the policies in question."""

    path: Annotated[str, Doc("Path to ask about.", clear=True)] = ""
    capabilities: Annotated[CommaList, Doc("Capabilities to ask about; all when left out.", clear=True)] = ()
    token: Annotated[str, Doc("The token in question; needs sudo. The caller's own when left out.")] = ""
    accessor: Annotated[str, Doc("Accessor of the token in question; needs sudo.")] = ""
    policies: Annotated[CommaList, Doc("Names of the policies in question; needs sudo.", clear=True)] = ()


class NamedPolicy(msgspec.Struct, frozen=True):
    """A policy, its source (token, identity or request), and whether a policy of this name exists."""

    name: str
    source: str
    found: bool


class Explanation(msgspec.Struct, frozen=True):
    """Why a path may be used, or not. `path` is relative to `namespace`, whose policies decide; empty outside of it."""

    path: str
    namespace: str
    policies: Sequence[NamedPolicy]
    verdicts: Sequence[AclExplanation]


class CapabilityEngine(Engine):
    """Questions about what a token may do."""

    def __init__(
        self,
        tokens: TokenStore,
        gate: Gate,
        barrier: Barrier,
        pool: Pool,
        batch: BatchTokens,
        foreign: OtherCredentials | None = None,
    ) -> None:
        """`foreign` looks up credentials that are not in the token store; `pool` does long work."""
        self._batch = batch
        self._pool = pool
        self._foreign = foreign or NoOtherCredentials()
        self._tokens = tokens
        self._gate = gate
        self._barrier = barrier

    @write("capabilities", writes=False, event="policy.capabilities")
    async def read_capabilities(self, call: Call, params: PathsParams) -> Reply[Capabilities]:
        """Show what a token may do on some paths."""
        if not params.token:
            raise Malformed("no token found", chained=True)
        paths = _paths_of(params.paths, params.path)
        return await self._answer(call, await self._by_token(call, params.token), paths)

    @write("capabilities-self", writes=False, asks=True, free_for=BISCUITS, event="policy.capabilities")
    async def read_own_capabilities(self, call: Call, params: PathsParams) -> Reply[Capabilities]:
        """Show what the caller's own token may do on some paths."""
        paths = _paths_of(params.paths, params.path)
        return await self._answer(call, call.caller(), paths)

    @write("capabilities-accessor", writes=False, asks=True, event="policy.capabilities")
    async def read_accessor_capabilities(
        self, call: Call, params: AccessorPathsParams
    ) -> Reply[Capabilities]:
        """Show what the token with an accessor may do on some paths."""
        if not params.accessor:
            raise Malformed("missing accessor")
        identity = await self._by_accessor(call, TokenAccessor(params.accessor))
        paths = _paths_of(params.paths, params.path)
        return await self._answer(call, identity, paths)

    @read("internal/ui/resultant-acl", event="policy.capabilities")
    async def read_resultant_acl(self, call: Call) -> dict[str, object]:
        """Show everything that the caller's policies grant, so that a user interface can hide the rest."""
        caller = call.caller()
        shown = resultant_acl(await self._gate.acl(caller, call.now))
        inside = caller.namespace.path
        for name in ("exact_paths", "glob_paths"):
            rules = shown.get(name)
            if isinstance(rules, dict):
                shown[name] = {inside + path: _reordered(rule) for path, rule in sorted(rules.items())}
        return shown

    @write(
        "internal/policies/explain",
        writes=False,
        free_for=("service", "batch", *BISCUITS),
        event="policy.explain",
    )
    async def explain(self, call: Call, params: ExplainParams) -> Explanation:
        """Show which rule of which policy decides on a path, and what is missing where it refuses.

        Any caller may ask about the own token. Another token, or policies by name, need the sudo capability.

        The explanation is for a request without parameters whose response is not wrapped.
        """
        asked = params.capabilities or EXPLAINED
        unknown = [word for word in asked if word not in EXPLAINED]
        if unknown:
            raise Malformed("field 'capabilities' must name: " + ", ".join(EXPLAINED))
        path = params.path.lstrip("/")
        if not path:
            raise Malformed("missing path")
        if len(path) > _LONGEST_PATH:
            raise Malformed(f"field 'path' may have at most {_LONGEST_PATH} characters")
        identity, acl, home, named = await self._explained(call, params)
        inside = home.path
        whole = call.namespace.path + path
        seen = whole[len(inside) :] if whole.startswith(inside) else None
        known = {name for name, _ in named} & set(acl.names)
        verdicts = [] if seen is None else await self._explain(call, acl, asked, seen)
        if identity is not None and identity.narrowing is not None:
            narrowing = identity.narrowing
            verdicts = [_held_back(call, narrowing, path, one) for one in verdicts]
        return Explanation(
            path=seen or "",
            namespace=inside,
            policies=[NamedPolicy(name, source, name in known) for name, source in named],
            verdicts=verdicts,
        )

    async def _explain(self, call: Call, acl: Acl, asked: Sequence[str], path: str) -> list[AclExplanation]:
        """Explain in a thread with a copy of the ACL: each rule that might help is tried beside all others."""

        def work() -> list[AclExplanation]:
            return explain(acl.copy(now=call.now / 1000), asked, path, now=millis_to_seconds(call.now))

        return await self._pool.run(client_of(call), work)

    async def _explained(
        self, call: Call, params: ExplainParams
    ) -> tuple[Identity | None, Acl, Namespace, list[tuple[str, str]]]:
        """Return the identity (None for names), the ACL, its namespace, and its policies with their sources."""
        ways = [bool(params.token), bool(params.accessor), bool(params.policies)]
        if sum(ways) > 1:
            raise Malformed("only one of 'token', 'accessor' and 'policies' can be given")
        if any(ways) and (call.decision is None or not (call.decision.sudo or call.decision.root)):
            raise Forbidden
        if params.policies:
            names = tuple(sorted({name.lower() for name in params.policies}))
            acl = await self._gate.acl_of(call.namespace, names, call.now)
            return None, acl, call.namespace, [(name, "request") for name in names]
        identity = call.caller()
        if params.token:
            identity = await self._by_token(call, params.token)
        elif params.accessor:
            identity = await self._by_accessor(call, TokenAccessor(params.accessor))
        given = [
            (name, "token" if name in identity.policies else "identity") for name in identity.all_policies
        ]
        return identity, await self._gate.acl(identity, call.now), identity.namespace, given

    async def _by_token(self, call: Call, token: str) -> Identity:
        """Return the identity of a token of this namespace or of one below. Raises `Malformed` for no such token."""
        if self._foreign.recognises(token):
            known = await self._foreign.look(call, token)
            if known is None:
                raise Malformed(_UNKNOWN, chained=True)
            return known.identity
        if self._batch.recognises(token):
            identity = await self._batch.identify(call, token)
            if identity is None:
                raise Malformed(_UNKNOWN, chained=True)
            return identity
        core = core_reader(self._barrier, call.namespace)
        key = self._tokens.key(token)
        home = self._tokens.namespace(key)
        reached = home is not None and call.namespace.holds(home)
        now = millis_to_nanos(call.now)
        entry = _require(await self._tokens.living(core, key, now) if reached else None, _UNKNOWN)
        return await self._identity(core, key, entry, now, token)

    async def _by_accessor(self, call: Call, accessor: TokenAccessor) -> Identity:
        """Return the identity of the token with an accessor. Raises `Malformed` where there is none here."""
        core = core_reader(self._barrier, call.namespace)
        found = await self._tokens.living_by_accessor(core, accessor, millis_to_nanos(call.now))
        key, stored = found if found is not None else (NO_TOKEN_KEY, None)
        entry = _require(stored, "invalid accessor")
        return await self._identity(core, key, entry, millis_to_nanos(call.now))

    async def _identity(
        self, core: ReadView, key: TokenKey, entry: TokenEntry, now: Nanos, token: str = ""
    ) -> Identity:
        """Return the identity of a token at `now` (nanoseconds). Raises `Malformed` where its entity is disabled."""
        try:
            return await identified(self._tokens, core, Secret(token), key, entry, now)
        except Unauthenticated:
            raise Malformed(_UNKNOWN, chained=True) from None

    async def _answer(self, call: Call, identity: Identity, paths: Sequence[str]) -> Reply[Capabilities]:
        if "" in paths:
            raise Malformed("missing path", chained=True)
        acl = await self._gate.acl(identity, call.now)
        found: Capabilities = {}
        pace = TimeSlice()
        for path in sorted(set(paths)):
            await pace.step()
            seen = seen_by(identity, call.namespace.path + path)
            words = ["deny"] if seen is None else acl.capabilities(seen, now=millis_to_seconds(call.now))
            found[path] = (
                words if identity.narrowing is None else _restrict(call, identity.narrowing, path, words)
            )
        if len(paths) == 1:
            found["capabilities"] = found[paths[0]]
        return Reply(found, embed=True)


def _held_back(call: Call, narrowing: Restriction, path: str, said: AclExplanation) -> AclExplanation:
    """Return the explanation of a capability after the credential's own checks, which no added rule undoes."""
    if said.capability in _restrict(call, narrowing, path, [said.capability, "read"]):
        return said
    missing = (
        f"{said.capability}, which the credential's own checks refuse"
        if said.allowed
        else f"{said.missing}; the credential's own checks refuse it, too"
    )
    return msgspec.structs.replace(said, allowed=False, missing=missing, grant="")


def _restrict(call: Call, narrowing: Restriction, path: str, words: Sequence[str]) -> Sequence[str]:
    """Return the capabilities that the credential's own checks leave."""
    whole = call.namespace.path + path
    kept = [
        word
        for word in words
        if word not in {"deny", "sudo"}
        and narrowing.allows(
            call, word, path=whole if word not in _LISTING or whole.endswith("/") else whole + "/"
        )
    ]
    return sorted([*kept, *({"sudo"} & set(words))]) if kept else ["deny"]


def _paths_of(paths: Sequence[str], path: Sequence[str]) -> Sequence[str]:
    """Return the paths under either name. Raises `Malformed` when there are none."""
    asked = paths or path
    if not asked:
        raise Malformed("paths must be supplied")
    return asked


def _require(entry: TokenEntry | None, refusal: str) -> TokenEntry:
    """Return the token in question. Raises `Malformed` with `refusal` when there is none."""
    if entry is None:
        raise Malformed(refusal, chained=True)
    return entry


def _reordered(rule: Mapping[str, object]) -> dict[str, object]:
    """Return a rule with its capabilities in the order of this answer."""
    shown = dict(rule)
    words = shown.get("capabilities")
    if isinstance(words, list):
        shown["capabilities"] = [
            *(word for word in words if word not in _APPENDED),
            *(word for word in _APPENDED if word in words),
        ]
    return shown
