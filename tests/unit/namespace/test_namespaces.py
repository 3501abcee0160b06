# SPDX-License-Identifier: EUPL-1.2
"""Namespaces in memory and in storage, their names, the ids that name them, and how one is swept."""

import asyncio
import io
import os
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.unit.barrier.open import open_barrier
from tests.unit.engines.driver import FakeClock
from vault.barrier.barrier import Barrier
from vault.barrier.stored import raw
from vault.framework.call import ROOT, Namespace
from vault.framework.clock import Entropy
from vault.framework.telemetry.log import Log
from vault.lease.model import Lease
from vault.lease.namespace_sweep import Sweeper
from vault.lease.store import LeaseStore
from vault.namespace import ids
from vault.namespace.book import Namespaces
from vault.namespace.entry import NAMESPACE_KIND, NamespaceEntry, WrongName, check_name
from vault.storage.memory import MemoryStorage
from vault.values.ids import ROOT_ID, LeaseId, MountAccessor, MountId, NamespaceId
from vault.values.times import Millis, Nanos, Seconds

CORE = "ns/root/"
TEAM = Namespace(NamespaceId("aaaaaa"), "team/")
PATHS = {"aaaaaa": "team/", "bbbbbb": "team/inner/", "cccccc": "team/inner/deep/", "dddddd": "team2/"}


def entry(identifier: str, *, lock: bytes = b"", tainted: bool = False) -> NamespaceEntry:
    return NamespaceEntry(
        id=NamespaceId(identifier), uuid=f"u-{identifier}", path=PATHS[identifier], lock=lock, tainted=tainted
    )


def play(scenario: Callable[[Namespaces, Barrier, MemoryStorage], Coroutine[Any, Any, None]]) -> None:
    """Run a scenario with the namespaces of `PATHS`, loaded."""

    async def run() -> None:
        storage, barrier = await open_barrier()
        namespaces = Namespaces(barrier)
        await store(namespaces, barrier, *(entry(identifier) for identifier in PATHS))
        await namespaces.load()
        await scenario(namespaces, barrier, storage)

    asyncio.run(run())


async def store(namespaces: Namespaces, barrier: Barrier, *entries: NamespaceEntry) -> None:
    async with barrier.write(ROOT_ID, CORE) as core:
        for stored in entries:
            await namespaces.put(core, stored)


def test_a_namespace_is_found_by_path_and_by_id_and_knows_its_parent() -> None:
    async def scenario(namespaces: Namespaces, barrier: Barrier, storage: MemoryStorage) -> None:
        assert [found.path for found in namespaces] == ["team/", "team/inner/", "team/inner/deep/", "team2/"]
        assert [found.parent for found in namespaces] == ["", "team/", "team/inner/", ""]
        assert namespaces.at("team/inner/") == entry("bbbbbb") and namespaces.at("team") is None
        assert namespaces.live(ROOT_ID) is ROOT and namespaces.knows(ROOT_ID)
        live = namespaces.live(NamespaceId("bbbbbb"))
        assert (
            live == Namespace(NamespaceId("bbbbbb"), "team/inner/")
            and namespaces.live(NamespaceId("zzzzzz")) is None
        )
        assert not namespaces.knows(NamespaceId("zzzzzz"))
        for path, expected in {
            "": "", "team": "", "team/": "team/", "team/x": "team/", "team/inner": "team/",
            "team/inner/deep/x": "team/inner/deep/", "team3/": "", "x/team/": "", "team2/inner/": "team2/",
        }.items():  # fmt: skip
            assert namespaces.deepest(path).path == expected
        assert [found.path for found in namespaces.below("team/")] == ["team/inner/"]
        assert [found.path for found in namespaces.below("", deep=True)] == list(PATHS.values())
        namespaces.forget()
        assert list(namespaces) == [] and namespaces.deepest("team/") is ROOT

    play(scenario)


def test_the_object_that_calls_carry_stays_when_the_entry_changes() -> None:
    async def scenario(namespaces: Namespaces, barrier: Barrier, storage: MemoryStorage) -> None:
        before = namespaces.live(NamespaceId("aaaaaa"))
        await store(namespaces, barrier, entry("aaaaaa", lock=b"x"))
        await namespaces.load(NamespaceId("aaaaaa"))
        assert namespaces.live(NamespaceId("aaaaaa")) is before and namespaces.deepest("team/") is before
        await namespaces.load()
        assert namespaces.live(NamespaceId("aaaaaa")) is before

    play(scenario)


def test_the_outermost_closed_namespace_is_named() -> None:
    async def scenario(namespaces: Namespaces, barrier: Barrier, storage: MemoryStorage) -> None:
        deep = namespaces.deepest("team/inner/deep/")
        assert namespaces.closed(deep) is None and namespaces.closed(ROOT) is None
        await store(namespaces, barrier, entry("bbbbbb", lock=b"x"))
        await namespaces.load(NamespaceId("bbbbbb"))
        assert namespaces.closed(deep) == entry("bbbbbb", lock=b"x")
        assert namespaces.closed(TEAM) is None
        await store(namespaces, barrier, entry("aaaaaa", tainted=True))
        await namespaces.load(NamespaceId("aaaaaa"))
        assert namespaces.closed(deep) == entry("aaaaaa", tainted=True)
        assert namespaces.live(NamespaceId("aaaaaa")) is None and namespaces.knows(NamespaceId("aaaaaa"))

    play(scenario)


