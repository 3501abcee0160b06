# SPDX-License-Identifier: EUPL-1.2
"""Whose login needs a second factor, whether one came with it, and logins that wait for one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from nhi.identity.mfa import reach
from nhi.identity.mfa.passcodes import FactorError, Passcodes
from nhi.identity.mfa.reach import Chain
from nhi.identity.records import mfa as model
from nhi.identity.records.mfa import Enforcement, PendingLogin
from nhi.identity.records.names import hashed
from vault.barrier.view import ReadView, View
from vault.framework.call import Call, Namespace
from vault.framework.clock import Clock, Entropy
from vault.framework.errors import Unauthenticated
from vault.framework.identity import EntityState
from vault.framework.reply import Auth, RefusedReply, Reply
from vault.storage.protocol import Timer
from vault.token.factors import Candidate
from vault.values.ids import NO_ACCESSOR, MountAccessor, NamespaceId
from vault.values.times import nanos_after, nanos_to_millis_up

_UNDECIDED: Final = "default"
"""What OpenBao calls the kind of a token that is not issued yet."""
_WARNING: Final = (
    "A login request was issued that is subject to MFA validation. Please make sure to validate the login by "
    "sending another request to mfa/validate endpoint."
)


class SecondFactors:
    """See `vault.token.factors.Factors`. Everything is read at the login: nothing is enforced later than it is said."""

    def __init__(self, codes: Passcodes, chain: Chain, clock: Clock, entropy: Entropy) -> None:
        self._codes = codes
        self._chain = chain
        self._clock = clock
        self._entropy = entropy

    async def demand(self, call: Call, candidate: Candidate) -> Reply[None] | None:
        """Return the answer to a login that needs a second factor; None where it needs none."""
        standing = candidate.standing
        found = await self.applying(call.core, call.namespace, call.mount.accessor, call.mount.kind, standing)
        if not found:
            return None
        if standing is None:
            return RefusedReply(reason=Unauthenticated())  # a login without an entity has no second factor
        given = _given(call)
        if given is not None:
            problem = await self.satisfied(call, found, given, standing)
            return RefusedReply(reason=Unauthenticated()) if problem else None
        if call.login is not None:
            return RefusedReply(
                reason=Unauthenticated()
            )  # a login that is part of a request has no second half
        return await self._wait(call, candidate, found)

    async def demanded(self, call: Call) -> bool:
        """See `Factors.demanded`."""
        return bool(
            await self.applying(call.core, call.namespace, call.mount.accessor, call.mount.kind, None)
        )

    async def applying(
        self,
        core: ReadView,
        namespace: Namespace,
        accessor: MountAccessor,
        kind: str,
        standing: EntityState | None,
    ) -> Sequence[tuple[Namespace, Enforcement]]:
        """Return the enforcements that are about a login, each with the namespace that it is of.

        One that is about an entity is about the one that it was merged into. `standing` is None for a login that is
        nobody's: what its mount demands it demands of all.
        """
        ids = {standing.facts.entity_id, *standing.merged} if standing is not None else set()
        belongs = standing.facts.groups.keys() if standing is not None else set()
        return [
            (place, one)
            for place in self._chain(namespace)
            for one in await model.enforcements(core.space(place.id))
            if accessor in one.accessors
            or kind in one.types
            or not ids.isdisjoint(one.entities)
            or not belongs.isdisjoint(one.groups)
        ]

    async def satisfied(
        self,
        call: Call,
        found: Sequence[tuple[Namespace, Enforcement]],
        given: Mapping[str, Sequence[str]],
        standing: EntityState,
    ) -> str:
        """Return what is missing, "" for nothing. What was tried is counted in the transaction."""
        chain, passed = self._chain(call.namespace), set[str]()
        try:
            for _, one in found:
                await self._codes.satisfy(call.core, chain, one, given, standing.facts.entity_id, passed)
        except FactorError as problem:
            return str(problem)
        return ""

    async def _wait(
        self, call: Call, candidate: Candidate, found: Sequence[tuple[Namespace, Enforcement]]
    ) -> Reply[None]:
        """Keep a login until its second factor comes."""
        request = self._entropy.uuid()
        now = self._clock.nanos()
        waits = PendingLogin(
            entry=candidate.entry,
            kind=candidate.kind,
            accessor=call.mount.accessor,
            mount_kind=call.mount.kind,
            expires=nanos_after(now, model.WAITS),
            warnings=candidate.warnings,
        )
        await model.put_pending_login(call.core, hashed(request), waits)
        key = f"{call.namespace.id}:{hashed(request)}"
        await call.core.at(Timer(model.MFA_KIND, key, nanos_to_millis_up(waits.expires)))
        requirement = {
            "mfa_request_id": request,
            "mfa_constraints": await self._constraints(call, found),
        }
        auth = Auth(
            client_token="",
            accessor=NO_ACCESSOR,
            policies=None,
            token_type=_UNDECIDED,
            mfa_requirement=requirement,
        )
        return Reply(auth=auth, warnings=[*candidate.warnings, _WARNING])

    async def _constraints(
        self, call: Call, found: Sequence[tuple[Namespace, Enforcement]]
    ) -> Mapping[str, object]:
        """Return which methods would do, by enforcement; two of one name in different namespaces stay two."""
        shown: dict[str, object] = {}
        chain = self._chain(call.namespace)
        for place, one in found:
            methods = []
            for method_id in one.methods:
                known = await reach.method(call.core, chain, method_id)
                if known is not None:
                    named = {"name": known[1].name} if known[1].name else {}
                    methods.append({"type": "totp", "id": method_id, "uses_passcode": True, **named})
            shown[one.name if one.name not in shown else f"{place.path}{one.name}"] = {"any": methods}
        return shown


async def forget(core: View, key: str) -> None:
    """Forget a login that was not completed, when its timer comes."""
    namespace_id, _, request = key.partition(":")
    await core.space(NamespaceId(namespace_id)).delete(model.WAITING + request)


def _given(call: Call) -> Mapping[str, Sequence[str]] | None:
    """Return the factors of a login, by method id or name; None where none came with it."""
    if not call.proofs.factors:
        return None
    found: dict[str, Sequence[str]] = {}
    for text in call.proofs.factors:
        method, _, code = text.partition(":")
        if method and code:
            found.setdefault(method, (code,))
    return found
