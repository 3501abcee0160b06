# SPDX-License-Identifier: EUPL-1.2
"""Between which times a search looks that does not say so."""

import json
from collections.abc import Iterator
from contextlib import nullcontext

import pytest

from tests.routes.driver import Application
from vault.engines.system.log.readers import LogReading
from vault.framework.clock import parse_rfc3339_whole
from vault.log.reader.messages import Position, Search, SearchPage
from vault.values.times import DAY, HOUR, Nanos

_READER = 'path "sys/log/*" { capabilities = ["read"] }'


class _Reader:
    """Finds nothing."""

    def __init__(self) -> None:
        self.asked: list[Search] = []

    async def search(self, ask: Search) -> SearchPage:
        self.asked.append(ask)
        return SearchPage(position=None, complete=True)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Application, list[Search]]]:
    """A server, and what its log reader is asked."""
    reader = _Reader()
    monkeypatch.setattr(LogReading, "asking", lambda _: nullcontext(reader))
    application = Application()
    application.request("PUT", "/v1/sys/policies/acl/reader", {"policy": _READER}, token="root")
    application.request(
        "POST", "/v1/auth/token/create", {"id": "reader", "policies": ["reader"]}, token="root"
    )
    yield application, reader.asked
    application.close()


@pytest.mark.parametrize(("asked_from", "length"), [("", DAY), ("?from=1h", HOUR)])
def test_a_search_has_an_end_only_where_one_is_named(
    here: tuple[Application, list[Search]], asked_from: str, length: int
) -> None:
    """Where a clock was ahead, the newest records have times that are yet to come: the log reader knows them."""
    application, asked = here
    application.request("GET", f"/v1/sys/log/records{asked_from}", token="reader")
    now = application.clock.nanos()
    assert asked[-1].ends - asked[-1].begins == length * 10**9
    assert now - 10**9 < asked[-1].ends <= now
    application.request("GET", "/v1/sys/log/records?to=2026-01-02T00:00:00Z", token="reader")
    assert [one.open for one in asked] == [True, False]
    assert asked[-1].ends == Nanos(parse_rfc3339_whole("2026-01-02T00:00:00.000000000Z"))
    assert asked[-1].ends - asked[-1].begins == DAY * 10**9


def test_a_search_may_begin_at_a_time_that_is_yet_to_come(here: tuple[Application, list[Search]]) -> None:
    application, asked = here
    begins = "2050-01-01T00:00:00Z"
    assert application.request("GET", f"/v1/sys/log/records?from={begins}", token="reader").status == 200
    assert asked[-1].open and asked[-1].begins == asked[-1].ends
    for later in ("records", "counts"):
        answer = application.request(
            "GET", f"/v1/sys/log/{later}?from={begins}&to=2049-01-01T00:00:00Z", token="reader"
        )
        assert answer.status == 400


def test_the_next_page_looks_as_far_as_the_first(
    here: tuple[Application, list[Search]], monkeypatch: pytest.MonkeyPatch
) -> None:
    application, asked = here
    ends = Nanos(parse_rfc3339_whole("2050-01-01T00:00:00.000000000Z"))
    position = Position(Nanos(ends - 1), "0123abcd-0-1", 7)

    async def search(_: object, ask: Search) -> SearchPage:
        asked.append(ask)
        return SearchPage(position=position, complete=True, ends=ends)

    monkeypatch.setattr(_Reader, "search", search)
    first = application.request("GET", "/v1/sys/log/records", token="reader").json()["data"]
    application.request("GET", f"/v1/sys/log/records?cursor={first['next']}", token="reader")
    assert (asked[-1].ends, asked[-1].position, asked[-1].open) == (ends, position, False)


@pytest.mark.parametrize("accept", ["application/json", "application/x-ndjson"])
def test_a_page_whose_time_ran_out_says_so_and_has_a_next_one(
    here: tuple[Application, list[Search]], monkeypatch: pytest.MonkeyPatch, accept: str
) -> None:
    """Even one without a record: whoever asks goes on from where the search came to."""
    application, asked = here
    position = Position(Nanos(7 * 10**9), "~", 1)

    async def search(_: object, ask: Search) -> SearchPage:
        asked.append(ask)
        return SearchPage(position=position, complete=False, ends=ask.ends)

    monkeypatch.setattr(_Reader, "search", search)
    answer = application.request("GET", "/v1/sys/log/records", token="reader", headers={"accept": accept})
    *lines, end = answer.body.splitlines()
    if accept.endswith("x-ndjson"):
        about = json.loads(end)["$page"]
        assert lines == []
    else:
        about = json.loads(answer.body)["data"]
        assert about["records"] == []
    assert about["complete"] is False
    application.request("GET", f"/v1/sys/log/records?cursor={about['next']}", token="reader")
    assert asked[-1].position == position
