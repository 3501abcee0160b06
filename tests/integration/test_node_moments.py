# SPDX-License-Identifier: EUPL-1.2
"""Two servers on one PostgreSQL, of which one is cut off or held at the worst moment, and all of it stands still."""

import asyncio
import os
import signal
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import pytest

from tests.fuzz.process import Answer, VaultProcess, wait_until
from tests.nodes import Site, ask, do
from tests.postgres import Cluster, started
from tests.storage.proxy import Proxy, proxied


class Place(NamedTuple):
    """A database, the way of the second server to it, and both servers."""

    cluster: Cluster
    way: Proxy
    loop: asyncio.AbstractEventLoop
    one: VaultProcess
    other: VaultProcess


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Generator[Place]:
    with started() as cluster, proxied(cluster.direct("").host) as (way, loop):
        site = Site(cluster, tmp_path_factory.mktemp("moments"), second=way.folder)
        try:
            yield Place(cluster, way, loop, *site.start())
        finally:
            loop.call_soon_threadsafe(way.thaw)
            site.stop()


def _written(node: VaultProcess, name: str, value: str, cas: int, token: str | None = None) -> Answer:
    body = {"options": {"cas": cas}, "data": {"by": value}}
    return ask(node, "POST", f"secret/data/{name}", body, token)


def _found(node: VaultProcess, name: str) -> tuple[int, str]:
    """Return the version and the value of a secret."""
    data = do(node, "GET", f"secret/data/{name}")["data"]
    return data["metadata"]["version"], data["data"]["by"]


def _log(node: VaultProcess) -> str:
    return node.log.read_text(encoding="utf-8")


def test_who_is_told_that_a_write_may_have_been_done_finds_out_by_check_and_set(place: Place) -> None:
    """Its commit is done, the answer to that is lost, and the database cannot be asked for as long as the server tries."""
    assert _written(place.other, "unknown", "first", 0).status == 200
    target = place.way.target
    place.way.alone, place.way.cut = True, "answer"
    answer = _written(place.other, "unknown", "second", 1)
    assert (answer.status, answer.json()) == (
        500,
        {"errors": ["the storage was lost while it committed: this may have been done, or not"]},
    )
    assert "what was to be written may have been" in _log(place.other)
    place.way.alone, place.way.target = False, target
    wait_until(partial(_writes, place.other), partial(_log, place.other))
    again = _written(place.other, "unknown", "second", 1)
    assert again.status == 400 and b"check-and-set parameter did not match" in again.body
    for node in (place.one, place.other):
        assert _found(node, "unknown") == (2, "second")


def _writes(node: VaultProcess) -> bool:
    """Whether it has its connection for commits again: reads have others."""
    return ask(node, "POST", "secret/data/well", {"data": {}}).status == 200


def _reads(node: VaultProcess, name: str) -> bool:
    return ask(node, "GET", f"secret/data/{name}").status == 200


@contextmanager
def _held(place: Place, name: str, token: str | None = None) -> Iterator[list[Answer]]:
    """Let the second server write, and hold it after what it read, at its commit; after that, its answer is in the list."""
    answers: list[Answer] = []

    def write() -> None:
        answers.append(_written(place.other, name, "held", 1, token))

    before = place.way.cuts
    place.way.cut = "before"
    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        wait_until(lambda: place.way.cuts > before, partial(_log, place.other))
        yield answers
        assert not answers
    finally:
        place.loop.call_soon_threadsafe(place.way.thaw)
        writer.join()


def test_one_that_is_held_between_what_it_read_and_its_commit_blocks_nobody_and_overwrites_nothing(
    place: Place,
) -> None:
    assert _written(place.one, "held", "first", 0).status == 200
    assert _found(place.other, "held") == (1, "first")
    with _held(place, "held") as answers:
        assert _written(place.one, "held", "meanwhile", 1).status == 200
    assert answers[0].status == 400 and b"check-and-set parameter did not match" in answers[0].body
    assert _found(place.one, "held") == _found(place.other, "held") == (2, "meanwhile")


def test_what_is_written_with_a_token_that_was_revoked_before_the_commit_is_refused(place: Place) -> None:
    policy = 'path "secret/*" { capabilities = ["create", "read", "update"] }'
    do(place.one, "PUT", "sys/policies/acl/writes", {"policy": policy})
    token = do(place.one, "POST", "auth/token/create", {"policies": ["writes"]})["auth"]["client_token"]
    assert _written(place.other, "revoked", "first", 0, token).status == 200
    with _held(place, "revoked", token) as answers:
        do(place.one, "POST", "auth/token/revoke", {"token": token})
    assert answers[0].status == 403
    assert _found(place.one, "revoked") == _found(place.other, "revoked") == (1, "first")


def test_while_the_database_stands_still_health_answers_from_memory_and_reads_go_on_afterwards(
    place: Place,
) -> None:
    assert place.cluster.process is not None
    assert _written(place.one, "frozen", "first", 0).status == 200
    stopped = [place.cluster.process.pid, *place.cluster.backends()]
    assert len(stopped) > 2
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        for node in (place.one, place.other):
            health = ask(node, "GET", "sys/health", token="")
            assert (health.status, health.json()["storage_unreachable"]) == (200, True)
            assert health.json()["sealed"] is False
        assert ask(place.one, "GET", "secret/data/frozen").status == 500
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    for node in (place.one, place.other):
        wait_until(partial(_writes, node), partial(_log, node))
        wait_until(partial(_reads, node, "frozen"), partial(_log, node))
        assert _found(node, "frozen") == (1, "first")
        assert "storage_unreachable" not in ask(node, "GET", "sys/health", token="").json()
