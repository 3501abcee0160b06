# SPDX-License-Identifier: EUPL-1.2
"""The whole application with an engine that makes accounts elsewhere: they go with their lease and their token."""

from collections.abc import Iterator

import pytest

from tests.calls import call_for_account
from tests.routes.driver import Application
from tests.unit.engines.driver import who
from tests.unit.lease.bench import CORE, OtherSystem
from vault.values.ids import ROOT_ID
from vault.values.times import Seconds


class Leasing:
    """The application, and how an engine in it makes something."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.vault = application.vault
        self.other = OtherSystem()
        self.vault.leases.endings.serve("fake", self.other)

    async def issue(self, token: str, *, ttl: Seconds) -> str:
        """Make an account for the holder of a token; return its lease."""
        call = call_for_account(self.vault.ground.clock.millis(), path="fake/creds/role")
        call.identity = who("holder")
        call.identity.key = self.vault.credentials.tokens.key(token)
        self.other.accounts.add("account")
        lease = self.vault.leases.store.new(call, ttl=ttl, longest=Seconds(3600), detail=b"account")
        async with self.vault.ground.barrier.write(ROOT_ID, CORE) as core:
            await self.vault.leases.store.issue(core, lease)
        return lease.id


@pytest.fixture
def leasing() -> Iterator[Leasing]:
    with Application() as application:
        yield Leasing(application)


def test_an_account_goes_when_its_lease_is_over(leasing: Leasing) -> None:
    leasing.application.run(leasing.issue("root", ttl=Seconds(0)))
    leasing.application.work()
    assert leasing.other.accounts == set()


def test_an_account_goes_with_its_token(leasing: Leasing) -> None:
    application = leasing.application
    made = application.request("POST", "/v1/auth/token/create", {"ttl": "1h"}, token="root").json()
    token = made["auth"]["client_token"]
    application.run(leasing.issue(token, ttl=Seconds(3600)))
    application.work()
    assert leasing.other.accounts == {"account"}
    application.request("POST", "/v1/auth/token/revoke", {"token": token}, token="root")
    application.work()
    assert leasing.other.accounts == set()


def test_what_is_due_while_the_vault_is_sealed_is_done_when_it_opens(leasing: Leasing) -> None:
    application = leasing.application
    lease = application.run(leasing.issue("root", ttl=Seconds(0)))
    application.request("PUT", "/v1/sys/seal", token="root")
    application.reopen()
    application.work()
    assert leasing.other.accounts == set()
    gone = application.request("POST", "/v1/sys/leases/lookup", {"lease_id": lease}, token="root")
    assert gone.json() == {"errors": ["invalid lease"]}


def test_leases_are_put_in_order_although_the_request_was_tried_twice(leasing: Leasing) -> None:
    application = leasing.application

    async def write() -> None:
        async with application.storage.write() as tx:
            await tx.invalidate("policy", "x")

    for done in (1, 2):
        application.run(write())  # another server has written: the attempt that is under way begins again
        answer = application.request("POST", "/v1/sys/leases/tidy", token="root")
        assert "successfully started" in answer.json()["warnings"][0]
        for _ in range(100):
            application.work()
        assert application.log.getvalue().count("leases are in order: mended") == done
