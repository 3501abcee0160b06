# SPDX-License-Identifier: EUPL-1.2
"""Timers for what mounts keep: each names the namespace, the mount and, below it, what it is about."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from vault.background.loop import Handler
from vault.barrier.view import View
from vault.framework.call import Call
from vault.storage.protocol import Timer
from vault.values.ids import MountId, NamespaceId
from vault.values.times import Millis

Due = Callable[[View, str], Awaitable[Millis | None]]
"""Does what a timer says for a name, in a transaction on the mount's data; what it is about may be gone.

Returns when to be called again (milliseconds since the epoch); None for not.
"""


class MountTimers:
    """Timers of one kind. A name has one at most: setting it again moves it."""

    def __init__(self, kind: str) -> None:
        self.kind: Final = kind

    async def set(self, call: Call, name: str, due: Millis) -> None:
        """Have `name` looked at when `due` (milliseconds since the epoch), if the transaction of `call` commits."""
        await call.tx.at(Timer(self.kind, _key(call, name), due))

    async def cancel(self, call: Call, name: str) -> None:
        """Remove the timer of a name."""
        await call.tx.cancel(self.kind, _key(call, name))

    def handler(self, work: Due) -> Handler:
        """Return what the background loop calls for timers of this kind."""

        async def due(core: View, key: str) -> None:
            namespace, mount, name = key.split("/", 2)
            again = await work(core.space(NamespaceId(namespace)).mount(MountId(mount)), name)
            if again is not None:
                await core.at(Timer(self.kind, key, again))

        return due


def _key(call: Call, name: str) -> str:
    return f"{call.namespace.id}/{call.mount.uuid}/{name}"
