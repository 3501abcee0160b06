# SPDX-License-Identifier: EUPL-1.2
"""sys/leases over an engine that makes accounts in another system, and over tokens."""

import asyncio
import io

import msgspec
import pytest

from tests.calls import call_for_account
from tests.clocks import MOST_TURNS
from tests.unit.engines.driver import who
from tests.unit.engines.system.house import CORE, House, play
from tests.unit.lease.bench import OtherSystem
from vault.engines.system.clients.leases import LeaseEngine
from vault.framework.telemetry.log import Log
from vault.framework.telemetry.metrics import Metrics
from vault.lease.model import Lease
from vault.lease.revocation import MOST_ATTEMPTS, Endings
from vault.lease.store import LeaseStore
from vault.lease.tidy import Tidy
from vault.values.ids import NO_TOKEN_KEY, ROOT_ID
from vault.values.times import Millis, Seconds

L = "sys/leases"


class Leased(House):
    """A vault whose other system makes accounts."""

    def __init__(self) -> None:
        super().__init__()
        self.other = OtherSystem()
        self.worked = io.StringIO()
        self.leases = LeaseStore(self.clock, self.entropy)
        self.endings = Endings(
            self.barrier,
            self.leases,
            clock=self.clock,
            chance=lambda: 0.0,
            log=Log(stream=self.worked),
            metrics=Metrics(self.clock),
        )
        self.endings.serve("fake", self.other)
        self.tidying = Tidy(self.barrier, self.leases, self.tokens, self.clock, Log(stream=self.worked))
        self.made = 0

    async def ready(self) -> "Leased":
        """Open, with leases that end with their tokens."""
        self.tokens.on_revoke(self.leases.token_gone)
        await self.open(
            LeaseEngine(
                self.barrier,
                self.leases,
                self.endings,
                self.tidying,
                self.tokens,
                self.clock,
                self.follower.follow,
            )
        )
        return self

    async def issue(self, path: str = "fake/creds/role", token: str = "", *, renewable: bool = True) -> Lease:
        """Make an account with a lease of a minute, ten at most."""
        self.made += 1
        account = f"account-{self.made}"
        self.other.accounts.add(account)
        call = call_for_account(self.clock.millis(), path=path)
        call.identity = who("somebody")
        call.identity.key = self.tokens.key(token) if token else NO_TOKEN_KEY
        lease = self.leases.new(
            call, ttl=Seconds(60), longest=Seconds(600), detail=account.encode(), renewable=renewable
        )
        async with self.barrier.write(ROOT_ID, CORE) as core:
            await self.leases.issue(core, lease)
        return lease

    async def fire(self) -> None:
        """Run the timers of leases that are due, and let the workers finish."""
        for timer in await self.storage.claim(self.clock.millis(), 100, hold=Millis(1)):
            async with self.barrier.write(ROOT_ID, CORE) as core:
                await core.cancel(timer.kind, timer.key)
                await self.endings.due(core, timer.key)
        for _ in range(MOST_TURNS):
            if not self.endings.waiting:
                break
            await asyncio.sleep(0)


def test_a_lease_is_shown_and_listed() -> None:
    async def scenario() -> None:
        house = await Leased().ready()
        lease = await house.issue()
        shown = (await house("POST", f"{L}/lookup", {"lease_id": lease.id})).data
        assert shown.pop("expire_time") > shown.pop("issue_time")
        assert shown == {
            "id": lease.id,
            "last_renewal": None,
            "path": "fake/creds/role",
            "renewable": True,
            "ttl": 59,
        }
        assert (await house("LIST", f"{L}/lookup/")).data == {"keys": ["auth/", "fake/"]}
        names = (await house("LIST", f"{L}/lookup/fake/creds/role/")).data["keys"]
        assert names == [lease.id.rpartition("/")[2]]

    play(scenario)


def test_a_lease_is_prolonged_there_too() -> None:
    async def scenario() -> None:
        house = await Leased().ready()
        lease = await house.issue()
        answer = await house("PUT", f"{L}/renew", {"lease_id": lease.id, "increment": 120})
        assert (answer.body["lease_id"], answer.body["lease_duration"]) == (lease.id, 120)
        assert answer.body["data"] is None
        core = house.barrier.reader(ROOT_ID, CORE)
        stored = await house.leases.get(core, lease.id)
        assert stored is not None
        assert house.other.until == {"account-1": stored.expires}
        capped = await house("POST", f"{L}/renew/{lease.id}", {"increment": "1h"})
        assert capped.body["lease_duration"] in (599, 600)
        assert "value is capped" in capped.body["warnings"][0]
        house.other.refusing = True
        refused = await house("POST", f"{L}/renew/{lease.id}", {})
        assert (refused.status, refused.error) == (
            400,
            "failed to renew entry: the account could not be removed",
        )

    play(scenario)


