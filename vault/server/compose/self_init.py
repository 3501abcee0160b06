# SPDX-License-Identifier: EUPL-1.2
"""A new vault that sets itself up: the requests of the configuration, by a root token that nobody ever sees.

They run before any listener answers, once, through the whole pipeline: they are recorded, and refused like any other.
The token is revoked at the end, also of a failure. A vault whose setting up did not come to its end is not served:
what is missing might be what protects it.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from vault.engines.system.seal.genesis import Genesis
from vault.framework import schema
from vault.framework.call import Call, Destination
from vault.framework.errors import VaultError
from vault.framework.fields import Json
from vault.framework.path import NotATarget, Redirect, Unprintable, canonical
from vault.framework.reply import Reply
from vault.framework.request.head import Head
from vault.framework.request.operation import Operation
from vault.framework.secret import Secret
from vault.seal.failure import SealFailure, SealRefusal
from vault.seal.init import InitRequest
from vault.seal.lifecycle import Lifecycle
from vault.server.compose.groups.ground import Ground
from vault.server.config.initialize import FirstRequest, Source, Template
from vault.server.failure import StartFailure
from vault.values.ids import ROOT_ID

PENDING_PATH: Final = "initialize/pending"
"""In the root namespace's own data, while a vault sets itself up."""
_CORE: Final = "ns/root/"
_LARGEST: Final = 1 << 20
_OPERATIONS: Final = {"create": Operation.UPDATE}
_METHODS: Final = {
    Operation.READ: "GET",
    Operation.LIST: "LIST",
    Operation.SCAN: "SCAN",
    Operation.DELETE: "DELETE",
    Operation.PATCH: "PATCH",
}
_BEGUN: Final = (
    "initialize: an earlier start did not finish setting this vault up; remove its storage and start again"
)

Handle = Callable[[Call], Awaitable[Reply[object] | None]]
Answers = Mapping[tuple[str, str], Mapping[str, object]]


class SelfInit:
    """Sets a new vault up."""

    def __init__(
        self,
        ground: Ground,
        lifecycle: Lifecycle,
        genesis: Genesis,
        handle: Handle,
        *,
        open_vault: Callable[[], Awaitable[bool]],
        closing: Callable[[], Awaitable[None]],
    ) -> None:
        """`open_vault` unseals by the key slots, `closing` seals."""
        self._genesis = genesis
        self._lifecycle = lifecycle
        self._barrier = ground.barrier
        self._follower = ground.follower
        self._clock = ground.clock
        self._entropy = ground.entropy
        self._log = ground.log
        self._handle = handle
        self._open = open_vault
        self._close = closing

    async def begin(self, requests: Sequence[FirstRequest]) -> None:
        """Initialise a vault that is not, and send the requests. Raises `StartFailure`."""
        if await self._lifecycle.is_initialized():
            await self._check()
            return
        try:
            _, token = await self._genesis.create(InitRequest(), pending=PENDING_PATH)
            opened = await self._open()
        except (SealRefusal, SealFailure) as failure:
            raise StartFailure(f"initialize: {failure}") from failure
        if not opened:
            raise StartFailure("initialize: no key slot opens the new vault")
        self._log.note("core", "vault is initialized, and sets itself up", count=len(requests))
        try:
            await self._send_all(requests, token)
        except StartFailure:
            await self._close()
            raise
        self._log.note("core", "vault has set itself up")

    async def _check(self) -> None:
        """Serve no vault that is half set up. It opens for the question alone where it can."""
        try:
            opened = await self._open()
        except SealFailure:
            return  # it stays sealed, and is asked again at the next start
        if opened and await self._barrier.reader(ROOT_ID, _CORE).get(PENDING_PATH) is not None:
            await self._close()
            raise StartFailure(_BEGUN)

    async def _send_all(self, requests: Sequence[FirstRequest], token: str) -> None:
        answers: dict[tuple[str, str], Mapping[str, object]] = {}
        try:
            for request in requests:
                answers[request.stanza, request.name] = await self._send(request, token, answers)
        finally:
            await self._handle(self._call(Operation.UPDATE, "auth/token/revoke-self", {}, token))
        async with self._barrier.write(ROOT_ID, _CORE) as core:
            await core.delete(PENDING_PATH)
        await self._follower.follow()

    async def _send(self, request: FirstRequest, token: str, answers: Answers) -> Mapping[str, object]:
        where = f'{request.place}: initialize "{request.stanza}" request "{request.name}"'
        try:
            call = self._first(request, token, answers)
            reply = await self._handle(call)
            call.record.flush()
        except StartFailure as failure:
            raise StartFailure(f"{where}: {failure}") from None
        except (NotATarget, Redirect, Unprintable):
            raise StartFailure(f"{where}: path is none") from None
        except VaultError as refusal:
            if request.allow_failure:
                self._log.caution("core", "a request of the configuration was refused, as it may be")
                return {}
            problem = refusal.message or type(refusal).__name__
            raise StartFailure(f"{where}: {problem}") from refusal
        return (
            {}
            if reply is None
            else {"data": schema.to_plain(reply.data), "auth": schema.to_plain(reply.auth)}
        )

    def _first(self, request: FirstRequest, token: str, answers: Answers) -> Call:
        """Return a request of the configuration as a call. Raises `StartFailure`."""
        path, own = _made(request.path, answers), _made(request.token, answers)
        data = _made(request.data, answers)
        operation = _OPERATIONS.get(request.operation) or Operation(request.operation)
        if not isinstance(path, str) or not isinstance(own, str) or not isinstance(data, dict | None):
            raise StartFailure("path and token must be strings, and data a block")
        return self._call(operation, path, data or {}, own or token)

    def _call(self, operation: Operation, path: str, data: Mapping[str, Json], token: str) -> Call:
        call = Call()
        call.id, call.now = self._entropy.uuid(), self._clock.millis()
        call.operation = operation
        call.head = Head(method=_METHODS.get(operation, "POST"), content_type=b"application/json")
        spelled = canonical(path.encode())
        if operation in {Operation.LIST, Operation.SCAN} and not spelled.endswith("/"):
            spelled += "/"
        call.destination = Destination(path=spelled)
        call.client_address, call.client_port = "", 0
        call.token, call.data = Secret(token), dict(data)
        call.body = schema.encode(data)
        return call


