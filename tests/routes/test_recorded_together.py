# SPDX-License-Identifier: EUPL-1.2
"""Records that are made together at the end of a turn, or before a commit: their order, and what a defect among them does."""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from uvicorn.server import ServerState

from tests.calls import fill_call
from tests.routes.driver import Application
from tests.unit.server.http.test_protocol import Wire
from vault.audit.broker import Broker
from vault.audit.device import DeviceFailure, FileDevice
from vault.framework.call import Call
from vault.framework.errors import Unavailable, VaultError
from vault.framework.reply import Reply
from vault.framework.request.operation import Operation
from vault.framework.secret import Secret
from vault.log.format.tree import encode_hash, leaf_hash
from vault.server.config.settings import Listener
from vault.server.http.listeners import _uvicorn
from vault.server.http.protocol import Connection

pytestmark = pytest.mark.asked_alone("reads the log of one process")


@pytest.fixture
def application() -> Iterator[Application]:
    with Application() as application:
        assert (
            application.request("GET", "/v1/secret/config", token="root").status == 200
        )  # it writes at once
        yield application


def _records(application: Application) -> list[Any]:
    """The records of the log, which follow each other."""
    (segment,) = application.history.rglob("*.jsonl")
    lines = segment.read_bytes().splitlines()
    found = [json.loads(line) for line in lines]
    assert [record["seq"] for record in found] == [*range(len(found))]
    hashes = [encode_hash(leaf_hash(line)) for line in lines]
    assert [record["prev_hash"] for record in found[1:]] == hashes[:-1]
    return found


def _call(name: str, data: object = None) -> Call:
    call = fill_call(Call(), id=name, path="secret/data/x", operation=Operation.READ)
    call.client_address, call.client_port = "127.0.0.1", 4711
    call.token = Secret("s.hunter2")
    call.data = {} if data is None else {"data": data}
    return call


def _wait(broker: Broker, call: Call) -> list[VaultError | None]:
    """Have a read wait for its record; returns what it is told."""
    told: list[VaultError | None] = []
    broker.request(call, hold=True)
    broker.exchange(call, Reply(data={}))
    assert call.record.batch is not None
    call.record.batch.then(told.append)
    return told


def test_what_waits_is_recorded_before_what_does_not(application: Application) -> None:
    async def ask() -> None:
        broker = application.vault.controls.audit
        told = _wait(broker, _call("waits"))
        broker.request(_call("attempt"))
        assert told == [None]
        told = _wait(broker, _call("waits too"))
        broker.response(_call("outcome"), Reply(data={}))
        assert told == [None]

    application.run(ask())
    found = [record.get("request.id") for record in _records(application)[-4:]]
    assert found == ["waits", "attempt", "waits too", "outcome"]


def test_a_record_that_cannot_be_made_refuses_those_of_its_turn_and_leaves_no_gap(
    application: Application,
) -> None:
    async def ask() -> None:
        broker = application.vault.controls.audit
        told = [_wait(broker, _call("before")), _wait(broker, _call("defect", object()))]
        assert told == [[], []]
        broker.request(_call("after"))
        assert all(isinstance(one[0], Unavailable) for one in told)

    before = _records(application)
    application.run(ask())
    after = _records(application)
    assert after[: len(before)] == before
    assert [record["request.id"] for record in after[len(before) :]] == ["after"]
    assert "a batch of records met a defect" in application.log.getvalue()


def test_what_was_taken_back_is_superseded_by_nothing(application: Application) -> None:
    async def ask() -> None:
        broker = application.vault.controls.audit
        first = _call("first")
        _wait(broker, first)
        _wait(broker, _call("defect", object()))
        broker.request(_call("other"))
        assert first.record.receipt == b""
        broker.response(first, None, Unavailable())

    application.run(ask())
    refusal = _records(application)[-1]
    assert (refusal["request.id"], refusal["outcome"]) == ("first", "failed")
    assert "supersedes" not in refusal


def _encrypted_together(
    application: Application, take: Callable[[FileDevice, bytes, float], None]
) -> list[bytes]:
    """Have four connections encrypt in one turn, thrice, with heads that are known by then; return the last answers.

    `take` is what the audit file does with records from then on.
    """
    made = application.request("POST", "/v1/transit/keys/k", {}, token="root")
    assert made.status == 200
    body = b'{"plaintext":"eA=="}'
    sent = b"POST /v1/transit/encrypt/k HTTP/1.1\r\nhost: x\r\nx-vault-token: root\r\ncontent-length: %d\r\n\r\n%b"
    wires = [Wire() for _ in range(4)]

    async def ask() -> None:
        listener, loop = Listener(kind="tcp"), asyncio.get_running_loop()
        config = _uvicorn(application.vault.at(listener), listener)
        connections = [Connection(config, ServerState(), listener, loop) for _ in wires]
        for connection, wire in zip(connections, wires, strict=True):
            connection.connection_made(wire)
        for times in range(3):
            if times == 2:
                patched.setattr(FileDevice, "write", take)
            for connection, wire in zip(connections, wires, strict=True):
                wire.written = b""
                loop.call_soon(connection.data_received, sent % (len(body), body))
            async with asyncio.timeout(60):
                while not all(wire.written for wire in wires):  # noqa: ASYNC110 -- wires tell nobody
                    await asyncio.sleep(0)

    with pytest.MonkeyPatch.context() as patched:
        application.run(ask())
    return [wire.written for wire in wires]


def test_calls_that_change_nothing_share_a_write_whatever_their_verb(application: Application) -> None:
    writes: list[bytes] = []
    take = FileDevice.write

    def note(device: FileDevice, line: bytes, now: float) -> None:
        writes.append(line)
        take(device, line, now)

    answers = _encrypted_together(application, note)
    assert all(answer.startswith(b"HTTP/1.1 200 ") and b"vault:v1:" in answer for answer in answers)
    kinds = [[json.loads(line)["type"] for line in lines.splitlines()] for lines in writes]
    assert kinds == [["request", "response"] * 4]


def test_none_of_them_is_answered_where_that_write_fails(application: Application) -> None:
    def fail(device: FileDevice, line: bytes, now: float) -> None:
        raise DeviceFailure("the disk is full")

    answers = _encrypted_together(application, fail)
    assert all(answer.startswith(b"HTTP/1.1 500 ") and b"vault:v1:" not in answer for answer in answers)


def test_a_write_whose_record_cannot_be_made_has_not_happened(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    common = application.vault.controls.audit.common
    assert common is not None

    def fail(*_: object) -> bytes:
        raise ValueError("nobody thought of it")

    with monkeypatch.context() as patched:
        patched.setattr(common.renderer, "exchange", fail)
        refused = application.request("POST", "/v1/secret/data/x", {"data": {"a": "new"}}, token="root")
    assert refused.status >= 500
    read = application.request("GET", "/v1/secret/data/x", token="root")
    assert read.json()["data"]["data"] == {"a": {"b": 1}}
    assert application.request("POST", "/v1/secret/data/x", {"data": {}}, token="root").status == 200
    *_, refusal, looked, written = _records(application)
    assert (refusal["outcome"], refusal["event_name"]) == ("failed", "esa.kv.write")
    assert (looked["event_name"], written["outcome"]) == ("esa.kv.read", "success")
