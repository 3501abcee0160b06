# SPDX-License-Identifier: EUPL-1.2
"""`sys/mfa/validate`: the second half of a login."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec

from nhi.identity.mfa.second_factors import SecondFactors
from nhi.identity.records import mfa as model
from nhi.identity.records.names import hashed
from vault.framework.call import Call
from vault.framework.clock import Clock
from vault.framework.engine import Engine
from vault.framework.errors import Forbidden, Malformed
from vault.framework.fields import Doc, Json, Map
from vault.framework.reply import RefusedReply, Reply
from vault.framework.route import Params, write
from vault.mount.router import Router
from vault.token.entities import Entities, present
from vault.token.factors import Candidate
from vault.token.issue import LoginIssuer
from vault.values.times import nanos_after, second_of


class ValidateParams(Params, frozen=True):
    """A login that waits, and its second factors."""

    mfa_request_id: Annotated[str, Doc("Id that the first half of the login answered.")] = ""
    mfa_payload: Annotated[Map | None, Doc("Codes by the id or name of their method.")] = None


class ValidateEngine(Engine):
    """The path that completes a login with its second factor."""

    def __init__(
        self, factors: SecondFactors, entities: Entities, issuer: LoginIssuer, router: Router, clock: Clock
    ) -> None:
        self._factors = factors
        self._router = router
        self._entities = entities
        self._issuer = issuer
        self._clock = clock

    @write("mfa/validate", public=True, event="auth.login.mfa")
    async def validate(self, call: Call, params: ValidateParams) -> Reply[None]:
        """Complete a login by its second factor. Once it is complete, too late, or its method gone, it is not there any more."""
        if not params.mfa_request_id:
            raise Malformed("missing request ID")
        request = hashed(params.mfa_request_id)
        waits = await model.pending_login(call.core, request)
        mounts = {one.entry.accessor for one in self._router.of(call.namespace)}
        if waits is None or waits.expires <= self._clock.nanos() or waits.accessor not in mounts:
            raise Malformed("invalid request ID")
        given = _codes(params.mfa_payload or {})
        core, entry = call.core, waits.entry
        standing = await present(self._entities, core, call.namespace.id, entry.entity)
        if standing is None:
            raise AssertionError("only logins with an entity wait")
        found = await self._factors.applying(core, call.namespace, waits.accessor, waits.mount_kind, standing)
        problem = await self._factors.satisfied(call, found, given, standing)
        if problem:
            return RefusedReply(reason=Forbidden(problem, chained=False))
        await core.delete(model.WAITING + request)
        await core.cancel(model.MFA_KIND, f"{call.namespace.id}:{request}")
        now = self._clock.nanos()
        begun = second_of(now) if waits.kind == "batch" else now
        entry = msgspec.structs.replace(entry, created=begun, expires=nanos_after(begun, entry.ttl))
        return await self._issuer.complete(call, Candidate(entry, waits.kind, standing, waits.warnings))


def _codes(payload: Mapping[str, Json]) -> Mapping[str, Sequence[str]]:
    """Return the codes of a payload. Raises `Malformed`."""
    for codes in payload.values():
        if not isinstance(codes, list) or not all(isinstance(code, str) for code in codes):
            raise Malformed("invalid mfa payload")
    return {name: codes or [""] for name, codes in payload.items()}
