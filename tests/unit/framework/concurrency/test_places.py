# SPDX-License-Identifier: EUPL-1.2
"""Places that clients share: one alone gets half of them, and there is always one for another."""

from contextlib import ExitStack

import pytest

from vault.framework.concurrency.places import Places
from vault.framework.errors import Busy


def _fill(places: Places, client: str, stack: ExitStack) -> int:
    """How many places a client can take."""
    taken = 0
    while True:
        try:
            stack.enter_context(places.place(client))
        except Busy:
            return taken
        taken += 1


def test_who_is_greedy_leaves_places_to_each_who_comes_later() -> None:
    places = Places(16)
    with ExitStack() as stack:
        assert [_fill(places, client, stack) for client in "abcdef"] == [8, 4, 2, 1, 1, 0]
    with ExitStack() as stack:
        assert _fill(places, "f", stack) == 8  # all were given back
    assert places._taken == {}


def test_a_place_is_given_back_whatever_ends_it() -> None:
    places = Places(2)
    for _ in range(3):
        with pytest.raises(ValueError, match="gone"), places.place("a"):
            raise ValueError("gone")
    with places.place("a"), pytest.raises(Busy, match="wait for one of them"), places.place("a"):
        pass


def test_who_is_refused_is_not_counted() -> None:
    places = Places(1)
    with places.place("a"):
        for client in range(100):
            with pytest.raises(Busy), places.place(client):
                pass
        assert len(places._taken) == 1
