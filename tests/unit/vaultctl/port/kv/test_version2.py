# SPDX-License-Identifier: EUPL-1.2
"""What is read of a version's times, and what has to be equal of a secret on both sides."""

from datetime import UTC, datetime

import pytest

from vaultctl.port.kv.version2 import comparable, moment, state

_NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("2026-11-30T09:39:03.628531216Z", datetime(2026, 11, 30, 9, 39, 3, 628531, UTC)),
        ("2026-11-30T09:39:03.5Z", datetime(2026, 11, 30, 9, 39, 3, 500000, UTC)),
        ("2026-11-30T09:39:03Z", datetime(2026, 11, 30, 9, 39, 3, 0, UTC)),
        ("", None),
        (None, None),
    ],
)
def test_times_are_read_to_the_microsecond(text: object, read: datetime | None) -> None:
    assert moment(text) == read


def test_a_version_that_is_not_listed_is_destroyed_and_one_that_will_be_deleted_is_alive() -> None:
    assert state(None, _NOW) == "destroyed"
    assert state({"destroyed": True, "deletion_time": ""}, _NOW) == "destroyed"
    assert state({"destroyed": False, "deletion_time": "2026-11-30T12:00:01Z"}, _NOW) == "alive"
    assert state({"destroyed": False, "deletion_time": "2026-11-30T11:59:59Z"}, _NOW) == "deleted"
    assert state({"destroyed": False, "deletion_time": ""}, _NOW) == "alive"


def test_times_of_versions_may_differ_and_numbers_values_and_states_may_not() -> None:
    def data(number: int, word: str, created: str) -> dict[str, object]:
        version = {"version": number, "state": word, "created": created, "value": '{"a":1.0}'}
        return {"current": 2, "settings": {}, "versions": [version]}

    assert comparable(data(2, "alive", "x")) == comparable(data(2, "alive", "y"))
    assert comparable(data(2, "alive", "x")) != comparable(data(1, "alive", "x"))
    assert comparable(data(2, "alive", "x")) != comparable(data(2, "deleted", "x"))
