# SPDX-License-Identifier: EUPL-1.2
"""Between which times a search looks that does not say so."""

from collections.abc import Iterator
from contextlib import nullcontext

import pytest

from tests.routes.driver import Application
from vault.engines.system.log.readers import LogReading
from vault.framework.clock import parse_rfc3339_whole
from vault.log.reader.messages import Search, SearchPage
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
def test_records_of_after_a_clock_that_was_ahead_are_found(
    here: tuple[Application, list[Search]], asked_from: str, length: int
) -> None:
    application, asked = here
    application.request("GET", f"/v1/sys/log/records{asked_from}", token="reader")
    assert asked[-1].ends - asked[-1].begins == length * 1_000_000_000
    application.clock.set_wall(400 * DAY)
    application.request("GET", "/v1/sys/health-of-a-day-to-come", token="root")
    ahead = application.clock.nanos()
    application.clock.set_wall(-400 * DAY)
    application.request("GET", f"/v1/sys/log/records{asked_from}", token="reader")
    now = application.clock.nanos()
    assert ahead - 10**9 < asked[-1].ends < ahead + 10**9
    assert now - length * 10**9 - 10**9 < asked[-1].begins < now
    application.request("GET", "/v1/sys/log/records?to=2026-01-02T00:00:00Z", token="reader")
    assert asked[-1].ends == Nanos(parse_rfc3339_whole("2026-01-02T00:00:00.000000000Z"))
    assert asked[-1].ends - asked[-1].begins == DAY * 10**9
