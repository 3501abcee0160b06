# SPDX-License-Identifier: EUPL-1.2
"""What a node was told holds on the other with the next request, while that one is asked without a pause."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Self

import pytest

from tests.fuzz.process import PATIENCE, Answer, Client, VaultProcess
from tests.linearizable import Outcome, Seen, linearizable
from tests.nodes import Nodes, two_nodes
from tests.postgres import Cluster

FEW, MANY = 12, 10_000
"""Rounds of each race, and those of a soak."""
_DATA = "/v1/secret/data/"
_EACH = 25
"""Rounds that one counter is raised for, so that what is known of it stays short."""
_NO_ANSWER = 500


@pytest.fixture(scope="module")
def nodes(postgres: Callable[[], Cluster], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    with two_nodes(postgres(), tmp_path_factory.mktemp("nodes")) as nodes:
        yield nodes


class Stalled(Exception):
    """The machine did other work for so long that a deadline passed: nothing was answered, so nothing is shown."""


class Look(NamedTuple):
    """One answer to somebody who asks without a pause."""

    began: float
    ended: float
    status: int


class Watcher(threading.Thread):
    """Asks a node the same over and over, from one connection."""

    def __init__(self, node: VaultProcess, path: str, token: str | None = None) -> None:
        super().__init__(daemon=True)
        self._client = node.client(token)
        self._path = path
        self._looks: list[Look] = []
        self._more = threading.Condition()
        self._enough = False
        self._failure: BaseException | None = None

    def run(self) -> None:
        try:
            while not self._enough:
                began = time.perf_counter()
                status = self._client.request("GET", self._path).status
                with self._more:
                    self._looks.append(Look(began, time.perf_counter(), status))
                    self._more.notify()
        except BaseException as failure:  # noqa: BLE001 - whoever waits is told
            with self._more:
                self._failure = failure
                self._more.notify()
        self._client.close()

    def __enter__(self) -> Self:
        self.start()
        self._until(lambda: bool(self._looks))
        return self

    def __exit__(self, *problem: object) -> None:
        self._enough = True
        self.join(PATIENCE)

    def _until(self, condition: Callable[[], bool]) -> None:
        with self._more:
            self._more.wait_for(lambda: self._failure is not None or condition(), PATIENCE)
        if isinstance(self._failure, TimeoutError):
            raise Stalled
        assert self._failure is None and condition(), self._failure

    def while_doing(self, act: Callable[[], object], before: int, after: int) -> None:
        """Do something: what was answered before it began has one status, and what is asked once it is over the other."""
        count = len(self._looks)
        began = time.perf_counter()
        act()
        over = time.perf_counter()
        self._until(lambda: self._looks[-1].began > over)
        for look in self._looks[count:]:
            if look.status == _NO_ANSWER:
                raise Stalled
            if look.ended < began:
                assert look.status == before, (look, began)
            elif look.began > over:
                assert look.status == after, (look, over)
            else:
                assert look.status in {before, after}, look


class Race:
    """The clients of one race between two nodes, who change roles with each round."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._clients = (nodes[0].client(), nodes[1].client())

    def sides(self, turn: int) -> tuple[Client, Client, VaultProcess]:
        """Return who does something, who is at the other node, and that node."""
        here = turn % 2
        return self._clients[here], self._clients[1 - here], self._nodes[1 - here]

    def prepare(self) -> None:
        """Store what is read."""
        _allow(self._clients[0], "reads", "read")
        did(self._clients[0], "POST", "secret/data/a", {"data": {"a": "b"}})

    def open(self) -> None:
        """Open a node that was left sealed."""
        for node, client in zip(self._nodes, self._clients, strict=True):
            if client.request("GET", "/v1/sys/seal-status").json()["sealed"]:
                node.unseal()

    def close(self) -> None:
        for client in self._clients:
            client.close()


def did(client: Client, method: str, path: str, body: object = None) -> Any:
    try:
        answer = client.request(method, f"/v1/{path}", body)
    except TimeoutError:
        raise Stalled from None
    if answer.status == _NO_ANSWER:
        raise Stalled
    assert answer.status < 300, (path, answer.status, answer.body)
    return answer.json() if answer.body else {}


def _allow(client: Client, name: str, capability: str) -> None:
    policy = {"policy": f'path "secret/data/*" {{ capabilities = ["{capability}"] }}'}
    did(client, "PUT", f"sys/policies/acl/{name}", policy)


def _token(client: Client, policy: str) -> str:
    made = did(client, "POST", "auth/token/create", {"policies": [policy]})
    token: str = made["auth"]["client_token"]
    return token


def revoke(race: Race, turn: int) -> None:
    """A token that one revoked is refused by the other."""
    client, _, there = race.sides(turn)
    token = _token(client, "reads")
    with Watcher(there, f"{_DATA}a", token) as watcher:
        watcher.while_doing(
            lambda: did(client, "POST", "auth/token/revoke", {"token": token}), before=200, after=403
        )