def test_what_was_removed_is_forgotten_even_if_its_path_has_another_namespace_by_then() -> None:
    async def scenario(namespaces: Namespaces, barrier: Barrier, storage: MemoryStorage) -> None:
        async with barrier.write(ROOT_ID, CORE) as core:
            await core.space(NamespaceId("dddddd")).put("x", raw(b"x"))
            await namespaces.sweep(core, NamespaceId("dddddd"))
            again = NamespaceEntry(id=NamespaceId("eeeeee"), uuid="u", path="team2/")
            await namespaces.put(core, again)
        await namespaces.load(NamespaceId("eeeeee"))
        await namespaces.load(NamespaceId("dddddd"))
        assert namespaces.at("team2/") == again and not namespaces.knows(NamespaceId("dddddd"))
        assert not [path for path in await storage.reader().scan("") if path.startswith("ns/dddddd/")]
        await namespaces.load(NamespaceId("nobody"))
        assert len(list(namespaces)) == 4

    play(scenario)


@pytest.mark.parametrize(
    "name",
    [
        "root",
        "ROOT",
        "sys",
        "Auth",
        "audit",
        "cubbyhole",
        "identity",
        "a/b",
        "a+",
        "*",
        "a b",
        " ",
        "",
        ".",
        "..",
        "a\x00",
    ],
)
def test_sl_08_some_names_are_no_names(name: str) -> None:
    with pytest.raises(WrongName):
        check_name(name)


@pytest.mark.parametrize("name", ["a", "root2", "a.b", "-", "...", "Ä", "{{x}}"])
def test_other_names_are(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s.abc", "root"), ("s.abc.aaaaaa", "aaaaaa"), ("b.abc", "root"), ("b.a-_c.aaaaaa", "aaaaaa"),
        ("abc", "root"), ("abc.aaaaaa", "aaaaaa"), ("h00ff", "root"), ("h00ff.Ab3xY9", "Ab3xY9"), ("", "root"),
        ("s.", "root"), ("s.abc.root", None), ("s.abc.", None), ("abc.", None), ("abc.aaaaaaa", None),
        ("abc.aaa/aa", None), ("abc.aaaaaa.b", None), (".aaaaaa", None), ("s..aaaaaa", None),
        ("abc.../../", None), ("abc.aaaaa\n", None), ("abc.äöüäöü", None),
    ],
)  # fmt: skip
def test_sl_09_an_id_says_which_namespace_it_is_of_or_nothing(text: str, expected: str | None) -> None:
    assert ids.namespace_id(text) == expected


def test_what_is_bound_to_a_namespace_says_so() -> None:
    assert ids.bound("s.abc", ROOT) == "s.abc" and ids.bound("abc", TEAM) == "abc.aaaaaa"
    assert ids.namespace_id(ids.bound("abc", TEAM)) == TEAM.id


def test_a_namespace_goes_after_what_its_leases_stand_for() -> None:
    async def scenario(namespaces: Namespaces, barrier: Barrier, storage: MemoryStorage) -> None:
        clock, log = FakeClock(), io.StringIO()
        leases = LeaseStore(clock, Entropy())
        sweeper = Sweeper(namespaces, leases, clock, Log(stream=log))
        await store(namespaces, barrier, entry("dddddd", tainted=True))
        await namespaces.load(NamespaceId("dddddd"))
        made = [lease(f"kv/{number:03}.dddddd", Nanos(clock.nanos() + 10**15)) for number in range(70)]
        async with barrier.write(ROOT_ID, CORE) as core:
            for one in made:
                await leases.issue(core, one)
            await core.space(NamespaceId("dddddd")).put("mnt/x/secret", raw(os.urandom(8)))

        async def sweep() -> None:
            async with barrier.write(ROOT_ID, CORE) as core:
                await core.cancel(NAMESPACE_KIND, "dddddd")
                await sweeper.due(core, "dddddd")

        await sweep()
        place = barrier.reader(NamespaceId("dddddd"), "ns/dddddd/")
        ended = [
            name
            for name in await leases.below(place, "")
            if (await leases.get(place, LeaseId(name))) != made[0]
        ]
        assert len(ended) == 70 and await place.get("mnt/x/secret") is not None
        due = {
            (timer.kind, timer.key)
            for timer in await storage.claim(Millis(clock.millis() + 5000), 999, hold=Millis(1))
        }
        assert (NAMESPACE_KIND, "dddddd") in due and ("lease", made[0].id) in due
        async with barrier.write(ROOT_ID, CORE) as core:
            for one in made[2:]:
                await leases.remove(core, one)
            await leases.park(core, made[0])
        await sweep()
        assert await place.get("mnt/x/secret") is not None
        async with barrier.write(ROOT_ID, CORE) as core:
            await leases.remove(core, made[1])
        await sweep()
        assert await place.scan("") == [] and await namespaces.stored(place, NamespaceId("dddddd")) is None
        assert "could not be revoked" in log.getvalue()
        await sweep()

    play(scenario)


def test_what_is_not_marked_is_never_swept() -> None:
    async def scenario(namespaces: Namespaces, barrier: Barrier, storage: MemoryStorage) -> None:
        clock = FakeClock()
        sweeper = Sweeper(namespaces, LeaseStore(clock, Entropy()), clock, Log(stream=io.StringIO()))
        async with barrier.write(ROOT_ID, CORE) as core:
            await sweeper.due(core, "aaaaaa")
            assert await namespaces.stored(core, NamespaceId("aaaaaa")) == entry("aaaaaa")

    play(scenario)


def lease(identifier: str, expires: Nanos) -> Lease:
    return Lease(
        id=LeaseId(identifier), kind="kv", mount=MountId("m"), accessor=MountAccessor("a"), issued=Nanos(0), expires=expires, ttl=Seconds(60), longest=Seconds(60),
        renewable=True, detail=b"",
    )  # fmt: skip
