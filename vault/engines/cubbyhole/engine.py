# SPDX-License-Identifier: EUPL-1.2
"""The routes of the cubbyhole: each caller sees only what the same token wrote."""

from __future__ import annotations

from collections.abc import Mapping

from vault.barrier.stored import raw
from vault.engines.cubbyhole import store
from vault.engines.cubbyhole.model import EntryPath, Keys
from vault.framework import schema
from vault.framework.call import Call
from vault.framework.concurrency.offload import Pool
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, NotFound
from vault.framework.fields import Json
from vault.framework.limits import AT_ONCE
from vault.framework.reply import Reply
from vault.framework.route import delete, list_, read, write


class Cubbyhole(Engine):
    """Values that one token keeps for itself. They go when the token is revoked or expires."""

    def __init__(self) -> None:
        self._reading = Pool(threads=1, name="cubbyhole-read")
        self._writing = Pool(threads=1, name="cubbyhole-write")
        """Who waits in this one holds a transaction, so it is never asked by anybody else."""

    @read("{path:any}")
    async def read_entry(self, call: Call, params: EntryPath) -> Reply[Mapping[str, Json]]:
        """Read an entry."""
        own = _own(call)
        if not params.path:
            raise Malformed("missing path", chained=True)
        stored = await call.reader.get(own + params.path)
        if stored is None:
            raise NotFound
        long, decode = len(stored) > AT_ONCE, schema.decode_kept
        entry = await self._reading.of(call, decode, stored) if long else decode(stored)
        return Reply(entry, own_names=True, long=long)

    @write("{path:any}", exists="entry_exists", contained=True)
    async def write_entry(self, call: Call, params: EntryPath) -> None:
        """Write an entry, replacing what was there."""
        own = _own(call)
        if not params.path:
            raise Malformed("missing path", chained=True)
        if not call.data:
            raise Malformed("missing data fields", chained=True)
        text = await self._writing.of(call, _text, call) if len(call.body) > AT_ONCE else _text(call)
        await call.tx.put(own + params.path, raw(text))

    @delete("{path:any}", contained=True)
    async def delete_entry(self, call: Call, params: EntryPath) -> None:
        """Remove an entry."""
        own = _own(call)
        if params.path:
            await call.tx.delete(own + params.path)

    @list_("{path:any}")
    async def list_entries(self, call: Call, params: EntryPath) -> Keys:
        """List the names in a folder; a folder's ends in `/`."""
        folder = params.path if not params.path or params.path.endswith("/") else f"{params.path}/"
        names = await call.reader.list(_own(call) + folder)
        if not names:
            raise NotFound
        return Keys(names)

    async def entry_exists(self, call: Call) -> bool:
        """Tell update from create."""
        if not call.captures["path"]:
            raise Malformed("missing path", chained=True)
        return await call.reader.has(_own(call) + call.captures["path"])


def _text(call: Call) -> bytes:
    """Return the body as it is stored, its values as they were spelled; the fields of a form are strings."""
    spelled = call.body.lstrip().startswith(b"{")
    return schema.encode(schema.decode_fields(call.body) if spelled else call.data)


def _own(call: Call) -> str:
    """Return the prefix of what the caller keeps. Raises `Malformed` for a token that is not stored itself.

    What nobody stores, nobody revokes: nothing would ever remove what such a token left here.
    """
    caller = call.identity
    if caller is None or caller.kind != "service" or not caller.key or caller.fleeting:
        raise Malformed("cubbyhole operations are only supported by 'service' type tokens")
    return store.prefix(caller.key)
