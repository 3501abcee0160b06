# SPDX-License-Identifier: EUPL-1.2
"""An auth method by which workloads log in where stock clients look for logins: `auth/NAME/` belongs to the mount `NAME/`.

It has no data of its own. The `nhi` mount of the same name checks the proof and issues the token; its answer is that of
a login. A client that only knows the fields of another method may use these: they are other names of the same.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Annotated

from msgspec.structs import replace

from nhi.biscuit.records.model import MountRef
from nhi.biscuit.revocation.mount_removal import MountRemoval
from nhi.biscuit.routes.params import LoginParams
from nhi.biscuit.routes.token_routes import IssueEngine
from vault.barrier.barrier import Barrier
from vault.barrier.view import View, core_prefix, mount_prefix
from vault.framework.call import Call, MountFacts, Namespace
from vault.framework.engine import Engine
from vault.framework.errors import Malformed
from vault.framework.fields import Doc
from vault.framework.keys.external import AskFirst
from vault.framework.quote import quote
from vault.framework.reply import Reply
from vault.framework.route import Params, write
from vault.token.factors import Factors

FindNhiMount = Callable[[Namespace, str], MountFacts | None]
"""Finds the `nhi` mount at a path in a namespace."""


class SignInParams(LoginParams, frozen=True):
    """A registration and its proof, by these names or by those of other methods."""

    role: Annotated[
        str, Doc("Name of the registration, as JWT and Kubernetes logins call it.", clear=True)
    ] = ""
    role_id: Annotated[str, Doc("Name of the registration, as AppRole logins call it.")] = ""
    name: Annotated[str, Doc("Name of the registration, as certificate logins call it.", clear=True)] = ""
    secret_id: Annotated[str, Doc("Its secret, as AppRole logins call it.")] = ""


class PasswordParams(Params, frozen=True):
    """A registration and its secret, as userpass logins send them."""

    client_id: Annotated[str, Doc("Name of the registration.")]
    password: Annotated[str, Doc("Its secret.")] = ""


class LoginMountEngine(Engine):
    """Logins of workloads below `auth/`."""

    def __init__(
        self,
        issue_engine: IssueEngine,
        barrier: Barrier,
        find: FindNhiMount,
        mount_removal: MountRemoval,
        factors: Factors,
    ) -> None:
        self._nhi_mount = issue_engine
        self._barrier = barrier
        self._find = find
        self._mount_removal = mount_removal
        self._factors = factors

    async def unmounting(self, core: View, home: Namespace, mount: MountFacts) -> None:
        """See `Engine.unmounting`: what was given by this way ends, as with any other auth method."""
        owner = self._find(home, mount.path.removeprefix("auth/"))
        if owner is not None:
            await self._mount_removal.end(core, MountRef(home.id, owner.uuid), mount.logins)

    @write("login", public=True, contained=True, event="auth.login")
    async def login(self, call: Call, params: SignInParams) -> Reply[None]:
        """Issue a Biscuit to a workload that proves its registration, by the method of the registration."""
        return await self._login(call, _plain(params))

    @write("login/{client_id:name}", public=True, contained=True, event="auth.login")
    async def login_by_password(self, call: Call, params: PasswordParams) -> Reply[None]:
        """Issue a Biscuit to a workload that has the secret of its registration."""
        return await self._login(call, LoginParams(client_id=params.client_id, client_secret=params.password))

    async def _login(self, call: Call, params: LoginParams) -> Reply[None]:
        """Log in there; what has to be asked first is asked there too.

        Raises `Malformed` where a login enforcement demands a second factor of all: nothing is done then.
        """
        door = call.mount.logins
        try:
            with self._there(call, call.core):
                reply = await self._nhi_mount.log_in(call, params, door)
        except AskFirst as again:
            ask = again.ask

            async def first() -> object:
                with self._there(call):
                    return await ask()

            raise AskFirst(first) from None
        if await self._factors.demanded(call):
            raise Malformed("a login enforcement demands a second factor here, which no workload has")
        return reply

    @contextmanager
    def _there(self, call: Call, transaction: View | None = None) -> Generator[None]:
        """Have a call speak of the `nhi` mount and its data meanwhile. Raises `Malformed` where there is none."""
        own, reader = call.destination, call.reader
        place = own.mount.path.removeprefix("auth/")
        mount = self._find(call.namespace, place)
        if mount is None:
            raise Malformed(f"there is no nhi engine at {quote(place)}, whose tokens this method gives")
        inside = mount_prefix(mount.uuid)
        call.destination = replace(own, mount=mount)
        if transaction is None:
            home = call.namespace.id
            call.reader = self._barrier.reader(home, core_prefix(home) + inside)
        else:
            call.reader = call.tx = transaction.sub(inside)
        try:
            yield
        finally:
            call.destination, call.reader = own, reader


def _plain(params: SignInParams) -> LoginParams:
    """Return what was sent by its usual names. Raises `Malformed` for one thing by two names."""
    return LoginParams(
        client_id=_one(params.client_id, params.role, params.role_id, params.name),
        client_secret=_one(params.client_secret, params.secret_id),
        jwt=params.jwt,
        client_assertion=params.client_assertion,
        ttl=params.ttl,
    )


def _one(*given: str) -> str:
    names = {name for name in given if name}
    if len(names) > 1:
        raise Malformed("the registration, or its secret, is given by two names: give it by one")
    return names.pop() if names else ""
