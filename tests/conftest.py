# SPDX-License-Identifier: EUPL-1.2
"""House rules of every test: no sockets but where a folder needs them, no skips, known randomness."""

import gc
import os
import resource
import signal
import subprocess
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from pytest_socket import disable_socket, enable_socket, socket_allow_hosts
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from tests import forks, stalls, temporary
from tests.pooler import pooler
from tests.postgres import Cluster, started
from tests.shared import Shared

_TESTS = Path(__file__).parent
# Folders whose tests talk to a server that they started on loopback. Everywhere else a socket is a bug.
_LOOPBACK_FOLDERS = frozenset(
    {"cli", "conformance", "conformance_suite", "fuzz", "house", "integration", "packages", "perf", "soak"}
)
# What this process does at signals, before any test.
_HANDLERS = {
    number: signal.getsignal(number)
    for number in signal.Signals
    if number not in {signal.SIGALRM, signal.SIGKILL, signal.SIGSTOP}
}
_LOOPBACK = ["127.0.0.1", "::1", "localhost"]
# What takes long comes first, then what one worker runs together: nobody begins it when the others are done.
_FIRST = (
    "test_container", "test_debian", "test_conformance", "test_bao_client", "test_two_tenants", "test_fault_matrix", "test_parameters",
    "test_openapi", "test_seal_slots", "test_hsm_dry_runs", "test_sessions", "test_two_makers", "test_external_keys",
    "test_complexity", "test_power", "test_report", "test_slot_dry_runs", "test_audit_markers", "test_canary",
    "test_faults", "test_forgotten_tokens", "test_namespaces", "test_restore", "test_planted", "test_long_secrets",
)  # fmt: skip
# Tests that share what their module or session starts run in one worker; its source says so.
_SHARING = ('scope="module"', "xdist_group")
# Of these folders nearly every module reads the whole source, so one worker runs them.
_READING = frozenset({"house"})
# OpenBao's program looks for garbage a quarter as often, which is a tenth of what it costs to run a command.
os.environ.setdefault("GOGC", "400")
# Our programs are loaded once, and forked for each test that starts one.
subprocess.Popen = forks.ForkedPopen  # type: ignore[misc] # a class that does the same

