# SPDX-License-Identifier: EUPL-1.2
"""Two servers on one PostgreSQL, both active: what one was told holds on the other with the next request."""

import functools
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fuzz.process import VaultProcess, wait_until
from tests.nodes import Nodes, Site, ask, do, two_nodes
from tests.postgres import Cluster, started


@pytest.fixture(scope="module")
def nodes(postgres: Callable[[], Cluster], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    with two_nodes(postgres(), tmp_path_factory.mktemp("nodes")) as nodes:
        yield nodes


def test_a_token_of_few_uses_is_used_no_more_often_on_both(nodes: Nodes) -> None:
    for _ in range(10):
        token = do(nodes[0], "POST", "auth/token/create", {"policies": ["default"], "num_uses": 3})["auth"][
            "client_token"
        ]
        found: list[int] = []

        def use(node: VaultProcess, token: str = token, found: list[int] = found) -> None:
            found += [ask(node, "GET", "auth/token/lookup-self", token=token).status for _ in range(3)]

        threads = [threading.Thread(target=use, args=(node,), daemon=True) for node in nodes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(found) == [200] * 3 + [403] * 3


def test_a_killed_node_takes_nothing_along(nodes: Nodes) -> None:
    one, other = nodes
    for turn in range(3):
        do(one, "POST", "secret/data/before", {"data": {"turn": turn}})
        one.kill()
        assert do(other, "GET", "secret/data/before")["data"]["data"] == {"turn": turn}
        do(other, "POST", "secret/data/after", {"data": {"turn": turn}})
        one.start()
        one.unseal()
        assert do(one, "GET", "secret/data/after")["data"]["data"] == {"turn": turn}


def _reads(node: VaultProcess) -> bool:
    return ask(node, "GET", "secret/data/n1").status == 200


def test_a_database_that_is_killed_and_comes_back_is_used_again_and_has_what_was_acknowledged(
    tmp_path: Path,
) -> None:
    with started() as cluster:
        site = Site(cluster, tmp_path)
        try:
            one, other = site.start()
            for turn in range(2):
                acknowledged = []
                for number in range(20):
                    do(one, "POST", f"secret/data/n{number}", {"data": {"turn": turn}})
                    acknowledged.append(number)
                cluster.stop(signal.SIGQUIT)
                assert ask(one, "GET", "secret/data/n1").status == 500
                assert ask(other, "POST", "secret/data/n1", {"data": {}}).status == 500
                for node in (one, other):
                    assert ask(node, "GET", "sys/seal-status", token="").json()["sealed"] is False
                    health = ask(node, "GET", "sys/health", token="")
                    assert (health.status, health.json()["storage_unreachable"]) == (200, True)
                cluster.start()
                for node in (one, other):
                    answers = functools.partial(_reads, node)
                    wait_until(answers, node.log.read_text, 5)
                for number in acknowledged:
                    assert do(other, "GET", f"secret/data/n{number}")["data"]["data"] == {"turn": turn}
                do(one, "POST", "secret/data/n1", {"data": {"turn": "again"}})
        finally:
            site.stop()
