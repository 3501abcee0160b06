# SPDX-License-Identifier: EUPL-1.2
"""How often an agent may be started."""

import threading

import pytest

from hsm.client.backoff import LONGEST_WAIT, STARTS_PER_MINUTE, BackOff
from hsm.errors import SlotUnavailable


class Time:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def time() -> Time:
    return Time()


def _exhausted(back_off: BackOff) -> None:
    for _ in range(STARTS_PER_MINUTE):
        back_off.admit()


def test_five_restarts_a_minute_are_admitted_and_the_next_is_not(time: Time) -> None:
    back_off = BackOff(now=time, chance=lambda: 0.999)
    _exhausted(back_off)
    with pytest.raises(SlotUnavailable, match=r"next try in 1\.0 s"):
        back_off.admit()
    assert back_off.open
    with pytest.raises(SlotUnavailable):
        back_off.admit()


def test_slow_restarts_are_always_admitted(time: Time) -> None:
    back_off = BackOff(now=time, chance=lambda: 0.5)
    for _ in range(100):
        back_off.admit()
        time.seconds += 12.0
    assert not back_off.open


def test_after_a_while_one_start_is_admitted_to_try(time: Time) -> None:
    back_off = BackOff(now=time, chance=lambda: 0.999)
    _exhausted(back_off)
    with pytest.raises(SlotUnavailable):
        back_off.admit()
    time.seconds += 1.0
    back_off.admit()
    with pytest.raises(SlotUnavailable):
        back_off.admit()


@pytest.mark.parametrize("chance", [0.0, 0.999])
def test_pauses_double_up_to_a_minute_and_differ_by_chance(time: Time, chance: float) -> None:
    back_off = BackOff(now=time, chance=lambda: chance)
    _exhausted(back_off)
    pauses = []
    for _ in range(9):
        begin = time.seconds
        while True:
            try:
                back_off.admit()
                break
            except SlotUnavailable:
                time.seconds += 0.25
        pauses.append(time.seconds - begin)
    assert pauses == sorted(pauses)
    assert pauses[0] <= 1.25
    assert LONGEST_WAIT / 2 <= pauses[-1] <= LONGEST_WAIT + 0.25


def test_a_success_closes_it(time: Time) -> None:
    back_off = BackOff(now=time, chance=lambda: 0.0)
    _exhausted(back_off)
    with pytest.raises(SlotUnavailable):
        back_off.admit()
    time.seconds += 61.0
    back_off.admit()
    back_off.succeeded()
    assert not back_off.open
    back_off.admit()


def test_an_agent_that_works_once_between_crashes_is_not_started_without_end(time: Time) -> None:
    back_off = BackOff(now=time, chance=lambda: 0.0)
    admitted = 0
    for _ in range(600):
        try:
            back_off.admit()
            back_off.succeeded()
            admitted += 1
        except SlotUnavailable:
            pass
        time.seconds += 0.1
    assert admitted <= STARTS_PER_MINUTE + 7


def test_answers_may_come_while_a_start_is_asked_for() -> None:
    clock = Time()
    back_off = BackOff(now=clock, chance=lambda: 0.5)
    admitting, answered = threading.Event(), threading.Event()

    class Moment(float):
        """A time that is compared while an answer comes."""

        def __gt__(self, other: float) -> bool:
            admitting.set()
            answered.wait(0.2)
            return float(self) > other

    def answer() -> None:
        admitting.wait(30)
        back_off.succeeded()
        answered.set()

    _exhausted(back_off)
    back_off._until = Moment(clock.seconds + 5)
    other = threading.Thread(target=answer)
    other.start()
    with pytest.raises(SlotUnavailable, match=r"next try in 5\.0 s"):
        back_off.admit()
    other.join()
    assert not back_off.open
