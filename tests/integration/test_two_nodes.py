# SPDX-License-Identifier: EUPL-1.2
"""Two servers on one PostgreSQL, both active: what one was told holds on the other with the next request."""

import asyncio
import functools
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.process import Answer, VaultProcess, wait_until
from tests.postgres import Cluster, started
from vault.storage.postgres.administration import install

ROUNDS = 150
_NODE = "node"
Nodes = tuple[VaultProcess, VaultProcess]


class Site:
    """A database whose nodes have a role of their own, and servers on it."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self._folder = folder
        database = cluster.bare()
        cluster.run(
            "postgres",
            f"DO $$ BEGIN CREATE ROLE {_NODE} LOGIN; EXCEPTION WHEN duplicate_object THEN END $$",
        )
        address = cluster.address(database)
        asyncio.run(install(address, _NODE))
        self._storage = f'storage "postgresql" {{ connection_url = "postgresql://{_NODE}@/{database}?host={address.host}" }}'
        self.nodes = (self.node("one"), self.node("two"))

    def node(self, name: str) -> VaultProcess:
        (self._folder / name).mkdir()
        return VaultProcess(self._folder / name, storage=self._storage)

    def start(self) -> Nodes:
        """Start both; the one is initialised, and the other opened with the same share."""
        one, other = self.nodes
        one.start()
        one.initialise()
        other.root, other.key = one.root, one.key
        other.start()
        other.unseal()
        return self.nodes

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()


@pytest.fixture(scope="module")
def nodes(postgres: Callable[[], Cluster], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    site = Site(postgres(), tmp_path_factory.mktemp("nodes"))
    try:
        yield site.start()
    finally:
        site.stop()


def ask(node: VaultProcess, method: str, path: str, body: object = None, token: str | None = None) -> Answer:
    with node.client(token) as client:
        return client.request(method, f"/v1/{path}", body)


def do(node: VaultProcess, method: str, path: str, body: object = None) -> Any:
    answer = ask(node, method, path, body)
    assert answer.status < 300, (path, answer.status, answer.body)
    return answer.json() if answer.body else {}


def test_a_token_that_one_revoked_is_refused_by_the_other_at_once(nodes: Nodes) -> None:
    do(
        nodes[0],
        "PUT",
        "sys/policies/acl/reads",
        {"policy": 'path "secret/data/*" { capabilities = ["read"] }'},
    )
    do(nodes[0], "POST", "secret/data/a", {"data": {"a": "b"}})
    for turn in range(ROUNDS):
        one, other = nodes if turn % 2 else nodes[::-1]
        token = do(one, "POST", "auth/token/create", {"policies": ["reads"]})["auth"]["client_token"]
        with other.client(token) as client:
            for _ in range(3):
                assert client.request("GET", "/v1/secret/data/a").status == 200
            do(one, "POST", "auth/token/revoke", {"token": token})
            assert client.request("GET", "/v1/secret/data/a").status == 403, turn


def test_what_one_writes_mounts_denies_and_deletes_the_other_shows_at_once(nodes: Nodes) -> None:
    for turn in range(ROUNDS // 5):
        one, other = nodes if turn % 2 else nodes[::-1]
        do(one, "POST", "secret/data/shared", {"data": {"turn": turn}})
        assert do(other, "GET", "secret/data/shared")["data"]["data"] == {"turn": turn}
        do(one, "POST", f"sys/mounts/kv{turn}", {"type": "kv"})
        do(other, "POST", f"kv{turn}/x", {"a": "b"})
        assert do(one, "GET", f"kv{turn}/x")["data"] == {"a": "b"}
        token = do(one, "POST", "auth/token/create", {"policies": ["some"]})["auth"]["client_token"]
        for capability, status in (("read", 200), ("deny", 403)):
            policy = {"policy": f'path "secret/data/shared" {{ capabilities = ["{capability}"] }}'}
            do(one, "PUT", "sys/policies/acl/some", policy)
            assert ask(other, "GET", "secret/data/shared", token=token).status == status
        do(other, "DELETE", f"sys/mounts/kv{turn}")
        assert ask(one, "GET", f"kv{turn}/x").status == 404


def test_a_counter_that_both_raise_by_check_and_set_counts_each_success_once(nodes: Nodes) -> None:
    do(nodes[0], "POST", "secret/data/counter", {"data": {"n": 0}})
    kept: list[int] = []
    start = threading.Barrier(6)

    def raise_it(node: VaultProcess) -> None:
        with node.client() as client:
            start.wait()
            for _ in range(25):
                found = client.request("GET", "/v1/secret/data/counter").json()["data"]
                version = found["metadata"]["version"]
                body = {"options": {"cas": version}, "data": {"n": found["data"]["n"] + 1}}
                answer = client.request("POST", "/v1/secret/data/counter", body)
                assert answer.status in {200, 400}, answer.body
                if answer.status == 200:
                    kept.append(answer.json()["data"]["version"])

    threads = [
        threading.Thread(target=raise_it, args=(nodes[number % 2],), daemon=True) for number in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    final = do(nodes[0], "GET", "secret/data/counter")["data"]
    assert sorted(kept) == [*range(2, final["metadata"]["version"] + 1)]
    assert final["data"]["n"] == len(kept) > 20


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
