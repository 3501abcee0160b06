# SPDX-License-Identifier: EUPL-1.2
"""The rounds by which the rows of mounts and namespaces go, once nothing leads to these any more."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from vault.barrier.view import View, core_prefix
from vault.mount.entry import MOUNTS
from vault.namespace.book import Namespaces
from vault.namespace.removal import REMOVAL_KIND, remove_below
from vault.storage.protocol import Timer
from vault.values.ids import NamespaceId
from vault.values.times import Millis, time_after

_PLACE: Final = re.compile("ns/([^/]+)/(?:mnt/([^/]+)/)?")
"""Where a namespace's data lies, or that of a mount in it."""
_AGAIN: Final = Millis(1000)
"""Time until it is looked again whether the namespaces within one are gone."""


class Removals:
    """Works off the timers that `vault.namespace.removal` sets."""

    def __init__(self, namespaces: Namespaces, now: Callable[[], Millis]) -> None:
        """`now` gives the moment (milliseconds) at which the next round is due."""
        self._namespaces = namespaces
        self._now = now
        self._after: dict[str, str] = {}
        """By key: up to where the rows are gone, as far as this process knows; further where a commit failed."""

    async def due(self, core: View, key: str) -> None:
        """Go on with one mount or namespace; called in a transaction, possibly more than once.

        Whatever a timer says: nothing is removed of a mount that is in its table, nor of a namespace that is not marked.
        """
        found = _PLACE.fullmatch(key)
        if found is None:
            return
        namespace_id, mount = NamespaceId(found[1]), found[2]
        now, after, last = self._now(), self._after.get(key, ""), None
        if mount is None:
            entry = await self._namespaces.stored(core, namespace_id)
            if entry is None or not entry.tainted:
                return
            if await self._namespaces.contains_others(core, entry):
                await core.at(Timer(REMOVAL_KIND, key, time_after(now, _AGAIN)))
                last = after
            else:
                last = await self._namespaces.sweep(core, namespace_id, now, after)
        elif not await core.transaction.has(f"{core_prefix(namespace_id)}{MOUNTS}{mount}"):
            last = await remove_below(core, key, now=now, after=after)
        if last:
            self._after[key] = last
        else:  # only now: whoever had no turn came to nothing, and is called again
            self._after.pop(key, None)
