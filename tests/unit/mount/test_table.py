# SPDX-License-Identifier: EUPL-1.2
"""The mount table: longest prefix, room for a mount, what is kept of kinds that do not exist here."""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.growth import seconds
from tests.unit.barrier.open import open_barrier
from vault.barrier.barrier import Barrier
from vault.barrier.stored import raw
from vault.framework.call import ROOT
from vault.framework.clock import Entropy
from vault.framework.engine import Engine
from vault.framework.route_table import RouteTable
from vault.mount.entry import MOUNT, MountConfig, MountEntry
from vault.mount.table import Backend, Catalog, MountTable, accessor, built_in
from vault.values.ids import ROOT_ID, MountAccessor, MountId
from vault.values.times import Seconds

CORE = "ns/root/"
NOTHING = Backend((), RouteTable([]))
CATALOG = Catalog({("kv", ""): NOTHING, ("kv", "2"): NOTHING, ("system", ""): NOTHING}, {"token": NOTHING})


def play(scenario: Callable[[MountTable, Barrier], Coroutine[Any, Any, None]], *paths: str) -> None:
    """Run a scenario on a table with KV mounts at `paths`."""

    async def run() -> None:
        _, barrier = await open_barrier()
        table = MountTable(barrier, CATALOG, ROOT)
        async with barrier.write(ROOT_ID, CORE) as core:
            for number, path in enumerate(paths):
                await table.put(core, mount(path, uuid=str(number)))
        await table.load()
        await scenario(table, barrier)

    asyncio.run(run())


def mount(path: str, *, uuid: str = "u", kind: str = "kv") -> MountEntry:
    """Return a mount."""
    return MountEntry(uuid=MountId(uuid), path=path, kind=kind, accessor=MountAccessor("a"))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a", "a/"),
        ("a/", "a/"),
        ("a/x/y/z", "a/"),
        ("ab/x", None),
        ("b/c", "b/c/"),
        ("b/c/", "b/c/"),
        ("b/c/d", "b/c/"),
        ("b/x", None),
        ("b", None),
        ("", None),
        ("e/f/g/h", "e/f/g/"),
        ("e/f/x", "e/"),
    ],
)
def test_the_longest_prefix_of_whole_segments_serves(path: str, expected: str | None) -> None:
    async def scenario(table: MountTable, barrier: Barrier) -> None:
        found = table.find(path)
        assert (found.entry.path if found else None) == expected

    play(scenario, "a/", "b/c/", "e/", "e/f/g/")


@pytest.mark.parametrize(
    ("path", "expected"),
    [("a/", "a/"), ("a/x/", "a/"), ("b/", "b/c/"), ("ab/", ""), ("b/d/", "")],
)
def test_there_is_room_beside_a_mount_but_not_above_or_below(path: str, expected: str) -> None:
    async def scenario(table: MountTable, barrier: Barrier) -> None:
        assert table.conflict(path) == expected

    play(scenario, "a/", "b/c/")


def test_the_first_of_several_mounts_in_the_way_is_named() -> None:
    async def scenario(table: MountTable, barrier: Barrier) -> None:
        for path, expected in (("b/", "b/a/"), ("b/c/d/e/", "b/c/d/"), ("b/c/", "b/c/d/"), ("b/c/x/", "")):
            assert table.conflict(path) == expected

    play(scenario, "b/z/", "b/c/d/", "b/a/", "c/")


def test_to_look_for_room_takes_less_than_to_sort_all_mounts() -> None:
    paths = [hashlib.sha256(bytes([number % 256, number // 256])).hexdigest() + "/" for number in range(5000)]

    def least(work: Callable[[], object]) -> float:
        return min(seconds(work) for _ in range(9))

    async def scenario(table: MountTable, barrier: Barrier) -> None:
        assert least(lambda: table.conflict("x/")) < least(lambda: sorted(paths))

    play(scenario, *paths)


def test_a_kind_that_does_not_exist_here_is_not_served_but_kept() -> None:
    async def scenario(table: MountTable, barrier: Barrier) -> None:
        async with barrier.write(ROOT_ID, CORE) as core:
            await table.put(core, mount("x/", kind="later"))
        await table.load()
        assert table.find("x/a") is None and table.get("x/") is None
        assert table.conflict("x/") == "x/"
        assert await barrier.reader(ROOT_ID, CORE).get("mount/u") is not None
        table.seal()
        assert table.conflict("x/") == ""

    play(scenario)


def test_a_removed_mount_leaves_nothing_and_a_sealed_table_only_sys() -> None:
    async def scenario(table: MountTable, barrier: Barrier) -> None:
        entry = mount("a/", uuid="0")
        async with barrier.write(ROOT_ID, CORE) as core:
            await core.put(entry.prefix + "secret", raw(b"x"))
            await table.remove(core, entry)
        await table.load()
        assert [found.entry.path for found in table] == ["b/"]
        reader = barrier.reader(ROOT_ID, CORE)
        assert await reader.list("mount/") == ["1"] and not await reader.scan(entry.prefix)
        table.seal()
        assert [found.entry.path for found in table] == ["sys/"]

    play(scenario, "a/", "b/")


def test_the_first_mounts_have_ids_and_accessors_of_their_own() -> None:
    entries = built_in(Entropy())
    assert [entry.path for entry in entries] == ["sys/", "cubbyhole/", "identity/", "auth/token/"]
    assert len({entry.uuid for entry in entries}) == len({entry.accessor for entry in entries}) == 4
    assert entries[3].accessor.startswith("auth_token_") and entries[3].is_auth
    assert accessor("kv", Entropy()).startswith("kv_")


def test_a_mount_survives_storage() -> None:
    config = MountConfig(default_lease_ttl=Seconds(-1), passthrough_request_headers=("X-A",))
    entry = MountEntry(
        uuid=MountId("u"), path="a/", kind="kv", accessor=MountAccessor("a"), options={}, config=config
    )
    assert MOUNT.decode(MOUNT.encode(entry)) == entry
    mounted = entry.as_mounted()
    assert (mounted.passthrough_headers, mounted.options, mounted.category) == (
        frozenset({"x-a"}),
        {},
        "secret",
    )


def test_the_catalogue_knows_kinds_and_their_versions() -> None:
    assert CATALOG.names(auth=False) == ["kv", "system"] and CATALOG.names(auth=True) == ["token"]
    assert CATALOG.knows("kv", auth=False) and not CATALOG.knows("kv", auth=True)
    assert CATALOG.find("kv", {"version": "3"}, auth=False) is None
    assert CATALOG.find("token", {"version": "3"}, auth=True) is NOTHING
    assert isinstance(NOTHING.engines, tuple) and not any(isinstance(e, Engine) for e in NOTHING.engines)


def test_a_table_knows_whose_it_is_and_where_data_of_a_mount_lies() -> None:
    async def scenario(table: MountTable, barrier: Barrier) -> None:
        assert table.namespace is ROOT
        found = table.get("a/")
        assert found is not None
        assert found.prefix == "ns/root/mnt/0/"

    play(scenario, "a/")
