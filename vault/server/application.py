# SPDX-License-Identifier: EUPL-1.2
"""What the process needs from the application that it serves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, Protocol

import msgspec

from vault.framework.clock import Clock, Entropy
from vault.framework.telemetry.log import Log
from vault.framework.telemetry.metrics import Metrics
from vault.quota.tally import Tally
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
        self,
        config: Config,
        storage: Storage,
        *,
        clock: Clock,
        entropy: Entropy,
        metrics: Metrics,
        log: Log,
        colleagues: Colleagues | None = None,
    ) -> Application:
        """Make it, not started yet. `colleagues` are the other workers, where the process is one of several."""
        ...


class Member(Protocol):
    """What one worker does on the word of another. None of it waits for other workers."""

    async def show(self) -> bytes:
        """Return what a colleague that has just begun is to be: open, with these keys, or sealed for good."""
        ...

    async def take(self, state: bytes) -> None:
        """Become what `show` of another has returned."""
        ...

    async def seal(self) -> None:
        """Forget all keys, because somebody asks for it."""
        ...

    async def measures(self) -> bytes:
        """Return all metrics, to be added to those of others."""
        ...

    @property
    def sealed(self) -> bool:
        """Whether there are no keys in memory."""
        ...


class Colleagues(Protocol):
    """The other workers of the same server, for one of them."""

    number: int
    """What this one is known by."""
    tally: Tally | None
    """What they have counted of clients."""

    @property
    def first(self) -> bool:
        """Whether this one keeps what is kept by one of them alone, as it is now."""
        ...

    def before(self, answer: Answer, listener: Listener) -> Answer:
        """Return what passes requests of `listener` on to the first worker that are for it, and gives `answer` the rest."""
        ...

    async def join(self, member: Member) -> None:
        """Be one of them from now on, as open as they are."""
        ...

    async def look(self) -> None:
        """Become as open as they are, as at `join`."""
        ...

    async def leave(self) -> None:
        """Be none of them any more."""
        ...

    async def seal(self) -> None:
        """Have all others seal; once this returns, each has, or has been ended."""
        ...

    async def share(self, state: bytes) -> None:
        """Have all others become what this one is; once this returns, each has, or has been ended."""
        ...

    async def states(self) -> Sequence[bytes]:
        """Return what all others show."""
        ...

    async def measures(self) -> Sequence[tuple[str, bytes]]:
        """Return the metrics of all others, each with its name."""
        ...
