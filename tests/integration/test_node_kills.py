# SPDX-License-Identifier: EUPL-1.2
"""kill -9 of nodes, of the database and of its backends under load: nothing acknowledged is lost, all is well within seconds."""

import contextlib
import http.client
import itertools
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Self

import pytest

from tests.fuzz.process import PATIENCE, Client, VaultProcess, wait_until
from tests.linearizable import NEVER, Seen, linearizable
from tests.nodes import Nodes, Site, ask
from tests.postgres import Cluster, started
from tests.receipts import Keeper, Receipt, check_recorded
from tests.workers import Pair

_KEYS, _EACH = 2, 2
"""Counters, and who raises one."""
_WELL = 15.0
"""Seconds after which both nodes must read and write again, on a busy machine; the server's own pauses end after 2."""
_BROKEN = (OSError, http.client.HTTPException)


class Raiser(threading.Thread):
    """Raises one counter by check-and-set over and over, by one node and then by the other."""

    def __init__(self, nodes: Nodes, path: str) -> None:
        super().__init__(daemon=True)
        self._nodes, self._path = nodes, path
        self.history: list[Seen] = []
        self.receipts: list[Receipt] = []
        self.failure: BaseException | None = None
        self.enough = False

    def run(self) -> None:
        try:
            for node in itertools.cycle(self._nodes):
                if self.enough:
                    return
                with Keeper(node, self.receipts) as client, contextlib.suppress(*_BROKEN):
                    for _ in range(5):
                        self._raise(client)
                time.sleep(0.01)  # a node that is down refuses at once
        except BaseException as failure:  # noqa: BLE001 - told in the end
            self.failure = failure

    def _raise(self, client: Client) -> None:
        at = look(client, self._path, self.history)
        began, outcome = time.perf_counter(), None
        try:
            answer = client.request("POST", self._path, {"options": {"cas": at}, "data": {"n": at}})
            outcome = {200: "raised", 400: "refused", 500: "unknown", 503: None}[answer.status]
        except _BROKEN:
            outcome = "unknown"
            raise
        finally:
            if outcome is not None:
                ended = NEVER if outcome == "unknown" else time.perf_counter()
                self.history.append(Seen(began, ended, outcome, at))  # type: ignore[arg-type]  # one of them


def look(client: Client, path: str, history: list[Seen]) -> int:
    """Return the counter, and note that. Raises `OSError` where it cannot be read now."""
    began = time.perf_counter()
    answer = client.request("GET", path)
    if answer.status not in {200, 404}:
        raise OSError(answer.status)
    at: int = answer.json()["data"]["metadata"]["version"] if answer.status == 200 else 0
    history.append(Seen(began, time.perf_counter(), "read", at))
    return at


class Load:
    """Counters that are raised while something is killed."""

    def __init__(self, nodes: Nodes) -> None:
        self.raisers = {
            f"/v1/secret/data/k{key}": [Raiser(nodes, f"/v1/secret/data/k{key}") for _ in range(_EACH)]
            for key in range(_KEYS)
        }

    def __enter__(self) -> Self:
        for raiser in itertools.chain(*self.raisers.values()):
            raiser.start()
        return self

    def __exit__(self, *problem: object) -> None:
        for raiser in itertools.chain(*self.raisers.values()):
            raiser.enough = True
        for raiser in itertools.chain(*self.raisers.values()):
            raiser.join(PATIENCE)

    def judge(self, client: Client) -> int:
        """Look whether each was one counter all the time; return how often they were raised."""
        raised = 0
        for path, raisers in self.raisers.items():
            history: list[Seen] = []
            for raiser in raisers:
                assert raiser.failure is None, raiser.failure
                history += raiser.history
            look(client, path, history)
            assert linearizable(history), (path, sorted(history))
            raised += sum(seen.outcome == "raised" for seen in history)
        return raised

    def receipts(self) -> Iterator[Receipt]:
        """What the answers of all named."""
        for raiser in itertools.chain(*self.raisers.values()):
            yield from raiser.receipts


def kill_node(site: Site, dice: random.Random) -> None:
    """Kill a server that is one process, or the supervisor of one that is several."""
    node = dice.choice(site.nodes)
    node.kill()
    node.start()
    node.unseal()


def kill_first_worker(site: Site, dice: random.Random) -> None:
    del dice
    _kill_worker(site.nodes[0], 0)


def kill_other_worker(site: Site, dice: random.Random) -> None:
    del dice
    _kill_worker(site.nodes[0], 1)


def _kill_worker(node: VaultProcess, which: int) -> None:
    pair = Pair(node)
    pair.settled()
    os.kill(pair.pids()[which], signal.SIGKILL)
    pair.settled()


def kill_postmaster(site: Site, dice: random.Random) -> None:
    del dice
    site.cluster.kill()
    site.cluster.start()


def kill_backend(site: Site, dice: random.Random) -> None:
    """Kill one connection's process: the database ends all others and recovers."""
    found = site.cluster.backends()
    if found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(dice.choice(found), signal.SIGKILL)


_KILLS: list[Callable[[Site, random.Random], None]] = [
    kill_node,
    kill_first_worker,
    kill_postmaster,
    kill_other_worker,
    kill_backend,
]


def _is_well(node: VaultProcess) -> bool:
    """Whether it reads and writes."""
    try:
        return (
            ask(node, "GET", "sys/mounts").status == 200
            and ask(node, "POST", "secret/data/well", {"data": {}}).status == 200
        )
    except _BROKEN:
        return False


def _play(cluster: Cluster, folder: Path, kills: int) -> None:
    dice = random.Random(kills)
    site = Site(cluster, folder, logged=True)
    with site.nodes[0].config.open("a", encoding="utf-8") as config:
        config.write("workers = 2\n")
    worst = dict.fromkeys(_KILLS, 0.0)
    try:
        nodes = site.start()
        with Load(nodes) as load:
            for turn in range(kills):
                time.sleep(dice.random() / 4)
                kill = _KILLS[turn % len(_KILLS)]
                kill(site, dice)
                began = time.monotonic()
                for node in nodes:
                    wait_until(partial(_is_well, node), node.log.read_text, _WELL)
                worst[kill] = max(worst[kill], time.monotonic() - began)
        with nodes[0].client() as client:
            raised = load.judge(client)
        print(  # noqa: T201 - figures of a soak, for whoever runs it with -s
            f"{kills} kills, {raised} raised; seconds until well:",
            {k.__name__: f"{s:.2f}" for k, s in worst.items()},
        )
        assert raised > kills
    finally:
        site.stop()
    check_recorded(load.receipts(), *(node.folder / "log" for node in nodes))


def test_whatever_is_killed_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    with started() as cluster:
        _play(cluster, tmp_path, len(_KILLS))


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_nor_is_it_in_two_hundred_kills(tmp_path: Path) -> None:
    with started() as cluster:
        _play(cluster, tmp_path, 200)
