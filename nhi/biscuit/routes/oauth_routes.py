# SPDX-License-Identifier: EUPL-1.2
"""OAuth 2: the same requests to another URL answer with Biscuits. Their errors are OAuth's own (RFC 6749, 5.2).

Client credentials (4.4) by secret, by a JWT that the client signed (RFC 7523) or by its certificate (RFC 8705); token
exchange (RFC 8693) of another issuer's JWT, or of a Biscuit for a narrower one; introspection (RFC 7662), revocation
(RFC 7009), metadata (RFC 8414).

A token request (`OAuthEngine.token`) goes these steps:

1. A Biscuit that is exchanged for a narrower one goes another way (`BiscuitExchange`).
2. The grant type is one of the two that are taken here.
3. The client holds the key that its tokens are bound to, where the registration wants one.
4. Its proof, looked at before the transaction, is still good within it, and is used up.
5. `scope`, `audience` and `resource` name what the registration has.
6. The token is issued.
"""

from __future__ import annotations

from typing import Annotated, Final, cast

import msgspec

from nhi.biscuit.credential.authenticator import BiscuitAuthenticator
from nhi.biscuit.credential.possession import JKT, KINDS, X5T
from nhi.biscuit.credential.presented_biscuit import policies_of
from nhi.biscuit.issue.issuer import BiscuitIssuer
from nhi.biscuit.login.failures import Reason
from nhi.biscuit.login.proof import LoginEvidence, ProofChecker, WorkloadProof
from nhi.biscuit.offline.attenuation import attenuations
from nhi.biscuit.records import store
from nhi.biscuit.records.attestation import EXCHANGED, JWT
from nhi.biscuit.records.model import IssuedToken, MountRef, Registration, Revocation, Workload
from nhi.biscuit.routes.oauth_client import ClientParams, Clients, each, invalid_client, metadata, refusal
from nhi.biscuit.routes.oauth_exchange import (
    BISCUIT_TYPE,
    EXCHANGE,
    JWT_TYPES,
    BiscuitExchange,
    ExchangeParams,
    kind,
)
from vault.framework.call import Call
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, Unauthenticated
from vault.framework.fields import Doc, Json
from vault.framework.keys.asked_first import prepared
from vault.framework.reply import Reply
from vault.framework.route import read, write
from vault.values.times import Seconds, millis_to_seconds, millis_to_seconds_up, time_between

Answer = Reply[dict[str, Json]]

GRANT: Final = "client_credentials"
_UNPROVED: Final = {
    "invalid_dpop_proof": "a DPoP proof is missing, or not good for this request: sign a new one",
    "invalid_request": "the registration wants the certificate of the connection",
}
_NOBODY: Final = object()
"""In place of the proof of who proves nothing."""


class TokenRequest(ExchangeParams, frozen=True):
    """A token request: RFC 6749 4.4.2, or RFC 8693 2.1."""


class HintParams(ClientParams, frozen=True):
    """A token, with the client that asks about it."""

    token: Annotated[str, Doc("The token.")] = ""
    token_type_hint: Annotated[str, Doc("Not needed.", clear=True)] = ""


