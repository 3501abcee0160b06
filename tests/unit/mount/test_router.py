# SPDX-License-Identifier: EUPL-1.2
"""From a path to namespace, mount and route."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import pytest

from tests.calls import fill_call
from tests.unit.barrier.open import open_barrier
from vault.barrier.barrier import Barrier
from vault.framework.call import Call
from vault.framework.engine import Engine
from vault.framework.errors import Locked, NotFound
from vault.framework.fields import Doc
from vault.framework.request.operation import Operation
from vault.framework.route import Params, read, write
from vault.framework.route_table import RouteTable
from vault.mount.entry import MountEntry
from vault.mount.router import UNLOCK, Barred, Router
from vault.mount.table import Backend, Catalog, InnerBackend
from vault.namespace.book import Namespaces
from vault.namespace.entry import NamespaceEntry
from vault.values.ids import ROOT_ID, MountAccessor, MountId, NamespaceId

CORE = "ns/root/"


class _Path(Params, frozen=True):
    path: Annotated[str, Doc("Anything.")]


class _Anything(Engine):
    """Answers at every path."""

    @read("{path:any}")
    async def read_anything(self, call: Call, params: _Path) -> None:
        """Read anything."""

    @write("{path:any}")
    async def write_anything(self, call: Call, params: _Path) -> None:
        """Write anything."""


ENGINE = _Anything()
ANYTHING = Backend((ENGINE,), RouteTable([ENGINE]))
CATALOG = Catalog({("kv", ""): ANYTHING, ("system", ""): ANYTHING, ("ns_system", ""): ANYTHING}, {})
TENANTS = {"aaaaaa": "team/", "bbbbbb": "team/inner/", "cccccc": "team2/"}


class Place:
    """A router over mounts `a/` in every namespace."""

    def __init__(self, barrier: Barrier) -> None:
        self.barrier = barrier
        self.namespaces = Namespaces(barrier)
        self.router = Router(barrier, self.namespaces, CATALOG)

    async def change(self, *entries: NamespaceEntry) -> None:
        """Store namespaces, and learn of them."""
        async with self.barrier.write(ROOT_ID, CORE) as core:
            for entry in entries:
                await self.namespaces.put(core, entry)
        for entry in entries:
            await self.router.drop_namespace(entry.id)


def play(scenario: Callable[[Place], Coroutine[Any, Any, None]]) -> None:
    """Run a scenario with the namespaces of `TENANTS`."""

    async def run() -> None:
        _, barrier = await open_barrier()
        place = Place(barrier)
        await place.change(*(tenant(identifier) for identifier in TENANTS))
        async with barrier.write(ROOT_ID, CORE) as core:
            for identifier, path in {"root": "", **TENANTS}.items():
                namespace = place.namespaces.live(NamespaceId(identifier))
                assert namespace is not None and namespace.path == path
                for name in ("a/", "sys/"):
                    kind = "kv" if name == "a/" else "system" if identifier == "root" else "ns_system"
                    entry = MountEntry(
                        uuid=MountId(f"{identifier}-{name[0]}"),
                        path=name,
                        kind=kind,
                        accessor=MountAccessor("x"),
                    )
                    await place.router.of(namespace).put(core.space(NamespaceId(identifier)), entry)
        await place.router.drop(None)
        await scenario(place)

    asyncio.run(run())


def tenant(identifier: str, *, lock: bytes = b"", tainted: bool = False) -> NamespaceEntry:
    return NamespaceEntry(
        id=NamespaceId(identifier), uuid=identifier, path=TENANTS[identifier], lock=lock, tainted=tainted
    )


def ask(path: str, *, within: str = "", operation: Operation = Operation.READ) -> Call:
    call = Call()
    fill_call(call, path=within + path, within=within, operation=operation)
    return call


@pytest.mark.parametrize(
    ("path", "namespace", "inner", "prefix"),
    [
        ("a/x", "", "a/x", "ns/root/mnt/root-a/"),
        ("team/a/x", "team/", "a/x", "ns/aaaaaa/mnt/aaaaaa-a/"),
        ("team/inner/a/team/a", "team/inner/", "a/team/a", "ns/bbbbbb/mnt/bbbbbb-a/"),
        ("team2/a/", "team2/", "a/", "ns/cccccc/mnt/cccccc-a/"),
    ],
)
def test_a_path_leads_through_namespaces_to_a_mount(
    path: str, namespace: str, inner: str, prefix: str
) -> None:
    async def scenario(place: Place) -> None:
        for _ in range(2):  # the second time from memory
            call = ask(path)
            found = place.router.lead(call)
            assert found is not None and found.destination.prefix == prefix
            assert (call.namespace.path, call.path, call.local) == (namespace, inner, inner[2:])
            call.start_over()
            assert (call.namespace.path, call.path) == ("", path)

    play(scenario)


@pytest.mark.parametrize(
    ("path", "namespace", "inner"),
    [
        ("b/x", "", "b/x"),
        ("team/b/x", "team/", "b/x"),
        ("team/", "team/", ""),
        ("team", "", "team"),
        ("tea/a", "", "tea/a"),
    ],
)
def test_where_no_mount_is_the_namespace_is_known_all_the_same(path: str, namespace: str, inner: str) -> None:
    async def scenario(place: Place) -> None:
        call = ask(path)
        assert place.router.lead(call) is None
        assert (call.namespace.path, call.path) == (namespace, inner)

    play(scenario)


@pytest.mark.parametrize("within", ["nowhere/", "a/", "team/a/", "team3/", "te/", "\0/"])
def test_a_header_must_name_a_namespace_even_where_the_whole_path_leads_somewhere(within: str) -> None:
    async def scenario(place: Place) -> None:
        place.router.lead(ask(f"{within}x"))
        with pytest.raises(Barred) as barred:
            place.router.lead(ask("x", within=within))
        assert isinstance(barred.value.reason, NotFound)

    play(scenario)


def test_what_is_locked_answers_nobody_but_its_own_unlocking() -> None:
    async def scenario(place: Place) -> None:
        assert place.router.lead(ask("team/inner/a/x"))
        await place.change(tenant("aaaaaa", lock=b"x"))
        for path, operation in (
            ("team/a/x", Operation.READ),
            ("team/inner/a/x", Operation.READ),
            (f"team/{UNLOCK}", Operation.READ),
            (f"team/{UNLOCK}/inner", Operation.UPDATE),
            (f"team/inner/{UNLOCK}", Operation.UPDATE),
        ):
            with pytest.raises(Barred) as barred:
                place.router.lead(ask(path, operation=operation))
            assert isinstance(barred.value.reason, Locked) and '"team/"' in barred.value.reason.message
        assert place.router.lead(ask(f"team/{UNLOCK}", operation=Operation.UPDATE))
        assert place.router.lead(ask("team2/a/x")) and place.router.lead(ask("a/x"))
        await place.change(tenant("aaaaaa"))
        assert place.router.lead(ask("team/inner/a/x"))

    play(scenario)


def test_what_is_being_removed_answers_nobody_and_what_is_gone_is_nowhere() -> None:
    async def scenario(place: Place) -> None:
        namespace = place.namespaces.live(NamespaceId("cccccc"))
        assert namespace is not None and place.router.lead(ask("team2/a/x"))
        await place.change(tenant("cccccc", tainted=True))
        with pytest.raises(Barred) as barred:
            place.router.lead(ask("team2/a/x"))
        assert "tainted" in str(barred.value.reason)
        assert place.namespaces.live(NamespaceId("cccccc")) is None and place.router.find("team2/a/x") is None
        with pytest.raises(NotFound):
            place.router.of(namespace)
        async with place.barrier.write(ROOT_ID, CORE) as core:
            await place.namespaces.sweep(core, NamespaceId("cccccc"))
        await place.router.drop_namespace("cccccc")
        assert place.router.lead(ask("team2/a/x")) is None and not place.namespaces.knows(
            NamespaceId("cccccc")
        )
        reader = place.barrier.reader(ROOT_ID, "")
        assert not [path for path in await reader.scan("") if "cccccc" in path]

    play(scenario)


def test_a_namespace_whose_table_is_not_there_yet_is_not_found() -> None:
    async def scenario(place: Place) -> None:
        place.router._tables.pop(NamespaceId("cccccc"))
        place.router._found.clear()
        with pytest.raises(Barred):
            place.router.lead(ask("team2/a/x"))

    play(scenario)


def test_a_whole_path_finds_mount_and_table_and_what_it_overlaps() -> None:
    async def scenario(place: Place) -> None:
        found = place.router.find("team/inner/a/x")
        assert found is not None and found[1].namespace.path == "team/inner/"
        assert place.router.find("team/b/x") is None
        team = found[1].namespace
        root = place.router.root.namespace
        assert place.router.overlap(root, "team/inner/x/") == "team/inner/"
        assert place.router.overlap(team, "x/") == "" and place.router.overlap(root, "team3/") == ""
        assert [table.namespace.path for table in place.router.within(team)] == ["team/inner/"]

    play(scenario)


def test_everything_is_read_anew_and_forgotten_at_seal() -> None:
    async def scenario(place: Place) -> None:
        other = Place(place.barrier)
        await other.router.drop_namespace(None)
        await other.router.drop("cccccc")
        await other.router.drop("nobody")
        await other.router.drop(None)
        assert other.router.lead(ask("team2/a/x"))
        async with place.barrier.write(ROOT_ID, CORE) as core:
            await place.namespaces.sweep(core, NamespaceId("cccccc"))
        await other.router.drop_namespace(None)
        assert not other.namespaces.knows(NamespaceId("cccccc"))
        other.router.seal()
        assert other.router.lead(ask("team/a/x")) is None and other.router.lead(ask("sys/x"))
        catalog = Catalog({}, {})
        other.router.catalog = catalog
        assert other.router.root.catalog is catalog

    play(scenario)


def test_an_inner_sys_names_what_is_the_root_namespaces_alone() -> None:
    class Audit(Engine):
        @read("audit")
        async def read_audit(self, call: Call) -> None:
            """Read."""

    class Served(Engine):
        @read("mounts")
        async def read_mounts(self, call: Call) -> None:
            """Read."""

    audit, served = Audit(), Served()
    backend = InnerBackend((served,), RouteTable([served]), whole=RouteTable([audit, served]))

    async def refusal(local: str) -> str:
        call = ask("sys/" + local)
        fill_call(call, local=local)
        bound, _ = backend.match(call)
        try:
            await bound.invoke(call, None)
        except Exception as refused:  # noqa: BLE001 -- its words are compared
            return f"{bound.route.access.public} {refused}"
        return ""

    assert asyncio.run(refusal("audit")) == "True operation only available in root namespace"
    assert asyncio.run(refusal("mounts")) == ""


def test_paths_longer_than_any_real_one_are_not_remembered() -> None:
    async def scenario(place: Place) -> None:
        for length in (100, 100_000):
            found = place.router.lead(ask("a/" + "x" * length))
            assert found is not None and found.destination.captures == {"path": "x" * length}
        assert [len(path) for path, _ in place.router._found] == [102]

    play(scenario)


def test_routes_that_are_remembered_are_bounded() -> None:
    async def scenario(place: Place) -> None:
        router = Router(place.barrier, place.namespaces, CATALOG, most_found=3)
        await router.drop(None)
        for number in range(10):
            assert router.lead(ask(f"a/{number}")) is router.lead(ask(f"a/{number}"))
            assert len(router._found) <= 3

    play(scenario)
