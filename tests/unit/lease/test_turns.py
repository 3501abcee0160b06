# SPDX-License-Identifier: EUPL-1.2
"""Mounts take turns, none takes all hands, and what waits in memory is bounded."""

from vault.lease.turns import Turns
from vault.values.ids import LeaseId

FIRST = LeaseId("1")


def test_mounts_take_turns() -> None:
    turns = Turns(10, abreast=2)
    for mount, lease in (("a", "1"), ("a", "2"), ("a", "3"), ("b", "4"), ("b", "5")):
        assert turns.put(mount, LeaseId(lease))
    assert [turns.take() for _ in range(5)] == [("a", "1"), ("b", "4"), ("a", "2"), ("b", "5"), None]
    assert len(turns) == 5
    turns.done("a", FIRST)
    assert turns.take() == ("a", "3")
    assert turns.take() is None


def test_a_lease_waits_once() -> None:
    turns = Turns(10, abreast=1)
    assert turns.put("a", FIRST)
    assert not turns.put("a", FIRST)
    turns.take()
    assert not turns.put("a", FIRST)
    turns.done("a", FIRST)
    assert turns.put("a", FIRST)


def test_no_more_wait_than_there_is_room_for() -> None:
    turns = Turns(2, abreast=1)
    assert [turns.put("a", LeaseId(name)) for name in "123"] == [True, True, False]