class OAuthEngine(Engine):
    """The OAuth 2 endpoints of an `nhi` mount."""

    def __init__(
        self, issuer: BiscuitIssuer, biscuits: BiscuitAuthenticator, prover: ProofChecker, clients: Clients
    ) -> None:
        self._issuer = issuer
        self._biscuits = biscuits
        self._prover = prover
        self._clients = clients
        self._narrower = BiscuitExchange(biscuits)

    @read(".well-known/oauth-authorization-server", public=True, event="nhi.public.read")
    async def describe(self, call: Call) -> Answer:
        """Show where which endpoint is, and what it takes (RFC 8414)."""
        return Reply(metadata(self._clients.issuer(call)), plain=True)

    @write("oauth2/token", public=True, before="prove", event="nhi.issue")
    async def token(self, call: Call, params: TokenRequest) -> Answer:
        """Issue a token to a client that proves itself, or a narrower one for a token."""
        # 1. Biscuit for Biscuit.
        if params.grant_type == EXCHANGE and params.subject_token_type == BISCUIT_TYPE:
            return await self._narrower.exchange(call, params)
        # 2. The grant type.
        if params.grant_type not in {GRANT, EXCHANGE}:
            error = "unsupported_grant_type" if params.grant_type else "invalid_request"
            return refusal(400, error, f"grant_type must be {GRANT} or {EXCHANGE}")
        # 3. Possession. It comes before the proof is used up: a client that forgot its DPoP proof may come again.
        proof = prepared(call)
        unproved = self._unproved(call, proof.registration.pop) if isinstance(proof, WorkloadProof) else ""
        if unproved and isinstance(proof, WorkloadProof):
            self._prover.lacks(call, proof, Reason.POSSESSION)
            return refusal(400, unproved, _UNPROVED[unproved])
        # 4. The proof. One refusal for all that can be wrong with it.
        client = await self._granted(call)
        if client is None:
            return invalid_client()
        registration, workload = client
        # 5. What is asked for.
        wanted = set(params.scope.split())
        if not wanted <= set(registration.policies):
            return refusal(400, "invalid_scope", "scope must name policies of the registration")
        targets = {*each(call, "audience", params.audience), *each(call, "resource", params.resource)}
        if not targets <= set(registration.audiences):
            return refusal(
                400, "invalid_target", "audience and resource must name audiences of the registration"
            )
        registration = msgspec.structs.replace(
            registration,
            policies=tuple(sorted(wanted)) or registration.policies,
            audiences=tuple(sorted(targets)) or registration.audiences,
        )
        # 6. The token.
        place = (MountRef(call.namespace.id, call.mount.uuid), call.namespace.path)
        good = cast("WorkloadProof", proof)
        try:
            pop = self._biscuits.possession.new_binding(call, registration.pop)
            token, issued = await self._issuer.issue(
                call, place, registration, workload, Seconds(0), good.method, pop=pop
            )
        except Malformed as error:
            self._prover.lacks(call, good, Reason.NOT_MADE, error.message)
            return refusal(400, "invalid_grant", error.message)
        return _issued(params, token, issued)

    def _unproved(self, call: Call, wanted: str) -> str:
        """Return how OAuth calls it that a client does not prove to have a key; empty where it does, or need not.

        A DPoP proof is missing, or not good (RFC 9449, sections 5 and 5.2). Of a certificate that is missing RFC 8705
        (section 3.4) leaves to the server what it answers: it is the request that lacks something.
        """
        if self._biscuits.possession.has_bad_proof(call):
            return "invalid_dpop_proof"
        key = KINDS[wanted]
        if not key or key in self._biscuits.possession.proved_keys(call):
            return ""
        return "invalid_dpop_proof" if key == JKT else "invalid_request"

    async def prove(self, call: Call, params: TokenRequest) -> object:
        """Find out who asks, before any transaction: once, as what is wrong is counted."""
        return await self._prove(call, params) or _NOBODY

    async def _prove(self, call: Call, params: TokenRequest) -> WorkloadProof | None:
        if params.grant_type == EXCHANGE and params.subject_token_type == BISCUIT_TYPE:
            return None
        if params.grant_type != EXCHANGE:
            return await self._clients.prove(call, params)
        if params.subject_token_type not in JWT_TYPES:
            await self._prover.fail(call, params.client_id, JWT, Reason.OTHER_METHOD)
            return None
        registration = await store.registration(call.reader, params.client_id) if params.client_id else None
        if registration is None or registration.method not in EXCHANGED:
            await self._prover.fail(call, params.client_id, JWT, Reason.OTHER_METHOD)
            return None
        try:
            shown = LoginEvidence(method=registration.method, token=params.subject_token)
            return await self._prover.prove(call, params.client_id, shown)
        except Unauthenticated:
            return None

    @write("oauth2/introspect", public=True, before="prove_client", event="nhi.introspect")
    async def introspect(self, call: Call, params: HintParams) -> Answer:
        """Say whether a token of this mount is good now, to any client of it; and what its checks, not asked, demand."""
        if await self._granted(call) is None:
            return invalid_client()
        found = await self._biscuits.present(call.core, params.token, call.now)
        owner = MountRef(call.namespace.id, call.mount.uuid)
        if found is None or found.owner != owner or call.now >= found.expires:
            return Reply({"active": False}, plain=True)
        issued = found.issued
        answer: dict[str, Json] = {
            "active": True,
            "client_id": issued.registration,
            "sub": issued.workload,
            "jti": issued.token_id,
            "scope": " ".join(policies_of(found.verified.blocks[0])),
            "token_type": kind(issued),
            "iat": millis_to_seconds(issued.created),
            "exp": millis_to_seconds(found.expires),
            "aud": list(issued.audiences),
            "narrowing": [
                text for attenuation in attenuations(found.verified.blocks) for text in attenuation.narrowing
            ],
        }
        if found.checks.bound is not None:
            bound = found.checks.bound
            answer["cnf"] = {"x5t#S256" if bound.kind == X5T else "jkt": bound.thumbprint}
        return Reply(answer, plain=True)

    @write("oauth2/revoke", public=True, before="prove_client", event="nhi.revoke")
    async def revoke(self, call: Call, params: HintParams) -> Answer:
        """Revoke a token of the client that asks, with everything made from it; of any other, nothing."""
        client = await self._granted(call)
        if client is None:
            return invalid_client()
        found = await self._biscuits.present(call.core, params.token, call.now)
        owner = MountRef(call.namespace.id, call.mount.uuid)
        if found is not None and found.owner == owner and found.issued.registration == client[0].name:
            row = Revocation(at=call.now, until=found.issued.expires, reason="revoked by its client")
            await store.revoke(call.tx, owner, found.verified.ids[-1].hex(), row)
        return Reply({}, plain=True)

    async def prove_client(self, call: Call, params: HintParams) -> object:
        """Find out which client asks, before any transaction, as `prove`."""
        return await self._clients.prove(call, params) or _NOBODY

    async def _granted(self, call: Call) -> tuple[Registration, Workload] | None:
        proof = prepared(call)
        return await self._prover.granted(call, proof) if isinstance(proof, WorkloadProof) else None


def _issued(params: TokenRequest, token: str, issued: IssuedToken) -> Answer:
    answer: dict[str, Json] = {
        "access_token": token,
        "token_type": kind(issued),
        "expires_in": millis_to_seconds_up(time_between(issued.created, issued.expires)),
        "scope": " ".join(issued.policies),
    }
    if params.grant_type == EXCHANGE:
        answer["issued_token_type"] = BISCUIT_TYPE
    return Reply(answer, plain=True, display_name=f"nhi-{issued.workload}")
