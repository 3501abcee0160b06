# SPDX-License-Identifier: EUPL-1.2
"""Workers that stand still without dying: others go on, they are replaced, and what stands still as a whole is left alone."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.fuzz.process import Answer, wait_until
from tests.integration.hasty_server import BEAT_SECONDS
from tests.workers import CLIENT_ERRORS, PATIENCE, Hasty, Pair, do, served_by_two

LONG = 15 * BEAT_SECONDS
"""Half as long again as a worker may stand still that is alone with it."""
CROWD = 12
IDLE = 64
"""Connections that a worker keeps to the first one: each may carry a request to it that has just been stopped."""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with served_by_two(Hasty(tmp_path_factory.mktemp("frozen"), more="workers = 2\n")) as pair:
        yield pair


@contextlib.contextmanager
def frozen(pids: Sequence[int]) -> Iterator[None]:
    """Have processes stand still; who has ended meanwhile is not missed."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def passes(seconds: float) -> None:
    """Let time pass."""
    until = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() > until, str)


@contextlib.contextmanager
def writers(pair: Pair, count: int = CROWD) -> Iterator[list[Future[Answer]]]:
    """Write from many connections at once, each a secret of its own."""

    def write(number: int) -> Answer:
        with pair.server.client() as client:
            return client.request("POST", f"/v1/secret/data/w{number}", {"data": {"n": number}})

    with ThreadPoolExecutor(count) as pool:
        yield [pool.submit(write, number) for number in range(count)]


def are_kept(pair: Pair, answers: Sequence[Answer]) -> int:
    """Return how many were acknowledged, each of which is there; of others it was said that they may be."""
    kept = 0
    with pair.server.client() as client:
        for number, answer in enumerate(answers):
            if answer.status != 200:
                assert answer.status == 500 and b"may have been done" in answer.body
                continue
            kept += 1
            assert do(client, "GET", f"secret/data/w{number}")["data"]["data"] == {"n": number}
    return kept


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def test_a_first_worker_that_stands_still_is_replaced_and_writes_wait_for_the_next_one(pair: Pair) -> None:
    pair.settled()
    first, other = pair.pids()
    with pair.both() as (_, client):
        do(client, "POST", "secret/data/a", {"data": {"a": "b"}})
        with frozen([first]), writers(pair, IDLE + CROWD) as written:
            for _ in range(CROWD):
                assert do(client, "GET", "secret/data/a")["data"]["data"] == {"a": "b"}
            assert not gone(first), "it was given time"
            answers = [each.result(PATIENCE) for each in written]
    assert gone(first)
    assert are_kept(pair, answers) >= CROWD, "those alone are lost that were on their way to it"
    pair.settled()
    assert other in pair.pids()


def test_another_worker_that_stands_still_is_replaced_and_its_connections_end(pair: Pair) -> None:
    pair.settled()
    first, other = pair.pids()
    with pair.both() as (client, its), frozen([other]), ThreadPoolExecutor(1) as pool:
        asked = pool.submit(its.request, "GET", "/v1/secret/data/a")
        for turn in range(CROWD):
            do(client, "POST", "secret/data/a", {"data": {"turn": turn}})
            assert do(client, "GET", "secret/data/a")["data"]["data"] == {"turn": turn}
        with pytest.raises(CLIENT_ERRORS):
            asked.result(PATIENCE)
    pair.settled()
    assert gone(other)
    assert first in pair.pids()


def test_where_no_worker_answers_none_is_ended(pair: Pair) -> None:
    """With the last one the keys would go, and who knows what it waits for."""
    pair.settled()
    workers, told = pair.pids(), pair.log().count("no worker answers")
    with frozen(workers):
        wait_until(lambda: pair.log().count("no worker answers") > told, pair.log, PATIENCE)
        passes(LONG)
    pair.settled()
    assert pair.pids() == workers
    assert pair.log().count("no worker answers") == told + 1


def test_no_worker_of_a_machine_that_stood_still_is_ended(pair: Pair) -> None:
    pair.settled()
    workers = pair.pids()
    with frozen(workers):
        passes(3 * BEAT_SECONDS)  # they owe an answer by now
        with frozen([pair.server.pid]):
            passes(LONG)
        passes(3 * BEAT_SECONDS)  # it goes on before they do
        os.kill(workers[1], signal.SIGCONT)  # and one before the other
        passes(3 * BEAT_SECONDS)
    pair.settled()
    assert pair.pids() == workers


def test_without_its_supervisor_a_server_goes_on_and_what_needs_it_waits_for_it(pair: Pair) -> None:
    pair.settled()
    workers = pair.pids()
    with pair.both() as (client, other):
        do(other, "POST", "secret/data/a", {"data": {"a": "c"}})
        with frozen([pair.server.pid]):
            passes(LONG)
            for each in (client, other, client, other):
                do(each, "POST", "secret/data/a", {"data": {"a": "d"}})
                assert do(each, "GET", "secret/data/a")["data"]["data"] == {"a": "d"}
            with writers(pair) as written:
                os.kill(pair.server.pid, signal.SIGCONT)
                answers = [each.result(PATIENCE) for each in written]
    assert are_kept(pair, answers) == CROWD
    pair.settled()
    assert pair.pids() == workers
