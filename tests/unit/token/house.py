# SPDX-License-Identifier: EUPL-1.2
"""A small vault with auth/token: service and batch tokens over the real pipeline, in memory, with a fake clock."""

from collections.abc import Mapping
from typing import Any

from tests.unit.engines.system.house import CORE, Answer, House, play
from vault.engines.token.engine import TokenEngine
from vault.framework.engine import Engine
from vault.framework.route_table import RouteTable
from vault.mount.entry import MOUNT_KIND
from vault.mount.table import Backend, Catalog
from vault.storage.memory import MemoryStorage
from vault.token.batch import BatchTokens
from vault.token.lifetime import LifetimeLimits
from vault.token.model import TOKEN_KIND, TokenEntry
from vault.values.ids import ROOT_ID
from vault.values.times import Millis, Seconds

__all__ = ["CORE", "DEFAULT", "HOUR", "LONGEST", "Answer", "TokenHouse", "opened", "play"]

HOUR = Seconds(3600)
DEFAULT, LONGEST = 10 * HOUR, 20 * HOUR
"""The system's lifetimes here, in seconds."""


class TokenHouse(House):
    """`House`, with auth/token and batch tokens."""

    storage: MemoryStorage

    def __init__(self) -> None:
        super().__init__()
        self.batch = BatchTokens(self.tokens, self.barrier, self.entropy)
        self.pipeline._authenticators = (self.batch, *self.pipeline._authenticators)

    async def open(self, *engines: Engine) -> "TokenHouse":
        await super().open(*engines)
        token = TokenEngine(
            self.tokens,
            self.batch,
            self.policies,
            self.barrier,
            self.clock,
            LifetimeLimits(default=Seconds(DEFAULT), longest=Seconds(LONGEST)),
        )
        secrets = self.mounts.catalog._secrets
        self.router.catalog = Catalog(secrets, {"token": Backend([token], RouteTable([token]))})
        async with self.barrier.write(ROOT_ID, CORE) as core:
            await core.invalidate(MOUNT_KIND, "root")
        await self.follower.catch_up()
        return self

    async def make(self, *, token: str | None = None, to: str = "create", **fields: Any) -> Mapping[str, Any]:
        """Make a token through the API; return its `auth`."""
        answer = await self("POST", f"auth/token/{to}", fields, token=token)
        assert answer.status == 200, answer.text
        auth: Mapping[str, Any] = answer.body["auth"]
        return auth

    async def status(self, token: str) -> int:
        """Return the status of a lookup of its own by this token: 200 while it lives, 403 afterwards."""
        return (await self("GET", "auth/token/lookup-self", token=token)).status

    async def entry(self, token: str) -> TokenEntry | None:
        """Return what is stored of a token."""
        return await self.tokens.get(self.barrier.reader(ROOT_ID, CORE), self.tokens.key(token))

    async def stored(self) -> list[str]:
        """Return every stored path that belongs to tokens."""
        prefix = f"{CORE}token/"
        return [prefix + path for path in await self.storage.reader().scan(prefix)]

    async def due(self, moment: Millis) -> list[str]:
        """Return the keys of the tokens whose timers are due at `moment` (milliseconds)."""
        return [t.key for t in await self.storage.claim(moment, 100, hold=Millis(0)) if t.kind == TOKEN_KIND]


async def opened() -> TokenHouse:
    """Return a vault, open."""
    return await TokenHouse().open()