def _made(template: Template, answers: Answers) -> Json:
    """Return the value that a template makes now. Raises `StartFailure`, which never holds a value."""
    if isinstance(template, Source):
        return _converted(_fetched(template, answers), template)
    if isinstance(template, dict):
        return {key: _made(value, answers) for key, value in template.items()}
    if isinstance(template, list):
        return [_made(value, answers) for value in template]
    return template


def _fetched(source: Source, answers: Answers) -> object:
    if source.kind == "env":
        if source.present and source.name not in os.environ:
            raise StartFailure(f"environment variable {source.name} is not set")
        return os.environ.get(source.name, "")
    if source.kind == "file":
        try:
            with Path(source.name).open("rb") as file:
                raw = file.read(_LARGEST + 1)
            if len(raw) > _LARGEST:
                raise StartFailure(f"{source.name} is larger than {_LARGEST} bytes")
            return raw.decode()
        except (OSError, UnicodeDecodeError) as error:
            raise StartFailure(f"{source.name} cannot be read as text") from error
    found: object = answers.get((source.stanza, source.name))
    for part in source.selector:
        found = found.get(part) if isinstance(found, Mapping) else None
    if found is None:
        raise StartFailure(
            f'the answer of request "{source.name}" of initialize "{source.stanza}" has no such field'
        )
    return found


def _converted(value: object, source: Source) -> Json:
    """Return a value as `eval_type` wants it. Raises `StartFailure`."""
    try:
        if source.to == "string" and isinstance(value, str | int | float):
            return ("true" if value else "false") if isinstance(value, bool) else str(value)
        if source.to in {"int", "float64"} and isinstance(value, str | int | float):
            return int(value) if source.to == "int" else float(value)
        if source.to == "bool" and str(value).lower() in {"true", "false", "1", "0"}:
            return str(value).lower() in {"true", "1"}
        if source.to == "any":
            return msgspec.convert(value, Json)
    except (ValueError, msgspec.ValidationError):
        pass
    raise StartFailure(f"what eval_source {source.kind} gives is no {source.to}")
