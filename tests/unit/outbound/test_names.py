# SPDX-License-Identifier: EUPL-1.2
"""Names whose name server is silent: whose they are is who waits, and nobody else."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from tests.unit.outbound.service import service
from vault.outbound import names
from vault.outbound.failure import Unreachable
from vault.outbound.fetch import Fetcher, OutboundRequest
from vault.outbound.names import NameLookup
from vault.outbound.places import Places
from vault.outbound.shares import Owner

pytestmark = pytest.mark.loopback
PATIENCE = 60.0
"""Seconds that an answer may take on a busy machine."""
MINE, OTHERS = Owner("mine", "m"), Owner("others", "o")


class Silent:
    """A resolver that knows every name but those of `silent`, whose look-ups hang until it is `over`."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.asked: list[str] = []

    def __call__(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        if host.endswith(".silent.test"):
            self.over.wait(PATIENCE)
            raise socket.gaierror(socket.EAI_AGAIN, "")
        if host.endswith(".nobody.test"):
            raise socket.gaierror(socket.EAI_NONAME, "")
        return ["127.0.0.1"]


@asynccontextmanager
async def hanging(
    find: NameLookup, resolver: Silent, owners: Sequence[Owner], each: int
) -> AsyncIterator[None]:
    """Look up `each` silent names for each owner, until all that may have a thread have one."""
    waiting = [
        asyncio.create_task(find.find(owner, f"{owner.mount}-{number}.silent.test"))
        for owner in owners
        for number in range(each)
    ]
    for _ in range(3):
        await asyncio.sleep(0)
    try:
        yield
    finally:
        resolver.over.set()
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


@pytest.mark.parametrize("tenants", [1, 2, 7])
def test_however_many_silent_names_somebody_has_others_names_are_found(tenants: int) -> None:
    async def scenario() -> None:
        resolver = Silent()
        find = NameLookup(resolver)
        owners = [
            Owner(f"t{tenant}", f"m{tenant}-{mount}") for tenant in range(tenants) for mount in range(5)
        ]
        async with hanging(find, resolver, owners, 100):
            assert await asyncio.wait_for(find.find(OTHERS, "good.test"), PATIENCE) == ["127.0.0.1"]
            assert len(resolver.asked) <= names.THREADS
            if tenants == 1:
                assert len(resolver.asked) <= names.THREADS // 2 + 1

    asyncio.run(scenario())


def test_a_mount_whose_names_are_silent_leaves_threads_to_the_tenants_other_mounts() -> None:
    async def scenario() -> None:
        resolver = Silent()
        find = NameLookup(resolver)
        async with hanging(find, resolver, [MINE], 100):
            assert await asyncio.wait_for(find.find(Owner("mine", "n"), "good.test"), PATIENCE)

    asyncio.run(scenario())


def test_a_request_for_one_tenant_goes_through_while_anothers_names_are_silent() -> None:
    """With the loop's own look-ups (two at a time, or six) the good one waits behind the silent ones."""

    async def scenario() -> None:
        resolver = Silent()
        fetcher = Fetcher(Places(["127.0.0.0/8"]), resolver)
        async with service() as one:
            dead = [
                asyncio.create_task(
                    fetcher.send(
                        OutboundRequest(f"http://n{number}.silent.test/", owner=MINE, seconds=PATIENCE)
                    )
                )
                for number in range(200)
            ]
            for _ in range(3):
                await asyncio.sleep(0)
            answer = await fetcher.send(OutboundRequest(one.url, owner=OTHERS, seconds=PATIENCE))
            assert (answer.status, any(task.done() for task in dead)) == (200, False)
            resolver.over.set()
            for task in dead:
                task.cancel()
            await asyncio.gather(*dead, return_exceptions=True)

    asyncio.run(scenario())


def test_a_name_is_looked_up_once_for_all_who_wait_for_it() -> None:
    async def scenario() -> None:
        resolver = Silent()
        find = NameLookup(resolver)
        waiting = [
            asyncio.create_task(find.find(owner, "one.silent.test"))
            for owner in (MINE, OTHERS)
            for _ in range(200)
        ]
        for _ in range(3):
            await asyncio.sleep(0)
        assert resolver.asked == ["one.silent.test"]
        waiting[0].cancel()
        await asyncio.sleep(0)
        resolver.over.set()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(one) for one in results[1:]} == {OSError}
        assert resolver.asked == ["one.silent.test"]

    asyncio.run(scenario())


class Time:
    """The loop's clock, which a test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        self.ahead = 0.0
        real = loop.time
        monkeypatch.setattr(loop, "time", lambda: real() + self.ahead)


def test_who_comes_after_a_look_up_has_been_silent_for_long_is_told_so_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        resolver = Silent()
        fetcher = Fetcher(Places(["127.0.0.0/8"]), resolver)
        url = "http://one.silent.test/"
        first = asyncio.create_task(fetcher.send(OutboundRequest(url, owner=MINE, seconds=3600)))
        for _ in range(3):
            await asyncio.sleep(0)
        time = Time(monkeypatch)
        time.ahead = names.SILENT + 1
        with pytest.raises(Unreachable, match="its name server does not answer"):
            await fetcher.send(OutboundRequest(url, owner=OTHERS, seconds=3600))
        assert not first.done()
        resolver.over.set()
        with pytest.raises(Unreachable, match="its name cannot be resolved"):
            await first

    asyncio.run(scenario())


def test_a_failure_is_remembered_for_a_moment_and_an_answer_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        resolver = Silent()
        find = NameLookup(resolver)
        for _ in range(50):
            with pytest.raises(OSError):
                await find.find(MINE, "a.nobody.test")
        for _ in range(2):
            await find.find(MINE, "good.test")
        assert resolver.asked == ["a.nobody.test", "good.test", "good.test"]
        time = Time(monkeypatch)
        time.ahead = names.PAUSE + 1
        with pytest.raises(OSError):
            await find.find(MINE, "a.nobody.test")
        assert resolver.asked.count("a.nobody.test") == 2

    asyncio.run(scenario())


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "2001:db8::1"])
def test_an_address_is_its_own_and_takes_no_thread(address: str) -> None:
    resolver = Silent()
    assert asyncio.run(NameLookup(resolver).find(MINE, address)) == (address,)
    assert resolver.asked == []


def test_where_the_machine_has_no_more_threads_the_name_is_not_found_and_the_turn_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        def none(self: threading.Thread) -> None:
            raise RuntimeError

        find = NameLookup(Silent(), threads=2)
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", none)
            for number in range(5):
                with pytest.raises(OSError):
                    await find.find(MINE, f"{number}.test")
        assert await find.find(MINE, "good.test") == ["127.0.0.1"]

    asyncio.run(scenario())


def test_the_machines_own_resolver_finds_this_machine_and_not_what_is_nobodys() -> None:
    assert "127.0.0.1" in names.machine("127.0.0.1")
    assert set(names.machine("localhost")) <= {"127.0.0.1", "::1"}
    with pytest.raises((OSError, UnicodeError)):
        names.machine("a" * 64 + ".test")


def test_a_look_up_that_never_ends_does_not_hold_up_the_end_of_the_loop() -> None:
    resolver = Silent()

    async def scenario() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(NameLookup(resolver).find(MINE, "one.silent.test"), 0.01)

    asyncio.run(scenario())
    assert not resolver.over.is_set()
    resolver.over.set()
