# SPDX-License-Identifier: EUPL-1.2
"""Kept answers: a request with an `Idempotency-Key` is carried out once, and its repetition gets its answer (ESA-KV-021).

An answer is stored in the transaction of the write that it is the answer of, so both are there or neither is, whatever is
killed in between. Two that come at once meet there too: the second waits for the first, as all who write one thing do.
A key is that of a caller, on a path of a mount: another mount, or the same as another version, never had it. What is refused has no effect, so it is not kept and may be tried again.

Neither the key nor the request is stored: the name of an answer is a digest, and a keyed hash knows the request again.
"""

from __future__ import annotations

import functools
import hmac
from collections.abc import Awaitable, Callable
from contextlib import suppress
from hashlib import sha256
from typing import Any, Final, NamedTuple, get_args, get_origin

import msgspec

from vault.barrier.stored import RecordKind
from vault.barrier.view import ReadView, View
from vault.framework import schema
from vault.framework.call import Call, Identity
from vault.framework.clock import Clock
from vault.framework.errors import Limited, Malformed, OtherReplay
from vault.framework.reply import RefusedReply, Reply
from vault.framework.request.idempotency import fingerprint, read_key
from vault.framework.request.operation import Operation
from vault.storage.protocol import Timer
from vault.values.ids import NOBODY, NamespaceId
from vault.values.times import Millis, Seconds, millis_after

KEPT_FOR: Final = Seconds(86_400)
"""Seconds for which an answer is kept."""
KEPT_KIND: Final = "kept-answer"
"""Kind of the timers that remove answers."""
_FOLDER: Final = "idempotency/"
_SLICE: Final = 2
"""Characters of a digest by which the answers of one caller are divided, so that few are counted."""
_MOST: Final = 64
"""Answers of one caller in one of the 256 slices: the first is full when a caller has about 10,000."""
_NAME: Final = "idempotency"
"""What the log calls it."""


class KeptAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of a write. `data` is its JSON, empty where the answer had no body; `expires` is in milliseconds."""

    fingerprint: bytes
    expires: Millis
    existed: bool
    """Whether there was something at the path: the right to create, or the one to update, was asked for."""
    data: bytes = b""
    status: int = 0
    warnings: list[str] = []
    etag: bytes = b""

    def __repr__(self) -> str:
        """Show nothing of what was answered."""
        return "<KeptAnswer>"


_KIND: Final = RecordKind("kept answer", KeptAnswer)


class _Place(NamedTuple):
    """Where an answer lies, below a namespace's own data."""

    slice: str
    name: str

    @property
    def path(self) -> str:
        return self.slice + self.name


async def invoke(call: Call, params: Any) -> object:  # noqa: ANN401 -- as the handler takes them
    """Run the handler of a call with an idempotency key, or return the answer that it was given before.

    Raises `Malformed` for what is no key, `OtherReplay` where the key was another request's, and `Limited` where the caller
    has as many keys as are kept.
    """
    bound = call.bound
    if not bound.route.access.repeatable or call.identity is None:
        return await bound.invoke(call, params)
    place = _place(call, call.identity)
    kept = await _load(call, call.core, place)
    if kept is not None:
        if not hmac.compare_digest(kept.fingerprint, _fingerprint(call)):
            raise OtherReplay("Idempotency-Key was used for another request")
        with suppress(msgspec.DecodeError):  # what this route can no longer answer is no answer of it
            reply = _reply(kept, bound.route.result)
            call.replayed = True
            call.record.noted = {**call.record.noted, _NAME: {"replayed": True}}
            return reply
    if len(await call.core.list(_FOLDER + place.slice, limit=_MOST)) >= _MOST:
        raise Limited("too many keys of Idempotency-Key are remembered for this caller")
    there = call.operation is not Operation.CREATE
    result = await bound.invoke(call, params)
    given = result if isinstance(result, Reply) or result is None else Reply(data=result)
    if not _refuses(given):  # what is refused did nothing
        await _keep(call, place, given, existed=there)
    return result


