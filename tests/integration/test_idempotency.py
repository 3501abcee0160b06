# SPDX-License-Identifier: EUPL-1.2
"""Requests that are sent again, to real servers: killed ones, two workers, two nodes. Each has the effect of one."""

import http.client
import random
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.fuzz.process import PATIENCE, Client, VaultProcess, initialised
from tests.nodes import two_nodes
from tests.postgres import Cluster
from tests.workers import Hasty, served_by_two

KILLS = 4
CLIENTS = 3
_LOST = (OSError, http.client.HTTPException)
"""What a client sees when the server dies under it: the request may or may not have happened."""


def _write(client: Client, path: str, number: int) -> int:
    """Write with a key of its own; return which version that made, whether now or before."""
    headers = {"Idempotency-Key": f'"{path} {number}"'}
    answer = client.request("POST", f"/v1/secret/data/{path}", {"data": {"number": number}}, headers=headers)
    assert answer.status == 200, answer.body
    version: int = answer.json()["data"]["version"]
    return version


class Writer(threading.Thread):
    """A client that goes on where it lost its server: what was not answered is sent again, with its key."""

    def __init__(self, path: str, begin: int) -> None:
        super().__init__(daemon=True)
        self.path, self.next = path, begin
        self.problem = ""
        self.vault: VaultProcess | None = None

    def run(self) -> None:
        assert self.vault is not None
        with self.vault.client() as client:
            try:
                while not self.problem:
                    version = _write(client, self.path, self.next)
                    if version != self.next:
                        self.problem = f"{self.path}: write {self.next} made version {version}"
                    self.next += 1
            except _LOST:
                pass


def test_a_killed_server_does_nothing_twice_and_forgets_nothing(tmp_path: Path) -> None:
    chance = random.Random(7)
    with initialised(tmp_path) as vault:
        begin = dict.fromkeys((f"once/{name}" for name in range(CLIENTS)), 1)
        for _ in range(KILLS):
            writers = [Writer(path, number) for path, number in begin.items()]
            for writer in writers:
                writer.vault = vault
                writer.start()
            threading.Event().wait(
                chance.uniform(0.2, 0.8)
            )  # never set: the kill may fall anywhere into a request
            vault.kill()
            for writer in writers:
                writer.join(PATIENCE)
                assert not writer.is_alive()
                assert not writer.problem, writer.problem
            begin = {writer.path: writer.next for writer in writers}
            vault.start()
            vault.unseal()
        assert min(begin.values()) > KILLS
        with vault.client() as client:
            for path, number in begin.items():
                assert _write(client, path, number) == number
                assert _write(client, path, number - 1) == number - 1
                found = client.request("GET", f"/v1/secret/data/{path}").json()["data"]
                assert (found["metadata"]["version"], found["data"]) == (number, {"number": number})


def _race(clients: Sequence[Callable[[], Client]], path: str) -> None:
    """Send each write from all at once, and each from all again."""
    for number in range(1, 9):
        found: list[int] = []

        def write(make: Callable[[], Client], number: int = number, found: list[int] = found) -> None:
            with make() as client:
                found += [_write(client, path, number) for _ in range(2)]

        threads = [threading.Thread(target=write, args=(make,), daemon=True) for make in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [number] * 2 * len(clients)


def test_two_workers_do_a_request_once(tmp_path: Path) -> None:
    with served_by_two(Hasty(tmp_path, more="workers = 2\n")) as pair:
        pair.settled()
        _race([pair.server.client] * 6, "workers")


def test_two_nodes_do_a_request_once(postgres: Callable[[], Cluster], tmp_path: Path) -> None:
    with two_nodes(postgres(), tmp_path) as nodes:
        _race([node.client for node in (*nodes, *nodes)], "nodes")
