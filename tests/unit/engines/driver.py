# SPDX-License-Identifier: EUPL-1.2
"""Drives an engine as the pipeline does: routes, parameters, one transaction per write, a barrier below."""

import json
import os
from typing import Any

import msgspec
import pytest

from tests.calls import fill_call, mount_facts
from tests.clocks import MovedClock
from vault.barrier.barrier import Barrier
from vault.barrier.key import Key
from vault.barrier.keyring import Keyring
from vault.framework import schema
from vault.framework.call import Call, Identity
from vault.framework.engine import Engine
from vault.framework.errors import UnsupportedPath, VaultError
from vault.framework.reply import Reply
from vault.framework.request.operation import WRITES, Operation
from vault.framework.route_table import RouteTable
from vault.framework.secret import Secret
from vault.storage.memory import MemoryStorage
from vault.values.ids import ROOT_ID, TokenAccessor, TokenKey
from vault.values.times import Seconds

START = 1_700_000_000_000_000_000
"""When the fake clock starts, in nanoseconds since the epoch."""
_PREFIX = "logical/one/"


class FakeClock(MovedClock):
    """A clock that begins at `START`, moves a microsecond at each look, and further when told."""

    def __init__(self) -> None:
        super().__init__(START)


class Answer(msgspec.Struct):
    """What a client would see: data as plain values, warnings, and whether there is a body at all."""

    data: Any = None
    status: int = 200
    warnings: list[str] = []
    lease_duration: int = 0
    text: bytes = b""
    raw: bytes | None = None
    long: bool = False
    """Whether it is encoded and hashed off the event loop."""


class Driver:
    """One engine on one mount, in memory."""

    def __init__(self, engine: Engine, clock: FakeClock, *, default_ttl: Seconds = Seconds(0)) -> None:
        self.engine = engine
        self.clock = clock
        self.table = RouteTable([engine])
        self.storage = MemoryStorage()
        self.barrier = Barrier(self.storage, now=clock.millis, random=os.urandom)
        self.mount = mount_facts(uuid="one", default_ttl=default_ttl)
        self.identity: Identity | None = who("first")

    async def start(self) -> "Driver":
        """Make the keyring and unseal."""
        root = Key(bytes(32))
        async with self.storage.write() as tx:
            await self.barrier.create_in(tx, root, Keyring.create(self.clock.millis(), os.urandom))
        await self.barrier.load(root)
        return self

    async def __call__(self, method: str, path: str, body: Any = None, /, **query: Any) -> Answer:
        """Send one request; a `bytes` body goes as it is. Refusals are raised."""
        call = self._call(method, path, body, query)
        try:
            call.bound, captures = self.table.match(path, call.operation)
        except UnsupportedPath:
            if self.engine.missing is None:
                raise
            return _answer(await self.engine.missing(call), call)
        fill_call(call, captures=captures)
        if call.body:
            formed = b"=" in call.body and call.body[:1] != b"{"
            fill_call(call, content_type=b"application/x-www-form-urlencoded" if formed else b"")
            call.data = schema.read_body(call)
        call.reader = self.barrier.reader(ROOT_ID, _PREFIX)
        if call.bound.exists is not None and not await call.bound.exists(call):
            call.operation = Operation.CREATE
        params = schema.build_params(call.bound.route, call.captures, call.data, call.warnings)
        assert "hunter2" not in repr(params)
        if call.operation not in WRITES:
            return _answer(await call.bound.invoke(call, params), call)
        if call.bound.before is not None:
            call.prepared = await call.bound.before(call, params)
        async with self.barrier.write(ROOT_ID, _PREFIX) as view:
            call.tx = view
            reply = await call.bound.invoke(call, params)
        return _answer(reply, call)

    async def refused(self, method: str, path: str, body: Any = None, /, **query: Any) -> str:
        """Send a request that is refused; return the kind of refusal and its message."""
        with pytest.raises(VaultError) as caught:
            await self(method, path, body, **query)
        return f"{type(caught.value).__name__}: {caught.value.message}"

    async def operation(self, method: str, path: str) -> Operation:
        """Return what the ACL would be asked for."""
        call = self._call(method, path, None, {})
        call.bound, captures = self.table.match(path, call.operation)
        fill_call(call, captures=captures)
        call.reader = self.barrier.reader(ROOT_ID, _PREFIX)
        if call.bound.exists is not None and not await call.bound.exists(call):
            return Operation.CREATE
        return call.operation

    async def stored(self) -> list[str]:
        """Return every path that the mount keeps."""
        return list(await self.storage.reader().scan(_PREFIX))

    def _call(self, method: str, path: str, body: Any, query: dict[str, Any]) -> Call:
        call = Call()
        call.id = "1"
        call.client_address = "127.0.0.1"
        fill_call(call, method=method)
        call.operation = {"GET": Operation.READ, "POST": Operation.UPDATE}.get(method) or Operation(
            method.lower()
        )
        fill_call(call, local=path, path=path, mount=self.mount)
        call.identity = self.identity
        call.now = self.clock.millis()
        call.body = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
        call.data = query
        return call


def who(name: str, kind: str = "service") -> Identity:
    """Return a caller."""
    return Identity(
        Secret(f"s.{name}"),
        TokenKey(f"key-{name}"),
        TokenAccessor(f"accessor-{name}"),
        ("default",),
        kind=kind,
    )


def _answer(reply: Reply[object] | msgspec.Struct | None, call: Call) -> Answer:
    if reply is None:
        return Answer(status=204)
    if not isinstance(reply, Reply):
        assert "hunter2" not in repr(reply)
        reply = Reply(reply)
    text = schema.encode(reply.data)
    return Answer(
        json.loads(text),
        reply.status or 200,
        [*reply.warnings, *call.warnings],
        reply.lease_duration,
        text,
        reply.raw,
        reply.long,
    )
