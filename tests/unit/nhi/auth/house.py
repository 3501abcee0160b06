# SPDX-License-Identifier: EUPL-1.2
"""A small vault with AppRole and userpass mounted, over the real pipeline, in memory, with a fake clock."""

import asyncio
from collections.abc import Mapping
from typing import Any

from argon2 import PasswordHasher

from nhi.auth.approle.login import LoginEngine as AppRoleLogin
from nhi.auth.approle.login import renewal as renew_approle
from nhi.auth.approle.roles import RoleEngine
from nhi.auth.approle.secret_ids import SecretIdEngine
from nhi.auth.approle.subpaths import RolePathEngine, TermPathEngine
from nhi.auth.userpass.login import LoginEngine as UserpassLogin
from nhi.auth.userpass.login import renewal as renew_userpass
from nhi.auth.userpass.passwords import Passwords
from nhi.auth.userpass.users import UserEngine
from nhi.identity.install import identity_store
from nhi.identity.mfa.passcodes import Passcodes
from nhi.identity.mfa.second_factors import SecondFactors
from nhi.identity.mfa.validate_routes import ValidateEngine
from nhi.identity.oidc.pairs import KeyPairs
from tests.unit.engines.system.house import CORE, Answer, play
from tests.unit.token.house import DEFAULT, LONGEST, TokenHouse
from vault.engines.system.mounts.mounts import MountsEngine
from vault.engines.system.mounts.remount import RemountEngine
from vault.engines.system.mounts.tune import TuningEngine
from vault.engines.system.namespaces.locked_users import LockedUsersEngine
from vault.engines.token.engine import TokenEngine
from vault.framework.call import Call, Namespace
from vault.framework.concurrency.offload import Pool
from vault.framework.reply import Reply
from vault.framework.route_table import RouteTable
from vault.mount.entry import LockoutConfig, MountConfig, MountEntry
from vault.mount.table import Backend, Catalog
from vault.pipeline import Pipeline
from vault.token.issue import LoginIssuer, Renewals
from vault.token.lifetime import LifetimeLimits
from vault.token.lockout import Lockout
from vault.values.ids import ROOT_ID
from vault.values.times import Seconds

__all__ = ["CORE", "LONGEST", "Answer", "AuthHouse", "opened", "play"]

HOME = "192.0.2.7"
"""Where calls come from, unless a test says otherwise."""


def cheap() -> PasswordHasher:
    """Return argon2id as quick as it gets: how long it takes is no concern of these tests."""
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class Door:
    """The pipeline, reached from `address`."""

    def __init__(self, inner: Pipeline) -> None:
        self._inner = inner
        self.address = HOME

    async def handle(self, call: Call) -> Reply[object] | None:
        call.client_address = self.address
        return await self._inner.handle(call)


