# SPDX-License-Identifier: EUPL-1.2
"""`sys/capabilities*` and the resultant ACL: what a token may do, without doing it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Final

from vault.barrier.barrier import Barrier
from vault.barrier.view import ReadView
from vault.framework.call import ROOT, Call, Identity, Namespace, Narrowing, Reply
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, Unauthenticated
from vault.framework.fields import CommaList, Doc
from vault.framework.route import Params, read, write
from vault.framework.secret import Secret
from vault.policy.gate import Gate, seen_by
from vault.policy.resultant import resultant_acl
from vault.token.authenticator import core_reader, to_identity
from vault.token.entities import present
from vault.token.foreign import Foreign, NoForeign
from vault.token.model import TokenEntry
from vault.token.store import TokenStore

_LISTING: Final = frozenset({"list", "scan"})
_APPENDED: Final = ("patch", "scan")
"""Capabilities that the resultant ACL names after all others, as the field does."""

_UNKNOWN: Final = "invalid token"

Capabilities = dict[str, Sequence[str]]


class PathsParams(Params, frozen=True):
    """The paths that are asked about."""

    paths: Annotated[CommaList, Doc("Paths to ask about.")] = ()
    path: Annotated[CommaList, Doc("Deprecated name of `paths`.")] = ()
    token: Annotated[str, Doc("Token that is asked about.")] = ""


class AccessorPathsParams(Params, frozen=True):
    """A token by its accessor, and the paths that are asked about."""

    accessor: Annotated[str, Doc("Accessor of the token that is asked about.")] = ""
    paths: Annotated[CommaList, Doc("Paths to ask about.")] = ()
    path: Annotated[CommaList, Doc("Deprecated name of `paths`.")] = ()


class CapabilityEngine(Engine):
    """Questions about what a token may do."""

    def __init__(
        self, tokens: TokenStore, gate: Gate, barrier: Barrier, foreign: Foreign | None = None
    ) -> None:
        """`foreign` knows credentials that are not in the token store."""
        self._foreign = foreign or NoForeign()
        self._tokens = tokens
        self._gate = gate
        self._barrier = barrier

    @write("capabilities", writes=False)
    async def read_capabilities(self, call: Call, params: PathsParams) -> Reply[Capabilities]:
        """Show what a token may do on some paths."""
        if not params.token:
            raise Malformed("no token found", chained=True)
        paths = _asked(params.paths, params.path)
        if self._foreign.recognises(params.token):
            known = await self._foreign.look(call, params.token)
            if known is None:
                raise Malformed(_UNKNOWN, chained=True)
            return await self._answer(call, known.identity, paths)
        core = core_reader(self._barrier, call.namespace)
        key = self._tokens.key(params.token)
        home = self._tokens.namespace(key)
        reached = home is not None and call.namespace.holds(home)
        entry = _alive(call, await self._tokens.get(core, key) if reached else None, _UNKNOWN)
        return await self._answer(
            call, await self._identity(core, key, entry, home or ROOT, params.token), paths
        )

    @write("capabilities-self", writes=False)
    async def read_own_capabilities(self, call: Call, params: PathsParams) -> Reply[Capabilities]:
        """Show what the caller's own token may do on some paths."""
        paths = _asked(params.paths, params.path)
        return await self._answer(call, call.caller(), paths)

    @write("capabilities-accessor", writes=False)
    async def read_accessor_capabilities(
        self, call: Call, params: AccessorPathsParams
    ) -> Reply[Capabilities]:
        """Show what the token with an accessor may do on some paths."""
        if not params.accessor:
            raise Malformed("missing accessor")
        core = core_reader(self._barrier, call.namespace)
        found = await self._tokens.by_accessor(core, params.accessor)
        key, stored = found if found is not None else ("", None)
        entry = _alive(call, stored, "invalid accessor")
        paths = _asked(params.paths, params.path)
        return await self._answer(call, await self._identity(core, key, entry, call.namespace), paths)

    @read("internal/ui/resultant-acl")
    async def read_resultant_acl(self, call: Call) -> dict[str, object]:
        """Show everything that the caller's policies say, for a user interface to hide the rest."""
        caller = call.caller()
        shown = resultant_acl(await self._gate.acl(caller, call.now))
        inside = caller.namespace.path
        for name in ("exact_paths", "glob_paths"):
            rules = shown.get(name)
            if isinstance(rules, dict):
                shown[name] = {inside + path: _reordered(rule) for path, rule in sorted(rules.items())}
        return shown

    async def _identity(
        self, core: ReadView, key: str, entry: TokenEntry, home: Namespace, token: str = ""
    ) -> Identity:
        """Return who a token stands for. Raises `Malformed` where its entity may do nothing."""
        try:
            standing = await present(self._tokens.entities, core, home.id, entry.entity)
        except Unauthenticated:
            raise Malformed(_UNKNOWN, chained=True) from None
        return to_identity(Secret(token), key, entry, home, standing)

    async def _answer(self, call: Call, identity: Identity, paths: Sequence[str]) -> Reply[Capabilities]:
        if "" in paths:
            raise Malformed("missing path", chained=True)
        acl = await self._gate.acl(identity, call.now)
        found: Capabilities = {}
        for path in sorted(set(paths)):
            seen = seen_by(identity, call.namespace.path + path)
            words = ["deny"] if seen is None else acl.capabilities(seen, now=call.now // 1000)
            found[path] = (
                words if identity.narrowing is None else _narrowed(call, identity.narrowing, path, words)
            )
        if len(paths) == 1:
            found["capabilities"] = found[paths[0]]
        return Reply(found, embed=True)


def _narrowed(call: Call, narrowing: Narrowing, path: str, words: Sequence[str]) -> Sequence[str]:
    """Return what is left of capabilities once the credential's own checks were asked about each."""
    whole = call.namespace.path + path
    kept = [
        word
        for word in words
        if word not in {"deny", "sudo"}
        and narrowing.allows(
            call, word, whole if word not in _LISTING or whole.endswith("/") else whole + "/"
        )
    ]
    return sorted([*kept, *({"sudo"} & set(words))]) if kept else ["deny"]


def _asked(paths: Sequence[str], path: Sequence[str]) -> Sequence[str]:
    """Return the paths under either name. Raises `Malformed` when there are none."""
    asked = paths or path
    if not asked:
        raise Malformed("paths must be supplied")
    return asked


def _alive(call: Call, entry: TokenEntry | None, refusal: str) -> TokenEntry:
    """Return the token that is asked about. Raises `Malformed` with `refusal` when there is none."""
    if entry is None or not entry.alive(call.now * 1_000_000):
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
