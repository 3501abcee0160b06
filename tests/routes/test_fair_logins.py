# SPDX-License-Identifier: EUPL-1.2
"""Who guesses passwords through many connections waits for his own turns, and nobody waits behind him."""

import asyncio
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from argon2 import PasswordHasher

from nhi.auth.userpass.passwords import THREADS, Passwords
from tests.routes.driver import Answer, Application
from tests.routes.issuer import Issuer

pytestmark = pytest.mark.in_memory("has all wait before the first is done")

GUESSERS = 150
FAR, NEAR = "192.0.2.66", "198.51.100.7"
HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class Bench:
    """Hashing that begins when it may, and tells in which order passwords were looked at."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.free = threading.Event()

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Stand before the product's own comparison."""
        match = Passwords._match

        def slow(passwords: Passwords, password: str, secret: str | None) -> bool:
            self.begun.append(password)
            assert self.free.wait(120)
            return match(passwords, password, secret)

        def hashed(hasher: PasswordHasher, password: str | bytes, **options: Any) -> str:
            self.begun.append(str(password))
            return make(hasher, password, **options)

        make = PasswordHasher.hash
        monkeypatch.setattr(Passwords, "_match", slow)
        monkeypatch.setattr(PasswordHasher, "hash", hashed)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    made = Bench()
    made.install(monkeypatch)
    yield made
    made.free.set()


Send = Callable[[str, str], Awaitable[Answer]]
"""Log in as somebody with a password."""


def _userpass(application: Application, bench: Bench) -> Send:
    body = {"password": "right"}
    assert application.request("POST", "/v1/auth/userpass/users/bob", body, token="root").status == 204
    bench.begun.clear()

    async def send(name: str, password: str) -> Answer:
        return await application.ask("POST", f"/v1/auth/userpass/login/{name}", {"password": password})

    return send


def _imported(application: Application, bench: Bench) -> Send:
    issuer = Issuer(application)
    issuer.root("nhi/registrations/bob", {"workload": "w1", "policies": "app"})
    issuer.root("nhi/registrations/bob/secret", {"secret_hash": HASHER.hash("right"), "secret_ttl": "1d"})
    bench.begun.clear()

    async def send(name: str, password: str) -> Answer:
        body = {"client_id": name, "client_secret": password}
        return await application.ask("POST", "/v1/nhi/login", body)

    return send


async def _through(application: Application, address: str, sent: Awaitable[Answer]) -> Answer:
    """Send a request from an address: the application reads it before anything else happens."""
    application.client = (address, 4711)
    return await sent


async def _until(true: Callable[[], Any]) -> None:
    async with asyncio.timeout(120):
        while not true():  # noqa: ASYNC110 -- nobody tells when a thread has begun
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("prepare", [_userpass, _imported], ids=["userpass", "imported secrets"])
def test_one_address_that_guesses_keeps_nobody_else_out(
    application: Application, bench: Bench, prepare: Callable[[Application, Bench], Send]
) -> None:
    send = prepare(application, bench)

    async def scenario() -> tuple[list[Answer], Answer]:
        guesses = [
            asyncio.create_task(_through(application, FAR, send(f"g{number}", f"guess {number}")))
            for number in range(GUESSERS)
        ]
        await _until(lambda: len(bench.begun) == THREADS)
        await _until(lambda: sum(task.done() for task in guesses) >= GUESSERS - THREADS - 128)
        login = asyncio.create_task(_through(application, NEAR, send("bob", "right")))
        for _ in range(50):
            await asyncio.sleep(0)
        assert not login.done()
        bench.free.set()
        return await asyncio.gather(*guesses), await login

    refused, login = application.run(scenario())
    assert login.status == 200, login.body
    assert bench.begun.index("right") <= THREADS + 1  # in its turn, behind those that had begun
    answers = Counter(answer.status for answer in refused)
    assert answers.keys() <= {400, 403, 503}
    assert answers[503] == GUESSERS - THREADS - 127  # the newest of them made room for the other
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused if answer.status == 503)


def test_who_writes_users_does_not_wait_behind_guessers(application: Application, bench: Bench) -> None:
    send = _userpass(application, bench)

    async def scenario() -> list[Answer]:
        guesses = [
            asyncio.create_task(_through(application, FAR, send(f"g{number}", f"guess {number}")))
            for number in range(40)
        ]
        await _until(lambda: len(bench.begun) == THREADS)
        write = application.ask("POST", "/v1/auth/userpass/users/eve", {"password": "new"}, token="root")
        written = asyncio.create_task(_through(application, NEAR, write))
        for _ in range(50):
            await asyncio.sleep(0)
        assert not written.done()
        bench.free.set()
        return await asyncio.gather(written, *guesses)

    written, *refused = application.run(scenario())
    assert written.status == 204, written.body
    assert bench.begun.index("new") <= THREADS + 1
    assert {answer.status for answer in refused} == {400}
