# SPDX-License-Identifier: EUPL-1.2
"""What a token that is gone has left in a sealed namespace, whose mounts nobody can look up: it is removed once that is open.

Paths are stored in the clear, so it can be told that there is something; where the cubbyhole is, only the table says.
"""

from __future__ import annotations

from typing import Final

from vault.barrier.view import View, core_prefix, mount_prefix
from vault.engines.cubbyhole.store import prefix, purge
from vault.framework.call import Namespace
from vault.framework.clock import Clock
from vault.framework.errors import Unavailable
from vault.mount.router import DAMAGED, Router
from vault.namespace.book import Namespaces
from vault.storage.protocol import Timer
from vault.values.ids import NO_MOUNT, NamespaceId, TokenKey
from vault.values.times import Millis

LEFT_KIND: Final = "cubbyhole-left"
"""Kind of the timer that removes it; the key is the id of the namespace, and the token's key."""
_MOUNTS: Final = mount_prefix(NO_MOUNT).removesuffix("/")
"""Where a namespace has the data of its mounts."""


class LeftEntries:
    """Removes the entries of tokens that went while a namespace was sealed."""

    def __init__(self, namespaces: Namespaces, router: Router, clock: Clock) -> None:
        self._namespaces = namespaces
        self._router = router
        self._clock = clock

    async def note(self, core: View, namespace: Namespace, key: TokenKey) -> None:
        """Have removed what a token may have left in a namespace whose mounts are not known, in the open transaction.

        The timer finds the namespace sealed, and then waits for its keys as all timers do.
        """
        place = core_prefix(namespace.id) + _MOUNTS
        for mount in await core.transaction.list(place):
            if await core.transaction.list(f"{place}{mount}{prefix(key)}", limit=1):
                await core.at(Timer(LEFT_KIND, f"{namespace.id}/{key}", Millis(1)))
                return

    async def due(self, core: View, timer: str) -> None:
        """Remove what a timer names. Raises `NamespaceSealed` or `Unavailable` while it cannot be."""
        namespace_id, _, key = timer.partition("/")
        namespace = self._namespaces.live(NamespaceId(namespace_id))
        if namespace is None:
            return  # it went with its namespace
        place = core.space(namespace.id)
        table = self._router.fresh(namespace)
        await table.load()
        if not table.known:
            raise Unavailable(DAMAGED)
        mount = table.get("cubbyhole/")
        if mount is not None and await purge(place.mount(mount.entry.uuid), TokenKey(key)):
            await core.at(Timer(LEFT_KIND, timer, self._clock.millis()))  # until there is nothing left
