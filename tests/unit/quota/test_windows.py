# SPDX-License-Identifier: EUPL-1.2
"""Clients are counted apart, in windows of fixed length, and the memory for it is bounded."""

from vault.quota.windows import MOST_CLIENTS, WindowResult, Windows
from vault.values.times import Millis, Seconds


def _take(
    windows: Windows, now: Millis, client: str = "a", *, quota: int = 1, block: Seconds = Seconds(0)
) -> WindowResult:
    return windows.take(quota, client, most=2, interval=Seconds(10), block=block, now=now)


def test_a_window_begins_with_the_first_request_and_the_next_one_where_it_ends() -> None:
    windows = Windows()
    assert _take(windows, Millis(5_000)) == WindowResult(allowed=True, remaining=1, reset=Seconds(9))
    assert _take(windows, Millis(6_000)) == WindowResult(allowed=True, remaining=0, reset=Seconds(8))
    assert _take(windows, Millis(14_999)) == WindowResult(
        allowed=False, remaining=0, reset=Seconds(0), retry=Seconds(0)
    )
    assert _take(windows, Millis(15_000)) == WindowResult(allowed=True, remaining=1, reset=Seconds(9))
    assert _take(windows, Millis(38_000)) == WindowResult(allowed=True, remaining=1, reset=Seconds(6))


def test_clients_and_quotas_are_counted_apart() -> None:
    windows = Windows()
    for _ in range(3):
        last = _take(windows, Millis(1))
    assert not last.allowed
    assert _take(windows, Millis(1), "b").allowed
    assert _take(windows, Millis(1), quota=2).allowed


def test_who_asks_too_often_is_blocked_and_not_counted_meanwhile() -> None:
    windows = Windows()
    for _ in range(2):
        assert _take(windows, Millis(1), block=Seconds(30)).allowed
    assert _take(windows, Millis(1), block=Seconds(30)) == WindowResult(
        allowed=False, remaining=0, reset=Seconds(9), retry=Seconds(29)
    )
    again = _take(windows, Millis(11_000), block=Seconds(30))
    assert again == WindowResult(
        allowed=False, remaining=0, reset=Seconds(19), retry=Seconds(19), counted=False
    )
    assert _take(windows, Millis(30_001), block=Seconds(30)).allowed


def test_a_clock_that_goes_back_begins_another_window() -> None:
    windows = Windows()
    for _ in range(3):
        last = _take(windows, Millis(50_000))
    assert not last.allowed
    assert _take(windows, Millis(20_000)).allowed


def test_the_client_that_was_not_heard_of_for_longest_is_forgotten() -> None:
    windows = Windows(2)
    for client in ("a", "a", "b", "a", "c"):
        _take(windows, Millis(1), client)
    assert len(windows) == 2
    assert not _take(windows, Millis(1), "a").allowed
    assert _take(windows, Millis(1), "b").remaining == 1
    windows.clear()
    assert len(windows) == 0


def test_a_million_clients_take_no_more_memory_than_the_most_that_are_counted() -> None:
    windows = Windows()
    for number in range(MOST_CLIENTS + 1000):
        _take(windows, Millis(1), f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(windows) == MOST_CLIENTS
