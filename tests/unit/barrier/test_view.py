# SPDX-License-Identifier: EUPL-1.2
import asyncio
import os
from collections.abc import Callable

import pytest

from tests.unit.barrier.open import NOW, open_barrier
from vault.barrier.barrier import Barrier
from vault.barrier.failure import BarrierFailure, BarrierSealed, NamespaceSealed, UnknownTerm
from vault.barrier.keyring import Keyring
from vault.barrier.stored import raw
from vault.barrier.view import ReadView, View, core_prefix
from vault.storage.memory import MemoryStorage
from vault.storage.protocol import ReadTx, Timer
from vault.values.ids import ROOT_ID, MountId, NamespaceId
from vault.values.times import Millis


def test_a_view_reads_what_it_wrote_and_storage_holds_only_ciphertext() -> None:
    async def scenario() -> None:
        storage, barrier = await open_barrier()
        async with barrier.write(ROOT_ID, "logical/1/") as view:
            await view.put("data/a", raw(b"hunter2"))
            assert await view.get("data/a") == b"hunter2"
        stored = await storage.reader().get("logical/1/data/a")
        assert stored is not None
        assert b"hunter2" not in stored
        assert await barrier.reader(ROOT_ID, "logical/1/").get("data/a") == b"hunter2"
        assert await barrier.reader(ROOT_ID, "logical/1/").get("data/b") is None

    asyncio.run(scenario())


def test_a_view_lists_scans_and_deletes_below_its_prefix() -> None:
    async def scenario() -> None:
        _, barrier = await open_barrier()
        async with barrier.write(ROOT_ID, "m/") as view:
            for name in ("a", "b/c", "b/d", "e"):
                await view.put(name, raw(b"x"))
            assert list(await view.list("")) == ["a", "b/", "e"]
            assert list(await view.list("", after="a", limit=1)) == ["b/"]
            assert list(await view.scan("b/")) == ["c", "d"]
            assert list(await view.scan("", after="a", limit=2)) == ["b/c", "b/d"]
            await view.delete("e")
            assert await view.delete_some("b/", 1)
            assert await view.delete_prefix("b/") == 1
            assert list(await view.scan("")) == ["a"]

    asyncio.run(scenario())


def test_a_view_below_a_view_shares_transaction_and_namespace() -> None:
    async def scenario() -> None:
        _, barrier = await open_barrier()
        async with barrier.write(NamespaceId("n1"), "m/") as view:
            await view.sub("data/").sub("x/").put("a", raw(b"deep"))
            assert await view.get("data/x/a") == b"deep"
        reader = barrier.reader(NamespaceId("n1"), "").sub("m/").sub("data/")
        assert await reader.get("x/a") == b"deep"
        assert type(reader) is ReadView

    asyncio.run(scenario())


def test_a_mount_has_its_place_below_its_namespace() -> None:
    async def scenario() -> None:
        _, barrier = await open_barrier()
        async with barrier.write(ROOT_ID, core_prefix(ROOT_ID)) as core:
            await core.space(NamespaceId("n1")).mount(MountId("one")).put("a", raw(b"deep"))
            assert await core.space(NamespaceId("n1")).get("mnt/one/a") == b"deep"
        reader = barrier.reader(NamespaceId("n1"), core_prefix(NamespaceId("n1"))).mount(MountId("one"))
        assert await reader.get("a") == b"deep"
        assert type(reader) is ReadView

    asyncio.run(scenario())


def test_timers_and_invalidations_pass_through() -> None:
    async def scenario() -> None:
        storage, barrier = await open_barrier()
        async with barrier.write(ROOT_ID, "m/") as view:
            await view.at(Timer("expire", "x", NOW))
            await view.at(Timer("expire", "y", NOW))
            await view.cancel("expire", "y")
            await view.invalidate("mount", "m")
        assert [t.key for t in await storage.claim(NOW, 10, hold=Millis(1000))] == ["x"]
        _, changes = await storage.news(1)
        assert changes is not None
        assert [(c.kind, c.key) for c in changes] == [("mount", "m")]

    asyncio.run(scenario())


