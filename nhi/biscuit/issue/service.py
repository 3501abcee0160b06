# SPDX-License-Identifier: EUPL-1.2
"""What `auth/token` does with a Biscuit: look it up, renew it by a new one, revoke it with all that was made from it."""

from __future__ import annotations

import msgspec

from nhi.biscuit.credential.authenticator import BiscuitAuthenticator
from nhi.biscuit.credential.presented_biscuit import PresentedBiscuit, policies_of, to_identity
from nhi.biscuit.credential.verdict import Refusal
from nhi.biscuit.issue.issuer import BiscuitIssuer
from nhi.biscuit.login.proof import near
from nhi.biscuit.records import store
from nhi.biscuit.records.model import LONGEST_TTL, IssuedToken, Registration, Revocation
from vault.barrier.barrier import Barrier
from vault.barrier.view import ReadView
from vault.framework.call import Call, Namespace
from vault.framework.errors import Forbidden, Malformed, Reason
from vault.framework.reply import Auth, Reply
from vault.framework.secret import Secret
from vault.token.authenticator import core_reader
from vault.token.model import TokenEntry
from vault.token.other_credentials import OtherCredential
from vault.values.ids import TokenAccessor
from vault.values.times import (
    Millis,
    Seconds,
    millis_after,
    millis_to_nanos,
    millis_to_seconds_up,
    time_between,
)


class BiscuitService:
    """See `vault.token.other_credentials.OtherCredentials`."""

    def __init__(self, biscuits: BiscuitAuthenticator, issuer: BiscuitIssuer, barrier: Barrier) -> None:
        self._biscuits = biscuits
        self._issuer = issuer
        self._barrier = barrier
        self.recognises = biscuits.recognises

    async def look(self, call: Call, token: str) -> OtherCredential | None:
        """See `OtherCredentials.look`."""
        core = core_reader(self._barrier, call.namespace)
        presented = await self._biscuits.present(core, token, call.now)
        call.reader.epoch = core.epoch
        if (
            presented is None
            or call.now >= presented.expires
            or not self._reaches(call, token, presented.namespace)
        ):
            return None
        return OtherCredential(_entry(presented), to_identity(Secret(token), presented), presented.namespace)

    async def lives(self, core: ReadView, token: str, now: Millis) -> bool:
        """See `OtherCredentials.lives`."""
        presented = await self._biscuits.present(core, token, now)
        return presented is not None and now < presented.expires

    async def renew(self, call: Call, token: str, increment: Seconds) -> Reply[None]:
        """See `OtherCredentials.renew`. A token that was narrowed is not renewed: that would undo it.

        All is asked again that was asked of its workload, but for the proof of what it is.
        """
        presented = await self._present(call, token)
        if presented is None:
            raise Malformed("token not found")
        if len(presented.verified.blocks) > 1:
            raise Malformed(
                "a Biscuit that was attenuated cannot be renewed: renew the one that it was made from"
            )
        owner, issued = presented.owner, presented.issued
        view = call.core.space(owner.namespace).mount(owner.mount)
        registration = await store.registration(view, issued.registration)
        workload = await store.workload(view, issued.workload)
        if registration is None or workload is None or registration.workload != issued.workload:
            raise Malformed("the registration that the Biscuit came from is gone")
        bound = presented.checks.bound
        if not near(call, registration) or (bound and not self._biscuits.possession.proves(call, bound)):
            raise Forbidden(path=call.path, capability=call.operation, reason=Reason.CREDENTIAL)
        made, record = await self._issuer.issue(
            call,
            (owner, presented.namespace.path),
            _no_wider(registration, issued),
            workload,
            increment,
            "renewal",
            issued,
        )
        return Reply(auth=auth_of(made, record), display_name=f"nhi-{issued.workload}")

    async def revoke(self, call: Call, token: str) -> None:
        """See `OtherCredentials.revoke`: the last block's id, and so whatever was made from it, though it has ended itself."""
        verdict = await self._biscuits.judge(call.core, token, call.now)
        if (
            verdict is None
            or verdict.refusal is Refusal.ORPHAN
            or not self._reaches(call, token, verdict.namespace)
        ):
            return
        until = verdict.issued.expires if verdict.issued is not None else millis_after(call.now, LONGEST_TTL)
        row = Revocation(at=call.now, until=until, reason="revoked by token")
        await store.revoke(verdict.view(call.core), verdict.owner, verdict.ids[-1].hex(), row)

    async def _present(self, call: Call, token: str) -> PresentedBiscuit | None:
        """Return a token of `call`'s namespace or below, or the caller's own, as the open transaction sees it."""
        presented = await self._biscuits.present(call.core, token, call.now)
        reached = presented is not None and self._reaches(call, token, presented.namespace)
        return presented if reached else None

    def _reaches(self, call: Call, token: str, home: Namespace) -> bool:
        """Whether a token that is at home there may be asked about by `call`."""
        own = call.identity is not None and call.identity.token.matches(token)
        return own or call.namespace.holds(home)


def _no_wider(registration: Registration, issued: IssuedToken) -> Registration:
    """Return what a token is renewed from: what it was issued with and its registration still gives.

    Raises `Malformed` where nothing of that is left.
    """
    policies = tuple(name for name in issued.policies if name in registration.policies)
    audiences = issued.audiences or registration.audiences
    if issued.audiences and registration.audiences:
        audiences = tuple(name for name in issued.audiences if name in registration.audiences)
    if not policies or (issued.audiences and not audiences):
        raise Malformed("its registration gives nothing any more of what the Biscuit was issued with")
    return msgspec.structs.replace(registration, policies=policies, audiences=audiences)


def auth_of(token: str, issued: IssuedToken) -> Auth:
    """Return the wire's description of a token that was just made."""
    return Auth(
        client_token=token,
        accessor=TokenAccessor(issued.ids),
        policies=issued.policies,
        token_policies=issued.policies,
        metadata={"workload": issued.workload, "token_id": issued.token_id},
        lease_duration=millis_to_seconds_up(time_between(issued.created, issued.expires)),
        renewable=issued.expires < issued.latest,
        token_type="biscuit",  # noqa: S106 -- the kind of token
        orphan=True,
    )


def _entry(presented: PresentedBiscuit) -> TokenEntry:
    issued = presented.issued
    return TokenEntry(
        accessor=TokenAccessor(presented.verified.ids[-1].hex()),
        policies=policies_of(presented.verified.blocks[0]),
        path="nhi/issue",
        display_name=f"nhi-{issued.workload}",
        created=millis_to_nanos(issued.created),
        metadata={
            "workload": issued.workload,
            "registration": issued.registration,
            "token_id": issued.token_id,
            "blocks": str(len(presented.verified.blocks)),
        },
        ttl=millis_to_seconds_up(time_between(issued.created, issued.expires)),
        renewable=len(presented.verified.blocks) == 1 and issued.expires < issued.latest,
        expires=millis_to_nanos(presented.expires),
        orphan=True,
    )
