# SPDX-License-Identifier: EUPL-1.2
"""The suite finds the same each time, also through a network that is slow and cuts connections."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conformance.servers import Server
from tests.conformance_suite.judging import good_server, judge, manifest_of
from tests.conformance_suite.mutants import Behind
from tests.conformance_suite.stub import Said, Sent, serving

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A good server."""
    with good_server() as server:
        yield server


def _network(server: Server, *, delay_s: float, cut: float) -> Callable[[Sent], Said]:
    """A way to the server that takes longer and cuts a share of connections, half of them after the request was done."""
    behind = Behind(server.port, server.root)
    chance = random.Random(19)
    lock = threading.Lock()

    def behave(request: Sent) -> Said:
        time.sleep(delay_s)
        with lock:
            drawn = chance.random()
        if drawn < cut / 2:
            return Said(cut=True)
        answer = behind.ask(request)
        return Said(cut=True) if drawn < cut else answer

    return behave


def test_ten_runs_find_the_same(server: Server, tmp_path: Path) -> None:
    manifest = manifest_of(server, tmp_path)
    runs = [judge(manifest, tmp_path) for _ in range(10)]
    assert {tuple(sorted(one.outcomes().items())) for one in runs} == {
        tuple(sorted(runs[0].outcomes().items()))
    }
    assert {len(one.finished.left) for one in runs} == {0}


@pytest.mark.parametrize(("delay_s", "cut"), [(0.1, 0.0), (0.0, 0.02), (0.1, 0.02)])
def test_a_bad_network_changes_no_outcome(delay_s: float, cut: float, server: Server, tmp_path: Path) -> None:
    good = judge(manifest_of(server, tmp_path / "good"), tmp_path / "good")
    with serving(_network(server, delay_s=delay_s, cut=cut)) as (port, _):
        found = judge(manifest_of(server, tmp_path / "bad", port=port), tmp_path / "bad")
    assert found.outcomes() == good.outcomes(), found.details()
    assert found.finished.left == []