def test_what_cannot_be_prolonged_is_said() -> None:
    async def scenario() -> None:
        house = await Leased().ready()
        fixed = await house.issue(renewable=False)
        assert (await house("POST", f"{L}/renew/{fixed.id}", {})).error == "lease is not renewable"
        lease = await house.issue()
        house.clock.sleep(61)
        assert (await house("POST", f"{L}/renew/{lease.id}", {})).error == "lease expired"
        shown = (await house("POST", f"{L}/lookup", {"lease_id": lease.id})).data
        assert (shown["renewable"], shown["ttl"] < 0) == (False, True)
        token = f"auth/token/create/{house.tokens.key(house.root)}"
        answer = await house("POST", f"{L}/renew", {"lease_id": token})
        assert answer.error == "tokens cannot be renewed through this endpoint"
        assert (await house("POST", f"{L}/renew", {"lease_id": "x"})).error == "lease not found"

    play(scenario)


@pytest.mark.parametrize("how", ["body", "path", "prefix of it", "prefix above", "force"])
def test_a_lease_is_revoked_when_the_answer_comes(how: str) -> None:
    async def scenario() -> None:
        house = await Leased().ready()
        lease = await house.issue()
        other = await house.issue("fake/static/role")
        path, body = {
            "body": ("revoke", {"lease_id": lease.id}),
            "path": (f"revoke/{lease.id}", {}),
            "prefix of it": (f"revoke-prefix/{lease.id}", {}),
            "prefix above": ("revoke-prefix/fake/creds", {}),
            "force": ("revoke-force/fake/creds", {}),
        }[how]
        assert (await house("POST", f"{L}/{path}", body)).status == 204
        assert house.other.accounts == {"account-2"}
        core = house.barrier.reader(ROOT_ID, CORE)
        assert list(await house.leases.below(core, "")) == [other.id]

    play(scenario)


def test_a_revocation_that_fails_is_said_and_goes_on_by_itself() -> None:
    async def scenario() -> None:
        house = await Leased().ready()
        house.endings.start()
        lease = await house.issue()
        house.other.refusing = True
        answer = await house("POST", f"{L}/revoke", {"lease_id": lease.id, "sync": True})
        assert (answer.status, answer.error) == (
            400,
            "failed to revoke entry: the account could not be removed",
        )
        house.other.refusing = False
        house.clock.sleep(61)
        await house.fire()
        assert house.other.accounts == set()
        await house.endings.stop()

    play(scenario)


def test_a_prefix_goes_on_past_what_fails_and_force_forgets_it() -> None:
    async def scenario() -> None:
        house = await Leased().ready()
        leases = [await house.issue() for _ in range(3)]
        house.other.refusing = True
        answer = await house("POST", f"{L}/revoke-prefix/fake", {})
        first = min(lease.id for lease in leases)
        assert answer.status == 400
        assert answer.error.startswith(f'failed to revoke "{first}" (1 / 3): failed to revoke entry: ')
        assert house.other.asked == 3
        assert (await house("POST", f"{L}/revoke-force/fake", {})).status == 204
        assert not await house.leases.below(house.barrier.reader(ROOT_ID, CORE), "")
        assert len(house.other.accounts) == 3

    play(scenario)


def test_a_lease_whose_id_has_braces_is_named_as_it_is() -> None:
    async def scenario() -> None:
        house = await Leased().ready()
        await house.issue("fake/creds/{}{a}{0.x}")
        house.other.refusing = True
        answer = await house("POST", f"{L}/revoke-prefix/fake", {})
        assert answer.status == 400
        assert answer.error.startswith('failed to revoke "fake/creds/{}{a}{0.x}/')

    play(scenario)


def test_leases_end_with_their_token() -> None:
    async def scenario() -> None:
        house = await Leased().ready()
        house.endings.start()
        token = await house.token("default")
        await house.issue(token=token)
        key = house.tokens.key(token)
        assert (await house("POST", f"{L}/revoke/auth/token/create/{key}", {})).status == 204
        await house.fire()
        assert house.other.accounts == set()
        assert (await house("GET", f"{L}/lookup", token=token)).status == 403
        await house.endings.stop()

    play(scenario)


def test_tokens_are_leases_of_the_path_that_made_them() -> None:
    async def scenario() -> None:
        house = await Leased().ready()
        tokens = [await house.token("default", ttl=Seconds(60)) for _ in range(70)]
        ids = [f"auth/token/create/{house.tokens.key(token)}" for token in tokens]
        listed = (await house("LIST", f"{L}/lookup/auth/token/create/")).data["keys"]
        assert len(listed) == 71 and listed == sorted(listed)
        shown = (await house("POST", f"{L}/lookup", {"lease_id": ids[0]})).data
        assert (shown["id"], shown["path"], shown["ttl"]) == (ids[0], "auth/token/create", 60)
        assert (await house("POST", f"{L}/revoke-prefix/{ids[0]}", {})).status == 204
        assert (await house("POST", f"{L}/lookup", {"lease_id": ids[0]})).error == "invalid lease"
        house.clock.sleep(61)
        assert (await house("POST", f"{L}/lookup", {"lease_id": ids[1]})).error == "invalid lease"
        assert (await house("POST", f"{L}/revoke-prefix/auth/token/create", {})).status == 204
        assert (await house("LIST", f"{L}/lookup/")).status == 403

    play(scenario)


