# SPDX-License-Identifier: EUPL-1.2
"""Several workers of one server in one process: they call each other, where real ones ask over sockets."""

import asyncio
from collections.abc import Awaitable, Sequence
from mmap import mmap

from vault.quota.tally import Tally, shared_memory
from vault.server.application import Answer, Member, Message
from vault.server.config.settings import Listener
from vault.server.workers.tunnel import Receive, Send
from vault.server.workers.worker import is_for_first


class Linked:
    """What one worker knows of the others."""

    def __init__(self, crew: "list[Linked]", *, one_writes: bool = False, most: int = 4) -> None:
        """`crew` are those before it, of `most` in the end. With `one_writes` the first one answers what may write."""
        self._crew = crew
        self.number = len(crew) + 1
        self.first = not crew
        self._memory: mmap = crew[0]._memory if crew else shared_memory(most)
        self.tally: Tally | None = Tally(self._memory, len(crew))
        self.member: Member | None = None
        self._one_writes = one_writes
        self._answer: Answer | None = None
        crew.append(self)

    def before(self, answer: Answer, listener: Listener) -> Answer:
        """Have the first one answer what is for it."""
        del listener
        self._answer = answer
        return answer if self.first else self._passing

    def _passing(self, scope: Message, receive: Receive, send: Send) -> Awaitable[None]:
        sealed = self.member is not None and self.member.sealed
        passed = is_for_first(scope, one_writes=self._one_writes, sealed=sealed)
        answer = self._crew[0]._answer if passed else self._answer
        assert answer is not None
        return answer(scope, receive, send)

    async def join(self, member: Member) -> None:
        self.member = member
        await self.look()

    async def look(self) -> None:
        assert self.member is not None
        for state in await self.states():
            await self.member.take(state)

    async def leave(self) -> None:
        self.member = None

    async def seal(self) -> None:
        await asyncio.gather(*(other.seal() for other in self._others()))

    async def share(self, state: bytes) -> None:
        await asyncio.gather(*(other.take(state) for other in self._others()))

    async def states(self) -> Sequence[bytes]:
        return [await other.show() for other in self._others()]

    async def measures(self) -> Sequence[tuple[str, bytes]]:
        return [(str(self.number + 1), await other.measures()) for other in self._others()]

    def _others(self) -> list[Member]:
        return [each.member for each in self._crew if each is not self and each.member is not None]
