# SPDX-License-Identifier: EUPL-1.2
"""What is read of a version's times, and what has to be equal of a secret on both sides."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import pytest

from vaultctl.errors import CommandError
from vaultctl.port.ground import clock
from vaultctl.port.ground.server import Server
from vaultctl.port.kv.mount import Mount
from vaultctl.port.kv.version2 import Reader, comparable, moment, state

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


def test_a_version_that_will_be_deleted_is_not_equal_to_one_that_stays() -> None:
    def data(ends: str) -> dict[str, object]:
        version = {"version": 1, "state": "alive", "created": "", "ends": ends, "value": "{}"}
        return {"current": 1, "settings": {}, "versions": [version]}

    assert comparable(data("2026-11-30T12:00:00Z")) == comparable(data("2026-11-30T12:00:01Z"))
    assert comparable(data("2026-11-30T12:00:00Z")) != comparable(data(""))


_VERSION = {"created_time": "2026-11-30T09:39:03Z", "deletion_time": "", "destroyed": False}
_ABOUT: dict[str, object] = {"current_version": 2, "versions": {"1": _VERSION, "2": _VERSION}}


class _Shelf(Server):
    """A server with one secret of two versions, which says what was read."""

    def __init__(self) -> None:
        super().__init__(lambda: pytest.fail("nothing is asked over the network"))
        self.seen: list[str] = []

    def listing(self, path: str) -> Iterator[tuple[str, object]]:
        yield "app", _ABOUT

    def read(self, path: str, query: Mapping[str, str | list[str]] | None = None) -> dict[str, object] | None:
        if path == "kv/metadata/app":
            return _ABOUT
        self.seen.append(f"{path} {(query or {}).get('version')}")
        return {"data": {"v": 1}}


def test_a_version_that_the_journal_knows_is_not_read_again() -> None:
    server, mount = _Shelf(), Mount("", "kv/")
    (first,) = Reader(server, mount, lambda *_: None).items(lambda *_: None)
    assert first.load() is not None
    assert server.seen == ["kv/data/app 1", "kv/data/app 2"]
    old = first.versions.partition(",")[0]
    server.seen.clear()
    (again,) = Reader(server, mount, lambda *_: None, known=lambda _: old).items(lambda *_: None)
    entry = again.load()
    assert server.seen == ["kv/data/app 2"]
    assert entry is not None
    assert again.whole is not None
    assert again.whole() == first.load()


class _Ended(_Shelf):
    """A server by whose clock a version was deleted a moment before it is by ours."""

    def __init__(self, end: str) -> None:
        super().__init__()
        self._about: dict[str, object] = {
            "current_version": 1,
            "versions": {"1": {"created_time": "x", "deletion_time": end, "destroyed": False}},
        }

    def listing(self, path: str) -> Iterator[tuple[str, object]]:
        yield "app", self._about

    def read(self, path: str, query: Mapping[str, str | list[str]] | None = None) -> dict[str, object] | None:
        return self._about if path == "kv/metadata/app" else None


def test_a_time_that_is_none_ends_the_move_with_its_place() -> None:
    with pytest.raises(CommandError, match=r"kv/app: .* that is none"):
        list(Reader(_Ended("garbage"), Mount("", "kv/"), lambda *_: None).items(lambda *_: None))


def test_what_ended_by_the_clock_of_its_server_is_deleted_and_the_move_goes_on() -> None:
    end = (clock.now() + timedelta(seconds=20)).isoformat().replace("+00:00", "Z")
    (item,) = Reader(_Ended(end), Mount("", "kv/"), lambda *_: None).items(lambda *_: None)
    entry = item.load()
    assert entry is not None
    assert entry.data["versions"] == [
        {"version": 1, "state": "deleted", "created": "x", "ends": ""},
    ]
    (item,) = Reader(_Ended(""), Mount("", "kv/"), lambda *_: None).items(lambda *_: None)
    with pytest.raises(CommandError, match="change faster"):
        item.load()
