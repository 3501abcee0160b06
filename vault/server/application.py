# SPDX-License-Identifier: EUPL-1.2
"""What the process needs from the application that it serves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

import msgspec

from vault.framework.clock import Clock, Entropy
from vault.framework.telemetry.log import Log
from vault.framework.telemetry.metrics import Metrics
from vault.server.config.settings import Config, Listener
from vault.storage.protocol import Storage

Message = MutableMapping[str, Any]
"""An ASGI message or scope."""


Answer = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]
"""An ASGI application, without a life of its own."""


class DevResult(msgspec.Struct, frozen=True):
    """What a development server tells its user; both are secrets."""

    unseal_key: str
    root_token: str

    def __repr__(self) -> str:
        """Show nothing."""
        return "DevResult(…)"


class Application(Protocol):
    """An ASGI application with a life of its own."""

    def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
        /,
    ) -> Awaitable[None]:
        """Answer one request. `scope["state"]` holds `listener` and `client_certificate`."""
        ...

    def at(self, listener: Listener) -> Answer:
        """Return what answers on `listener`; asked when it opens, and again when its settings change."""
        ...

    async def start(self) -> None:
        """Begin background work; raises `StartFailure` for what an operator can mend."""
        ...

    async def stop(self) -> None:
        """End background work and forget keys."""
        ...

    async def reload(self, config: Config) -> None:
        """Open audit files anew and take what may change while running."""
        ...

    async def bootstrap_dev(
        self, *, root_token_id: str | None, mount_kv: bool, unseal_key: str | None
    ) -> DevResult:
        """Initialise if needed, unseal with `unseal_key` otherwise, mount KV v2 at `secret/`, make the token."""
        ...


class Build(Protocol):
    """Makes the application."""

    async def __call__(
        self, config: Config, storage: Storage, *, clock: Clock, entropy: Entropy, metrics: Metrics, log: Log
    ) -> Application:
        """Make it, not started yet."""
        ...
