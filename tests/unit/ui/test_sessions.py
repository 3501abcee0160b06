# SPDX-License-Identifier: EUPL-1.2
"""Sessions end when they should, and the token of one is in nothing that leaves the process."""

import pytest

from vault.framework.clock import Clock, Entropy
from vault.framework.secret import Secret
from vault.ui.sessions import IDLE, LONGEST, MOST, Sessions


class _Clock(Clock):
    """A clock that stands until it is moved."""

    now = 1_000_000

    def millis(self) -> int:
        return self.now


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@pytest.fixture
def sessions(clock: _Clock) -> Sessions:
    return Sessions(clock, Entropy())


def _begin(sessions: Sessions, token: str = "s.token") -> str:
    return sessions.begin(Secret(token), "team", "ann")


def test_a_session_is_found_by_its_number_and_by_nothing_else(sessions: Sessions) -> None:
    number = _begin(sessions)
    session = sessions.find(number)
    assert session is not None
    assert (session.token.reveal(), session.namespace, session.name) == ("s.token", "team", "ann")
    assert number not in (session.form.reveal(), session.token.reveal())
    assert "s.token" not in repr(session)
    assert sessions.find(number[:-1]) is sessions.find("") is sessions.find(session.form.reveal()) is None


def test_two_sessions_have_nothing_in_common(sessions: Sessions) -> None:
    numbers = {_begin(sessions) for _ in range(20)}
    found = [sessions.find(number) for number in numbers]
    assert len(numbers) == len({one.form.reveal() for one in found if one is not None}) == 20


def test_a_session_ends_when_nobody_uses_it(sessions: Sessions, clock: _Clock) -> None:
    number = _begin(sessions)
    clock.now += IDLE - 1
    assert sessions.find(number) is not None
    clock.now += IDLE - 1
    assert sessions.find(number) is not None
    clock.now += IDLE
    assert sessions.find(number) is None
    clock.now -= IDLE
    assert sessions.find(number) is None


def test_a_session_ends_however_much_it_is_used(sessions: Sessions, clock: _Clock) -> None:
    number = _begin(sessions)
    began = clock.now
    while clock.now < began + LONGEST - IDLE // 2:
        assert sessions.find(number) is not None
        clock.now += IDLE // 2
    clock.now = began + LONGEST
    assert sessions.find(number) is None


def test_whoever_signs_out_is_out(sessions: Sessions) -> None:
    number, other = _begin(sessions), _begin(sessions)
    sessions.end(number)
    sessions.end("none")
    assert sessions.find(number) is None
    assert sessions.find(other) is not None


def test_there_are_so_many_sessions_and_the_one_longest_unused_makes_room(
    sessions: Sessions, clock: _Clock
) -> None:
    first, second = _begin(sessions), _begin(sessions)
    clock.now += 1
    assert sessions.find(first) is not None
    for _ in range(MOST - 1):
        _begin(sessions)
    assert sessions.find(first) is not None
    assert sessions.find(second) is None
