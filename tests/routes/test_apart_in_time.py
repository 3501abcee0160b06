# SPDX-License-Identifier: EUPL-1.2
"""Two servers whose clocks differ, on one storage: what each of them promises of what the other one made, and for how long."""

from collections.abc import Generator
from typing import Any

import pytest

from tests.routes.driver import Ahead, Application
from tests.routes.issuer import Issuer
from vault.storage.memory import MemoryStorage
from vault.values.times import Millis

APART = 25
"""Seconds by which one is ahead of the database, and the other one behind: each still makes tokens."""
TTL = 100
Both = tuple[Application, Application]


class Dated(MemoryStorage):
    """One that several have open, with a clock of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Ahead()

    async def now(self) -> Millis | None:
        return self.clock.millis()

    async def close(self) -> None:
        """The other one has it still."""


class Later(Application):
    """One on another's storage with a clock of its own, which says the same until it is set."""

    def _vault_at(self, place: int, crew: list[Any]) -> Any:
        if self._beside is not None:
            self.clock = Ahead(self._beside.clock.nanos())
        return super()._vault_at(place, crew)


@pytest.fixture
def both() -> Generator[Both]:
    """One that is ahead, and one that is behind."""
    storage = Dated()
    with Application(storage) as ahead, Later(storage, beside=ahead) as behind:
        storage.clock.now = ahead.clock.now = behind.clock.now
        ahead.clock.set_wall(APART)
        behind.clock.set_wall(-APART)
        for each in (ahead, behind):
            each.work()
        yield ahead, behind


def _pass(both: Both, seconds: float) -> None:
    storage = both[0].storage
    assert isinstance(storage, Dated)
    for clock in (storage.clock, *(each.clock for each in both)):
        clock.sleep(seconds)


def _ttl(application: Application, token: str) -> int:
    """What is left of a token, as a server sees it; 0 where it is none to it."""
    answer = application.request("GET", "/v1/auth/token/lookup-self", token=token)
    return int(answer.json()["data"]["ttl"]) if answer.status == 200 else 0


def _made(application: Application, kind: str) -> str:
    body = {"ttl": TTL, "policies": ["default"], "type": kind}
    token: str = application.request("POST", "/v1/auth/token/create", body, token="root").json()["auth"][
        "client_token"
    ]
    return token


@pytest.mark.parametrize("kind", ["service", "batch"])
@pytest.mark.parametrize("first", [0, 1])
def test_a_token_ends_elsewhere_by_as_much_earlier_or_later_as_the_clocks_differ(
    both: Both, first: int, kind: str
) -> None:
    maker, other = both[first], both[1 - first]
    held = _made(maker, kind)
    later = 2 * APART if first == 0 else -2 * APART
    assert abs(_ttl(maker, held) - TTL) <= 1
    assert abs(_ttl(other, held) - TTL - later) <= 1
    _pass(both, TTL - 2 * APART + 1)
    assert (_ttl(other, held) > 0) == (later > 0)
    assert _ttl(maker, held) > 0
    _pass(both, 2 * APART)
    assert _ttl(maker, held) == 0
    _pass(both, max(later, 0) + 1)
    assert _ttl(other, held) == 0


@pytest.mark.parametrize("first", [0, 1])
def test_a_biscuit_too_and_one_that_is_behind_takes_what_was_made_in_its_future(
    both: Both, first: int
) -> None:
    maker, other = both[first], both[1 - first]
    issuer = Issuer(maker)
    held = issuer.issue(ttl=f"{TTL}s")
    assert _ttl(other, held) > 0
    _pass(both, TTL + 1)
    assert _ttl(maker, held) == 0
    assert (_ttl(other, held) > 0) == (first == 0)
    _pass(both, 2 * APART)
    assert _ttl(other, held) == 0


@pytest.mark.parametrize("first", [0, 1])
def test_what_was_revoked_is_at_once_and_a_token_of_few_uses_counts_on_both(both: Both, first: int) -> None:
    """Neither asks a clock."""
    maker, other = both[first], both[1 - first]
    held = _made(maker, "service")
    assert _ttl(other, held) > 0
    body = {"token": held}
    assert maker.request("POST", "/v1/auth/token/revoke", body, token="root").status == 204
    assert _ttl(other, held) == 0
    made = maker.request("POST", "/v1/auth/token/create", {"num_uses": 2}, token="root")
    assert made.status == 200, (made.body, maker.log.getvalue()[-1500:])
    few, path = made.json()["auth"]["client_token"], "/v1/auth/token/lookup-self"
    found = [each.request("GET", path, token=few).status for each in (other, maker, other)]
    assert found == [200, 200, 403]


def test_what_is_written_counts_in_the_order_of_commits_whatever_its_time_says(both: Both) -> None:
    """The version that was written last is the newest one, though its time may be earlier than that of the one before."""
    ahead, behind = both
    for version, writer in enumerate((ahead, behind, ahead, behind), start=3):
        body = {"data": {"by": version}}
        made = writer.request("POST", "/v1/secret/data/x", body, token="root").json()["data"]
        assert made["version"] == version
        for reader in both:
            shown = reader.request("GET", "/v1/secret/data/x", token="root").json()["data"]
            assert shown["data"] == {"by": version}
            assert shown["metadata"]["created_time"] == made["created_time"]
    times = [
        one["created_time"]
        for _, one in sorted(
            behind.request("GET", "/v1/secret/metadata/x", token="root").json()["data"]["versions"].items()
        )
    ][-4:]
    assert times[1] < times[0] and times[3] < times[2]


def test_one_that_is_90_seconds_ahead_makes_no_tokens_and_takes_those_of_the_other_early_for_ended(
    both: Both,
) -> None:
    ahead, behind = both
    held = _made(behind, "service")
    ahead.clock.set_wall(90 - APART)
    ahead.work()
    assert ahead.request("GET", "/v1/sys/health").status == 503
    assert ahead.request("POST", "/v1/auth/token/create", {}, token="root").status == 500
    assert _ttl(ahead, held) == 0, "it is 115 seconds ahead of the one that made it"
    assert _ttl(behind, held) > TTL - 5, "and has ended nothing there"
    _pass(both, 1)
    ahead.work()
    assert _ttl(behind, held) > 0, "timers are due by both clocks, its own and the database's"
