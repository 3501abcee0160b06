# SPDX-License-Identifier: EUPL-1.2
"""What cannot be read is in the report, and is not taken for something that is gone."""

from collections.abc import Callable, Iterator, Mapping
from typing import cast

import pytest

from vaultctl.errors import ApiError
from vaultctl.port.ground.entry import Item
from vaultctl.port.ground.report import Report
from vaultctl.port.ground.server import Server
from vaultctl.port.source import ServerSource

_KV: Mapping[str, object] = {"type": "kv", "accessor": "one", "options": {}}


class Source:
    """A server with one mount of secrets, an auth method and an SSH engine, which refuses what it is told to."""

    namespace = ""

    def __init__(self, *refused: str, status: int = 403) -> None:
        self.mounts: dict[str, Mapping[str, object]] = {"old/": _KV, "ssh/": {"type": "ssh", "accessor": "s"}}
        self.at_end: Callable[[], None] = lambda: None
        """Happens when the secrets were listed."""
        self._refused, self._status = refused, status

    def _answer(self, path: str) -> None:
        if path in self._refused:
            raise ApiError("GET", "", path, status=self._status, errors=["permission denied"], raw="")

    def require(self, path: str) -> Mapping[str, object]:
        self._answer(path)
        return self.mounts if path == "sys/mounts" else {"approle/": {"type": "approle", "accessor": "a"}}

    def read(self, path: str, query: object = None) -> Mapping[str, object] | None:
        self._answer(path)
        if path == "auth/token/lookup-self":
            return {"policies": ["root"]}
        return {"token_ttl": 60} if path.startswith("auth/approle/role/") else None

    def listing(self, path: str) -> Iterator[tuple[str, object]]:
        self._answer(path)
        if path == "old/":
            yield "x", None
            self.at_end()

    def names(self, path: str) -> Iterator[str]:
        self._answer(path)
        yield from ["ci"] if path == "auth/approle/role/" else []


def _read(source: Source, aside: Mapping[tuple[str, str], str] | None = None) -> tuple[list[Item], Report]:
    report = Report()
    return list(ServerSource(cast("Server", source), report, aside=aside).items()), report


def _left(report: Report) -> dict[object, object]:
    rows = cast("list[dict[str, object]]", report.document()["not_moved"])
    return {row["path"]: row["why"] for row in rows}


def _kinds(items: list[Item]) -> list[str]:
    return [item.name.kind for item in items]


@pytest.mark.parametrize(
    ("refused", "named"),
    [
        ("sys/namespaces", "sys/namespaces"),
        ("identity/mfa/method/", "identity/mfa/method/"),
        ("auth/approle/role/ci/secret-id", "auth/approle/role/ci"),
        ("ssh/config/ca", "ssh/"),
        ("auth/approle/role/", "auth/approle/role/"),
    ],
)
def test_what_a_token_may_not_read_is_named_and_the_rest_is_read(refused: str, named: str) -> None:
    items, report = _read(Source(refused))
    assert _left(report) == {named: "status 403: permission denied"}
    assert not report.complete
    assert {"kv1", "kv-names"} <= set(_kinds(items))


@pytest.mark.parametrize("refused", ["identity/mfa/method/", "ssh/config/ca", "sys/namespaces"])
def test_what_a_server_does_not_have_is_nothing_and_one_that_fails_ends_it(refused: str) -> None:
    assert _left(_read(Source(refused, status=404))[1]) == {}
    with pytest.raises(ApiError):
        _read(Source(refused, status=503))


def test_a_namespace_whose_mounts_are_not_told_is_not_an_empty_one() -> None:
    with pytest.raises(ApiError):
        _read(Source("sys/mounts", status=404))


def test_a_mount_that_went_away_while_it_was_read_has_lost_no_secrets() -> None:
    for others in ({}, {"old/": {**_KV, "accessor": "another"}}):
        source = Source()
        source.at_end = lambda source=source, others=others: setattr(source, "mounts", others)  # type: ignore[misc]  # of this turn
        items, report = _read(source)
        assert "kv-names" not in _kinds(items)
        assert _left(report) == {"old/": "it was moved or unmounted while it was read"}


def test_a_mount_is_read_where_it_is_and_not_where_a_journal_says_it_was_to_be() -> None:
    items, report = _read(Source(), {("", "old/"): "moved-1/old/"})
    assert [item.name.path for item in items if item.name.kind == "kv1"] == ["old/x"]
    assert "kv-names" in _kinds(items)
    assert report.complete
