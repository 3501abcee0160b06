# SPDX-License-Identifier: EUPL-1.2
"""The suite finds the same each time, also through a network that is slow and cuts connections."""

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.conformance.servers import OpenBaoServer, Server
from tests.conformance_suite.judging import JudgedCoffre, good_server, judge, manifest_of
from tests.conformance_suite.mutants import Behind
from tests.conformance_suite.stub import Said, Sent, serving

_RUNS = 10
_NETWORKS = {"as it is": (0.0, 0.0), "100 ms more": (0.1, 0.0), "2 % cut": (0.0, 0.02), "both": (0.1, 0.02)}
"""By name the seconds that each request takes longer, and the share of connections that is cut."""


@pytest.fixture(scope="module", params=[JudgedCoffre, OpenBaoServer], ids=lambda kind: kind.kind)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A good server."""
    with good_server(request.param) as server:
        yield server


@pytest.fixture(scope="module")
def found(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """What one run finds with nothing between."""
    folder = tmp_path_factory.mktemp("plain")
    return judge(manifest_of(server, folder), folder).outcomes()


def _network(server: Server, delay_s: float, cut: float, chance: random.Random) -> Callable[[Sent], Said]:
    """A way to the server that takes longer and cuts a share of connections, half of them after the request was done."""
    behind = Behind.of(server)
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


def _finds_the_same(
    server: Server, found: Mapping[str, str], folder: Path, network: tuple[float, float], seed: int
) -> None:
    with serving(_network(server, *network, random.Random(seed))) as (port, _):
        made = judge(manifest_of(server, folder, port=port), folder)
    assert made.outcomes() == found, made.details()
    assert made.finished.left == []


def test_a_bad_network_changes_no_outcome(server: Server, found: Mapping[str, str], tmp_path: Path) -> None:
    """The sample of those below: a little longer, and twice as many connections cut."""
    _finds_the_same(server, found, tmp_path, (0.005, 0.04), 19)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(_RUNS))
@pytest.mark.parametrize("network", _NETWORKS.values(), ids=_NETWORKS)
def test_ten_runs_find_the_same(
    network: tuple[float, float], seed: int, server: Server, found: Mapping[str, str], tmp_path: Path
) -> None:
    _finds_the_same(server, found, tmp_path, network, seed)
