# SPDX-License-Identifier: EUPL-1.2
"""OAuth 2 for workloads that have a client id and secret: the same request to another URL answers with a Biscuit.

The client credentials grant (RFC 6749, section 4.4), with the secret in the body or by Basic authentication; token
introspection (RFC 7662) for resource servers that cannot read a Biscuit; revocation (RFC 7009).
"""

from __future__ import annotations

import base64
import hmac
from typing import Annotated, Final
from urllib.parse import unquote_plus

import msgspec

from nhi.biscuit import store
from nhi.biscuit.authenticator import Biscuits, policies_of
from nhi.biscuit.engine import hashed
from nhi.biscuit.minting import SECRET, Mint
from nhi.biscuit.model import Place, Registration, Revoked, Workload
from vault.framework.call import Call, Reply
from vault.framework.engine import Engine
from vault.framework.errors import Malformed
from vault.framework.fields import Doc, Json
from vault.framework.route import Params, write

Answer = Reply[dict[str, Json]]

GRANT: Final = "client_credentials"


class ClientParams(Params, frozen=True):
    """Who asks; both are empty where they come by Basic authentication."""

    client_id: Annotated[str, Doc("Name of the registration.")] = ""
    client_secret: Annotated[str, Doc("Its secret.")] = ""


class TokenRequest(ClientParams, frozen=True):
    """A token request (RFC 6749, section 4.4.2)."""

    grant_type: Annotated[str, Doc("client_credentials.")] = ""
    scope: Annotated[str, Doc("Policies, between spaces: some of the registration's; all if not given.")] = ""


class HintParams(ClientParams, frozen=True):
    """A token, with the client that asks about it."""

    token: Annotated[str, Doc("The token.")] = ""
    token_type_hint: Annotated[str, Doc("Not needed.")] = ""


class OAuthEngine(Engine):
    """The OAuth 2 endpoints of an `nhi` mount. Their errors are OAuth's own (RFC 6749, section 5.2)."""

    def __init__(self, mint: Mint, biscuits: Biscuits) -> None:
        self._mint = mint
        self._biscuits = biscuits

    @write("oauth2/token", public=True)
    async def token(self, call: Call, params: TokenRequest) -> Answer:
        """Make a token for whoever knows a client's secret."""
        client = await _client(call, params)
        if client is None:
            return _refusal(401, "invalid_client")
        if params.grant_type != GRANT:
            return _refusal(400, "unsupported_grant_type" if params.grant_type else "invalid_request")
        registration, workload = client
        wanted = set(params.scope.split())
        if not wanted <= set(registration.policies):
            return _refusal(400, "invalid_scope")
        if wanted:
            registration = msgspec.structs.replace(registration, policies=tuple(sorted(wanted)))
        place = (Place(call.namespace.id, call.mount.uuid), call.namespace.path)
        try:
            token, issued = await self._mint.mint(call, place, registration, workload, 0, SECRET)
        except Malformed:
            return _refusal(400, "invalid_grant")
        answer = {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": -((issued.created - issued.expires) // 1000),
            "scope": " ".join(issued.policies),
        }
        return Reply(answer, plain=True, display_name=f"nhi-{workload.name}")

    @write("oauth2/introspect", public=True)
    async def introspect(self, call: Call, params: HintParams) -> Answer:
        """Say whether a token of this mount is good now, to any client of it."""
        if await _client(call, params) is None:
            return _refusal(401, "invalid_client")
        found = await self._biscuits.present(call.core, params.token, call.now)
        owner = Place(call.namespace.id, call.mount.uuid)
        if found is None or found.owner != owner or call.now >= found.expires:
            return Reply({"active": False}, plain=True)
        issued = found.issued
        answer = {
            "active": True,
            "client_id": issued.registration,
            "sub": issued.workload,
            "jti": issued.token_id,
            "scope": " ".join(policies_of(found.verified.blocks[0])),
            "token_type": "Bearer",
            "iat": issued.created // 1000,
            "exp": found.expires // 1000,
        }
        return Reply(answer, plain=True)

    @write("oauth2/revoke", public=True)
    async def revoke(self, call: Call, params: HintParams) -> Answer:
        """Revoke a token of the client that asks, with everything made from it; of any other, nothing."""
        client = await _client(call, params)
        if client is None:
            return _refusal(401, "invalid_client")
        found = await self._biscuits.present(call.core, params.token, call.now)
        owner = Place(call.namespace.id, call.mount.uuid)
        if found is not None and found.owner == owner and found.issued.registration == client[0].name:
            row = Revoked(call.now, found.issued.expires, "revoked by its client")
            await store.revoke(call.tx, owner, found.verified.ids[-1].hex(), row)
        return Reply({}, plain=True)


async def _client(call: Call, params: ClientParams) -> tuple[Registration, Workload] | None:
    """Return the client that a request proves to come from, and its workload; None for any other."""
    name, secret = _basic(call) or (params.client_id, params.client_secret)
    registration = await store.registration(call.tx, name) if name else None
    workload = await store.workload(call.tx, registration.workload) if registration is not None else None
    known = registration.secret_hash if registration is not None else ""
    right = hmac.compare_digest(hashed(secret), known or hashed(""))
    if registration is None or workload is None or not known or not right or not workload.alive(call.now):
        return None
    return registration, workload


def _basic(call: Call) -> tuple[str, str] | None:
    """Return id and secret of Basic authentication (RFC 6749, section 2.3.1); None where there is none."""
    if not call.basic:
        return None
    try:
        both = base64.b64decode(call.basic.reveal(), validate=True).decode()
    except ValueError:
        return "", ""
    client, _, secret = both.partition(":")
    return unquote_plus(client), unquote_plus(secret)


def _refusal(status: int, error: str) -> Answer:
    headers = {"www-authenticate": 'Basic realm="nhi"'} if status == 401 else {}
    return Reply({"error": error}, plain=True, status=status, headers=headers)
