# SPDX-License-Identifier: EUPL-1.2
"""Approvers: keys, here or in a device, that sign blocks for clients whose policies let them ask.

An approval is the fact `approved(CHANGE, UNTIL)` for one token. A registration that names approvers gives tokens that
are good for nothing until one of them has approved, and again once that is no longer fresh.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from nhi.biscuit.format.authority import Algorithm
from nhi.biscuit.format.error import BiscuitError
from nhi.biscuit.format.printer import print_key
from nhi.biscuit.issue.issuer import BiscuitIssuer
from nhi.biscuit.offline.attenuate import approve
from nhi.biscuit.offline.guard import Term, utc
from nhi.biscuit.offline.verify import decoded, to_text
from nhi.biscuit.records import store
from nhi.biscuit.records.model import Approver
from nhi.biscuit.routes.params import Names
from nhi.biscuit.routes.registration_routes import names_in
from vault.framework.call import Call
from vault.framework.clock import rfc3339
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, NotFound
from vault.framework.fields import Doc, Span
from vault.framework.keys.asked_first import asked_first
from vault.framework.route import Params, delete, list_, read, write
from vault.values.times import Seconds, millis_to_nanos, millis_to_seconds, seconds_to_millis, time_after

_ALGORITHMS: Final = {"ed25519": Algorithm.ED25519, "p256": Algorithm.P256}
_LONGEST: Final = 3600
"""Seconds for which an approval is fresh, at most."""
_LONGEST_CHANGE: Final = 200
_LARGEST_REQUEST: Final = 1024


class ApproverPath(Params, frozen=True):
    """Which approver."""

    name: Annotated[str, Doc("Name of the approver.")]


class ApproverParams(ApproverPath, frozen=True):
    """A new approver's key."""

    algorithm: Annotated[str, Doc("ed25519 or p256; of a key in a device, whatever it is.", clear=True)] = (
        "ed25519"
    )
    external: Annotated[
        str, Doc("`<config>:<key>` of an external key that this mount may use.", clear=True)
    ] = ""


class ApproverInfo(msgspec.Struct, frozen=True):
    """An approver, whose key is `held` as an issuer's."""

    name: str
    public_key: str
    held: str


class ApproveParams(ApproverPath, frozen=True):
    """What is approved."""

    request: Annotated[str, Doc("What `vaultctl nhi approve -ask` prints of the token.")] = ""
    change: Annotated[str, Doc("What is approved: a ticket, a change.")] = ""
    ttl: Annotated[Span, Doc("For how long; an hour at most.", clear=True)] = Seconds(300)


class Approval(msgspec.Struct, frozen=True):
    """A block to add to the token: `vaultctl nhi approve -block`."""

    block: str
    expire_time: str


class ApprovalEngine(Engine):
    """The paths of approvers and approvals. Policies say which client may ask which approver."""

    def __init__(self, issuer: BiscuitIssuer) -> None:
        self._issuer = issuer

    @list_("approvers", event="nhi.approver.list")
    async def list_approvers(self, call: Call) -> Names:
        """List the names of all approvers."""
        return await names_in(call, store.APPROVERS)

    @read("approvers/{name:name}", event="nhi.approver.read")
    async def read_approver(self, call: Call, params: ApproverPath) -> ApproverInfo:
        """Show an approver's public key."""
        return _shown(await _approver(call, params.name))

    @write("approvers/{name:name}", event="nhi.approver.write")
    async def make_approver(self, call: Call, params: ApproverParams) -> ApproverInfo:
        """Make an approver, with a new key or one in a device. There must be none of this name."""
        if await store.approver(call.tx, params.name) is not None:
            raise Malformed("name: there is an approver of this name; remove it first")
        if params.algorithm not in _ALGORITHMS:
            raise Malformed("algorithm: must be ed25519 or p256")
        public, held = await self._issuer.make_key(call, _ALGORITHMS[params.algorithm], params.external)
        made = Approver(
            name=params.name,
            algorithm=int(public.algorithm),
            public=public.data,
            held=held,
            external=params.external,
        )
        await store.put_approver(call.tx, made)
        return _shown(made)

    @delete("approvers/{name:name}", event="nhi.approver.delete")
    async def delete_approver(self, call: Call, params: ApproverPath) -> None:
        """Remove an approver. Registrations that name it give no tokens until they name others."""
        await call.tx.delete(store.APPROVERS + params.name)

    @write("approve/{name:name}", writes=False, event="nhi.approve")
    async def approve(self, call: Call, params: ApproveParams) -> Approval:
        """Approve a change for one token, which is good for it while the approval is fresh."""
        approver = await _approver(call, params.name)
        if not params.change or len(params.change) > _LONGEST_CHANGE:
            raise Malformed(f"change: must name what is approved, in at most {_LONGEST_CHANGE} characters")
        if not 0 < params.ttl <= _LONGEST:
            raise Malformed(f"ttl: must be from 1 to {_LONGEST} seconds")
        until = seconds_to_millis(time_after(millis_to_seconds(call.now), params.ttl))
        terms: dict[str, Term] = {"change": params.change, "until": utc(until)}

        async def sign() -> bytes:
            try:
                asked = decoded(params.request, _LARGEST_REQUEST)
                return await self._issuer.approve(
                    call, approver, lambda key: approve(asked, "approved({change}, {until});", terms, key)
                )
            except BiscuitError:
                raise Malformed("request: is none that was made of a token") from None

        block = await asked_first(call, approver, bytes, sign)
        return Approval(to_text(block).rstrip("="), rfc3339(millis_to_nanos(until)))


async def _approver(call: Call, name: str) -> Approver:
    found = await store.approver(call.reader, name)
    if found is None:
        raise NotFound
    return found


def _shown(approver: Approver) -> ApproverInfo:
    return ApproverInfo(approver.name, print_key(approver.key), approver.where)
