# SPDX-License-Identifier: EUPL-1.2
"""Workers that each count what reaches them let through what one that counted all of it would, and hold nobody up."""

import os

from hypothesis import given
from hypothesis import strategies as st

from vault.quota.tally import ClientCount, Tally, shared_memory
from vault.quota.windows import WindowResult, Windows
from vault.values.times import Millis, Seconds

WORKERS = 3
FLOOD = 50_000


def take(windows: Windows, client: str, now: int, block: int = 0, quota: int = 1) -> WindowResult:
    return windows.take(
        quota, client, most=3, interval=Seconds(10), block=Seconds(block), now=Millis(1_000 + now)
    )


@given(
    st.lists(
        st.tuples(st.integers(0, WORKERS - 1), st.booleans(), st.sampled_from("ab"), st.integers(0, 7_000)),
        max_size=60,
    ),
    st.sampled_from([0, 4, 25]),
)
def test_whichever_worker_is_asked_the_answers_are_those_of_one(
    requests: list[tuple[int, bool, str, int]], block: int
) -> None:
    """A worker may have ended meanwhile: the one in its place knows what it has counted."""
    one = Windows()
    with shared_memory(WORKERS) as memory:
        workers = [Windows(tally=Tally(memory, seat)) for seat in range(WORKERS)]
        now = 0
        for seat, anew, client, later in requests:
            now += later
            if anew:
                workers[seat] = Windows(tally=Tally(memory, seat))
            assert take(workers[seat], client, now, block) == take(one, client, now, block)


def test_quotas_are_counted_apart_and_who_forgets_forgets_its_own_counts() -> None:
    with shared_memory(2) as memory:
        one, other = (Windows(tally=Tally(memory, seat)) for seat in range(2))
        assert [take(each, "a", 1).remaining for each in (one, other, one)] == [2, 1, 0]
        assert not take(other, "a", 2).allowed
        assert take(other, "a", 2, quota=2).remaining == 2
        one.clear()
        assert take(one, "a", 3).remaining == 1, "two of three were its own"


def test_all_workers_know_how_often_a_quota_was_changed_by_any() -> None:
    with shared_memory(2) as memory:
        one, other = Tally(memory, 0), Tally(memory, 1)
        before = one.changes("x")
        one.change("x")
        other.change("x")
        one.clear()
        assert one.changes("x") == other.changes("x") == before + 2
        assert one.changes("y") == other.changes("y")


def test_the_memory_for_clients_is_bounded_and_the_newest_are_known() -> None:
    with shared_memory(2) as memory:
        size = len(memory)
        one, other = Tally(memory, 0), Tally(memory, 1)
        for number in range(FLOOD):
            one.note(1, f"c{number}", ClientCount(Millis(number), number, Millis(0)))
        assert len(memory) == size
        known = [list(other.others(1, f"c{number}")) for number in range(FLOOD - 100, FLOOD)]
        assert known == [[ClientCount(Millis(each), each, Millis(0))] for each in range(FLOOD - 100, FLOOD)]
        assert list(one.others(1, "c1")) == []


def test_processes_that_are_made_by_fork_share_what_they_count() -> None:
    with shared_memory(2) as memory:
        pid = os.fork()
        if pid == 0:
            take(Windows(tally=Tally(memory, 1)), "a", 1)
            os._exit(0)
        os.waitpid(pid, 0)
        assert take(Windows(tally=Tally(memory, 0)), "a", 2).remaining == 1
