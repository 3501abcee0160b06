# SPDX-License-Identifier: EUPL-1.2
"""Whom the supervisor ends, beat after beat; workers here are processes that do nothing, and sockets that say what they would."""

import signal
import socket
import subprocess
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from pytest_socket import enable_socket

from vault.framework.clock import Clock
from vault.framework.telemetry.log import Log
from vault.server.workers import control
from vault.server.workers.watch import Child, Watch

BEAT, START, PATIENCE = 2.0, 10.0, 6.0
LONG = 100
"""Beats."""


class Crew:
    """Some workers, and the watch over them."""

    def __init__(self) -> None:
        enable_socket()
        self.children: dict[int, Child] = {}
        self.added: list[Child] = []
        self.ends: dict[int, socket.socket] = {}
        self.processes: list[subprocess.Popen[bytes]] = []
        self.watch = Watch(
            self.children, Log(clock=Clock(), stream=StringIO()), beat=BEAT, patience=PATIENCE, start=START
        )

    def add(self, *, joined: bool, ready: bool) -> Child:
        mine, theirs = control.pair()
        process = subprocess.Popen(["sleep", "600"])
        number = len(self.processes) + 1

        def wait(**_: Any) -> None:
            raise AssertionError("there is room")

        child = Child(mine, wait, number=number, seat=0, pid=process.pid)
        child.joined, child.ready = joined, ready
        self.children[number], self.ends[number] = child, theirs
        self.processes.append(process)
        self.added.append(child)
        return child

    def beat(self, times: int, *, first_start: bool = False) -> None:
        """Let time pass, in which all who have joined answer."""
        for _ in range(times):
            self.watch.beat(first_start=first_start)
            for child in self.children.values():
                child.asked = False

    def ended(self) -> list[int]:
        """The numbers of those that were ended."""
        return [number for number, child in self.children.items() if child.ended]

    def close(self) -> None:
        for child, end, process in zip(self.added, self.ends.values(), self.processes, strict=True):
            child.control.close()
            end.close()
            process.kill()
            process.wait()


@pytest.fixture
def crew() -> Iterator[Crew]:
    crew = Crew()
    yield crew
    crew.close()


@pytest.mark.parametrize("joined", [False, True])
def test_one_that_does_not_get_to_serve_is_ended_after_its_time(crew: Crew, joined: bool) -> None:
    crew.add(joined=True, ready=True)
    crew.add(joined=joined, ready=False)
    crew.beat(int(START / BEAT) - 1)
    assert crew.ended() == []
    crew.beat(1)
    assert crew.ended() == [2]
    assert crew.processes[1].wait(60) == -signal.SIGKILL
    crew.beat(LONG)
    assert crew.ended() == [2]


def test_one_that_has_no_keys_is_ended_where_none_serves_and_one_that_may_have_them_is_not(
    crew: Crew,
) -> None:
    """With the last one that took the keys from one which has died they would go."""
    crew.add(joined=False, ready=False)
    crew.add(joined=True, ready=False)
    crew.beat(LONG)
    assert crew.ended() == [1]
    leaving = crew.add(joined=False, ready=True)
    leaving.left = True
    crew.beat(1)
    assert crew.ended() == [1], "one that leaves has forgotten them"
    crew.add(joined=True, ready=True)
    crew.beat(1)
    assert crew.ended() == [1, 2]


def test_where_none_serves_each_has_twice_as_long_as_the_one_before(crew: Crew) -> None:
    """A token that takes a minute to open the vault would keep it shut for ever."""
    beats = int(START / BEAT)
    for number, longer in enumerate((1, 2, 4, 8, 16, 16), 1):
        crew.add(joined=False, ready=False)
        crew.beat(beats * longer - 1)
        assert crew.ended() == list(range(1, number))
        crew.beat(1)
        assert crew.ended() == list(range(1, number + 1))
    crew.add(joined=True, ready=True)
    crew.beat(1)
    crew.add(joined=False, ready=False)
    crew.beat(beats)
    assert crew.ended() == [*range(1, 7), 8], "where one serves it is as usual"


def test_one_that_was_ended_and_has_not_yet_does_not_serve(crew: Crew) -> None:
    """A disk may keep it from ending; the one beside it may be the last that has the keys."""
    crew.add(joined=True, ready=True).ended = True
    crew.add(joined=True, ready=False)
    crew.beat(LONG)
    assert crew.ended() == [1]


def test_several_that_are_late_at_once_double_the_time_once(crew: Crew) -> None:
    beats = int(START / BEAT)
    for _ in range(4):
        crew.add(joined=False, ready=False)
    crew.beat(beats)
    crew.add(joined=False, ready=False)
    crew.beat(2 * beats - 1)
    assert crew.ended() == [1, 2, 3, 4]
    crew.beat(1)
    assert crew.ended() == [1, 2, 3, 4, 5]


def test_once_all_serve_the_time_is_as_usual_again(crew: Crew) -> None:
    beats = int(START / BEAT)
    crew.add(joined=False, ready=False)
    crew.beat(beats)
    del crew.children[1]
    crew.add(joined=True, ready=True)
    crew.beat(1)
    del crew.children[2]
    crew.add(joined=False, ready=False)
    crew.beat(beats)
    assert crew.ended() == [3]


def test_the_very_first_one_has_the_time_that_it_takes(crew: Crew) -> None:
    crew.add(joined=False, ready=False)
    crew.beat(LONG, first_start=True)
    assert crew.ended() == []


def test_one_that_leaves_has_its_time_for_that(crew: Crew) -> None:
    leaving = crew.add(joined=False, ready=True)
    leaving.left = True
    crew.beat(int(PATIENCE / BEAT) - 1)
    assert crew.ended() == []
    crew.beat(1)
    assert crew.ended() == [1]


def test_one_that_does_not_answer_is_ended_while_another_does(crew: Crew) -> None:
    crew.add(joined=True, ready=True)
    answering = crew.add(joined=True, ready=True)
    for _ in range(LONG):
        crew.watch.beat(first_start=False)
        answering.asked = False
    assert crew.ended() == [1]
    assert not crew.watch.unanswered


def test_where_none_answers_none_is_ended(crew: Crew) -> None:
    for _ in range(2):
        crew.add(joined=True, ready=True)
    for _ in range(LONG):
        crew.watch.beat(first_start=False)
    assert crew.ended() == []
    assert crew.watch.unanswered
