# SPDX-License-Identifier: EUPL-1.2
"""Policies, leases, limits and tokens are timed and counted under OpenBao's names, on the routes that use them."""

import asyncio

from tests.routes.driver import Application
from tests.unit.engines.system.house import CORE, House
from vault.framework.clock import Clock, Entropy
from vault.framework.telemetry.metrics import Labels, Metrics
from vault.lease.model import Lease
from vault.server.compose.groups.timed_stores import TimedLeases
from vault.values.ids import ROOT_ID, LeaseId, MountAccessor, MountId, TokenKey
from vault.values.times import Seconds


def timings(metrics: Metrics) -> dict[str, int]:
    return {name: timing.count for name, _, timing in metrics.timings()}


def counters(metrics: Metrics) -> dict[tuple[str, Labels], int]:
    return {(name, labels): counter.count for name, labels, counter in metrics.counters()}


def test_what_is_done_with_policies_is_timed() -> None:
    with Application() as application:
        metrics = application.vault.ground.metrics
        before = timings(metrics)
        for method, path, body in (
            ("POST", "sys/policies/acl/new", {"policy": 'path "a" { capabilities = ["read"] }'}),
            ("GET", "sys/policies/acl/new", None),
            ("DELETE", "sys/policies/acl/new", None),
        ):
            assert application.request(method, f"/v1/{path}", body, token="root").status < 300, path
        after = timings(metrics)
        grown = {name for name, count in after.items() if count > before.get(name, 0)}
        assert {f"policy.{verb}_policy" for verb in ("get", "set", "delete")} <= grown


def test_tokens_and_refusals_of_limits_are_counted_by_where_they_come_from() -> None:
    with Application() as application:
        metrics = application.vault.ground.metrics
        before = counters(metrics)["token.create_root", ()]
        application.request("POST", "/v1/auth/userpass/login/x", {"password": "x"}, token="root")
        application.request(
            "POST", "/v1/auth/token/create", {"ttl": "60s", "policies": ["root"]}, token="root"
        )
        application.request("POST", "/v1/auth/token/create", {"ttl": "60s", "policies": ["p"]}, token="root")
        found = {
            tuple(value for _, value in labels): count
            for (name, labels), count in counters(metrics).items()
            if name == "token.creation"
        }
        assert found["userpass", "", "+Inf", "auth/userpass/", "root", "service"] == 1
        assert found["token", "", "1m", "auth/token/", "root", "service"] == 2
        assert counters(metrics)["token.create_root", ()] == before + 1
        limit = {"rate": 1, "interval": "1h", "path": "plain/"}
        assert application.request("POST", "/v1/sys/quotas/rate-limit/few", limit, token="root").status == 204
        refused = [application.request("GET", "/v1/plain/x", token="root").status for _ in range(3)]
        assert refused == [200, 429, 429]
        assert counters(metrics)["quota.rate_limit.violation", (("cluster", ""), ("name", "few"))] == 2


def test_leases_are_timed_when_they_are_made_read_and_removed() -> None:
    async def scenario() -> None:
        house = await House().open()
        metrics, clock = Metrics(), Clock()
        leases = TimedLeases(clock, Entropy(), metrics)
        lease = Lease(
            id=LeaseId("kv/x/abc"), kind="kv", mount=MountId("m"), accessor=MountAccessor("a"), issued=clock.nanos(),
            expires=clock.nanos(), ttl=Seconds(1), longest=Seconds(1), renewable=False, token=TokenKey("h0"), chain=(), detail=b"",
        )  # fmt: skip
        async with house.barrier.write(ROOT_ID, CORE) as core:
            await leases.issue(core, lease)
            assert await leases.get(core, lease.id) == lease
            await leases.remove(core, lease)
            assert not await leases.token_gone(core, lease.token)
        assert timings(metrics) == {
            "expire.register": 1, "expire.fetch_lease_times": 1, "expire.revoke": 1, "expire.revoke_by_token": 1,
        }  # fmt: skip

    asyncio.run(scenario())
