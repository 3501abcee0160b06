# SPDX-License-Identifier: EUPL-1.2
"""A small vault with the JWT method, whose key sets come from a service that the test runs on loopback."""

from collections.abc import Sequence
from typing import Any

from nhi.auth.jwt.cel.process import Cost
from nhi.auth.jwt.cel.programs import LONGEST as LONGEST_PROGRAM
from nhi.auth.jwt.cel.programs import MOST, QUICK, Programs
from nhi.auth.jwt.cel.roles import CelRoleEngine
from nhi.auth.jwt.cel_login import CelLoginEngine
from nhi.auth.jwt.config import ConfigEngine
from nhi.auth.jwt.keysets import KeySets
from nhi.auth.jwt.login import LoginEngine
from nhi.auth.jwt.provider import Providers
from nhi.auth.jwt.roles import RoleEngine
from nhi.auth.jwt.verifier import Verifier
from tests.tokens import KEY, pem, token
from tests.unit.nhi.auth.house import LONGEST, Answer, AuthHouse
from tests.unit.token.house import DEFAULT
from vault.framework.route_table import RouteTable
from vault.mount.table import Backend, Catalog
from vault.outbound.fetch import Fetcher
from vault.outbound.places import Places
from vault.token.issue import LoginIssuer
from vault.token.lifetime import LifetimeLimits
from vault.values.times import Seconds

ISSUER = "https://issuer.example"


class JwtHouse(AuthHouse):
    """`AuthHouse`, with auth/jwt."""

    async def begin(self) -> "JwtHouse":
        """Open the vault; auth/jwt trusts one key, and its role `r` one audience."""
        await self.start()
        fetcher = Fetcher(Places(["127.0.0.0/8"]), _resolve)
        self.providers = Providers(fetcher, self.clock)
        self.sets = KeySets(fetcher, self.clock, self.providers)
        verifier, self.programs = Verifier(self.sets, self.clock), patient_programs()
        issuer = LoginIssuer(
            self.tokens,
            self.batch,
            self.clock,
            LifetimeLimits(default=Seconds(DEFAULT), longest=Seconds(LONGEST)),
            self._config,
        )
        engines = (
            ConfigEngine(self.sets),
            RoleEngine(Seconds(LONGEST)),
            LoginEngine(issuer, verifier),
            CelRoleEngine(self.programs),
            CelLoginEngine(issuer, verifier, self.programs, self.clock),
        )
        known = self.router.catalog
        self.router.catalog = Catalog(
            known._secrets, {**known._auth, "jwt": Backend(engines, RouteTable(engines))}
        )
        await self.router.drop(None)
        await self.good("POST", "sys/auth/jwt", {"type": "jwt"})
        await self.configure(jwt_validation_pubkeys=pem(KEY), bound_issuer=ISSUER)
        await self.jwt_role()
        return self

    @property
    def now(self) -> int:
        """The vault's time, in seconds."""
        return self.clock.millis() // 1000

    async def configure(self, **fields: object) -> None:
        """Write the configuration."""
        await self.good("POST", "auth/jwt/config", fields)

    async def jwt_role(self, name: str = "r", **fields: object) -> None:
        """Write a role."""
        body = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": "a", **fields}
        await self.good("POST", f"auth/jwt/role/{name}", body)

    def claims(self, **changes: Any) -> dict[str, Any]:
        """The claims of a good token, with changes; None leaves a claim out."""
        good = {"iss": ISSUER, "sub": "alice", "aud": "a", "iat": self.now, "exp": self.now + 600, **changes}
        return {name: value for name, value in good.items() if value is not None}

    async def present(self, given: str | None = None, role: str = "r", **claims: Any) -> Answer:
        """Log in with a token, or with a good one that says `claims`."""
        text = token(self.claims(**claims)) if given is None else given
        return await self("POST", "auth/jwt/login", {"jwt": text, "role": role}, token="")


def _resolve(host: str) -> Sequence[str]:
    return ["127.0.0.1"]


def patient_programs(most: int = MOST) -> Programs:
    """Return what runs programs, and gives each the processor time that a server gives, however busy the machine is."""
    return Programs(Cost(QUICK.used, passed=600), Cost(LONGEST_PROGRAM.used, passed=600), most=most)


async def opened() -> JwtHouse:
    """Return a vault, open, with auth/jwt."""
    return await JwtHouse().begin()