# A slow machine shared with other work must not fail a property: no deadlines.
_RELAXED = [HealthCheck.too_slow]
settings.register_profile("dev", max_examples=50, deadline=None, suppress_health_check=_RELAXED)
settings.register_profile("ci", max_examples=200, deadline=None, suppress_health_check=_RELAXED)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage while tests are collected, and later not among what that made: nearly all of it stays.

    Later as often as a server does.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000)
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Keep files in memory, but those of long tests, which may have many and play what a disk does."""
    if config.getoption("markexpr") != "soak":
        temporary.use_memory()
    plain = config.get_verbosity() <= 0 and config.getoption("durations") is None
    if plain and not config.getoption("xmlpath"):
        for plugin in config.pluginmanager.get_plugins():
            if type(plugin).__name__ == "WorkerInteractor":
                plugin.sendevent = _telling(plugin.sendevent)


def _telling(send: Callable[..., None]) -> Callable[..., None]:
    """Return what sends the events of a worker but those of which nothing is shown: telling took as long as a small test.

    That are the beginning and the end of a test, and that its fixtures were made and taken down well.
    """

    def tell(name: str, **event: Any) -> None:
        well = (
            name == "testreport" and event["data"]["when"] != "call" and event["data"]["outcome"] == "passed"
        )
        if not well and name not in {"logstart", "logfinish"}:
            send(name, **event)

    return tell


def pytest_unconfigure() -> None:
    """End what this process started for all its tests."""
    forks.end()


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Collector, obj: object) -> list[pytest.Item] | None:
    """Make no tests of what this run leaves out: they are thousands, and each worker would make them to drop them."""
    left_out = "not soak" in collector.config.getoption("markexpr")
    if left_out and any(mark.name == "soak" for mark in getattr(obj, "pytestmark", ())):
        return []
    return None


@pytest.fixture(params=["memory", "memory-lagging", "sqlite", "postgresql"])
def shared(
    request: pytest.FixtureRequest, tmp_path: Path, postgres: Callable[[], Cluster]
) -> Generator[Shared]:
    """Return each kind of storage in turn, which several servers have open."""
    shared = Shared(request.param, tmp_path, postgres)
    yield shared
    shared.tidy()


@pytest.fixture(scope="session")
def postgres(pytestconfig: pytest.Config) -> Generator[Callable[[], Cluster]]:
    """Give what returns the PostgreSQL of this run, which is started when it is first asked for."""
    with ExitStack() as stack:
        yield cache(lambda: stack.enter_context(_server(pooled=pytestconfig.getoption("pooled"))))


@contextmanager
def _server(*, pooled: bool) -> Generator[Cluster]:
    with started() as cluster, pooler(cluster.folder) if pooled else nullcontext("") as cluster.pooler:
        yield cluster


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let storage tests go through a pooler, and tests of routes be run on one kind of storage."""
    parser.addoption("--pooled", action="store_true", help="reach PostgreSQL through PgBouncer")
    parser.addoption("--routes", default="", help="run tests of routes on this alone")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Open loopback for the folders that need it and for tests marked `loopback`; close it for the rest."""
    forks.execute(always=item.get_closest_marker("executed") is not None)
    if _folder(item.path) in _LOOPBACK_FOLDERS or item.get_closest_marker("loopback"):
        enable_socket()
        socket_allow_hosts(_LOOPBACK, allow_unix_socket=True)
    else:
        disable_socket(allow_unix_socket=True)  # event loops wake themselves through a socket pair


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Generator[None, object, object]:
    """Take back the limit of memory that commands of an HSM set for their process, which is ours when called here."""
    before = resource.getrlimit(resource.RLIMIT_DATA)
    try:
        return (yield)
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    """Fail a test that leaves signals otherwise than they were: a later one would die of SIGPIPE, or not of SIGTERM."""
    yield
    changed = [number for number, handler in _HANDLERS.items() if signal.getsignal(number) != handler]
    for number in changed:
        signal.signal(number, _HANDLERS[number])
    assert not changed, f"{item.nodeid} left {', '.join(number.name for number in changed)} changed"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Fail a test in which the server held the event loop for longer than anybody should wait."""
    stalls.after(item.nodeid)  # what came before, in fixtures, is nobody's
    yield
    found = stalls.after(item.nodeid)
    assert not found, "\n".join(found)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest modules first, then those of one worker, whatever the order is that all were shuffled into."""

    def turn(item: pytest.Item) -> int:
        if item.path.stem in _FIRST:
            return _FIRST.index(item.path.stem)
        return len(_FIRST) + (not _shares(item.path))

    items.sort(key=turn)


@cache
def _shares(module: Path) -> bool:
    """Whether tests of a module share something, so that one worker runs them."""
    text = module.read_text(encoding="utf-8")
    return _folder(module) in _READING or any(sign in text for sign in _SHARING)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadScopeScheduling:
    """Give whoever is free the next test, or the next module where its tests share something.

    xdist's own groups have no effect with pytest 9.2.
    """

    def unit(nodeid: str) -> str:
        module = config.rootpath / nodeid.partition("::")[0]
        return _folder(module) if _folder(module) in _READING else str(module) if _shares(module) else nodeid

    scheduler = _Scheduling(config, log)
    scheduler._split_scope = unit
    return scheduler


class _Scheduling(LoadScopeScheduling):  # type: ignore[misc] # xdist has no types
    """One that goes on when a worker dies: xdist's own gives the next one the test that it died of, and units that are
    done or too few to begin with, and waits for ever.
    """

    _places: Mapping[str, int] = {}

    def remove_node(self, node: WorkerController) -> str | None:
        """Return the test that the worker died of, which is not run again."""
        units = self.assigned_work[node]
        left = [(scope, nodeid) for scope, unit in units.items() for nodeid, done in unit.items() if not done]
        killer = None
        if left:
            scope, killer = left[0]
            self._finish(node, scope, killer)
        super().remove_node(node)
        return killer

    def mark_test_complete(self, node: WorkerController, item_index: int, duration: float = 0) -> None:
        """Note that a test is done."""
        nodeid = self.registered_collections[node][item_index]
        self._finish(node, self._split_scope(nodeid), nodeid)
        self._reschedule(node)

    def _finish(self, node: WorkerController, scope: str, nodeid: str) -> None:
        """Forget a unit of which all tests are done: xdist counts all that it remembers each time."""
        unit = self.assigned_work[node][scope]
        unit[nodeid] = True
        if all(unit.values()):
            del self.assigned_work[node][scope]

    def _assign_work_unit(self, node: WorkerController) -> None:
        """Send a worker the next unit; where its tests stand in the collection is looked up, not searched for."""
        if not self._places:
            self._places = {nodeid: place for place, nodeid in enumerate(self.registered_collections[node])}
        scope, unit = self.workqueue.popitem(last=False)
        self.assigned_work.setdefault(node, {})[scope] = unit
        node.send_runtest_some([self._places[nodeid] for nodeid, done in unit.items() if not done])

    def _reschedule(self, node: WorkerController) -> None:
        """Give a worker enough to begin: it runs a test when it knows the next, or that there is none."""
        super()._reschedule(node)
        while not node.shutting_down and self._pending_of(self.assigned_work[node]) < 2:
            super()._reschedule(node)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure: a dependency that is missing is a broken machine, not a passed test."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped; tests here run or fail ({report.longrepr})"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a whole module that asks to be skipped."""
    report = yield
    if report.skipped:
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid} was skipped; tests here run or fail"
    return report


def _folder(path: Path) -> str:
    """The folder of tests/ that holds the path; empty for a file elsewhere."""
    return path.relative_to(_TESTS).parts[0] if path.is_relative_to(_TESTS) else ""
