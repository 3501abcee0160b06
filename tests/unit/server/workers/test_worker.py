# SPDX-License-Identifier: EUPL-1.2
"""Which requests a worker answers itself, which the first one has to, and what comes of those where it does not answer."""

import asyncio
import contextlib
import io
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from vault.framework.telemetry.log import Log
from vault.server.config.settings import Listener
from vault.server.workers import control
from vault.server.workers.worker import Worker


class Other:
    """What the worker is to others; only whether it is sealed matters here."""

    def __init__(self, *, sealed: bool) -> None:
        self.sealed = sealed


@contextlib.asynccontextmanager
async def joined(
    crew: str, other: Any, *, one_writes: bool, longest: float = 90, most_waiting: int = 1
) -> AsyncIterator[tuple[Worker, socket.socket]]:
    """The second worker, and the supervisor's end, from whom it knows the others; nobody has keys for it."""
    near, far = control.pair()
    with near, far:
        log = Log(stream=io.StringIO())
        made = Worker(near, 2, log, one_writes=one_writes, longest=longest, most_waiting=most_waiting)
        control.send(far, f"{control.CREW} {crew}")
        joining = asyncio.ensure_future(made.join(other))
        while not joining.done():
            await asyncio.sleep(0)
            heard(far)
        yield made, far
        asyncio.get_running_loop().remove_reader(near.fileno())


def heard(far: socket.socket) -> list[str]:
    """What the worker has said; nobody takes a socket that comes with it."""
    found = []
    with contextlib.suppress(BlockingIOError):
        while (message := control.receive(far)) is not None:
            found.append(message[0])
            if message[1] is not None:
                message[1].close()
    return found


def worker(*, first: bool = False, one_writes: bool = False, sealed: bool = False) -> Worker:
    async def made() -> Worker:
        async with joined("2 3" if first else "1 2", Other(sealed=sealed), one_writes=one_writes) as (
            found,
            _,
        ):
            return found

    return asyncio.run(made())


def passes(made: Worker, method: str, path: str) -> bool:
    return made.passes({"method": method, "path": path})


@pytest.mark.parametrize(
    ("method", "path", "passed"),
    [
        ("PUT", "/v1/sys/unseal", True),
        ("POST", "/v1/sys/init", True),
        ("PUT", "/v1/sys/seal", True),
        ("GET", "/v1/sys/rotate/root/init", True),
        ("GET", "/v1/team/sys/rotate/root/init", True),
        ("GET", "/v1/sys/rekey/init", True),
        ("GET", "/v1/sys/generate-root-token/attempt", True),
        ("GET", "/v1/sys/namespaces/team/seal-status", True),
        ("POST", "/v1/auth/oidc/oidc/auth_url", True),
        ("GET", "/v1/team/auth/okta/oidc/callback", True),
        ("POST", "/v1/auth/oidc/oidc/poll", True),
        ("GET", "/v1/team/nhi/failures", True),
        ("POST", "/v1/auth/oidc/login", False),
        ("GET", "/ui/", True),
        ("POST", "/ui/sign-in", True),
        ("GET", "/v1/sys/seal-status", False),
        ("GET", "/v1/sys/health", False),
        ("GET", "/v1/sys/metrics", False),
        ("GET", "/v1/secret/data/ui/x", False),
        ("POST", "/v1/secret/data/x", False),
    ],
)
def test_what_lives_in_memory_over_several_requests_is_in_the_first_worker(
    method: str, path: str, passed: bool
) -> None:
    assert passes(worker(), method, path) is passed
    assert passes(worker(first=True), method, path) is False


def test_how_far_an_unseal_is_only_the_first_worker_knows() -> None:
    assert passes(worker(sealed=True), "GET", "/v1/sys/seal-status")
    assert not passes(worker(sealed=True, first=True), "GET", "/v1/sys/seal-status")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_where_one_writes_all_that_may_write_goes_there_and_reads_do_not(method: str) -> None:
    assert passes(worker(one_writes=True), method, "/v1/secret/data/x")
    assert not passes(worker(one_writes=True, first=True), method, "/v1/secret/data/x")
    for reads in ("GET", "LIST", "HEAD", "SCAN"):
        assert not passes(worker(one_writes=True), reads, "/v1/secret/data/x")


class Client:
    """One request, and what was answered."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    async def receive(self) -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    @property
    def answer(self) -> tuple[int, bytes]:
        return self.sent[0]["status"], self.sent[1]["body"]


async def inner(scope: Any, receive: Any, send: Any) -> None:
    del scope, receive
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"by itself"})


def ask(made: Worker, longest: float = 0) -> tuple[Client, asyncio.Task[None]]:
    client = Client()
    listener = Listener(kind="tcp", address="127.0.0.1:1", max_request_duration=longest)
    scope = {"method": "POST", "path": "/v1/secret/data/x"}
    answering: Any = made.before(inner, listener)(scope, client.receive, client.send)
    return client, asyncio.ensure_future(answering)


@pytest.mark.parametrize("listeners", [0, 0.05], ids=["the-servers", "the-listeners"])
def test_a_request_for_a_first_worker_that_is_not_heard_of_is_refused_in_time_and_was_not_done(
    listeners: float,
) -> None:
    async def scenario() -> None:
        longest = 90 if listeners else 0.05
        async with joined("1 2", Other(sealed=False), one_writes=True, longest=longest) as (made, _):
            client, answering = ask(made, listeners)
            await asyncio.wait_for(answering, 60)
        assert client.answer[0] == 503
        assert b"was not done, try it again" in client.answer[1]
        assert (b"retry-after", b"1") in client.sent[0]["headers"]

    asyncio.run(scenario())


def test_no_more_wait_for_a_first_worker_than_may_and_all_go_on_once_there_is_another() -> None:
    async def scenario() -> None:
        async with joined("1 2", Other(sealed=False), one_writes=True, most_waiting=3) as (made, far):
            asked = [ask(made) for _ in range(5)]
            for _, refused in asked[3:]:
                await asyncio.wait_for(refused, 60)
            assert [client.answer[0] for client, _ in asked[3:]] == [503, 503]
            assert not any(answering.done() for _, answering in asked[:3])
            control.send(far, f"{control.CREW} 2")
            for client, answering in asked[:3]:
                await asyncio.wait_for(answering, 60)
                assert client.answer == (200, b"by itself")
            client, answering = ask(made)
            await answering
            assert client.answer[0] == 200

    asyncio.run(scenario())


def test_who_leaves_while_a_first_worker_is_waited_for_makes_room() -> None:
    async def scenario() -> None:
        async with joined("1 2", Other(sealed=False), one_writes=True, most_waiting=1) as (made, _):
            for _ in range(3):
                client, answering = ask(made)
                await asyncio.sleep(0.01)
                assert not answering.done(), client.sent
                answering.cancel()
                await asyncio.wait([answering])

    asyncio.run(scenario())


def test_an_event_loop_that_goes_on_says_so() -> None:
    async def scenario() -> None:
        async with joined("1 2", Other(sealed=False), one_writes=True) as (_, far):
            for _ in range(2):
                control.send(far, control.BEAT)
                said: list[str] = []
                while not said:
                    await asyncio.sleep(0)
                    said = heard(far)
                assert said == [control.BEAT]

    asyncio.run(scenario())
