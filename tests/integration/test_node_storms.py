# SPDX-License-Identifier: EUPL-1.2
"""Nodes under revocations without end, and one that stands still meanwhile: nobody is refused what he may, nor let in."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.fuzz.process import PATIENCE, REPOSITORY, Answer, VaultProcess, wait_until
from tests.nodes import Nodes, Site, ask, do
from tests.postgres import Cluster
from vault.storage.postgres.connection import Connection

_DATA = "secret/data/a"
_READERS = 8
Sites = tuple[Site, Nodes]


@pytest.fixture(scope="module")
def site(postgres: Callable[[], Cluster], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    site = Site(postgres(), tmp_path_factory.mktemp("storm"))
    try:
        yield site, site.start()
    finally:
        site.stop()


def _reads(node: VaultProcess, token: str, seconds: float) -> tuple[int, float]:
    """Read from several connections for a while; return how often, and the processor time of one. All have to be answered."""
    counts: list[int] = []
    refused: list[Answer] = []
    until = time.monotonic() + seconds

    def read() -> None:
        count = 0
        with node.client(token) as client:
            while time.monotonic() < until:
                answer = client.request("GET", f"/v1/{_DATA}")
                if answer.status != 200:
                    refused.append(answer)
                count += 1
        counts.append(count)

    before = node.seconds_of_the_loop()
    threads = [threading.Thread(target=read, daemon=True) for _ in range(_READERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds + PATIENCE)
    assert refused == []
    return sum(counts), (node.seconds_of_the_loop() - before) / sum(counts)


@contextmanager
def _storm(site: Site, rate: int) -> Iterator[list[int]]:
    """Make facts untrue so often a second; the list has how often that was, in the end."""
    address, done = site.address, list[int]()
    command = ["-m", "tests.integration.storm", address.host, address.user, address.database, str(rate)]
    storm = subprocess.Popen(
        [sys.executable, *command], cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield done
        done.append(int(storm.communicate(timeout=PATIENCE)[0]))
    finally:
        storm.kill()
        storm.wait()


def _epoch(site: Site) -> int:
    """The newest change."""

    async def ask() -> int:
        connection = await Connection.make(site.address)
        (newest,) = await connection.row("SELECT newest FROM coffre.head")
        await connection.close()
        return int(newest)

    return asyncio.run(ask())


def _blow(site: Sites, rate: int, seconds: float) -> dict[str, float]:
    """Read in calm and in a storm; return what it cost."""
    _, (_, other) = site
    do(other, "POST", _DATA, {"data": {"a": "b"}})
    policy = {"policy": 'path "secret/data/*" { capabilities = ["read"] }'}
    do(other, "PUT", "sys/policies/acl/reads", policy)
    token = do(other, "POST", "auth/token/create", {"policies": ["reads"]})["auth"]["client_token"]
    calm, cost = _reads(other, token, seconds)
    with _storm(site[0], rate) as revoked:
        before = _epoch(site[0])
        wait_until(lambda: _epoch(site[0]) > before, lambda: "the storm does not begin")
        began = time.monotonic()
        stormy, more = _reads(other, token, seconds)
        lasted = time.monotonic() - began
    found = {
        "calm": calm / seconds,
        "stormy": stormy / seconds,
        "microseconds": cost * 1e6,
        "in the storm": more * 1e6,
        "revoked": revoked[0] / lasted,
    }
    print({name: round(value) for name, value in found.items()})  # noqa: T201 - figures of a soak, for `-s`
    return found


def test_a_storm_of_revocations_refuses_nobody(site: Sites) -> None:
    assert _blow(site, 300, 1)["revoked"] > 0


@pytest.mark.soak
def test_in_one_of_a_thousand_a_second_a_read_costs_less_than_twice(site: Sites) -> None:
    """The rate of reads is that of a machine that does the storm's work too; what a node spends on one is its own."""
    found = _blow(site, 1000, 20)
    assert found["revoked"] > 600
    assert found["in the storm"] < 2 * found["microseconds"]


def test_one_that_stood_still_lets_nobody_in_by_what_was_so_before(site: Sites) -> None:
    _stand_still(site, 1)


@pytest.mark.soak
def test_nor_does_one_that_stood_still_for_half_a_minute(site: Sites) -> None:
    _stand_still(site, 30)


def _stand_still(site: Sites, seconds: float) -> None:
    """Stop a node while it is written to and read from; the other goes on, revokes, and is obeyed once the first wakes."""
    _, (still, other) = site
    do(other, "POST", _DATA, {"data": {"turn": 0}})
    tokens = [_made(other) for _ in range(10)]
    for token in tokens:
        assert ask(still, "GET", _DATA, token=token).status == 200
    writes = [
        _Asking(still, "POST", f"secret/data/w{number}", {"data": {}}, still.root) for number in range(5)
    ]
    for write in writes:
        write.start()
    os.kill(still.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            do(other, "POST", _DATA, {"data": {"turn": 1}})
            do(other, "POST", "auth/token/create", {"policies": ["default"]})
        for token in tokens:
            do(other, "POST", "auth/token/revoke", {"token": token})
        late = [_Asking(still, "GET", _DATA, None, token) for token in tokens]
        for asking in late:
            asking.start()
    finally:
        os.kill(still.pid, signal.SIGCONT)
    for asking in late:
        assert asking.answer().status == 403
    for write in writes:
        assert write.answer().status in {200, 500}, "it held the turn for too long, if it held it"
    assert do(still, "GET", _DATA)["data"]["data"] == {"turn": 1}
    for number, write in enumerate(writes):
        if write.answer().status == 200:
            assert ask(other, "GET", f"secret/data/w{number}").status == 200


def _made(node: VaultProcess) -> str:
    policy = {"policy": 'path "secret/data/*" { capabilities = ["read"] }'}
    do(node, "PUT", "sys/policies/acl/reads", policy)
    token: str = do(node, "POST", "auth/token/create", {"policies": ["reads"]})["auth"]["client_token"]
    return token


class _Asking(threading.Thread):
    """One request that may be answered late."""

    def __init__(self, node: VaultProcess, method: str, path: str, body: Any, token: str) -> None:
        super().__init__(daemon=True)
        self._ask = (node, method, path, body, token)
        self._answer: Answer | None = None

    def run(self) -> None:
        self._answer = ask(*self._ask)

    def answer(self) -> Answer:
        self.join(PATIENCE)
        assert self._answer is not None
        return self._answer