def test_a_view_shows_the_epoch_of_its_transaction() -> None:
    async def scenario() -> None:
        storage, barrier = await open_barrier()
        reader = barrier.reader(ROOT_ID, "m/")
        assert reader.epoch == 0
        await reader.get("a")
        assert reader.epoch == storage.data.epoch
        reader.epoch = 7
        assert reader.epoch == 7

    asyncio.run(scenario())


def test_a_read_only_view_cannot_write_even_through_a_transaction() -> None:
    async def scenario() -> None:
        storage, barrier = await open_barrier()
        async with storage.write() as tx:
            view = barrier.read_view(tx, ROOT_ID, "m/")
            assert await view.get("a") is None
            for name in ("put", "delete", "delete_prefix", "delete_some", "at", "cancel", "invalidate"):
                assert not hasattr(view, name)
                assert not hasattr(view.sub("x/"), name)

    asyncio.run(scenario())


def test_an_entry_that_was_moved_or_is_read_from_another_namespace_is_refused() -> None:
    async def scenario() -> None:
        storage, barrier = await open_barrier()
        async with storage.write() as tx:
            await barrier.view(tx, ROOT_ID, "m/").put("a", raw(b"x"))
            stored = await tx.get("m/a")
            assert stored is not None
            await tx.put("m/b", stored)
        reader = barrier.reader(ROOT_ID, "m/")
        assert await reader.get("a") == b"x"
        with pytest.raises(BarrierFailure):
            await reader.get("b")
        with pytest.raises(BarrierFailure):
            await barrier.reader(NamespaceId("n1"), "m/").get("a")

    asyncio.run(scenario())


def test_a_view_without_reload_reports_the_unknown_term() -> None:
    async def scenario() -> None:
        storage = MemoryStorage()
        keyring = Keyring.create(NOW, os.urandom)
        async with storage.write() as tx:
            await View(tx, keyring.rotate(NOW, os.urandom), ROOT_ID, "m/", random=os.urandom).put(
                "a", raw(b"x")
            )
        view = ReadView(storage.reader(), keyring, ROOT_ID, "m/")
        with pytest.raises(UnknownTerm):
            await view.get("a")
        with pytest.raises(UnknownTerm):
            await view.get_by("a", in_a_thread)

    asyncio.run(scenario())


def test_a_forged_term_is_refused_after_looking_again() -> None:
    async def scenario() -> None:
        storage, barrier = await open_barrier()
        async with storage.write() as tx:
            await tx.put("m/a", b"\x01\x00\x00\x00\x09" + bytes(40))
        with pytest.raises(UnknownTerm):
            await barrier.reader(ROOT_ID, "m/").get("a")
        with pytest.raises(UnknownTerm):
            await barrier.reader(ROOT_ID, "m/").get_by("a", in_a_thread)

    asyncio.run(scenario())


async def in_a_thread(length: int, decrypt: Callable[[], bytes]) -> tuple[int, bytes]:
    return length, await asyncio.to_thread(decrypt)


def test_a_value_is_decrypted_by_whom_one_likes_and_by_a_key_that_another_process_made() -> None:
    async def scenario() -> None:
        storage, barrier = await open_barrier()
        async with barrier.write(ROOT_ID, "m/") as view:
            await view.put("a", raw(b"xyz"))
        reader = barrier.reader(ROOT_ID, "m/")
        length, value = await reader.get_by("a", in_a_thread) or (0, b"")
        assert value == b"xyz" and length == len(await storage.reader().get("m/a") or b"")
        assert await reader.get_by("b", in_a_thread) is None
        other = Barrier(storage, now=lambda: NOW, random=os.urandom)
        await other.load(barrier.root_key)
        async with storage.write() as tx:
            await other.rotate_in(tx)
        await other.refresh()
        async with other.write(ROOT_ID, "m/") as view:
            await view.put("c", raw(b"new"))
        assert await reader.get_by("c", in_a_thread) == (
            len(await storage.reader().get("m/c") or b""),
            b"new",
        )
        barrier.seal()
        with pytest.raises(BarrierSealed):
            await reader.get_by("a", in_a_thread)

    asyncio.run(scenario())


