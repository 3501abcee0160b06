# SPDX-License-Identifier: EUPL-1.2
"""Mounts take turns, none takes all hands, and what waits in memory is bounded."""

from vault.lease.turns import Turns


def test_mounts_take_turns() -> None:
    turns = Turns(10, abreast=2)
    for mount, lease in (("a", "1"), ("a", "2"), ("a", "3"), ("b", "4"), ("b", "5")):
        assert turns.put(mount, lease)
    assert [turns.take() for _ in range(5)] == [("a", "1"), ("b", "4"), ("a", "2"), ("b", "5"), None]
    assert len(turns) == 5
    turns.done("a", "1")
    assert turns.take() == ("a", "3")
    assert turns.take() is None


def test_a_lease_waits_once() -> None:
    turns = Turns(10, abreast=1)
    assert turns.put("a", "1")
    assert not turns.put("a", "1")
    turns.take()
    assert not turns.put("a", "1")
    turns.done("a", "1")
    assert turns.put("a", "1")


def test_no_more_wait_than_there_is_room_for() -> None:
    turns = Turns(2, abreast=1)
    assert [turns.put("a", name) for name in "123"] == [True, True, False]
