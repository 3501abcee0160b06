# SPDX-License-Identifier: EUPL-1.2
"""Clients of the OAuth 2 endpoints: how they authenticate, and the metadata that they read first."""

from __future__ import annotations

import base64
import re
from typing import Annotated, Final
from urllib.parse import unquote_plus

from nhi.biscuit.login.failures import Reason
from nhi.biscuit.login.proof import LoginEvidence, ProofChecker, WorkloadProof
from nhi.biscuit.records import store
from nhi.biscuit.records.attestation import CERT, PRIVATE_KEY, SECRET
from nhi.jose import signature
from vault.framework import schema
from vault.framework.call import Call
from vault.framework.errors import Malformed, Unauthenticated
from vault.framework.fields import Doc, Json
from vault.framework.reply import Reply
from vault.framework.route import Params

_UNTOLD: Final = re.compile(r"[^ !#-\[\]-~]")
"""Characters that no description has (RFC 6749, section 5.2)."""
ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class ClientParams(Params, frozen=True):
    """Who asks: by secret, by assertion, or with a certificate; id and secret may come by Basic authentication."""

    client_id: Annotated[str, Doc("Name of the registration.", clear=True)] = ""
    client_secret: Annotated[str, Doc("Its secret.")] = ""
    client_assertion: Annotated[str, Doc("A JWT that the client signed (RFC 7523).")] = ""
    client_assertion_type: Annotated[str, Doc(ASSERTION, clear=True)] = ""


class Clients:
    """Authenticates clients, by secret, assertion or certificate."""

    def __init__(self, prover: ProofChecker, address: str) -> None:
        """`address` is the URL at which clients reach this server; empty where it is not known."""
        self._prover = prover
        self._address = address.removesuffix("/")

    def issuer(self, call: Call) -> str:
        """Return what a mount is called as an authorization server."""
        return f"{self._address}/v1/{call.namespace.path}{call.mount.path.removesuffix('/')}"

    def audiences(self, call: Call) -> tuple[str, ...]:
        """Return whom a client's own assertion may be for: this mount, or the endpoint that it is sent to."""
        if not self._address:
            return ()
        issuer = self.issuer(call)
        return (issuer, f"{issuer}/oauth2/token", f"{issuer}/login")

    async def prove(self, call: Call, params: ClientParams) -> WorkloadProof | None:
        """Return the proof of the client that asks; None without a good one, and for a client that sends two."""
        basic = _basic(call)
        shown = [basic is not None, bool(params.client_secret), bool(params.client_assertion)]
        name, secret = basic or (params.client_id, params.client_secret)
        if sum(shown) > 1:
            await self._prover.fail(call, name, SECRET, Reason.TWO_PROOFS)
            return None
        try:
            if params.client_assertion:
                return await self._assertion(call, params)
            if not secret:
                registration = await store.registration(call.reader, name) if name else None
                if registration is not None and registration.method == CERT:
                    return await self._prover.prove(call, name, LoginEvidence(method=CERT))
            return await self._prover.prove(call, name, LoginEvidence(method=SECRET, secret=secret))
        except Unauthenticated:
            return None

    async def _assertion(self, call: Call, params: ClientParams) -> WorkloadProof | None:
        name = params.client_id
        if params.client_assertion_type != ASSERTION:
            await self._prover.fail(call, name, PRIVATE_KEY, Reason.OTHER_METHOD)
            return None
        if not name:
            try:
                claims = signature.read(params.client_assertion).unverified() or {}
            except Malformed:
                await self._prover.fail(call, "", PRIVATE_KEY, Reason.MALFORMED)
                return None
            name = str(claims.get("sub", ""))
        shown = LoginEvidence(
            method=PRIVATE_KEY, token=params.client_assertion, audiences=self.audiences(call)
        )
        return await self._prover.prove(call, name, shown)


def metadata(issuer: str) -> dict[str, Json]:
    """Return what an authorization server says of itself (RFC 8414, RFC 8705)."""
    methods = ["client_secret_basic", "client_secret_post", "private_key_jwt", "tls_client_auth"]
    algorithms = list(signature.ALGORITHMS)
    found: dict[str, Json] = {
        "issuer": issuer,
        "token_endpoint": f"{issuer}/oauth2/token",
        "introspection_endpoint": f"{issuer}/oauth2/introspect",
        "revocation_endpoint": f"{issuer}/oauth2/revoke",
        "grant_types_supported": [
            "client_credentials",
            "urn:ietf:params:oauth:grant-type:token-exchange",
        ],
        "response_types_supported": [],
        "dpop_signing_alg_values_supported": algorithms,
        "tls_client_certificate_bound_access_tokens": True,
    }
    for endpoint in ("token", "introspection", "revocation"):
        found[f"{endpoint}_endpoint_auth_methods_supported"] = methods
        found[f"{endpoint}_endpoint_auth_signing_alg_values_supported"] = algorithms
    return found


def _basic(call: Call) -> tuple[str, str] | None:
    """Return id and secret of Basic authentication (RFC 6749, section 2.3.1); None where there is none."""
    if not call.proofs.basic:
        return None
    try:
        both = base64.b64decode(call.proofs.basic.reveal(), validate=True).decode()
    except ValueError:
        return "", ""
    client, _, secret = both.partition(":")
    return unquote_plus(client), unquote_plus(secret)


def each(call: Call, name: str, given: tuple[str, ...]) -> tuple[str, ...]:
    """Return all values of a parameter that may come several times (RFC 8693, section 2.1; RFC 8707, section 2).

    A form's values are joined by commas elsewhere, which may be in one of them too. Empty ones count as not sent.
    """
    if schema.is_form(call):
        sent = tuple(schema.decode_pairs(call.body).get(name, ()))
        if given == (",".join(sent),):
            given = sent
    return tuple(one for one in given if one)


def refusal(status: int, error: str, described: str) -> Reply[dict[str, Json]]:
    """Return a refusal in OAuth's words (RFC 6749, section 5.2). What `described` may not hold there is left out."""
    headers = {"www-authenticate": 'Basic realm="nhi"'} if status == 401 else {}
    reason = Unauthenticated(error) if status == 401 else Malformed(error)
    answer: dict[str, Json] = {"error": error, "error_description": _UNTOLD.sub("", described)}
    return Reply(answer, plain=True, status=status, headers=headers, refusal=reason)


def invalid_client() -> Reply[dict[str, Json]]:
    """Return the refusal of a client that is not known, or not proved: the same whatever is wrong."""
    return refusal(401, "invalid_client", "the client is not known, or what it shows is not its proof")
