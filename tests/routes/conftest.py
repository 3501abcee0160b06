# SPDX-License-Identifier: EUPL-1.2
"""What several of the tests of routes begin with."""

from collections.abc import Callable, Generator, Iterator

import pytest

from tests.lagging import LaggingStorage
from tests.postgres import Cluster, Lent
from tests.routes.driver import Application
from tests.routes.issuer import DB, OTHER, Issuer
from vault.server.compose.groups.capacities import USUAL, Capacities
from vault.storage.memory import MemoryStorage
from vault.storage.protocol import Storage

MEMORIES: dict[str, Callable[[], Storage]] = {"memory": MemoryStorage, "memory-lagging": LaggingStorage}
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


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a module on both memories, and on PostgreSQL."""
    name = metafunc.module.__name__.rpartition(".")[2]
    if name in _BOTH:
        kinds = [*MEMORIES] if name in _IN_MEMORY else [*MEMORIES, "postgresql"]
        metafunc.parametrize("memory", kinds, indirect=True, scope="module")


@pytest.fixture(scope="module", autouse=True)
def memory(request: pytest.FixtureRequest, postgres: Callable[[], Cluster]) -> Iterator[str]:
    """Have applications keep everything in a storage of this kind. What a module shares asks for it, to be made for each."""
    kind: str = getattr(request, "param", "memory")

    def make() -> Storage:
        return Lent(postgres(), postgres().empty())

    with pytest.MonkeyPatch.context() as patch:
        if kind not in MEMORIES and Application._furnished is None:
            Application().close()  # what others begin as copies of is in memory
        patch.setattr(Application, "make_storage", staticmethod(MEMORIES.get(kind, make)))
        yield kind


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