def test_views_fit_the_contract_of_readers() -> None:
    async def scenario() -> None:
        storage, barrier = await open_barrier()
        reader: ReadTx = barrier.reader(ROOT_ID, "m/")
        async with storage.write() as tx:
            inner = barrier.view(tx, ROOT_ID, "m/")
            seen: ReadTx = inner
            await inner.put("a", raw(b"x"))
            assert await seen.get("a") == b"x"
        assert list(await reader.scan("")) == ["a"]

    asyncio.run(scenario())


def test_a_view_gives_another_namespaces_own_data_and_nothing_opens_elsewhere() -> None:
    async def scenario() -> None:
        _, barrier = await open_barrier()
        async with barrier.write(ROOT_ID, "ns/root/") as view:
            inner = view.space(NamespaceId("tenant"))
            await inner.put("a", raw(b"theirs"))
            assert await inner.get("a") == b"theirs" and await view.get("a") is None
            await inner.sub("m/").put("b", raw(b"deep"))
        reader = barrier.reader(ROOT_ID, "ns/root/").space(NamespaceId("tenant"))
        assert await reader.get("a") == b"theirs" and list(await reader.scan("")) == ["a", "m/b"]
        assert not isinstance(reader, View)
        with pytest.raises(BarrierFailure):
            await barrier.reader(ROOT_ID, "ns/tenant/").get("a")
        with pytest.raises(BarrierFailure):
            await barrier.reader(ROOT_ID, "ns/").get("tenant/a")

    asyncio.run(scenario())


def test_a_view_that_remembers_sees_every_change_and_opens_nothing_at_another_place() -> None:
    async def scenario() -> None:
        storage, barrier = await open_barrier()
        async with barrier.write(ROOT_ID, "m/") as view:
            await view.put("a", raw(b"one"))
        reader = barrier.reader(ROOT_ID, "m/")
        reader.opened = {}
        assert [await reader.get("a") for _ in range(2)] == [b"one"] * 2
        async with barrier.write(ROOT_ID, "m/") as view:
            view.opened = reader.opened
            assert await view.get("a") == b"one"
            await view.put("a", raw(b"two"))
            assert [await view.sub("").get("a") for _ in range(2)] == [b"two"] * 2
        assert await reader.get("a") == b"two"
        stored = await storage.reader().get("m/a")
        assert stored is not None
        async with storage.write() as tx:
            await tx.put("m/b", stored)
        with pytest.raises(BarrierFailure, match="integrity"):
            await reader.get("b")
        elsewhere = barrier.reader(NamespaceId("n1"), "m/")
        elsewhere.opened = reader.opened
        with pytest.raises(BarrierFailure, match="integrity"):
            await elsewhere.get("a")

    asyncio.run(scenario())


def test_a_view_that_remembers_much_forgets_nothing_that_is_there() -> None:
    async def scenario() -> None:
        _, barrier = await open_barrier()
        async with barrier.write(ROOT_ID, "m/") as view:
            view.opened = {}
            for number in range(200):
                await view.put(str(number), raw(b"%d" % number))
            for _ in range(2):
                assert [await view.get(str(number)) for number in range(200)] == [
                    b"%d" % n for n in range(200)
                ]
        assert len(view.opened) < 200

    asyncio.run(scenario())


def test_a_view_that_remembers_shows_nothing_once_the_barrier_is_sealed() -> None:
    async def scenario() -> None:
        _, barrier = await open_barrier()
        async with barrier.write(ROOT_ID, "m/") as view:
            await view.put("a", raw(b"one"))
        reader = barrier.reader(ROOT_ID, "m/")
        reader.opened = {}
        assert await reader.get("a") == b"one"
        barrier.seal()
        with pytest.raises(BarrierSealed):
            await reader.get("a")

    asyncio.run(scenario())


def test_a_transaction_on_what_is_sealed_by_itself_is_undone_and_keeps_nobody_waiting() -> None:
    async def scenario() -> None:
        _, barrier = await open_barrier()
        barrier.own(NamespaceId("n1"), NamespaceId("n1"))
        with pytest.raises(NamespaceSealed):
            async with barrier.write(NamespaceId("n1"), "m/"):
                raise AssertionError
        async with barrier.write(ROOT_ID, "m/") as view:
            await view.put("a", raw(b"x"))

    asyncio.run(scenario())