class AuthHouse(TokenHouse):
    """`TokenHouse`, with auth/approle, auth/userpass and what of sys/ concerns them."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        super().__init__()
        self.passwords = Passwords(hasher or cheap())
        self.door = Door(self.pipeline)
        self.configured: dict[str, LockoutConfig] = {}
        self.lockout = self.new_lockout()
        self.factors = SecondFactors(Passcodes(self.clock), self.namespaces.chain, self.clock, self.entropy)

    def new_lockout(self) -> Lockout:
        """Return what counts failed logins, as after a start of the server."""
        return Lockout(
            self.barrier, self.clock, self._entry, lambda kind: self.configured.get(kind, LockoutConfig())
        )

    async def start(self) -> "AuthHouse":
        """Open the vault and mount the auth methods."""
        limits = LifetimeLimits(default=Seconds(DEFAULT), longest=Seconds(LONGEST))
        issuer = LoginIssuer(self.tokens, self.batch, self.clock, limits, self._config, self.factors)
        await self.open(
            MountsEngine(self.router, self.entropy, self.tokens),
            TuningEngine(self.router, self.clock, _no_upgrade),
            RemountEngine(self.router, self.namespaces, self.barrier, self.entropy, self.tokens),
            LockedUsersEngine(self.lockout, self.router, self.barrier),
            ValidateEngine(self.factors, self.identities, issuer, self.router, self.clock),
        )
        token = TokenEngine(
            self.tokens,
            self.batch,
            self.policies,
            self.barrier,
            self.clock,
            limits,
            Renewals(self._find, {"approle": renew_approle, "userpass": renew_userpass}),
        )
        approle = (
            RoleEngine(self.clock, self.entropy, Seconds(LONGEST)),
            TermPathEngine(Seconds(LONGEST)),
            RolePathEngine(),
            SecretIdEngine(self.clock, self.entropy, Seconds(LONGEST)),
            AppRoleLogin(issuer, self.lockout, self.clock),
        )
        userpass = (
            UserEngine(self.passwords, self.entropy),
            UserpassLogin(issuer, self.lockout, self.passwords, self.entropy),
        )
        self.pairs = KeyPairs(self.clock, self.entropy, self.safe)
        store = identity_store(
            self.identities,
            self.router,
            self.namespaces.chain,
            self.pairs,
            self.batch,
            "https://vault.example:8200",
            self.clock,
            self.entropy,
            Pool(),
        )
        secrets = {**self.mounts.catalog._secrets, ("identity", ""): Backend(store, RouteTable(store))}
        self.router.catalog = Catalog(
            {**secrets, ("ns_system", ""): secrets["system", ""]},
            {
                "token": Backend([token], RouteTable([token])),
                "approle": Backend(approle, RouteTable(approle)),
                "userpass": Backend(userpass, RouteTable(userpass)),
            },
        )
        self.pipeline = self.door  # type: ignore[assignment]  # it is asked for nothing but `handle`
        await self.router.drop(None)
        for kind in ("approle", "userpass"):
            await self.good("POST", f"sys/auth/{kind}", {"type": kind})
        return self

    async def good(self, method: str, path: str, body: object = None, **options: Any) -> Answer:
        """Send a request that succeeds."""
        answer = await self(method, path, body, **options)
        assert answer.status in {200, 204}, answer.text
        return answer

    async def role(self, name: str = "web", secret_id: str = "sesame", **fields: object) -> None:
        """Write a role whose role id is its name, with one secret id."""
        await self.good("POST", f"auth/approle/role/{name}", {"role_id": name, **fields})
        await self.good("POST", f"auth/approle/role/{name}/custom-secret-id", {"secret_id": secret_id})

    async def user(self, name: str = "ada", password: str = "right", **fields: object) -> None:
        """Write a user."""
        await self.good("POST", f"auth/userpass/users/{name}", {"password": password, **fields})

    async def enter(self, role_id: str = "web", secret_id: str = "sesame") -> Answer:
        """Log in to AppRole."""
        return await self(
            "POST", "auth/approle/login", {"role_id": role_id, "secret_id": secret_id}, token=""
        )

    async def log_in(self, name: str = "ada", password: object = "right") -> Answer:
        """Log in to userpass."""
        return await self("POST", f"auth/userpass/login/{name}", {"password": password}, token="")

    async def everything(self) -> bytes:
        """Return every path and every decrypted value of the root namespace."""
        view = self.barrier.reader(ROOT_ID, CORE)
        parts = []
        for path in await view.scan(""):
            parts += [path.encode(), await view.get(path) or b""]
        return b"\n".join(parts)

    def _entry(self, call: Call) -> MountEntry:
        mount = self.router.of(call.namespace).get(call.mount.path)
        assert mount is not None
        return mount.entry

    def _config(self, call: Call) -> MountConfig:
        return self._entry(call).config

    def _find(self, namespace: Namespace, uuid: str) -> MountEntry | None:
        return next((one.entry for one in self.router.of(namespace) if one.entry.uuid == uuid), None)


async def _no_upgrade(view: object, now: int) -> int:
    raise AssertionError


async def opened(hasher: PasswordHasher | None = None) -> AuthHouse:
    """Return a vault, open, with its auth methods."""
    return await AuthHouse(hasher).start()


def auth(answer: Answer) -> Mapping[str, Any]:
    """Return the `auth` of a login that succeeded."""
    assert answer.status == 200, answer.text
    found: Mapping[str, Any] = answer.body["auth"]
    return found


async def together(*logins: Any) -> list[Answer]:
    """Run logins at once."""
    return list(await asyncio.gather(*logins))
