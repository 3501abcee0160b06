# SPDX-License-Identifier: EUPL-1.2
"""Turns at something scarce, shared so that nobody takes all of them: a tenant, of its turns a mount, and so on.

Whoever holds turns may take another only while more are left to others than they hold. So one who never gives any back
holds half of them at most, and each who comes after that half of what was left.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

from vault.framework.call import Call
from vault.framework.concurrency.offload import client_of

Path = tuple[str, ...]
_NOBODY: Final = "\0"
"""The last part of no path: one that holds nothing."""


class Owner(NamedTuple):
    """For whom something is asked: a tenant, which is all namespaces below one of the root's, a mount's uuid, a client.

    The client is empty where the answer is for whoever needs it.
    """

    tenant: str = ""
    mount: str = ""
    client: str = ""

    def for_all(self) -> Owner:
        """Return for whom something is asked that others wait for too: they do not wait for this client's turn."""
        return self._replace(client="")


def owner_of(call: Call) -> Owner:
    """Return for whom a call asks."""
    return Owner(call.namespace.path.partition("/")[0], *client_of(call))


class Shares:
    """`size` turns. All methods belong to one event loop."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._held: Counter[Path] = Counter()
        self._waiting: OrderedDict[Path, OrderedDict[Path, deque[asyncio.Future[None]]]] = OrderedDict()
        """Who waits, by path, those together that differ in its last part alone: there may be thousands of clients."""

    @asynccontextmanager
    async def turn(self, path: Path) -> AsyncIterator[None]:
        """Hold a turn, once there is one for `path`: a tenant, and what of it is to be told apart."""
        await self.take(path)
        try:
            yield
        finally:
            self.give_back(path)

    async def take(self, path: Path) -> None:
        """Wait for a turn; it must be given back."""
        if self._may(path):
            self._count(path, 1)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(path[:-1], OrderedDict()).setdefault(path, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back(path)
            else:
                self._leave(path, turn)
            raise

    def give_back(self, path: Path) -> None:
        """Give a turn back, to who may have one now; of those who wait, whoever had one last comes last."""
        self._count(path, -1)
        for group in tuple(self._waiting):
            if self._may(group):
                self._serve(group)

    def _serve(self, group: Path) -> None:
        """Give turns to those of a group who may have one; as soon as there is none for who has none, to nobody more."""
        waiting = self._waiting.pop(group)
        passed: list[tuple[Path, deque[asyncio.Future[None]]]] = []
        while waiting and self._may((*group, _NOBODY)):
            path, turns = waiting.popitem(last=False)
            if not self._may(path):
                passed.append((path, turns))
                continue
            while turns and turns[0].done():
                turns.popleft()  # whoever waited is leaving
            if turns:
                self._count(path, 1)
                turns.popleft().set_result(None)
            if turns:
                waiting[path] = turns
        for path, turns in reversed(passed):
            waiting[path] = turns
            waiting.move_to_end(path, last=False)
        if waiting:
            self._waiting[group] = waiting

    def _may(self, path: Path) -> bool:
        """Whether at each level more is left than this one holds; all of one level have half of the one above at most."""
        room, held = self._size, self._held[()]
        for depth in range(1, len(path) + 1):
            own = self._held[path[:depth]]
            if own >= room - held:
                return False
            room, held = room // 2, own
        return True

    def _count(self, path: Path, change: int) -> None:
        for depth in range(len(path) + 1):
            self._held[path[:depth]] += change
            if not self._held[path[:depth]]:
                del self._held[path[:depth]]

    def _leave(self, path: Path, turn: asyncio.Future[None]) -> None:
        waiting = self._waiting.get(path[:-1], OrderedDict())
        turns = waiting.get(path, deque())
        if turn in turns:
            turns.remove(turn)
        if path in waiting and not turns:
            del waiting[path]
        if not waiting:
            self._waiting.pop(path[:-1], None)
