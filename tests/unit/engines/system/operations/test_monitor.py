# SPDX-License-Identifier: EUPL-1.2
"""Reading the server's log as it is written, in the whole application."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any, Self

import pytest

from tests.routes.driver import Application
from vault.framework.telemetry.log_tail import LogTail


@pytest.fixture(scope="module")
def server() -> Iterator[Application]:
    with Application() as application:
        yield application


class Reader:
    """A client of `sys/monitor` who has not left yet."""

    def __init__(self, server: Application, query: str = "", token: str = "root") -> None:
        self._server = server
        self._query = query
        self._token = token
        self._leaving = asyncio.Event()
        self.sent: asyncio.Queue[Any] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/v1/sys/monitor",
            "raw_path": b"/v1/sys/monitor",
            "query_string": self._query.encode(),
            "headers": [(b"x-vault-token", self._token.encode())],
            "client": ("127.0.0.1", 1),
            "state": self._server.state(),
        }
        self._task = asyncio.ensure_future(self._server.vault(scope, self._receive, self.sent.put))
        self.start = await self.sent.get()
        for _ in range(5):
            await asyncio.sleep(0)
        return self

    async def __aexit__(self, *problem: object) -> None:
        self._leaving.set()
        await self._task

    async def _receive(self) -> Any:
        await self._leaving.wait()
        return {"type": "http.disconnect"}

    async def read(self) -> str:
        text: str = (await self.sent.get())["body"].decode()
        return text


def watches(server: Application) -> list[LogTail]:
    return server.vault.ground.log._watches


def test_lines_come_as_they_are_written_from_the_readers_own_level_on(server: Application) -> None:
    async def scenario() -> None:
        log = server.vault.ground.log
        log.set_level("error")
        async with Reader(server, "log_level=warn") as reader:
            log.note("core", "quiet")
            log.caution("core", "loud", count=3)
            assert (await reader.read()).endswith("[WARN]  core: loud: count=3\n")
        assert "loud" not in server.log.getvalue().splitlines()[-1]
        log.set_level("trace")

    server.run(scenario())


def test_an_answer_says_what_every_answer_says_and_no_type(server: Application) -> None:
    async def scenario() -> None:
        async with Reader(server) as reader:
            assert reader.start["status"] == 200
            assert [name for name, _ in reader.start["headers"]] == [
                b"cache-control",
                b"strict-transport-security",
                b"log-receipt",
            ]

    server.run(scenario())


def test_a_line_is_json_for_who_asks_for_it_and_holds_no_secret(server: Application) -> None:
    async def scenario() -> None:
        async with Reader(server, "log_format=JSON&log_level=TRACE") as reader:
            server.vault.ground.log.detail("core", "told", password="hunter2")
            line = await reader.read()
            assert json.loads(line)["@message"] == "told"
            assert "hunter2" not in line

    server.run(scenario())


def test_whoever_leaves_is_written_to_no_longer(server: Application) -> None:
    async def scenario() -> None:
        async with Reader(server):
            assert len(watches(server)) == 1
        assert watches(server) == []

    server.run(scenario())


def test_a_reader_whose_token_ends_reads_no_further(server: Application) -> None:
    async def scenario() -> None:
        policy = {"policy": 'path "sys/monitor" { capabilities = ["read"] }'}
        await server.ask("POST", "/v1/sys/policies/acl/monitor", policy, token="root")
        made = await server.ask("POST", "/v1/auth/token/create", {"policies": ["monitor"]}, token="root")
        token = made.json()["auth"]["client_token"]
        async with Reader(server, token=token) as reader:
            server.vault.ground.log.note("core", "first")
            assert "first" in await reader.read()
            await server.ask("POST", "/v1/auth/token/revoke", {"token": token}, token="root")
            server.vault.ground.log.note("core", "last")
            while (await reader.sent.get()).get("more_body"):
                pass
            server.vault.ground.log.note("core", "more")
            assert reader.sent.empty()

    server.run(scenario())


async def _token(server: Application, path: str, body: object, token: str = "root") -> str:
    made = await server.ask("POST", f"/v1/{path}", body, token=token)
    held: str = made.json()["auth"]["client_token"]
    return held


async def _reader(server: Application, kind: str) -> tuple[str, str, object]:
    """Return the token of somebody who may read along, and the request that ends it."""
    making = {"policies": ["monitor"]}
    policy = 'path "sys/monitor" { capabilities = ["read"] } path "auth/token/create" { capabilities = ["update"] }'
    for path, body in (
        ("sys/policies/acl/monitor", {"policy": policy}),
        ("nhi/keys", {}),
        ("nhi/workloads/reader", {"owner": "team-a", "ttl": "1h"}),
        ("nhi/registrations/reader", {"workload": "reader", "policies": "monitor"}),
        ("auth/userpass/users/reader", {"password": "p", "token_policies": "monitor"}),
    ):
        await server.ask("POST", f"/v1/{path}", body, token="root")
    if kind == "entity":
        token = await _token(server, "auth/userpass/login/reader", {"password": "p"})
        shown = await server.ask("GET", "/v1/auth/token/lookup-self", token=token)
        entity = shown.json()["data"]["entity_id"]
        return token, f"identity/entity/id/{entity}", {"disabled": True}
    if kind in {"service", "batch", "last use"}:
        parent = await _token(server, "auth/token/create", making)
        held = parent
        if kind == "batch":
            held = await _token(server, "auth/token/create", {**making, "type": "batch"}, parent)
        elif kind == "last use":
            held = await _token(server, "auth/token/create", {**making, "num_uses": 1}, parent)
        return held, "auth/token/revoke", {"token": parent}
    biscuit = await _token(server, "nhi/issue/reader", {})
    held = biscuit if kind == "biscuit" else await _token(server, "auth/token/create", {}, biscuit)
    return held, "nhi/revoke", {"token": biscuit}


@pytest.mark.parametrize("kind", ["service", "batch", "last use", "entity", "biscuit", "child"])
def test_nothing_is_told_to_whoever_may_be_told_no_longer(server: Application, kind: str) -> None:
    async def scenario() -> None:
        token, path, body = await _reader(server, kind)
        async with Reader(server, "log_level=error", token) as reader:
            server.vault.ground.log.failure("core", "first")
            assert "first" in await reader.read()
            ended = await server.ask("POST", f"/v1/{path}", body, token="root")
            assert ended.status < 300, ended.body
            server.vault.ground.log.failure("core", "last")
            end = await reader.sent.get()
            assert (end["body"], end.get("more_body", False)) == (b"", False)

    server.run(scenario())


def test_a_server_that_ends_ends_its_streams(server: Application) -> None:
    async def scenario() -> None:
        async with Reader(server) as reader:
            server.vault.ground.log.end_watches()
            assert (await reader.sent.get())["body"] == b""

    server.run(scenario())


def test_no_more_read_along_than_may(server: Application) -> None:
    async def scenario() -> None:
        log = server.vault.ground.log
        held = [log.watch("info", "standard") for _ in range(16)]
        assert (await server.ask("GET", "/v1/sys/monitor", token="root")).status == 429
        for watch in held:
            log.unwatch(watch)
        assert (await server.ask("GET", "/v1/sys/monitor", token="root")).status == 200

    server.run(scenario())


def test_whoever_reads_too_slowly_is_told_how_much_is_missing() -> None:
    async def scenario() -> None:
        watch = LogTail(0, lambda *event: event[2])
        for number in range(1030):
            watch.take(str(number))
        lines = (await watch.read(0)).splitlines()
        assert lines[0].startswith("6 lines were dropped")
        assert (lines[1], lines[-1], len(lines)) == ("6", "1029", 1025)
        assert await watch.read(0) == ""

    asyncio.run(scenario())
