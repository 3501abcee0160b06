# SPDX-License-Identifier: EUPL-1.2
"""What several of the tests of routes begin with."""

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cache, partial

import pytest

from tests.pooler import pooler
from tests.postgres import Cluster
from tests.routes.driver import Application
from tests.routes.issuer import DB, OTHER, Issuer
from tests.routes.kinds import KINDS, Kind, Site
from vault.server.compose.groups.capacities import USUAL, Capacities

_BOTH = frozenset(
    {
        "test_again",
        "test_biscuit_children",
        "test_biscuit_explanations",
        "test_biscuits",
        "test_biscuits_external",
        "test_contained",
        "test_counted_logins",
        "test_crypto_inventory",
        "test_failed_logins",
        "test_lineage",
        "test_login_races",
        "test_logins_again",
        "test_nhi_login",
        "test_nhi_mounts",
        "test_plans",
        "test_possession",
        "test_proofs",
        "test_proofs_once",
        "test_remembering",
        "test_renewals",
        "test_same_place",
        "test_sealing",
        "test_second_factors",
        "test_slot_changes",
        "test_uses",
    }
)
"""Modules that run on a memory whose statements suspend too: where it counts who comes between two of them.

The others ask of each route by itself what one request at a time shows, thousands of times.
"""

_IN_MEMORY = frozenset(
    {
        "test_again",
        "test_biscuit_children",
        "test_contained",
        "test_lineage",
        "test_nhi_mounts",
        "test_remembering",
        "test_renewals",
        "test_uses",
    }
)
"""Those of them that look into a memory, or count on its few turns of the loop, so that the background is done by then."""


_SAMPLE = {
    "test_counted_logins": ["sqlite", "sqlite-2", "postgresql-2", "pgbouncer-2"],
    "test_events": ["sqlite-2", "postgresql-2"],
}
"""Modules that run on what else there is: all do, of each kind by itself, in the soak."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a module on both memories and on PostgreSQL, or on what this run is of."""
    name = metafunc.module.__name__.rpartition(".")[2]
    asked = metafunc.config.getoption("routes")
    if asked:
        metafunc.parametrize("memory", [asked], indirect=True, scope="module")
    elif name in _BOTH or name in _SAMPLE:
        kinds = ["memory"]
        if name in _BOTH:
            kinds += ["memory-lagging"] if name in _IN_MEMORY else ["memory-lagging", "postgresql"]
        kinds += _SAMPLE.get(name, [])
        metafunc.parametrize("memory", kinds, indirect=True, scope="module")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of what several servers have open, leave out other storages than this run is of."""
    asked = config.getoption("routes")
    if not asked:
        return
    ours = KINDS[asked].storage
    others = [item for item in items if _shared(item) not in {ours, None}]
    items[:] = [item for item in items if _shared(item) in {ours, None}]
    config.hook.pytest_deselected(items=others)


def _shared(item: pytest.Item) -> object:
    return (
        item.callspec.params.get("shared")
        if isinstance(item, pytest.Function) and hasattr(item, "callspec")
        else None
    )


@pytest.fixture(scope="session")
def sites(postgres: Callable[[], Cluster]) -> Generator[Callable[[Kind], Site]]:
    """Give what makes places of a kind; PostgreSQL and PgBouncer are started when one is first asked for that needs them."""
    with ExitStack() as stack:
        before = cache(lambda: stack.enter_context(pooler(postgres().folder)))
        yield partial(Site, postgres=postgres, pooler=before)


@pytest.fixture(scope="module", autouse=True)
def memory(request: pytest.FixtureRequest, sites: Callable[[Kind], Site]) -> Iterator[str]:
    """Have applications keep everything in a storage of this kind. What a module shares asks for it, to be made for each."""
    name: str = getattr(request, "param", "memory")
    with _kept(request, KINDS[name], sites):
        yield name


@pytest.fixture(autouse=True)
def marked(request: pytest.FixtureRequest, memory: str, sites: Callable[[Kind], Site]) -> Iterator[None]:
    """The same for one test, which may be marked."""
    with _kept(request, KINDS[memory], sites):
        yield


@contextmanager
def _kept(request: pytest.FixtureRequest, kind: Kind, sites: Callable[[Kind], Site]) -> Iterator[None]:
    """Have applications keep everything in a storage of this kind, if nothing is marked."""
    alone = request.node.get_closest_marker("asked_alone")
    if request.node.get_closest_marker("in_memory") is not None and not kind.in_memory:
        kind = KINDS["memory"]
    elif alone is not None and not (kind.workers and alone.kwargs.get("nodes")):
        kind = replace(kind, applications=1, workers=False)
    if not kind.in_memory and Application._furnished is None:
        Application().close()  # what others begin as copies of is in memory
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Application, "make_site", partial(sites, kind))
        yield


@pytest.fixture
def application() -> Iterator[Application]:
    """An application in memory, furnished and open."""
    with Application() as application:
        yield application


@pytest.fixture
def capacities() -> Capacities:
    """How much the issuer's server keeps; a test that asks for other ones has this as a parameter."""
    return USUAL


@pytest.fixture
def issuer(capacities: Capacities) -> Generator[Issuer]:
    """An issuer of Biscuits, and two secrets that they may be about."""
    application = Application(capacities=capacities)
    made = Issuer(application)
    for path in (DB, OTHER):
        made.root(path, {"data": {"a": "1"}})
    yield made
    application.close()
