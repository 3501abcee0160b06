# SPDX-License-Identifier: EUPL-1.2
"""Token exchange (RFC 8693) of a Biscuit for a narrower one, for clients without a library that attenuates.

The answer is the same chain with one more block, so it ends when what it was made from is revoked, and nothing in it
can be more than was there before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import unquote, urlsplit

from biscuit_auth import BlockBuilder

from nhi.biscuit.credential.authenticator import BiscuitAuthenticator
from nhi.biscuit.credential.possession import JKT
from nhi.biscuit.offline.guard import Term, guarded, utc
from nhi.biscuit.offline.verify import to_text
from nhi.biscuit.records.model import IssuedToken, MountRef
from nhi.biscuit.routes.oauth_client import ClientParams, each, refusal
from vault.framework.call import Call
from vault.framework.fields import Doc, Json, Span, StringList
from vault.framework.reply import Reply
from vault.framework.request.operation import Operation
from vault.values.times import Millis, Seconds, millis_after, millis_to_seconds, time_between

if TYPE_CHECKING:
    from biscuit_auth import Biscuit

EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
BISCUIT_TYPE: Final = "urn:coffre:params:oauth:token-type:biscuit"
"""No name for Biscuits is registered."""
JWT_TYPES: Final = frozenset(
    f"urn:ietf:params:oauth:token-type:{kind}" for kind in ("jwt", "id_token", "access_token")
)
_OPERATIONS: Final = frozenset(
    one.value for one in Operation if one not in {Operation.HELP, Operation.HEADER}
)
_MOST: Final = 16
_LONGEST: Final = 512


class ExchangeParams(ClientParams, frozen=True):
    """A token request of either kind."""

    grant_type: Annotated[str, Doc("client_credentials, or the name of token exchange.", clear=True)] = ""
    scope: Annotated[
        str,
        Doc(
            "Policies, between spaces: some of the registration's. Of an exchanged Biscuit: operations.",
            clear=True,
        ),
    ] = ""
    audience: Annotated[StringList, Doc("For whom: some of the registration's audiences.")] = ()
    resource: Annotated[
        StringList,
        Doc("As audience (RFC 8707). Of an exchanged Biscuit: path that it is to be good for, and below."),
    ] = ()
    subject_token: Annotated[str, Doc("The token that is exchanged.")] = ""
    subject_token_type: Annotated[str, Doc("What it is: a JWT, or a Biscuit.", clear=True)] = ""
    actor_token: Annotated[str, Doc("Not taken: who acts is who presents the token.")] = ""
    requested_token_type: Annotated[str, Doc("The type of Biscuits, or nothing.", clear=True)] = ""
    ttl: Annotated[Span, Doc("How long an exchanged Biscuit is to be good, at most.", clear=True)] = Seconds(
        0
    )


class BiscuitExchange:
    """Exchanges a Biscuit for the same one with one more block."""

    def __init__(self, biscuits: BiscuitAuthenticator) -> None:
        self._biscuits = biscuits

    async def exchange(self, call: Call, params: ExchangeParams) -> Reply[dict[str, Json]]:
        """Return a Biscuit with a block that narrows it as the request says (RFC 8693, section 2).

        1. The request asks for what is exchanged here: a Biscuit for a Biscuit, without an actor.
        2. `subject_token` is a token of this mount that is good now.
        3. It can be attenuated: it is not sealed, and has room for a block.
        4. `scope` names operations, `resource` paths of the token's namespace (RFC 8707).
        5. The block is added, and the new token is still one that is taken here.
        """
        # 1. What is asked for.
        if params.actor_token or params.requested_token_type not in {"", BISCUIT_TYPE}:
            return refusal(400, "invalid_request", "actor_token and other types than Biscuits are not taken")
        # 2. The subject token. Its signature is the proof, so no client has to show one (RFC 8693, section 2.1).
        here = MountRef(call.namespace.id, call.mount.uuid)
        found = await self._biscuits.present(call.core, params.subject_token, call.now)
        if found is None or found.owner != here or call.now >= found.expires:
            return refusal(
                400, "invalid_request", "subject_token is no Biscuit of this mount that is good now"
            )
        # 3. Room for a block.
        if found.verified.chain.next_secret is None or len(found.verified.ids) >= found.issued.max_depth:
            return refusal(400, "invalid_request", "subject_token is sealed, or has as many blocks as it may")
        # 4. What is left of its rights.
        operations = frozenset(params.scope.split())
        if not operations <= _OPERATIONS:
            return refusal(400, "invalid_scope", "scope must name operations")
        paths = _paths(each(call, "resource", params.resource), found.namespace.path)
        if paths is None or any(params.audience):
            return refusal(
                400,
                "invalid_target",
                "resource must name paths of the token's namespace, and audience nobody",
            )
        # 5. The block.
        end = min(found.expires, millis_after(call.now, params.ttl)) if params.ttl else found.expires
        raw = _narrowed(found.verified.token, operations, paths, end)
        made = to_text(raw).rstrip("=") if raw is not None else ""
        if await self._biscuits.present(call.core, made, call.now) is None:  # it may have become too large
            return refusal(400, "invalid_request", "the narrower token would be larger than one may be")
        answer: dict[str, Json] = {
            "access_token": made,
            "issued_token_type": BISCUIT_TYPE,
            "token_type": kind(found.issued),
            "expires_in": millis_to_seconds(time_between(call.now, end)),
        }
        return Reply(answer, plain=True, display_name=f"nhi-{found.issued.workload}")


def _narrowed(
    token: Biscuit, operations: frozenset[str], paths: tuple[str, ...], end: Millis
) -> bytes | None:
    source = "check if time($t), $t < {end};"
    terms: dict[str, Term | set[str]] = {"end": utc(end)}
    if operations:
        source += "check if operation($o), {operations}.contains($o);"
        terms["operations"] = set(operations)
    if paths:
        asked = []
        for place, path in enumerate(paths):
            if not path.endswith("/"):
                asked.append(f"resource({{path{place}}})")
                terms[f"path{place}"] = path
            asked.append(f"resource($r), $r.starts_with({{below{place}}})")
            terms[f"below{place}"] = path.removesuffix("/") + "/"
        source += f"check if {' or '.join(asked)};"
    return guarded(lambda: bytes(token.append(BlockBuilder(source, terms)).to_bytes()))


def kind(issued: IssuedToken) -> str:
    """Return how a token is presented, as OAuth calls it: with a proof for each request, or as it is."""
    return "DPoP" if issued.pop.startswith(f"{JKT}:") else "Bearer"


def _paths(given: tuple[str, ...], home: str) -> tuple[str, ...] | None:
    """Return the paths that are asked for: as they are, or of URLs that lead to them; None for what is none.

    `home` is the namespace that they are looked for in, which a URL may name.
    """
    found = []
    for one in given:
        try:
            url = urlsplit(one) if "://" in one else None
            path = one if url is None else unquote(url.path, errors="strict")
        except ValueError:
            return None
        path = path.removeprefix("/").removeprefix("v1/")
        if url is not None:
            path = path.removeprefix(home)
        if not path or len(path) > _LONGEST:
            return None
        found.append(path)
    return tuple(found) if len(found) <= _MOST else None
