# SPDX-License-Identifier: EUPL-1.2
"""Hashes long data in a thread before it is recorded, once for each device, so that the event loop goes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from vault.audit.open_device import LineMaker
from vault.framework.call import Call
from vault.framework.concurrency.offload import Pool, client_of
from vault.framework.reply import Reply

_LONGEST_HELD: Final = 1 << 13
"""Bytes of what is said of a request's data in the longest record that is made with others: hundreds may wait for a commit."""
_OF_A_VALUE: Final = 160
"""Bytes of what a record has instead of a value and its name."""


def may_be_long(call: Call, reply: Reply[object] | None) -> bool:
    """Whether the record of a call may be too long to be made with those of others, by how much it sent at most."""
    values = call.body.count(b",") + len(call.data)
    return len(call.body) + _OF_A_VALUE * values > _LONGEST_HELD or (
        reply is not None and (reply.long or reply.raw is not None)
    )


def may_wait(call: Call, reply: Reply[object] | None) -> bool:
    """Whether the record of a call that changed nothing may be made with those of others, and its answer wait for it.

    Not where the request was recorded already, the record may be long, or the answer leaves whatever becomes of the record.
    """
    if not call.record.held or call.bound.route.access.despite_audit or may_be_long(call, reply):
        return False
    return reply is None or (reply.stream is None and reply.refusal is None)


class LongData:
    """Keeps what each device will record of long data, encoded already, at the call or the answer."""

    def __init__(self) -> None:
        self._pool = Pool(threads=1, name="record")

    async def hash_request(self, call: Call, renderers: Sequence[LineMaker]) -> None:
        """Hash long data of a request in a thread, before it is recorded and outside transactions, once.

        It is never refused for want of a place: the amount is bounded by what is parsed at one time, and a refusal
        would have to be recorded with the same hashes.
        """
        data = call.data_key
        sent = call.record.sent
        if sent is not None and sent[0] == data:
            return
        made: dict[object, bytes] = {}
        for renderer in renderers:
            made[renderer] = await self._pool.run(client_of(call), renderer.request_hasher(call), owed=True)
        call.record.sent = data, made

    async def hash_reply(self, call: Call, reply: Reply[object], renderers: Sequence[LineMaker]) -> None:
        """Hash a long answer in a thread, before it is recorded and not within a transaction, once. Raises `Busy`."""
        if reply.recorded is not None:
            return
        made: dict[object, bytes] = {}
        for renderer in renderers:
            make = renderer.reply_hasher(call, reply)
            if make is not None:
                made[renderer] = await self._pool.run(client_of(call), make, owed=call.spent)
        reply.recorded = made
