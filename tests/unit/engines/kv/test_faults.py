# SPDX-License-Identifier: EUPL-1.2
"""Storage that fails at each statement in turn: the operation is refused, and nothing of it stays."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from tests.unit.engines.driver import Driver, FakeClock
from vault.barrier.failure import BarrierFailure
from vault.barrier.view import View
from vault.engines.kv import versions
from vault.engines.kv.engine import VersionedKV
from vault.storage.protocol import StorageFailure
from vault.values.ids import ROOT_ID

STEPS = ("get", "has", "put", "delete", "list", "scan")


class Failing:
    """A view whose statement number `at` fails."""

    def __init__(self, view: View, at: int) -> None:
        self._view = view
        self.left = at

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._view, name)
        if name not in STEPS:
            return method

        async def step(*arguments: Any) -> Any:
            if self.left == 0:
                raise StorageFailure("broken")
            self.left -= 1
            return await method(*arguments)

        return step


async def _prepared() -> Driver:
    clock = FakeClock()
    kv = await Driver(VersionedKV(clock), clock).start()
    for number in range(4):
        await kv("POST", "data/a", {"data": {"v": number}})
    await kv("POST", "metadata/a", {"max_versions": 2})
    return kv


async def _contents(kv: Driver) -> list[tuple[str, bytes | None]]:
    reader = kv.barrier.reader(ROOT_ID, "logical/one/")
    return [(path, await reader.get(path)) for path in await reader.scan("")]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "data/a", {"data": {"v": 9}}),
        ("PATCH", "data/a", {"data": {"v": 9}}),
        ("DELETE", "data/a", None),
        ("POST", "delete/a", {"versions": [1, 4]}),
        ("POST", "destroy/a", {"versions": [1, 2, 4]}),
        ("POST", "metadata/a", {"cas_required": True}),
        ("DELETE", "metadata/a", None),
        ("POST", "config", {"max_versions": 3}),
    ],
)
def test_a_write_that_fails_half_way_leaves_no_trace(
    monkeypatch: pytest.MonkeyPatch, method: str, path: str, body: Any
) -> None:
    async def scenario() -> None:
        kv = await _prepared()
        before = await _contents(kv)
        failing: Failing
        plain = kv.barrier.view
        for at in range(20):

            def view(*arguments: Any, number: int = at) -> Any:
                nonlocal failing
                failing = Failing(plain(*arguments), number)
                return failing

            monkeypatch.setattr(kv.barrier, "view", view)
            try:
                await kv(method, path, body)
            except StorageFailure:
                assert await _contents(kv) == before
                continue
            break
        assert at > 1
        assert failing.left == 0
        assert await _contents(kv) != before

    asyncio.run(scenario())


@pytest.mark.parametrize("moved", ["metadata/a", "versions/a/1"])
def test_data_that_was_moved_in_storage_does_not_read(moved: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "MOST_EARLIER", -1)

    async def scenario() -> None:
        kv = await _prepared()
        for number in range(2):
            await kv("POST", "data/b", {"data": {"w": number}})
        async with kv.storage.write() as tx:
            value = await tx.get(f"logical/one/{moved}")
            assert value is not None
            await tx.put(f"logical/one/{moved.replace('/a', '/b')}", value)
        version: Sequence[int] = (0,) if moved.startswith("metadata") else (1,)
        with pytest.raises(BarrierFailure):
            await kv("GET", "data/b", version=version[0])

    asyncio.run(scenario())


def test_an_older_version_that_was_destroyed_between_two_reads_is_not_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(versions, "MOST_EARLIER", -1)

    async def scenario() -> None:
        kv = await _prepared()
        async with kv.storage.write() as tx:
            await tx.delete("logical/one/versions/a/2")
        assert await kv.refused("GET", "data/a", version=2) == "NotFound: "
        assert await kv.refused("GET", "subkeys/a", version=2) == "NotFound: "

    asyncio.run(scenario())
