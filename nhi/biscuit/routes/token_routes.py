# SPDX-License-Identifier: EUPL-1.2
"""`issue`, `login` and `introspect`: tokens of an `nhi` mount, issued and shown."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, cast

from nhi.biscuit.credential.authenticator import BiscuitAuthenticator
from nhi.biscuit.credential.possession import JKT, X5T, KeyBinding
from nhi.biscuit.credential.presented_biscuit import policies_of
from nhi.biscuit.credential.verdict import Refusal
from nhi.biscuit.format.datalog import Block
from nhi.biscuit.format.error import BiscuitError
from nhi.biscuit.format.printer import print_block
from nhi.biscuit.issue.issuer import BiscuitIssuer, owned
from nhi.biscuit.issue.service import auth_of
from nhi.biscuit.login.failures import Reason
from nhi.biscuit.login.proof import LoginEvidence, ProofChecker, WorkloadProof
from nhi.biscuit.offline.attenuation import attenuations
from nhi.biscuit.offline.deadline import deadline_of
from nhi.biscuit.offline.verify import no_biscuit
from nhi.biscuit.records import store
from nhi.biscuit.records.attestation import PRIVATE_KEY, SECRET
from nhi.biscuit.records.model import MountRef, Registration, Workload
from nhi.biscuit.routes.params import (
    BlockInfo,
    IssueParams,
    LoginParams,
    TokenInfo,
    TokenParams,
)
from vault.barrier.barrier import Barrier
from vault.framework.call import Call
from vault.framework.clock import rfc3339
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, Unauthenticated
from vault.framework.keys.asked_first import prepared
from vault.framework.keys.external import AskFirst
from vault.framework.reply import Reply
from vault.framework.route import write
from vault.token.authenticator import core_reader
from vault.values.times import Seconds, millis_to_nanos

_LONGEST_DATALOG: Final = 16_384
Audiences = Callable[[Call], tuple[str, ...]]
_THUMBPRINT: Final = re.compile(r"[A-Za-z0-9_-]{43}\Z")


class IssueEngine(Engine):
    """The paths that issue tokens and show what one is."""

    def __init__(
        self,
        issuer: BiscuitIssuer,
        biscuits: BiscuitAuthenticator,
        barrier: Barrier,
        prover: ProofChecker,
        names: Audiences,
    ) -> None:
        """`names` are what clients' own assertions may be for: this server, as they call it."""
        self._prover = prover
        self._names = names
        self._issuer = issuer
        self._biscuits = biscuits
        self._barrier = barrier

    @write("issue/{name:name}", event="nhi.issue")
    async def issue(self, call: Call, params: IssueParams) -> Reply[None]:
        """Issue a token of a registration."""
        registration, workload = await owned(call.tx, params.name)
        given = [KeyBinding(kind, one) for kind, one in ((X5T, params.x5t), (JKT, params.jkt)) if one]
        if len(given) > 1 or not all(_THUMBPRINT.match(one.thumbprint) for one in given):
            raise Malformed("x5t or jkt: give one, as 43 characters of base64url")
        place = (MountRef(call.namespace.id, call.mount.uuid), call.namespace.path)
        token, issued = await self._issuer.issue(
            call, place, registration, workload, params.ttl, pop=given[0] if given else None
        )
        return Reply(auth=auth_of(token, issued), display_name=f"nhi-{workload.name}")

    @write("login", public=True, contained=True, event="auth.login")
    async def login(self, call: Call, params: LoginParams) -> Reply[None]:
        """Issue a token to a workload that proves its registration, by the method of the registration."""
        return await self.log_in(call, params)

    async def log_in(self, call: Call, params: LoginParams, door: str = "") -> Reply[None]:
        """As `login`; `door` is what the mount below `auth/` calls its logins by which the call came in."""
        shown = [bool(params.client_secret), bool(params.jwt), bool(params.client_assertion)]
        if sum(shown) > 1:
            raise Malformed("give one of client_secret, jwt and client_assertion")
        asked = cast("WorkloadProof | None", prepared(call))
        proof = asked
        if proof is None and params.client_secret:
            proof = await self._prover.at_hand(call, params.client_id, params.client_secret)
        if proof is None:
            raise AskFirst(lambda: self._prove(call, params))
        found = await self._prover.granted(call, proof, fresh=asked is None)
        if found is None:
            raise Unauthenticated("the registration has changed, or the proof was used before: log in again")
        try:
            return await self._issue(call, *found, params.ttl, proof.method, door)
        except Malformed as error:
            self._prover.lacks(call, proof, Reason.NOT_MADE, error.message)
            raise

    async def _prove(self, call: Call, params: LoginParams) -> WorkloadProof:
        """Look at a proof that takes time, outside of any transaction. Raises `Malformed`, `Unauthenticated`."""
        call.reader = core_reader(self._barrier, call.namespace).mount(call.mount.uuid)
        if params.client_secret:
            return await self._prover.prove(
                call, params.client_id, LoginEvidence(method=SECRET, secret=params.client_secret)
            )
        registration = await store.registration(call.reader, params.client_id) if params.client_id else None
        method = registration.method if registration is not None else SECRET
        token = params.client_assertion if method == PRIVATE_KEY else params.jwt
        if method == SECRET:
            token = params.jwt or params.client_assertion  # it is none, and not what was to be shown
        return await self._prover.prove(
            call, params.client_id, LoginEvidence(method=method, token=token, audiences=self._names(call))
        )

    @write("introspect", writes=False, event="nhi.introspect")
    async def introspect(self, call: Call, params: TokenParams) -> TokenInfo:
        """Show what a token is and says, and whether it is good now. Its checks are shown, not asked."""
        core = core_reader(self._barrier, call.namespace)
        found = await self._biscuits.judge(core, params.token, call.now)
        call.reader.epoch = max(core.epoch, call.reader.epoch)
        issued = found.issued if found is not None else None
        if found is None or issued is None or not self._here(call, found.owner):
            here = found is not None and self._here(call, found.owner)
            foreign = no_biscuit(params.token) or "no key of this mount has signed it"
            return TokenInfo(
                active=False, refusal=found.refusal.value if found is not None and here else foreign
            )
        ended = deadline_of(found.blocks)
        until = min(issued.expires, ended or issued.expires)
        refusal = found.refusal or (Refusal.EXPIRED if call.now >= until else Refusal.NONE)
        return TokenInfo(
            active=not refusal,
            refusal=refusal.value,
            problem=found.problem,
            token_id=issued.token_id,
            kid=issued.kid,
            workload=issued.workload,
            registration=issued.registration,
            method=issued.method,
            policies=policies_of(found.blocks[0]),
            namespace=found.namespace.path,
            issue_time=rfc3339(millis_to_nanos(issued.created)),
            expire_time=rfc3339(millis_to_nanos(until)),
            sealed=found.verified is not None and found.verified.chain.next_secret is None,
            cost=found.verified.cost if found.verified is not None else 0,
            blocks=[
                BlockInfo(
                    id=block_id.hex(),
                    parent=found.ids[place - 1].hex() if place else "",
                    index=place,
                    narrowing=attenuation.narrowing,
                    anomalies=attenuation.anomalies,
                    datalog=_datalog(block),
                    external_key=attenuation.approver or None,
                )
                for place, (block_id, block, attenuation) in enumerate(
                    zip(found.ids, found.blocks, attenuations(found.blocks), strict=False)
                )
            ],
        )

    def _here(self, call: Call, owner: MountRef) -> bool:
        return owner == MountRef(call.namespace.id, call.mount.uuid)

    async def _issue(
        self, call: Call, registration: Registration, workload: Workload, ttl: Seconds, method: str, door: str
    ) -> Reply[None]:
        place = (MountRef(call.namespace.id, call.mount.uuid), call.namespace.path)
        pop = self._biscuits.possession.new_binding(call, registration.pop)
        token, issued = await self._issuer.issue(
            call, place, registration, workload, ttl, method, pop=pop, door=door
        )
        return Reply(auth=auth_of(token, issued), display_name=f"nhi-{workload.name}")


def _datalog(block: Block) -> str:
    """Return what a block says, no longer than anybody reads: a text of it may come again and again."""
    try:
        text = print_block(block)
    except BiscuitError:
        return "an expression of it does not print"
    return text if len(text) <= _LONGEST_DATALOG else f"{text[:_LONGEST_DATALOG]}…"