async def existed(call: Call) -> bool:
    """Tell update from create, of a repeated request as it was told the first time: its own effect is not counted."""
    exists = call.bound.exists
    assert exists is not None
    if not call.bound.route.access.repeatable or call.identity is None:
        return await exists(call)
    try:
        place = _place(call, call.identity)
    except Malformed:  # told once it is known who may write
        return await exists(call)
    kept = await _load(call, call.reader.space(call.namespace.id), place)
    if kept is not None:
        with suppress(msgspec.DecodeError):
            _reply(kept, call.bound.route.result)
            return kept.existed
    return await exists(call)


def expiry(clock: Clock) -> Callable[[View, str], Awaitable[None]]:
    """Return what the background loop calls for answers that end."""

    async def due(core: View, key: str) -> None:
        namespace, _, path = key.partition("/")
        there = core.space(NamespaceId(namespace))
        stored = await there.get(_FOLDER + path)
        if stored is None:
            return
        expires = _KIND.decode(stored).expires
        if expires > clock.millis():
            await core.at(Timer(KEPT_KIND, key, expires))
        else:
            await there.delete(_FOLDER + path)

    return due


async def _load(call: Call, core: ReadView, place: _Place) -> KeptAnswer | None:
    """Return the answer that is kept still."""
    stored = await core.get(_FOLDER + place.path)
    kept = None if stored is None else _KIND.decode(stored)
    return kept if kept is not None and kept.expires > call.now else None


def _refuses(reply: Reply[object] | None) -> bool:
    return isinstance(reply, RefusedReply) or (reply is not None and reply.status >= 400)


async def _keep(call: Call, place: _Place, reply: Reply[object] | None, *, existed: bool) -> None:
    expires = millis_after(call.now, KEPT_FOR)
    kept = KeptAnswer(fingerprint=_fingerprint(call), expires=expires, existed=existed)
    await call.core.put(_FOLDER + place.path, _KIND.encode(_told(kept, reply)))
    await call.core.at(Timer(KEPT_KIND, f"{call.namespace.id}/{place.path}", expires))


def _told(kept: KeptAnswer, reply: Reply[object] | None) -> KeptAnswer:
    """Return `kept` with what was answered. Raises `TypeError` for an answer that may bring a credential."""
    if reply is None:
        return kept
    if reply.auth or reply.wrap_info or reply.lease_id or reply.raw is not None or reply.stream is not None:
        raise TypeError("a repeatable route answers with what is not kept")
    return msgspec.structs.replace(
        kept,
        data=schema.encode(reply.data),
        status=reply.status,
        warnings=reply.warnings,
        etag=reply.etag,
    )


def _reply(kept: KeptAnswer, result: object) -> Reply[object] | None:
    """Return what a route with this type of result answers again. Raises `msgspec.DecodeError` where that is none of it."""
    if not kept.data:
        return None
    data = _decoder(result)(kept.data)
    return Reply(data=data, status=kept.status, warnings=list(kept.warnings), etag=kept.etag)


@functools.cache
def _decoder(result: object) -> Any:  # noqa: ANN401 -- of a type that the route declares
    """Return what decodes the data of a route's answers: what the log says of it is by its type."""
    for one in (result, *get_args(result)):
        if get_origin(one) is Reply:
            return msgspec.json.Decoder(get_args(one)[0]).decode
    return msgspec.json.Decoder(result).decode


def _fingerprint(call: Call) -> bytes:
    if not call.fingerprint:  # without a body
        call.fingerprint = fingerprint(call.head, schema.encode(call.data))
    return call.fingerprint


def _place(call: Call, caller: Identity) -> _Place:
    """Return where the answer of a call lies. Raises `Malformed` for what is no key.

    Two versions of an engine on one mount, after an upgrade, differ in the templates of their routes.
    """
    key = read_key(call.head.idempotency_key)
    of = [call.mount.uuid, call.bound.route.template, call.path, key]
    digest = sha256(schema.encode(of)).hexdigest()
    owner = sha256(schema.encode(_owner(caller))).hexdigest()
    return _Place(f"{owner}/{digest[:_SLICE]}/", digest[_SLICE:])


def _owner(caller: Identity) -> tuple[str, str]:
    """Return who a caller is: his next credential is his too, where more than the credential is known of him."""
    if caller.entity_id != NOBODY:
        return "entity", caller.entity_id
    if caller.template_facts is not None:
        return "workload", caller.template_facts.entity_id
    return "token", caller.key or sha256(caller.token.reveal().encode()).hexdigest()
