# SPDX-License-Identifier: EUPL-1.2
"""Logging in with a name and a password."""

from __future__ import annotations

from typing import Final

from nhi.auth.userpass import decoys
from nhi.auth.userpass.model import USERS, Elsewhere, LoginParams
from nhi.auth.userpass.passwords import Passwords
from vault.barrier.view import ReadView
from vault.framework.call import Call
from vault.framework.clock import Entropy
from vault.framework.concurrency.offload import client_of
from vault.framework.engine import Engine
from vault.framework.errors import Failed, Malformed, Unauthenticated, UnsupportedPath
from vault.framework.identity import LoginAlias
from vault.framework.reply import Reply
from vault.framework.route import write
from vault.token.addresses import within
from vault.token.issue import LoginGrant, LoginIssuer, policies_of
from vault.token.lockout import Lockout
from vault.token.model import TokenEntry
from vault.token.terms import TokenTerms

_WRONG: Final = "invalid username or password"
"""What is said where there is no such user as well as where the password is not this user's (SL-22)."""


class LoginEngine(Engine):
    """Logins. `examine` runs before any transaction: it takes its time over the password, and counts failures."""

    def __init__(self, issuer: LoginIssuer, lockout: Lockout, passwords: Passwords, entropy: Entropy) -> None:
        self._issuer = issuer
        self._lockout = lockout
        self._passwords = passwords
        self._entropy = entropy

    @write("login/{username:word}", public=True, before="examine", event="auth.login")
    async def login(self, call: Call, params: LoginParams) -> Reply[None]:
        """Log in."""
        user = await USERS.find(call.tx, params.username)
        if user is None or call.prepared != user.secret:
            raise Malformed(_WRONG)  # or removed, or given another password, since it was examined
        await self._lockout.check(call, user.name, known=True)
        if user.terms.bound_cidrs and not within(call.client_address, user.terms.bound_cidrs):
            raise Unauthenticated
        await self._lockout.succeeded(call, user.name)
        await decoys.learn(call.tx, user.secret, self._entropy)
        grant = LoginGrant(
            user.terms,
            login=user.name,
            name=user.name,
            metadata={"username": user.name},
            alias=LoginAlias(user.name),
        )
        return await self._issuer.issue(call, grant)

    @write("login/{rest:any}", public=True, event="auth.login")
    async def no_login(self, call: Call, params: Elsewhere) -> None:
        """Refuse a name that no user can have, in the words for a user that does not exist."""
        del call, params
        raise UnsupportedPath(chained=False)

    async def examine(self, call: Call, params: LoginParams) -> str:
        """Return the hash that the password is good for; empty for a wrong one, which is counted.

        Raises `Malformed`, `Busy`, and `Unauthenticated` for a name that is locked.
        """
        name = params.username
        user = await USERS.find(call.reader, name)
        kinds = await decoys.known(call.reader)
        await self._lockout.check(call, name, known=user is not None)
        if not params.password:
            raise Malformed("missing password")
        secret = user.secret if user is not None else kinds.of(name) if kinds is not None else ""
        right = await self._passwords.match(client_of(call), params.password, secret or None)
        if user is not None and right:
            return user.secret
        await self._lockout.failed(call, name, known=user is not None)
        return ""


async def renewal(view: ReadView, entry: TokenEntry, call: Call) -> TokenTerms | None:
    """Return the terms of the user that a token came from, or None where the user is gone: nothing is renewed.

    Raises `Failed` where the user's policies are others by now.
    """
    del call
    user = await USERS.find(view, entry.login)
    if user is None:
        return None
    if policies_of(user.terms) != entry.policies:
        raise Failed("failed to renew entry: policies have changed, not renewing")
    return user.terms
