# SPDX-License-Identifier: EUPL-1.2
"""The servers that share a storage: each says that it lives, and knows the others.

All of them serve alike, so none leads. One that steps down asks whoever balances load for nothing during a while, and
serves what comes all the same. Processes of one server are one node: what one of them is told, the others learn with their
next word.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from msgspec.structs import replace

from vault.barrier import formats
from vault.framework.clock import Clock
from vault.framework.concurrency.deadline import within
from vault.framework.concurrency.lasting import LastingTask, Told
from vault.storage.protocol import Node, Storage, StorageFailure
from vault.values.times import Nanos

_BEAT: Final = 3.0
"""Seconds between two words of a server."""
_ASIDE: Final = 10.0
"""Seconds for which one stands aside: for so long OpenBao's leader does not try to lead again."""
_UNSAID: Final = 2
"""Words of a server, one after the other, that storage did not take, until it is said to take none."""


def active(node: Node) -> bool:
    """Whether a node is unsealed, and asks for requests."""
    return node.serves and not node.aside


def registered(release: str) -> str:
    """Return how a release is registered: builds of one number that store other records are others."""
    return f"{release}+{formats.digest()}"


def release(node: Node) -> str:
    """Return the release of a node, as people know it."""
    return node.version.partition("+")[0]


class Nodes:
    """This server among those that share its storage."""

    def __init__(self, storage: Storage, clock: Clock, own: Node, *, shared: bool, defect: Told) -> None:
        """`shared` says whether other servers can be on the storage.

        `defect` is told of what ended the saying that this one lives, which is begun anew.
        """
        self._storage: Final = storage
        self._clock: Final = clock
        self._own: Final = own
        self.shared: Final = shared
        self.since = Nanos(0)
        """Since when it is unsealed, in nanoseconds; 0 while it is sealed."""
        self._aside_until = 0.0
        self._task = LastingTask(self._beat, defect)
        self._changed = asyncio.Event()
        self._known: Sequence[Node] = ()
        self._unsaid = 0
        self.writable = True
        """Whether storage takes what is written, as far as it answers at all: it took one of this server's last words."""
        self.on_writable: Callable[[], None] = lambda: None
        """Called when that has changed."""
        self.after_beat: Callable[[], Awaitable[None]] | None = None
        """Asked for after each word of this server, while it is known who else lives. May raise `StorageFailure`."""

    @property
    def own(self) -> Node:
        """This server as it is now."""
        return replace(self._own, serves=self.since > 0)

    @property
    def aside(self) -> bool:
        """Whether it stands aside."""
        return self._clock.monotonic() < self._aside_until

    @property
    def other(self) -> Node | None:
        """Another server that serves, as was known a moment ago."""
        return next((node for node in self._known if active(node) and not self.is_own(node)), None)

    @property
    def count(self) -> int:
        """How many lived when storage was asked last, of servers that share it."""
        return len(self._known)

    def is_own(self, node: Node) -> bool:
        """Whether a node is this server."""
        return (node.hostname, node.api_addr) == (self._own.hostname, self._own.api_addr)

    @property
    def alike(self) -> bool:
        """Whether all that lived when storage was asked last have this server's release."""
        return all(node.version == self._own.version for node in self._known)

    async def all(self) -> Sequence[Node]:
        """Return all that live, this one included. Raises `StorageFailure`."""
        return await self._meet(self.own)

    async def seen(self) -> Sequence[Node]:
        """Return all that live, or lived when storage last took a word. Raises `StorageFailure` where it never has."""
        if self._known and not self.writable:
            return self._known
        try:
            return await self.all()
        except StorageFailure:
            if not self._known:
                raise
            return self._known

    async def _meet(self, own: Node) -> Sequence[Node]:
        self._known = await self._storage.meet(own)
        for node in self._known:
            if self.is_own(node):
                self._aside_until = self._clock.monotonic() + node.aside
        return self._known

    async def step_down(self) -> bool:
        """Stand aside for a while if there is another server that serves; return whether there is. Raises `StorageFailure`."""
        await self.all()
        if self.other is None:
            return False
        await self._meet(replace(self.own, aside=_ASIDE))
        return True

    def opened(self) -> None:
        """Note that the vault is unsealed."""
        self.since = self._clock.nanos()
        self._changed.set()

    def closed(self) -> None:
        """Note that it is sealed."""
        self.since = Nanos(0)
        self._changed.set()

    def start(self) -> None:
        """Begin to say that this server lives."""
        if self.shared:
            self._task.start()

    async def stop(self) -> None:
        """End, and tell the others."""
        if not self.shared:
            return
        await self._task.stop()
        with contextlib.suppress(StorageFailure, TimeoutError):
            await within(_BEAT, self._storage.part(self._own))

    async def _beat(self) -> None:
        while True:
            self._changed.clear()
            with contextlib.suppress(StorageFailure):  # it is told where it matters
                await self._say()
                if self.after_beat is not None:
                    await self.after_beat()
            again = asyncio.get_running_loop().call_later(_BEAT, self._changed.set)
            try:
                await self._changed.wait()
            finally:
                again.cancel()

    async def _say(self) -> None:
        """Say that this server lives, and note whether storage takes that. Raises `StorageFailure` where it does not."""
        try:
            await self.all()
        except StorageFailure:
            self._unsaid += 1
            if self._unsaid >= _UNSAID:
                await self._storage.now()  # where it does not answer either, that is another matter
                self._note(writable=False)
            raise
        self._unsaid = 0
        self._note(writable=True)

    def _note(self, *, writable: bool) -> None:
        if writable is not self.writable:
            self.writable = writable
            self.on_writable()
