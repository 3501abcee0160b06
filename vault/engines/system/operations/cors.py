# SPDX-License-Identifier: EUPL-1.2
"""`sys/config/cors`: the origins whose web pages may call this server. By default there are none."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Coroutine, Sequence
from typing import Annotated, Any, Final

import msgspec

from vault.barrier.barrier import Barrier
from vault.barrier.failure import BarrierFailure
from vault.barrier.stored import RecordKind
from vault.barrier.view import core_prefix
from vault.framework.call import ROOT, Call
from vault.framework.concurrency.deadline import within
from vault.framework.engine import Engine
from vault.framework.errors import Malformed
from vault.framework.fields import CommaList, Doc
from vault.framework.reply import Reply
from vault.framework.route import Params, delete, read, write
from vault.storage.protocol import StorageFailure

CORS_KIND: Final = "cors"
"""Kind of the cached fact for these settings."""
_STORED: Final = "config/cors"
_ANY: Final = "*"
_PATIENCE: Final = 1.0
"""Seconds that storage has to say whether the settings are others: balancers do not wait longer for a server's health."""
_HEADERS: Final = (
    "Content-Type",
    "Authorization",
    "X-Vault-Token",
    "X-Vault-MFA",
    "X-Vault-No-Request-Forwarding",
    "X-Vault-Wrap-Format",
    "X-Vault-Wrap-TTL",
    "X-Requested-With",
    "X-Vault-AWS-IAM-Server-ID",
    "X-Vault-Policy-Override",
)
"""Headers that a page may always send."""


class CorsSettings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Allowed origins, and headers that their pages may send beside the usual ones."""

    origins: tuple[str, ...]
    headers: tuple[str, ...] = ()
    credentials: bool = False

    def allows(self, origin: str) -> bool:
        """Whether pages of this origin may call; origins are compared exactly."""
        return self.origins == (_ANY,) or origin in self.origins

    @property
    def all_headers(self) -> tuple[str, ...]:
        """Every header that a page may send."""
        return _HEADERS + self.headers


_SETTINGS: Final = RecordKind("CORS settings", CorsSettings)


class CrossOrigins:
    """The settings, in memory while unsealed; None while no other origin may call."""

    def __init__(self, barrier: Barrier, catch_up: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """`catch_up` has `drop` called where another process has changed them."""
        self._barrier = barrier
        self._catch_up = catch_up
        self.settings: CorsSettings | None = None

    async def newest(self) -> CorsSettings | None:
        """Return the settings that hold now, whoever made them; those of before where storage does not say in time."""
        if not self._barrier.sealed:
            with contextlib.suppress(StorageFailure, BarrierFailure, TimeoutError):
                await within(_PATIENCE, self._catch_up())
        return self.settings

    async def drop(self, key: str | None) -> None:
        """Read the settings again after a change."""
        del key
        if not self._barrier.sealed:
            value = await self._barrier.reader(ROOT.id, core_prefix(ROOT.id)).get(_STORED)
            self.settings = None if value is None else _SETTINGS.decode(value)

    def seal(self) -> None:
        """Forget them."""
        self.settings = None


class CorsWrite(Params, frozen=True):
    """Which origins. What is not given is reset."""

    allowed_origins: Annotated[
        CommaList, Doc("Origins whose pages may call, or `*` alone for all.", clear=True)
    ] = ()
    allowed_headers: Annotated[
        CommaList, Doc("Headers that pages may send beside the usual ones.", clear=True)
    ] = ()
    allow_credentials: Annotated[
        bool, Doc("Whether pages may send cookies and client certificates.", clear=True)
    ] = False
    enable: Annotated[
        bool, Doc("Accepted for compatibility: to turn CORS off, delete the settings.", clear=True)
    ] = True


class CorsView(msgspec.Struct, frozen=True):
    """Which origins may call."""

    enabled: bool
    allowed_origins: Sequence[str] | msgspec.UnsetType = msgspec.UNSET
    allowed_headers: Sequence[str] | msgspec.UnsetType = msgspec.UNSET
    allow_credentials: bool | msgspec.UnsetType = msgspec.UNSET


class CorsEngine(Engine):
    """The settings. Every request obeys them at once."""

    def __init__(self, origins: CrossOrigins) -> None:
        self._origins = origins

    @read("config/cors", sudo=True, event="config.cors.read")
    async def read_cors(self, call: Call) -> Reply[CorsView]:
        """Show which origins may call. Needs sudo."""
        del call
        found = self._origins.settings
        if found is None:
            return Reply(CorsView(enabled=False), embed=True)
        view = CorsView(
            enabled=True,
            allowed_origins=found.origins,
            allowed_headers=found.all_headers,
            allow_credentials=found.credentials,
        )
        return Reply(view, embed=True)

    @write("config/cors", sudo=True, event="config.cors.write")
    async def write_cors(self, call: Call, params: CorsWrite) -> None:
        """Let pages of some origins call. Needs sudo."""
        if not params.allowed_origins:
            raise Malformed("at least one origin or the wildcard must be provided", chained=True)
        if _ANY in params.allowed_origins and len(params.allowed_origins) > 1:
            raise Malformed(
                "to allow all origins the '*' must be the only value for allowed_origins", chained=True
            )
        settings = CorsSettings(
            origins=params.allowed_origins,
            headers=params.allowed_headers,
            credentials=params.allow_credentials,
        )
        await call.core.put(_STORED, _SETTINGS.encode(settings))
        await call.core.invalidate(CORS_KIND, "")

    @delete("config/cors", sudo=True, event="config.cors.delete")
    async def delete_cors(self, call: Call) -> None:
        """Let no other origin call. Needs sudo."""
        await call.core.delete(_STORED)
        await call.core.invalidate(CORS_KIND, "")
