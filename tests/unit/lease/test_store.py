# SPDX-License-Identifier: EUPL-1.2
"""What a lease is when it is made, how far it can be prolonged, and what leaves nothing behind."""

import asyncio

import msgspec
import pytest

from tests.calls import fill_call
from tests.unit.engines.driver import who
from tests.unit.lease.bench import CORE, SECOND, Bench
from vault.framework.call import Namespace
from vault.framework.errors import Malformed
from vault.lease.model import prolonged
from vault.values.ids import ROOT_ID, NamespaceId, TokenKey
from vault.values.times import Millis, Nanos, Seconds


def test_a_lease_knows_where_it_comes_from_and_whose_it_is() -> None:
    async def scenario() -> None:
        bench = await Bench().open()
        lease = await bench.issue(ttl=Seconds(60), longest=Seconds(40))
        path, _, unique = lease.id.rpartition("/")
        assert (path, len(unique), lease.path) == ("fake/creds/role", 24, path)
        assert (lease.kind, lease.mount, lease.accessor) == ("fake", "one", "fake_one")
        assert (lease.ttl, lease.token) == (40, "key-first")
        assert lease.expires - lease.issued == 40 * SECOND
        assert await bench.get(lease) == lease
        assert await bench.due() == 40
        assert "account-1" not in repr(lease)

    asyncio.run(scenario())


def test_identifiers_differ_and_say_their_namespace() -> None:
    bench = Bench()
    call = bench.call()
    ids = {bench.store.new(call, ttl=Seconds(1), longest=Seconds(1), detail=b"").id for _ in range(100)}
    assert len(ids) == 100
    fill_call(call, namespace=Namespace(NamespaceId("abc123"), "team/"))
    assert bench.store.new(call, ttl=Seconds(1), longest=Seconds(1), detail=b"").id.endswith(".abc123")


def test_what_a_batch_token_makes_ends_with_it() -> None:
    bench = Bench()
    caller = who("batch", kind="batch")
    caller.expires = Millis(bench.clock.millis() + 30_000)
    lease = bench.store.new(bench.call(identity=caller), ttl=Seconds(3600), longest=Seconds(7200), detail=b"")
    assert lease.ttl in (29, 30)
    assert (lease.longest, lease.token) == (lease.ttl, "")


def test_a_caller_of_one_request_alone_makes_none() -> None:
    bench = Bench()
    caller = who("passing")
    caller.fleeting = True
    with pytest.raises(Malformed, match="inline authentication cannot create leases"):
        bench.store.new(bench.call(identity=caller), ttl=Seconds(1), longest=Seconds(1), detail=b"")


def test_a_lease_is_kept_in_its_namespace_and_its_token_finds_it_from_another() -> None:
    async def scenario() -> None:
        bench = await Bench().open()
        call = bench.call()
        fill_call(call, namespace=Namespace(NamespaceId("abc123"), "team/"))
        lease = await bench.issue(call)
        assert await bench.get(lease) == lease
        stored = list(await bench.storage.reader().scan(""))
        assert f"ns/abc123/lease/id/{lease.id}" in stored
        assert any(path.startswith("ns/root/lease/token/key-first/") for path in stored)
        assert not await bench.store.below(bench.barrier.reader(ROOT_ID, CORE), "")
        async with bench.barrier.write(ROOT_ID, CORE) as core:
            await bench.store.token_gone(core, TokenKey("key-first"))
        found = await bench.get(lease)
        assert found is not None
        assert found.expires < lease.expires

    asyncio.run(scenario())


def test_a_removed_lease_leaves_nothing() -> None:
    async def scenario() -> None:
        bench = await Bench().open()
        lease = await bench.issue()
        async with bench.barrier.write(ROOT_ID, CORE) as core:
            await bench.store.park(core, lease)
        assert await bench.due() is None
        assert len(await bench.storage.reader().scan("ns/root/lease/")) == 3
        async with bench.barrier.write(ROOT_ID, CORE) as core:
            await bench.store.remove(core, lease)
        assert list(await bench.storage.reader().scan("ns/root/lease/")) == []

    asyncio.run(scenario())


def test_leases_are_found_by_folders() -> None:
    async def scenario() -> None:
        bench = await Bench().open()
        first = await bench.issue(bench.call("fake/creds/a"))
        second = await bench.issue(bench.call("fake/creds/b"))
        core = bench.barrier.reader(ROOT_ID, CORE)
        assert list(await bench.store.names(core, "")) == ["fake/"]
        assert list(await bench.store.names(core, "fake/creds/")) == ["a/", "b/"]
        assert list(await bench.store.below(core, "")) == [first.id, second.id]
        assert list(await bench.store.below(core, "fake/creds/b/")) == [second.id.rpartition("/")[2]]

    asyncio.run(scenario())


def test_a_prolonged_lease_counts_from_now_and_never_passes_its_longest_time() -> None:
    async def scenario() -> None:
        bench = await Bench().open()
        lease = await bench.issue(ttl=Seconds(60), longest=Seconds(600))
        now = lease.issued + 100 * SECOND
        later, warnings = prolonged(lease, Seconds(0), Nanos(now))
        assert (later.expires - now, later.renewed, warnings) == (60 * SECOND, now, [])
        shorter, warnings = prolonged(lease, Seconds(10), Nanos(now))
        assert (shorter.expires - now, warnings) == (10 * SECOND, [])
        capped, warnings = prolonged(lease, Seconds(5000), Nanos(now))
        assert capped.expires == lease.issued + 600 * SECOND
        assert warnings == [
            'TTL of "1h23m20s" exceeded the effective max_ttl of "8m20s"; TTL value is capped accordingly'
        ]
        over, _ = prolonged(lease, Seconds(10), Nanos(lease.issued + 700 * SECOND))
        assert over.remaining(Nanos(lease.issued + 700 * SECOND)) == 0
        assert lease.remaining(Nanos(lease.expires + 3 * SECOND)) == -3

    asyncio.run(scenario())


def test_what_a_token_made_is_over_with_it_and_nothing_else_is() -> None:
    async def scenario() -> None:
        bench = await Bench().open()
        mine, parked = await bench.issue(), await bench.issue()
        other = await bench.issue(bench.call(identity=who("second")))
        async with bench.barrier.write(ROOT_ID, CORE) as core:
            await bench.store.park(core, parked)
            await bench.store.token_gone(core, TokenKey("key-first"))
        now = bench.clock.nanos()
        found = await bench.get(mine)
        assert found is not None
        assert found.expires <= now
        assert (await bench.get(other)) == other
        assert (await bench.get(parked)) == msgspec.structs.replace(parked, parked=True)

    asyncio.run(scenario())
