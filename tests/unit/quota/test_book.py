# SPDX-License-Identifier: EUPL-1.2
"""Which quota a request counts against, which paths are exempt, and what is told of it."""

import asyncio
import os

import msgspec
import pytest

from tests.calls import fill_call, mount_facts
from tests.clocks import MONTH
from tests.unit.engines.driver import FakeClock
from vault.barrier.barrier import Barrier
from vault.barrier.key import Key
from vault.barrier.keyring import Keyring
from vault.framework.call import NOWHERE, ROOT, Call, Namespace
from vault.framework.errors import Limited
from vault.namespace.book import Namespaces
from vault.namespace.entry import NamespaceEntry
from vault.quota.book import Exemptions, Quotas
from vault.quota.model import Quota, QuotaSettings
from vault.storage.memory import MemoryStorage
from vault.values.ids import ROOT_ID, NamespaceId
from vault.values.times import Seconds

CORE = "ns/root/"
TEAM = Namespace(NamespaceId("team01"), "team/")
INNER = Namespace(NamespaceId("inner1"), "team/inner/")


class Bench:
    """Quotas over a barrier in memory; `settings` holds for all of them."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.storage = MemoryStorage()
        self.barrier = Barrier(self.storage, now=self.clock.millis, random=os.urandom)
        self.namespaces = Namespaces(self.barrier)
        self.quotas = Quotas(self.barrier, self.namespaces, self.clock)

    async def open(self, *quotas: Quota, **settings: object) -> "Bench":
        """Unseal, with two namespaces and these quotas."""
        root = Key(bytes(32))
        async with self.storage.write() as tx:
            await self.barrier.create_in(tx, root, Keyring.create(self.clock.millis(), os.urandom))
        await self.barrier.load(root)
        async with self.barrier.write(ROOT_ID, CORE) as core:
            for space in (TEAM, INNER):
                await self.namespaces.put(core, NamespaceEntry(id=space.id, uuid=space.id, path=space.path))
            for quota in quotas:
                await self.quotas.put(core, quota)
            await self.quotas.put_settings(core, msgspec.convert(settings, QuotaSettings))
        await self.namespaces.load()
        await self.quotas.drop(None)
        return self

    def call(self, local: str = "x", *, mount: str = "one", namespace: Namespace = ROOT) -> Call:
        """Return a request that was resolved."""
        call = Call()
        call.now = self.clock.millis()
        call.client_address = "192.0.2.1"
        fill_call(
            call,
            namespace=namespace,
            mount=mount_facts(uuid=mount, path="kv/", category="") if mount else NOWHERE,
            path=f"kv/{local}" if mount else local,
        )
        if mount:
            fill_call(call, local=local)
        return call

    def counted(self, call: Call) -> str:
        """Return the limit that a request is told of; empty for none."""
        self.quotas.admit(call)
        return dict(call.admission).get(b"x-ratelimit-limit", b"").decode()


def _quota(
    rate: float, *, namespace: str = "root", inheritable: bool = False, mount: str = "", suffix: str = ""
) -> Quota:
    name = f"q{rate}"
    return Quota(
        name=name,
        rate=rate,
        namespace=NamespaceId(namespace),
        inheritable=inheritable,
        mount=mount,
        suffix=suffix,
    )


def test_the_most_specific_quota_counts() -> None:
    async def scenario() -> None:
        bench = await Bench().open(
            _quota(10, inheritable=True),
            _quota(20, mount="one"),
            _quota(30, mount="one", suffix="data/*"),
            _quota(40, mount="one", suffix="data/fo*"),
            _quota(50, mount="one", suffix="data/foo"),
            headers=True,
        )
        for local, expected in {
            "data/foo": "50",
            "data/foo/": "50",
            "data/foo/bar": "40",
            "data/fox": "40",
            "data/x": "30",
            "data": "20",
            "config": "20",
        }.items():
            assert bench.counted(bench.call(local)) == expected
        assert bench.counted(bench.call(mount="two")) == "10"
        assert bench.counted(bench.call("nope", mount="")) == "10"

    asyncio.run(scenario())


def test_who_is_asked_about_again_is_counted_once_and_by_the_facts_of_now() -> None:
    async def scenario() -> None:
        bench = await Bench().open(_quota(3), headers=True)

        def left(call: Call) -> bytes:
            bench.quotas.admit(call)
            return dict(call.admission).get(b"x-ratelimit-remaining", b"")

        call = bench.call()
        assert [left(call), left(call), left(bench.call()), left(call)] == [b"2", b"2", b"1", b"1"]
        async with bench.barrier.write(ROOT_ID, CORE) as core:
            await bench.quotas.put_settings(core, QuotaSettings(exempt=("kv/",), headers=True))
        await bench.quotas.drop("")
        assert left(call) == b"", "it is exempt now"
        async with bench.barrier.write(ROOT_ID, CORE) as core:
            await bench.quotas.put_settings(core, QuotaSettings(headers=True))
        await bench.quotas.drop("")
        assert left(bench.call()) == b"1", "and was not counted"

    asyncio.run(scenario())


def test_a_namespaces_quota_goes_before_those_above_it() -> None:
    async def scenario() -> None:
        bench = await Bench().open(_quota(10, inheritable=True), _quota(20, namespace=TEAM.id), headers=True)
        assert bench.counted(bench.call(namespace=TEAM)) == "20"
        assert bench.counted(bench.call(namespace=INNER)) == "10"
        bench = await Bench().open(_quota(10), _quota(20, namespace=TEAM.id, inheritable=True), headers=True)
        assert bench.counted(bench.call(namespace=INNER)) == "20"
        bench = await Bench().open(_quota(10), headers=True)
        assert bench.counted(bench.call()) == "10"
        assert bench.counted(bench.call(namespace=INNER)) == ""

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("texts", "exempt", "counted"),
    [
        (["sys/mo"], ["sys/mo", "sys/mounts"], ["sys/m"]),
        (["sys/mo*"], ["sys/mo", "sys/mounts"], ["sys/m"]),
        (["sys/*/x", "sys/+/x"], [], ["sys/mounts/x"]),
        (["*"], ["", "anything"], []),
        ([""], [], ["", "anything"]),
        (["sys*", "!sys/mounts"], ["sys/auth"], ["sys/mounts", "sys/mounts/x"]),
        (["!sys", "sys/health"], ["sys/health"], ["sys/auth"]),
    ],
)
def test_paths_are_exempt_by_how_they_begin(texts: list[str], exempt: list[str], counted: list[str]) -> None:
    exemptions = Exemptions(texts)
    assert all(path in exemptions for path in exempt)
    assert not any(path in exemptions for path in counted)


def test_health_is_not_counted_until_somebody_says_so() -> None:
    bench = Bench()
    assert "sys/health" in bench.quotas._exempt
    assert "sys/mounts" not in bench.quotas._exempt


def test_who_asks_too_often_is_refused_and_told_only_when_that_is_wanted() -> None:
    async def scenario() -> None:
        bench = await Bench().open(_quota(1.5, inheritable=True))
        for _ in range(2):
            call = bench.call("secret")
            bench.quotas.admit(call)
            assert call.admission == ()
        with pytest.raises(Limited, match='request path "kv/secret": rate limit quota exceeded') as caught:
            bench.quotas.admit(bench.call("secret"))
        assert not caught.value.recorded
        bench = await Bench().open(_quota(1, inheritable=True), headers=True, audited=True)
        bench.quotas.admit(bench.call())
        call = bench.call()
        with pytest.raises(Limited) as caught:
            bench.quotas.admit(call)
        assert caught.value.recorded
        assert dict(call.admission) == {
            b"x-ratelimit-limit": b"1",
            b"x-ratelimit-remaining": b"0",
            b"x-ratelimit-reset": b"0",
            b"retry-after": b"0",
        }

    asyncio.run(scenario())


def test_a_blocked_client_is_told_only_when_to_come_again() -> None:
    async def scenario() -> None:
        quota = Quota(name="q", rate=1, namespace=ROOT_ID, block=Seconds(60))
        bench = await Bench().open(quota, headers=True)
        bench.quotas.admit(bench.call())
        for _ in range(2):
            call = bench.call()
            with pytest.raises(Limited):
                bench.quotas.admit(call)
        assert dict(call.admission) == {b"retry-after": b"59"}

    asyncio.run(scenario())


def test_counts_go_on_when_another_quota_changes_and_begin_anew_when_their_own_does() -> None:
    async def scenario() -> None:
        bench = await Bench().open(_quota(1))
        bench.quotas.admit(bench.call())
        async with bench.barrier.write(ROOT_ID, CORE) as core:
            await bench.quotas.put(core, _quota(7, mount="two"))
        await bench.quotas.drop("q7")
        with pytest.raises(Limited):
            bench.quotas.admit(bench.call())
        async with bench.barrier.write(ROOT_ID, CORE) as core:
            await bench.quotas.put(core, Quota(name="q1", rate=2, namespace=ROOT_ID))
        await bench.quotas.drop("q1")
        for _ in range(2):
            bench.quotas.admit(bench.call())
        await bench.quotas.drop("q1")  # written as it was
        bench.quotas.admit(bench.call())

    asyncio.run(scenario())


def test_sealing_forgets_quotas_and_counts() -> None:
    async def scenario() -> None:
        bench = await Bench().open(_quota(1))
        bench.barrier.seal()
        bench.quotas.seal()
        await bench.quotas.drop(None)
        for _ in range(3):
            bench.quotas.admit(bench.call())

    asyncio.run(scenario())


@pytest.mark.parametrize("jump", [MONTH, -MONTH])
def test_a_wall_clock_that_is_set_gives_nobody_a_new_window_and_prolongs_none(jump: int) -> None:
    async def scenario() -> None:
        bench = await Bench().open(_quota(1, inheritable=True))
        bench.quotas.admit(bench.call())
        bench.clock.set_wall(jump)
        with pytest.raises(Limited):
            bench.quotas.admit(bench.call())
        bench.clock.sleep(1)
        bench.quotas.admit(bench.call())

    asyncio.run(scenario())
