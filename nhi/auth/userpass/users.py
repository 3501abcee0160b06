# SPDX-License-Identifier: EUPL-1.2
"""Users: made, changed, shown and removed."""

from __future__ import annotations

import msgspec

from nhi.auth.userpass import decoys
from nhi.auth.userpass.model import (
    USERS,
    PasswordParams,
    PoliciesParams,
    User,
    UserName,
    UserParams,
)
from nhi.auth.userpass.passwords import Passwords, refuse_unfit_bcrypt
from nhi.records import Keys, ListParams
from vault.framework.call import Call
from vault.framework.clock import Entropy
from vault.framework.concurrency.offload import client_of
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, NotFound
from vault.framework.fields import Json
from vault.framework.route import delete, list_, read, write
from vault.token.terms import OLD_NAMES, changed, shown

_NEITHER = "must provide either password or password_hash"


class UserEngine(Engine):
    """Users. A new password is hashed before the transaction that keeps it."""

    def __init__(self, passwords: Passwords, entropy: Entropy) -> None:
        self._passwords = passwords
        self._entropy = entropy

    @list_("users", event="userpass.user.list")
    async def list_users(self, call: Call, params: ListParams) -> Keys:
        """List the names of all users."""
        return await USERS.names(call, params)

    @read("users/{username:word}", event="userpass.user.read")
    async def read_user(self, call: Call, params: UserName) -> dict[str, Json]:
        """Show what is said of a user's tokens."""
        user = await USERS.find(call.reader, params.username)
        if user is None:
            raise NotFound
        return shown(user.terms, OLD_NAMES)

    @write("users/{username:word}", exists="user_exists", before="hashed", event="userpass.user.write")
    async def write_user(self, call: Call, params: UserParams) -> None:
        """Make or change a user; what is not given stays."""
        old = await USERS.find(call.tx, params.username)
        secret = await self._secret(call, params)
        if secret is None and old is None:
            raise Malformed(_NEITHER)
        user = old or User(name=params.username, secret="")
        terms = changed(user.terms, params, OLD_NAMES)
        await USERS.keep(
            call.tx, user.name, msgspec.structs.replace(user, terms=terms, secret=secret or user.secret)
        )

    @delete("users/{username:word}", event="userpass.user.delete")
    async def delete_user(self, call: Call, params: UserName) -> None:
        """Remove a user; nothing happens where there is none."""
        await USERS.remove(call.tx, params.username)

    @write("users/{username:word}/password", before="hashed", event="userpass.password.write")
    async def write_password(self, call: Call, params: PasswordParams) -> None:
        """Change a user's password."""
        user = await _existing(call, params)
        secret = await self._secret(call, params)
        if secret is None:
            raise Malformed(_NEITHER)
        await USERS.keep(call.tx, user.name, msgspec.structs.replace(user, secret=secret))

    @write("users/{username:word}/policies", event="userpass.user.write")
    async def write_policies(self, call: Call, params: PoliciesParams) -> None:
        """Change the policies of a user's tokens."""
        user = await _existing(call, params)
        given = UserParams(
            username=user.name,
            token_policies=_tidied(params.token_policies),
            policies=_tidied(params.policies),
        )
        terms = changed(user.terms, given, OLD_NAMES)
        await USERS.keep(call.tx, user.name, msgspec.structs.replace(user, terms=terms))

    async def user_exists(self, call: Call) -> bool:
        """Tell update from create."""
        return await USERS.find(call.reader, call.captures["username"].lower()) is not None

    async def hashed(self, call: Call, params: PasswordParams | UserParams) -> str:
        """Return the hash of the password that came; empty without one. Raises `Busy`."""
        return await self._passwords.hash(client_of(call), params.password) if params.password else ""

    async def _secret(self, call: Call, params: PasswordParams | UserParams) -> str | None:
        """Return the hash that is to be kept; None where none was given, or an empty one."""
        if params.password and params.password_hash:
            raise Malformed("only one of password or password_hash may be provided")
        if params.password_hash:
            refuse_unfit_bcrypt(params.password_hash)
        secret = params.password_hash or call.prepared
        assert isinstance(secret, str)
        if secret:
            await decoys.learn(call.tx, secret, self._entropy)
        return secret or None


async def _existing(call: Call, params: UserName) -> User:
    user = await USERS.find(call.tx, params.username)
    if user is None:
        raise Malformed("username does not exist", chained=True)
    return user


def _tidied(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(sorted({name.strip().lower() for name in names} - {""}))
