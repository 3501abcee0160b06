# SPDX-License-Identifier: EUPL-1.2
"""How far a clock is off the database's is measured, told, and ends the making of tokens."""

import asyncio
import io

import pytest

from tests.clocks import MovedClock
from vault.background.skew import Skew
from vault.framework.errors import Unavailable
from vault.framework.telemetry.log import Log
from vault.storage.memory import MemoryStorage
from vault.values.times import Millis, nanos_to_millis

_NOW = 1_700_000_000_000
_WAY = 500
"""Milliseconds to the database and back."""


class Timed(MemoryStorage):
    """A storage behind a slow line, with a clock of its own."""

    def __init__(self, clock: MovedClock) -> None:
        super().__init__()
        self._clock = clock
        self.ahead = 0.0

    async def now(self) -> Millis | None:
        self._clock.sleep(_WAY / 2000)
        now = nanos_to_millis(self._clock.nanos()) + round(self.ahead * 1000)
        self._clock.sleep(_WAY / 2000)
        return Millis(now)


class Bench:
    def __init__(self) -> None:
        self.clock = MovedClock(_NOW * 1_000_000)
        self.storage = Timed(self.clock)
        self.stream = io.StringIO()
        self.skew = Skew(self.storage, self.clock, Log(stream=self.stream))

    def at(self, seconds: float) -> Skew:
        """Measure against a database that is so far ahead."""
        self.storage.ahead = seconds
        asyncio.run(self.skew.now())
        return self.skew


@pytest.mark.parametrize(
    ("ahead", "told", "too_far"),
    [
        (0, False, False), (2, False, False), (-2, False, False), (3, True, False), (-3, True, False),
        (30, True, False), (-30, True, False), (31, True, True), (-31, True, True), (600, True, True),
    ],
)  # fmt: skip
def test_two_seconds_are_nothing_and_over_thirty_no_token_is_made(
    ahead: float, told: bool, too_far: bool
) -> None:
    skew = Bench().at(ahead)
    assert (skew.told, skew.too_far) == (told, too_far)
    assert abs(skew.ahead + ahead * 1000) <= _WAY / 2 + 1
    if too_far:
        with pytest.raises(Unavailable, match="by more than 30 s: it makes no tokens"):
            skew.require()
    else:
        skew.require()


@pytest.mark.parametrize("ahead", [0, 7, -600])
def test_what_was_measured_tells_the_shared_time_without_asking_again(ahead: float) -> None:
    bench = Bench()
    bench.at(ahead)
    bench.clock.sleep(5)
    assert abs(bench.skew.shared() - (bench.clock.millis() + ahead * 1000)) < 3 * _WAY


def test_each_degree_is_told_once_and_so_is_its_end() -> None:
    bench = Bench()
    for ahead in (0, 0, 5, 6, 5, 90, 91, 600, 5, 0, 0):
        bench.at(ahead)
    told = [line.split("clock: ")[1].split(":")[0] for line in bench.stream.getvalue().splitlines()]
    assert told == [
        "the clock differs from the database's; repair it",
        "the clock differs from the database's",
        "the clock differs from the database's; repair it",
        "the clock agrees with the database's again",
    ]


def test_timers_go_by_the_clock_that_is_behind() -> None:
    """Whoever took one early would find that there is nothing to do yet, and the timer would be gone."""

    async def story() -> None:
        bench = Bench()
        for ahead, shown in ((-600, -600), (600, 0)):
            bench.storage.ahead = ahead
            assert abs(await bench.skew.now() - (_NOW + shown * 1000)) < 3 * _WAY
        alone = Skew(MemoryStorage(), bench.clock, Log(stream=bench.stream))
        assert abs(await alone.now() - _NOW) < 4 * _WAY
        assert alone.ahead == 0

    asyncio.run(story())