def policy(race: Race, turn: int) -> None:
    """What one denies is denied by the other, and what it allows allowed."""
    client, _, there = race.sides(turn)
    _allow(client, "some", "read")
    token = _token(client, "some")
    with Watcher(there, f"{_DATA}a", token) as watcher:
        watcher.while_doing(lambda: _allow(client, "some", "deny"), before=200, after=403)
        watcher.while_doing(lambda: _allow(client, "some", "read"), before=403, after=200)
    did(client, "POST", "auth/token/revoke", {"token": token})


def mount(race: Race, turn: int) -> None:
    """What one mounts the other has, with all that was written there; and it is gone where the other unmounts it."""
    client, other, there = race.sides(turn)
    where = f"kv{turn}"
    did(client, "POST", f"sys/mounts/{where}", {"type": "kv"})
    did(other, "POST", f"{where}/x", {"turn": turn})
    assert did(client, "GET", f"{where}/x")["data"] == {"turn": turn}
    with Watcher(there, f"/v1/{where}/x") as watcher:
        watcher.while_doing(lambda: did(client, "DELETE", f"sys/mounts/{where}"), before=200, after=404)


def seal(race: Race, turn: int) -> None:
    """A node that is sealed answers nothing; once it is open, what was so before is not believed any more."""
    client, other, there = race.sides(turn)
    did(client, "POST", "secret/data/a", {"data": {"turn": -1}})
    token = _token(client, "reads")
    with Watcher(there, f"{_DATA}a", token) as watcher:
        watcher.while_doing(lambda: did(other, "PUT", "sys/seal"), before=200, after=503)
    did(client, "POST", "auth/token/revoke", {"token": token})
    did(client, "POST", "secret/data/a", {"data": {"turn": turn}})
    did(other, "PUT", "sys/unseal", {"key": there.key})
    with there.client(token) as late:
        status = late.request("GET", f"{_DATA}a").status
    if status == _NO_ANSWER:
        raise Stalled
    assert status == 403
    assert did(other, "GET", "secret/data/a")["data"]["data"] == {"turn": turn}


@pytest.mark.parametrize("kind", [revoke, policy, mount, seal])
def test_no_answer_rests_on_what_the_other_node_ended(
    nodes: Nodes, kind: Callable[[Race, int], None]
) -> None:
    _run(nodes, kind, FEW)


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kind", [revoke, policy, mount, seal])
def test_nor_does_one_in_ten_thousand_rounds(nodes: Nodes, kind: Callable[[Race, int], None]) -> None:
    _run(nodes, kind, MANY)


def _run(nodes: Nodes, kind: Callable[[Race, int], None], rounds: int) -> None:
    race = Race(nodes)
    race.prepare()
    turns = itertools.count()
    played = stalled = 0
    while played < rounds:
        try:
            kind(race, next(turns))
            played += 1
        except Stalled:
            stalled += 1
            race.open()
    race.close()
    print(f"{kind.__name__}: {played} rounds, and {stalled} that showed nothing")  # noqa: T201 - for `-s`
    assert stalled <= 2 + rounds // 50


def test_a_counter_that_both_nodes_raise_is_linearisable(nodes: Nodes) -> None:
    _count(nodes, "counter", 2 * _EACH)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_so_are_ten_thousand_rounds_of_check_and_set(nodes: Nodes) -> None:
    for number in range(MANY // _EACH):
        _count(nodes, f"counter{number}", _EACH)


def _count(nodes: Nodes, name: str, rounds: int) -> None:
    """Have both nodes' clients raise one counter until it was tried so often, and look whether it was one counter."""
    history: list[Seen] = []
    left = iter(range(rounds))
    lock = threading.Lock()

    def raise_it(node: VaultProcess) -> None:
        with node.client() as client:
            while True:
                with lock:
                    if next(left, None) is None:
                        return
                began = time.perf_counter()
                found = client.request("GET", _DATA + name)
                if found.status == _NO_ANSWER:
                    continue
                at = _version(found)
                read = Seen(began, time.perf_counter(), "read", at)
                body = {"options": {"cas": at}, "data": {"n": at}}
                began = time.perf_counter()
                answer = client.request("POST", _DATA + name, body)
                outcome = _OUTCOMES[answer.status]
                tried = Seen(began, time.perf_counter(), outcome, at)
                history.extend((read, tried))

    threads = [threading.Thread(target=raise_it, args=(nodes[n % 2],), daemon=True) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    with nodes[0].client() as client:
        began = time.perf_counter()
        last = _version(client.request("GET", _DATA + name))
    history.append(Seen(began, time.perf_counter(), "read", last))
    assert linearizable(history), history
    assert sum(seen.outcome == "raised" for seen in history) > rounds // 8


_OUTCOMES: dict[int, Outcome] = {200: "raised", 400: "refused", _NO_ANSWER: "unknown"}


def _version(answer: Answer) -> int:
    if answer.status == 404:
        return 0
    version: int = answer.json()["data"]["metadata"]["version"]
    return version
