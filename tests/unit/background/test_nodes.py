# SPDX-License-Identifier: EUPL-1.2
"""Servers that share a storage: who lives, who stands aside."""

import asyncio
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from tests.clocks import SECOND, MovedClock
from vault.background.nodes import Nodes, active
from vault.framework.clock import Clock
from vault.storage.memory import MemoryStorage
from vault.storage.protocol import Node, StorageFailure
from vault.values.times import Millis

ONE = Node(hostname="a", api_addr="one", cluster_addr="", version="0.1", api="2.7.2", serves=False)


class Meeting(MemoryStorage):
    """A storage where others can be."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.until: dict[str, float] = {}
        self.nodes: dict[str, Node] = {}
        self.away = False
        self.silent = False
        self.met = asyncio.Event()

    async def now(self) -> Millis | None:
        if self.silent:
            raise StorageFailure("silent")
        return await super().now()

    async def meet(self, node: Node) -> Sequence[Node]:
        self.met.set()
        if self.away:
            raise StorageFailure("away")
        now = self.clock.monotonic()
        until = self.until[node.api_addr] = max(now + node.aside, self.until.get(node.api_addr, 0))
        self.nodes[node.api_addr] = replace(node, aside=max(0, until - now))
        return [*self.nodes.values()]

    async def part(self, node: Node) -> None:
        if self.away:
            raise StorageFailure("away")
        del self.nodes[node.api_addr]


def _state(nodes: Nodes) -> tuple[bool, bool]:
    """Whether a server is unsealed, and whether it stands aside."""
    return nodes.own.serves, nodes.aside


def test_one_that_steps_down_stands_aside_for_a_while_if_another_serves() -> None:
    async def story() -> None:
        clock = MovedClock(SECOND)
        storage = Meeting(clock)
        one = Nodes(storage, clock, ONE, shared=True, defect=list[Exception]().append)
        other = Nodes(
            storage, clock, replace(ONE, api_addr="other"), shared=True, defect=list[Exception]().append
        )
        one.opened()
        await other.all()
        assert not await one.step_down()
        assert _state(one) == (True, False)
        other.opened()
        await other.all()
        assert await one.step_down()
        assert _state(one) == (True, True)
        worker = Nodes(storage, clock, ONE, shared=True, defect=list[Exception]().append)
        worker.opened()
        seen = {node.api_addr: active(node) for node in await worker.all()}
        assert seen == {"one": False, "other": True}
        assert _state(worker) == (True, True)
        assert one.other == other.own
        clock.sleep(9)
        assert _state(one) == (True, True)
        clock.sleep(2)
        assert _state(one) == (True, False)
        one.closed()
        assert _state(one) == (False, False)

    asyncio.run(story())


def test_a_server_says_that_it_lives_until_it_ends_and_at_once_when_it_opens() -> None:
    async def story() -> None:
        clock = MovedClock(SECOND)
        storage = Meeting(clock)
        nodes = Nodes(storage, clock, ONE, shared=True, defect=list[Exception]().append)
        nodes.start()
        await storage.met.wait()
        assert storage.nodes == {"one": ONE}
        storage.met.clear()
        nodes.opened()
        await storage.met.wait()
        assert storage.nodes["one"].serves
        storage.away = True
        storage.met.clear()
        nodes.closed()
        await storage.met.wait()
        storage.away = False
        storage.met.clear()
        nodes.opened()
        await storage.met.wait()
        await nodes.stop()
        assert storage.nodes == {}

    asyncio.run(story())


def test_one_on_a_storage_of_its_own_says_nothing_and_one_without_storage_ends_all_the_same() -> None:
    async def story() -> None:
        clock = MovedClock(SECOND)
        storage = Meeting(clock)
        alone = Nodes(storage, clock, ONE, shared=False, defect=list[Exception]().append)
        alone.start()
        await asyncio.sleep(0)
        await alone.stop()
        assert storage.nodes == {}
        nodes = Nodes(storage, clock, ONE, shared=True, defect=list[Exception]().append)
        nodes.start()
        await storage.met.wait()
        storage.away = True
        await nodes.stop()

    asyncio.run(story())


def test_a_storage_that_answers_and_takes_two_words_in_turn_not_takes_no_writes() -> None:
    async def story() -> None:
        storage = Meeting(MovedClock(SECOND))
        nodes = Nodes(storage, storage.clock, ONE, shared=True, defect=list[Exception]().append)
        told: list[bool] = []
        nodes.on_writable = lambda: told.append(nodes.writable)

        async def word(*, away: bool, silent: bool = False) -> bool:
            """Have it say one word more, and return whether storage is taken to take writes."""
            storage.away, storage.silent = away, silent
            storage.met.clear()
            nodes.opened()
            await storage.met.wait()
            for _ in range(5):
                await asyncio.sleep(0)
            return nodes.writable

        nodes.start()
        await storage.met.wait()
        assert await word(away=False)
        assert await word(away=True), "once may be a connection that broke"
        assert not await word(away=True)
        assert await nodes.seen() == [nodes.own], "as was known last"
        assert not await word(away=True)
        assert await word(away=False)
        for _ in range(4):
            assert await word(away=True, silent=True), "it answers nobody: that is told elsewhere"
        assert await nodes.seen() == [nodes.own]
        assert not await word(away=True)
        storage.away = False
        await nodes.stop()
        assert told == [False, True, False]

    asyncio.run(story())


def test_where_storage_never_took_a_word_nobody_is_known() -> None:
    async def story() -> None:
        storage = Meeting(MovedClock(SECOND))
        storage.away = True
        nodes = Nodes(storage, storage.clock, ONE, shared=True, defect=list[Exception]().append)
        with pytest.raises(StorageFailure, match="away"):
            await nodes.seen()

    asyncio.run(story())
