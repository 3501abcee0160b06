# SPDX-License-Identifier: EUPL-1.2
"""A backup over the API: handed out piece by piece, a few at a time, and refused plainly."""

import asyncio
import io
from collections.abc import AsyncGenerator, Iterator
from typing import cast

import pytest

from tests.routes.driver import Application
from vault.engines.system.operations.raft_snapshot import RaftSnapshotEngine
from vault.framework.call import Call
from vault.framework.errors import Busy, Unavailable
from vault.framework.telemetry.log import Log
from vault.storage.protocol import StorageFailure

_PATH = "/v1/sys/storage/raft/snapshot"
CALL = cast("Call", None)


@pytest.fixture(scope="module")
def server() -> Iterator[Application]:
    with Application() as application:
        yield application


async def _whole() -> AsyncGenerator[bytes, None]:
    yield b""
    yield b"abc"
    yield b"def"


async def _none() -> AsyncGenerator[bytes, None]:
    for reason in ("the disk is full",):
        raise StorageFailure(f"storage /var/hunter2.db: {reason}")
    yield b""


def _engine(archive: object = _whole, stream: io.StringIO | None = None) -> RaftSnapshotEngine:
    return RaftSnapshotEngine(archive, Log(stream=stream or io.StringIO()))  # type: ignore[arg-type]  # as it is given


def test_it_is_handed_out_as_it_comes() -> None:
    async def run() -> None:
        reply = await _engine().read_snapshot(CALL)
        assert reply.stream is not None
        assert [piece async for piece in reply.stream] == [b"abc", b"def"]
        assert reply.headers == {"Content-Type": "application/gzip", "Content-Disposition": "attachment"}

    asyncio.run(run())


def test_a_few_are_handed_out_at_once_and_room_comes_back() -> None:
    async def run() -> None:
        engine = _engine()
        taken = [(await engine.read_snapshot(CALL)).stream for _ in range(2)]
        with pytest.raises(Busy):
            await engine.read_snapshot(CALL)
        assert taken[0] is not None
        await taken[0].aclose()
        assert (await engine.read_snapshot(CALL)).stream is not None

    asyncio.run(run())


def test_one_that_cannot_be_made_is_told_to_the_operator_alone() -> None:
    stream = io.StringIO()

    async def run() -> None:
        engine = _engine(_none, stream)
        for _ in range(3):  # and takes nobody's room
            with pytest.raises(Unavailable) as refused:
                await engine.read_snapshot(CALL)
            assert "hunter2" not in refused.value.message

    asyncio.run(run())
    assert stream.getvalue().count("hunter2.db: the disk is full") == 3


def test_a_storage_that_ends_with_its_server_has_none(server: Application) -> None:
    answer = server.request("GET", _PATH, token="root")
    assert (answer.status, answer.json()) == (
        404,
        {"errors": ["1 error occurred:\n\t* unsupported path\n\n"]},
    )


def test_a_policy_without_sudo_is_not_enough(server: Application) -> None:
    policy = {"policy": 'path "*" { capabilities = ["read", "list", "update", "create"] }'}
    assert server.request("POST", "/v1/sys/policies/acl/reads", policy, token="root").status == 204
    made = server.request("POST", "/v1/auth/token/create", {"policies": ["reads"]}, token="root")
    token = made.json()["auth"]["client_token"]
    assert server.request("GET", _PATH, token=token).status == 403
