# SPDX-License-Identifier: EUPL-1.2
"""Counting requests of clients in windows of fixed length. The memory for it is bounded (SL-71)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

import msgspec

from vault.quota.tally import ClientCount, Tally
from vault.values.times import Millis, Seconds, millis_after, seconds_to_millis, time_between

MOST_CLIENTS: Final = 50_000
"""Clients that are counted, over all quotas; the one that was not heard of for longest is forgotten."""


class WindowResult(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a request may go on. `remaining` requests are left until `reset`, in whole seconds from now.

    `retry` is in how many seconds it is worth trying again. `counted` is False while a client is blocked.
    """

    allowed: bool
    remaining: int
    reset: Seconds
    retry: Seconds = Seconds(0)
    counted: bool = True


class _Client:
    """One client of one quota: since when (milliseconds) it is counted, in which window, which began when, and what it has used."""

    __slots__ = ("begin", "blocked_until", "since", "used", "window")

    def __init__(self, since: Millis) -> None:
        self.since = self.begin = since
        self.window = 0
        self.used = 0
        self.blocked_until = Millis(0)


class Windows:
    """All counts. A client's first request begins its first window."""

    def __init__(self, size: int = MOST_CLIENTS, tally: Tally | None = None) -> None:
        """`tally` has what other workers count, where there are any."""
        self._size = size
        self._tally = tally
        self._clients: OrderedDict[tuple[int, str], _Client] = OrderedDict()

    def __len__(self) -> int:
        """Return how many clients are counted."""
        return len(self._clients)

    def clear(self) -> None:
        """Forget every count."""
        self._clients.clear()
        if self._tally is not None:
            self._tally.clear()

    def take(
        self, quota: int, client: str, *, most: int, interval: Seconds, block: Seconds, now: Millis
    ) -> WindowResult:
        """Count a request at `now` (of a clock that only grows) against `quota`.

        A refused request is not counted.
        """
        known = self._find((quota, client), now)
        length = seconds_to_millis(interval)
        elsewhere = (
            0 if self._tally is None else _joined(known, self._tally.others(quota, client), length, now)
        )
        if now < known.blocked_until:
            left = _whole(time_between(now, known.blocked_until))
            return WindowResult(allowed=False, remaining=0, reset=left, retry=left, counted=False)
        window = (now - known.since) // length
        if window != known.window:
            known.window, known.used = window, 0
        reset = _whole(Millis(known.since + (window + 1) * length - now))
        used = known.used + elsewhere
        if used < most:
            known.used += 1
            result = WindowResult(allowed=True, remaining=most - used - 1, reset=reset)
        elif not block:
            return WindowResult(allowed=False, remaining=0, reset=reset, retry=reset)
        else:
            known.blocked_until = millis_after(now, block)
            retry = _whole(seconds_to_millis(block))
            result = WindowResult(allowed=False, remaining=0, reset=reset, retry=retry)
        known.begin = Millis(known.since + window * length)
        self._note(quota, client, known)
        return result

    def give_back(self, quota: int, client: str) -> None:
        """Take a request for not counted that `take` has allowed."""
        known = self._clients.get((quota, client))
        if known is not None and known.used:
            known.used -= 1
            self._note(quota, client, known)

    def _note(self, quota: int, client: str, known: _Client) -> None:
        if self._tally is not None:
            self._tally.note(quota, client, ClientCount(known.begin, known.used, known.blocked_until))

    def _find(self, key: tuple[int, str], now: Millis) -> _Client:
        known = self._clients.get(key)
        if known is None:
            known = self._clients[key] = _Client(now)
            noted = None if self._tally is None else self._tally.own(*key)
            if noted is not None:
                known.since, known.used, known.blocked_until = noted
            if len(self._clients) > self._size:
                self._clients.popitem(last=False)
        else:
            self._clients.move_to_end(key)
        return known


def _joined(known: _Client, others: Iterable[ClientCount], length: Millis, now: Millis) -> int:
    """Have a client's windows begin as those of others do that began before, and its block last as long.

    Return what others have counted in the window that is running.
    """
    used = 0
    for other in others:
        known.blocked_until = max(known.blocked_until, other.blocked_until)
        later = (now - other.begin) % length - (now - known.since) % length
        if later > 0:
            known.since = Millis(known.since - later)
        if now - other.begin < length:
            used += other.used
    return used


def _whole(millis: Millis) -> Seconds:
    """Return whole seconds as OpenBao counts them: what has begun to pass is not whole any more."""
    return Seconds((millis - 1) // 1000)
