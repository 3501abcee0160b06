# SPDX-License-Identifier: EUPL-1.2
"""Whether the storage answers is told by a metric that is always there."""

import asyncio

import pytest

from vault.framework.telemetry.log import Log
from vault.framework.telemetry.metrics import Metrics
from vault.server.compose.groups import storage_watch
from vault.server.compose.groups.storage_watch import StorageWatch
from vault.storage.memory import MemoryStorage
from vault.storage.protocol import StorageFailure
from vault.values.times import Millis


class Moody(MemoryStorage):
    """A storage that answers, fails, or keeps one waiting."""

    mood = "well"

    async def next_due(self) -> Millis | None:
        if self.mood == "slow":
            await asyncio.Event().wait()
        if self.mood == "away":
            raise StorageFailure("it is away")
        return await super().next_due()


def test_a_storage_that_fails_or_keeps_one_waiting_is_away_until_it_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        storage, metrics = Moody(), Metrics()
        watch = StorageWatch(storage, metrics, Log())
        shown = []
        for mood in ("well", "away", "well", "slow", "well"):
            storage.mood = mood
            await watch.look()
            shown += [value for name, _, value in metrics.gauges() if name == "coffre.storage.reachable"]
        assert shown == [1, 0, 1, 0, 1]
        (timing,) = [t for name, _, t in metrics.timings() if name == "coffre.storage.probe_duration_seconds"]
        assert timing.count == 3

    monkeypatch.setattr(storage_watch, "PATIENCE", 0.01)
    asyncio.run(scenario())


@pytest.mark.parametrize("said", [4711, None, StorageFailure("it is away"), TimeoutError()])
def test_how_large_a_database_elsewhere_is(said: int | Exception | None) -> None:
    class Large(MemoryStorage):
        async def size(self) -> int | None:
            if isinstance(said, Exception):
                raise said
            return said

    async def scenario() -> None:
        metrics = Metrics()
        watch = StorageWatch(Large(), metrics, Log(), elsewhere=True)

        def shown() -> list[str]:
            return [str(value) for name, _, value in metrics.gauges() if name == "coffre.storage.size_bytes"]

        assert shown() == ["nan"]
        watch.start()
        for _ in range(20):
            await asyncio.sleep(0)
        assert shown() == ["4711.0" if said == 4711 else "nan"]
        await watch.stop()

    asyncio.run(scenario())


def test_it_asks_by_itself_once_started_and_no_more_once_stopped() -> None:
    async def scenario() -> None:
        storage, metrics = Moody(), Metrics()
        storage.mood = "away"
        watch = StorageWatch(storage, metrics, Log())
        watch.start()
        for _ in range(20):
            await asyncio.sleep(0)
        assert [value for _, _, value in metrics.gauges()] == [0]
        await watch.stop()
        storage.mood = "well"
        await asyncio.sleep(0)
        assert [value for _, _, value in metrics.gauges()] == [0]

    asyncio.run(scenario())
