# SPDX-License-Identifier: EUPL-1.2
"""Logging in with a role id and a secret id."""

from __future__ import annotations

from typing import Final

import msgspec

from nhi.auth.approle import store
from nhi.auth.approle.model import LoginParams, Role, SecretId, Usage
from vault.barrier.view import ReadView
from vault.framework.call import Call
from vault.framework.clock import Clock
from vault.framework.engine import Engine
from vault.framework.errors import Failed, Malformed
from vault.framework.identity import LoginAlias
from vault.framework.quote import quote
from vault.framework.reply import RefusedReply, Reply
from vault.framework.route import write
from vault.token.addresses import within
from vault.token.issue import LoginGrant, LoginIssuer
from vault.token.lockout import Lockout
from vault.token.model import TokenEntry
from vault.token.terms import TokenTerms, addresses
from vault.values.times import Nanos

_WRONG: Final = "invalid role or secret ID"
"""The one refusal of wrong credentials, whatever is wrong with them."""
_NOBODY: Final = Role(name="", uid="nobody", role_id="")
"""Whose secret ids are looked for where there is no role, so that it takes as long (SL-22)."""


class LoginEngine(Engine):
    """Logins: all of one in one transaction, a failure that is counted too."""

    def __init__(self, issuer: LoginIssuer, lockout: Lockout, clock: Clock) -> None:
        self._issuer = issuer
        self._lockout = lockout
        self._clock = clock

    @write("login", public=True, contained=True, event="auth.login")
    async def login(self, call: Call, params: LoginParams) -> Reply[None]:
        """Log in. A use of the secret id is taken in the transaction that makes the token, or there is no token."""
        if not params.role_id:
            raise Malformed("missing role_id")
        by = await store.keyed(call.tx)
        role = await store.role_by_id(call.tx, params.role_id, by)
        await self._lockout.check(call, params.role_id, known=role is not None)
        metadata: dict[str, str] = {}
        blocks: tuple[str, ...] = ()
        now = self._clock.nanos()
        if role is None or role.bind_secret_id:
            if not params.secret_id:
                raise Malformed(
                    "missing secret_id"
                )  # the same for a role id that exists and for one that does not (SL-22)
            digest = store.hashed(by, "secret-id", params.secret_id)
            secret = await self._secret(call.tx, role or _NOBODY, digest)
            if role is None or secret is None:
                await self._lockout.count(call, call.tx, params.role_id, known=role is not None)
                return RefusedReply(reason=Malformed(_WRONG))
            _admit(call, secret.cidrs, "secret ID")
            metadata, blocks = dict(secret.metadata), addresses(secret.token_cidrs)
            await _use(call, role, digest, secret, now)
        _admit(call, role.secret_id_bound_cidrs or (), "role")
        usage = await store.usage(call.tx, role)
        await store.put_usage(call.tx, role, Usage(usage.count + 1, now))
        await self._lockout.succeeded(call, role.role_id)
        metadata["role_name"] = role.name
        grant = LoginGrant(
            role.terms,
            login=role.name,
            metadata=metadata,
            bound_cidrs=blocks,
            alias=LoginAlias(role.role_id, metadata=metadata),
        )
        return await self._issuer.issue(call, grant)

    async def _secret(self, view: ReadView, role: Role, digest: str) -> SecretId | None:
        """Return what is kept of the secret id with this hash, if it is good now."""
        secret = await store.secret(view, role, digest)
        return secret if secret is not None and secret.alive(self._clock.nanos()) else None


def _admit(call: Call, blocks: tuple[str, ...], what: str) -> None:
    if blocks and not within(call.client_address, blocks):
        raise Malformed(
            f'source address "{call.client_address}" unauthorized by CIDR restrictions on the {what}: %!w(<nil>)'
        )


async def _use(call: Call, role: Role, digest: str, secret: SecretId, now: Nanos) -> None:
    """Take a use of a secret id; with its last one it is gone."""
    if secret.uses == 1:
        await store.delete_secret(call, role, digest, secret)
        return
    used = msgspec.structs.replace(
        secret,
        uses=secret.uses and secret.uses - 1,
        updated=now if secret.uses else secret.updated,
        usage=Usage(secret.usage.count + 1, now),
    )
    await store.replace_secret(call.tx, role, digest, used)


async def renewal(view: ReadView, entry: TokenEntry, call: Call) -> TokenTerms:
    """Return the terms of the role that a token came from. Raises `Failed` where it is gone."""
    del call
    role = await store.role(view, entry.login)
    if role is None:
        raise Failed(f'failed to renew entry: role "{quote(entry.login)}" does not exist during renewal')
    return role.terms