def test_what_was_given_up_is_listed_and_counted() -> None:
    async def scenario() -> None:
        house = await Leased().ready()
        house.endings.start()
        nothing = {"counts": {}, "lease_count": 0}
        assert (await house("GET", f"{L}/count", query={"type": "irrevocable"})).data == nothing
        house.other.refusing = True
        leases = [await house.issue() for _ in range(2)]
        for _ in range(MOST_ATTEMPTS):
            house.clock.sleep(400)
            await house.fire()
        counted = (await house("GET", f"{L}/count", query={"type": "irrevocable"})).data
        assert counted == {"counts": {"fake_1": 2}, "lease_count": 2}
        found = (await house("GET", L, query={"type": "irrevocable"})).data
        assert found["lease_count"] == 2
        assert {one["lease_id"] for one in found["leases"]} == {lease.id for lease in leases}
        why = "out of retries: failed to revoke entry: the account could not be removed"
        assert (found["leases"][0]["error"], found["leases"][0]["mount_id"]) == (why, "fake_1")
        shown = (await house("POST", f"{L}/lookup", {"lease_id": leases[0].id})).data
        assert shown["revoke_error"] == why
        again = await house("POST", f"{L}/renew", {"lease_id": leases[0].id})
        assert again.error == "lease is expired and has failed previous revocation attempts"
        one = (await house("GET", L, query={"type": "irrevocable", "limit": "1"})).data
        assert (one["lease_count"], len(one["leases"])) == (2, 1)
        await house.endings.stop()

    play(scenario)


def test_tidying_is_done_beside_requests_and_one_at_a_time() -> None:
    async def scenario() -> None:
        house = await Leased().ready()
        house.endings.start()
        lease = await house.issue(token="s.gone")
        first = await house("POST", f"{L}/tidy", {})
        second = await house("POST", f"{L}/tidy", {})
        assert (first.status, second.status) == (202, 202)
        assert "successfully started" in first.body["warnings"][0]
        assert second.body["warnings"] == ["Tidy operation already in progress."]
        for _ in range(MOST_TURNS):
            if not house.tidying.running:
                break
            await asyncio.sleep(0)
        core = house.barrier.reader(ROOT_ID, CORE)
        stored = await house.leases.get(core, lease.id)
        assert stored is not None and stored.expires < lease.expires
        await house.endings.stop()

    play(scenario)


def test_what_names_no_lease_is_refused() -> None:
    async def scenario() -> None:
        house = await Leased().ready()
        for verb in ("lookup", "renew", "revoke"):
            for given, words in (("", "lease_id must be specified"), (5, "invalid lease ID")):
                answer = await house("POST", f"{L}/{verb}", {"lease_id": given})
                assert (answer.status, answer.error) == (400, words)
        assert (await house("POST", f"{L}/lookup", {"lease_id": "x"})).error == "invalid lease"
        assert (await house("POST", f"{L}/lookup", {"lease_id": "x/y"})).error == "invalid lease"
        assert (await house("POST", f"{L}/revoke", {"lease_id": "x"})).status == 204
        assert (await house("LIST", f"{L}/lookup/nothing/")).body == {"errors": []}

    play(scenario)


def test_irrevocable_ones_are_asked_for_by_that_word() -> None:
    async def scenario() -> None:
        house = await Leased().ready()
        for path in (L, f"{L}/count"):
            assert (await house("GET", path)).status == 404
            assert (await house("GET", path, query={"type": "other"})).status == 404
        for limit, words in (
            ("abc", "invalid 'limit'"),
            ("0", "positive integer"),
            ("-1", "positive integer"),
        ):
            answer = await house("GET", L, query={"type": "irrevocable", "limit": limit})
            assert (answer.status, words in answer.error) == (400, True)
        weak = await house.token("nothing")
        assert (await house("GET", L, query={"type": "irrevocable"}, token=weak)).status == 403

    play(scenario)


def test_a_lease_of_a_namespace_out_of_reach_is_as_one_that_is_not_there() -> None:
    async def scenario() -> None:
        house = await Leased().ready()
        lease = await house.issue()
        hidden = msgspec.structs.replace(lease, id=f"{lease.id}.abc123")
        async with house.barrier.write(ROOT_ID, CORE) as core:
            await house.leases.issue(core, hidden)
        assert (await house("POST", f"{L}/lookup", {"lease_id": hidden.id})).error == "invalid lease"
        assert (await house("POST", f"{L}/renew", {"lease_id": hidden.id})).error == "lease not found"
        for path in ("revoke", "revoke-prefix", "revoke-force"):
            assert (await house("POST", f"{L}/{path}/{hidden.id}", {})).status == 204
        assert await house.leases.get(house.barrier.reader(ROOT_ID, CORE), hidden.id) == hidden

    play(scenario)
