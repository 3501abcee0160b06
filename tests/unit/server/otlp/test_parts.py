# SPDX-License-Identifier: EUPL-1.2
"""What a traced request asks the storage and tokens for is a part of its trace; what is not traced is let through."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from vault.engines.system.external_keys.agents import Agents, TokenAgent
from vault.framework.errors import Failed
from vault.framework.telemetry.trace import CURRENT, Trace
from vault.server.otlp.parts import TracedStorage
from vault.server.otlp.tokens import TracedTokens
from vault.storage.memory import MemoryStorage
from vault.storage.protocol import Storage, StorageFailure, Timer
from vault.values.times import Millis, Nanos


async def used(storage: Storage) -> list[object]:
    """Use everything that a storage has, and return what it answers."""
    checked: list[str] = []
    async with storage.write() as tx:
        await tx.put("a/b", b"1")
        await tx.put("a/c", b"2")
        await tx.put("d", b"3")
        await tx.delete("d")
        await tx.at(Timer("k", "x", Millis(5)))
        await tx.at(Timer("k", "y", Millis(5)))
        await tx.cancel("k", "y")
        await tx.invalidate("k", "x")
        tx.before_commit(lambda: checked.append("checked"))
        inside = [await tx.get("a/b"), tx.outdates, await tx.delete_prefix("none/"), tx.epoch > 0]
    committed = tx.committed
    with pytest.raises(ValueError, match="undone"):
        async with storage.write(optimistic=True) as tx:
            await tx.put("a/b", b"9")
            raise ValueError("undone")
    reader = storage.reader()
    found = [
        await reader.get("a/b"), await reader.has("a/c"), await reader.has("d"),
        await reader.list("a/", after="b"), await reader.scan("", limit=1), reader.epoch > 0,
    ]  # fmt: skip
    reader.epoch = 0
    timers = await storage.claim(Millis(9), 5, hold=Millis(1))
    return [
        inside,
        committed > 0,
        found,
        reader.epoch,
        timers,
        checked,
        await storage.next_due(),
        await storage.now(),
    ]


def test_a_traced_storage_answers_as_the_one_in_it_and_notes_each_statement() -> None:
    async def scenario() -> None:
        plain = await used(MemoryStorage())
        assert await used(TracedStorage(MemoryStorage())) == plain
        trace = Trace(Nanos(1), None)
        CURRENT.set(trace)
        assert await used(TracedStorage(MemoryStorage())) == plain
        names = [part.name for part in trace.parts]
        assert names == [
            "storage begin", "storage put", "storage put", "storage put", "storage delete", "storage get",
            "storage delete below", "storage commit", "storage begin", "storage put", "storage undo", "storage get",
            "storage has", "storage has", "storage list", "storage scan",
        ]  # fmt: skip
        assert not any(part.failed for part in trace.parts)
        assert all(trace.since <= part.began <= part.ended for part in trace.parts)

    asyncio.run(scenario())


class _BrokenReader:
    epoch = 0

    async def get(self, path: str) -> bytes | None:
        raise StorageFailure(path)


class Broken(MemoryStorage):
    """A storage that has gone away."""

    def reader(self) -> Any:
        return _BrokenReader()


def test_a_statement_that_fails_is_a_part_that_failed() -> None:
    async def scenario() -> None:
        trace = Trace(Nanos(1), None)
        CURRENT.set(trace)
        with pytest.raises(StorageFailure):
            await TracedStorage(Broken()).reader().get("hunter2")
        assert [(part.name, part.failed) for part in trace.parts] == [("storage get", True)]

    asyncio.run(scenario())


class NoProcess:
    """An agent that is asked nothing."""

    def end(self) -> object:
        return None


def test_what_a_token_is_asked_for_is_a_part_of_its_request() -> None:
    def fail() -> bytes:
        raise ValueError("hunter2")

    async def scenario() -> None:
        tokens = TracedTokens({}, Agents(lambda _: NoProcess(), lambda: 0.0))  # type: ignore[arg-type,return-value]  # asked nothing
        agent = TokenAgent(NoProcess(), 0.0)  # type: ignore[arg-type]  # asked nothing
        works: list[Callable[[], bytes]] = [lambda: b"signature", fail]
        assert await tokens._run(agent, works[0], Failed) == b"signature"
        trace = Trace(Nanos(1), None)
        CURRENT.set(trace)
        assert await tokens._run(agent, works[0], Failed) == b"signature"
        with pytest.raises(ValueError, match="hunter2"):
            await tokens._run(agent, works[1], Failed)
        assert [(part.name, part.failed) for part in trace.parts] == [("hsm", False), ("hsm", True)]

    asyncio.run(scenario())
