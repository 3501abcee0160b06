# SPDX-License-Identifier: EUPL-1.2
"""Sessions end when they should, and the token of one is in nothing that leaves the process."""

import pytest

from tests.clocks import MONTH
from vault.framework.clock import Clock, Entropy
from vault.framework.secret import Secret
from vault.ui.session import sessions as module
from vault.ui.session.sessions import IDLE, LONGEST, OF_TOKEN, UiSessions
from vault.values.times import Millis, Seconds


class _Clock(Clock):
    """A clock that stands until it is moved."""

    now = 1_000.0
    wall = 1_000_000_000

    def monotonic(self) -> float:
        return self.now

    def millis(self) -> Millis:
        return Millis(int(self.now * 1000) + self.wall)


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@pytest.fixture
def sessions(clock: _Clock) -> UiSessions:
    return UiSessions(clock, Entropy())


def _begin(
    sessions: UiSessions, token: str = "s.token", address: str = "10.0.0.1", ttl: Seconds = Seconds(0)
) -> str:
    number = sessions.begin(Secret(token), namespace="team", name="ann", address=address, ttl=ttl)
    assert number is not None
    return number


def test_a_session_is_found_by_its_number_and_by_nothing_else(sessions: UiSessions) -> None:
    number = _begin(sessions)
    session = sessions.find(number)
    assert session is not None
    assert (session.token.reveal(), session.namespace, session.name) == ("s.token", "team", "ann")
    assert number not in (session.form.reveal(), session.token.reveal())
    assert "s.token" not in repr(session)
    assert sessions.find(number[:-1]) is sessions.find("") is sessions.find(session.form.reveal()) is None


def test_two_sessions_have_nothing_in_common(sessions: UiSessions) -> None:
    numbers = {_begin(sessions, f"s.{place // 5}") for place in range(20)}
    found = [sessions.find(number) for number in numbers]
    assert len(numbers) == len({one.form.reveal() for one in found if one is not None}) == 20


def test_a_session_ends_when_nobody_uses_it(sessions: UiSessions, clock: _Clock) -> None:
    number = _begin(sessions)
    clock.now += IDLE - 1
    assert sessions.find(number) is not None
    clock.now += IDLE - 1
    assert sessions.find(number) is not None
    clock.now += IDLE
    assert sessions.find(number) is None
    clock.now -= IDLE
    assert sessions.find(number) is None


def test_a_session_ends_however_much_it_is_used(sessions: UiSessions, clock: _Clock) -> None:
    number = _begin(sessions)
    began = clock.now
    while clock.now < began + LONGEST - IDLE / 2:
        assert sessions.find(number) is not None
        clock.now += IDLE / 2
    clock.now = began + LONGEST
    assert sessions.find(number) is None


def test_whoever_signs_out_is_out(sessions: UiSessions) -> None:
    number, other = _begin(sessions), _begin(sessions)
    sessions.end(number)
    sessions.end("none")
    assert sessions.find(number) is None
    assert sessions.find(other) is not None


def test_whoever_signs_in_often_loses_own_sessions_and_nobody_elses(
    sessions: UiSessions, clock: _Clock
) -> None:
    other = _begin(sessions, "s.other")
    first, second = _begin(sessions), _begin(sessions)
    clock.now += 1
    assert sessions.find(first) is not None
    for _ in range(1000):
        last = _begin(sessions)
    assert sessions.find(other) is not None
    assert sessions.find(second) is sessions.find(first) is None
    assert sessions.find(last) is not None
    assert len(sessions._kept) == 1 + OF_TOKEN


@pytest.mark.parametrize("bound", ["OF_ADDRESS", "MOST"])
def test_where_too_many_are_signed_in_nobody_is_put_out_for_a_new_one(
    sessions: UiSessions, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(module, bound, 3)
    kept = [_begin(sessions, f"s.{place}") for place in range(3)]
    assert (
        sessions.begin(Secret("s.new"), namespace="", name="eve", address="10.0.0.1", ttl=Seconds(0)) is None
    )
    elsewhere = sessions.begin(Secret("s.new"), namespace="", name="eve", address="10.0.0.2", ttl=Seconds(0))
    assert (elsewhere is None) is (bound == "MOST")
    assert all(sessions.find(number) is not None for number in kept)
    again = _begin(sessions, "s.1")
    assert [sessions.find(number) is None for number in (*kept, again)] == [False, True, False, False]


@pytest.mark.parametrize("bound", ["OF_ADDRESS", "MOST"])
def test_whoever_has_most_places_makes_room_for_somebody_new(
    sessions: UiSessions, monkeypatch: pytest.MonkeyPatch, clock: _Clock, bound: str
) -> None:
    monkeypatch.setattr(module, bound, 6)

    def begin(token: str, person: str) -> str | None:
        clock.now += 1
        return sessions.begin(
            Secret(token), namespace="", name="ann", address="10.0.0.1", ttl=Seconds(0), person=person
        )

    first, second = begin("s.0", "ann"), begin("s.1", "ann")
    crowd = [begin(f"s.c{place}", "crowd") for place in range(4)]
    newcomers = [begin(f"s.n{place}", f"new {place}") for place in range(2)]
    assert None not in newcomers
    assert [sessions.find(one or "") is None for one in crowd] == [True, True, False, False]
    assert [sessions.find(one or "") is None for one in (first, second)] == [False, False]
    assert begin("s.n4", "new 4") is not None
    assert begin("s.n5", "new 5") is not None
    assert sum(sessions.find(one or "") is None for one in (first, second, *crowd)) == 4
    assert begin("s.n6", "new 6") is None
    assert begin("s.c9", "crowd") is not None
    assert [sessions.find(one or "") is None for one in (*crowd, *newcomers)] == [True] * 4 + [False] * 2


def test_one_entity_with_many_tokens_has_so_many_sessions_and_loses_its_oldest(
    sessions: UiSessions, clock: _Clock
) -> None:
    other = _begin(sessions, "s.other")
    for place in range(module.OF_ADDRESS):
        clock.now += 1
        assert (
            sessions.begin(
                Secret(f"s.{place}"),
                namespace="",
                name="ann",
                address="10.0.0.1",
                ttl=Seconds(0),
                person="ann",
            )
            is not None
        )
    assert len(sessions._kept) == 1 + module.OF_PERSON
    assert sessions.find(other) is not None


def test_a_session_ends_with_its_token(sessions: UiSessions, clock: _Clock) -> None:
    short, second, other = (
        _begin(sessions, ttl=Seconds(60)),
        _begin(sessions, ttl=Seconds(90)),
        _begin(sessions, "s.other"),
    )
    clock.now += 59.9
    assert sessions.find(short) is not None
    clock.now += 0.1
    assert sessions.find(short) is None
    found = sessions.find(second)
    assert found is not None
    sessions.end_all(found)
    assert sessions.find(second) is None
    assert sessions.find(other) is not None


@pytest.mark.parametrize("jump", [MONTH, -MONTH])
def test_a_wall_clock_that_is_set_ends_no_session_and_prolongs_none(
    sessions: UiSessions, clock: _Clock, jump: int
) -> None:
    number, short = _begin(sessions), _begin(sessions, ttl=Seconds(60))
    clock.wall += jump * 1000
    assert sessions.find(number) is not None and sessions.find(short) is not None
    clock.now += 60
    assert sessions.find(short) is None
    clock.now += IDLE
    assert sessions.find(number) is None
