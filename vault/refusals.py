# SPDX-License-Identifier: EUPL-1.2
"""How a call that cannot go on becomes a refusal: what fails in storage and barrier, misses, and answers that refuse."""

from __future__ import annotations

from typing import Final

from vault.barrier.failure import BarrierFailure, BarrierSealed, NamespaceSealed
from vault.framework.call import BoundRoute, Call
from vault.framework.errors import Busy, Internal, Locked, Malformed, Sealed, Unavailable, VaultError
from vault.framework.reply import RefusedReply, Reply
from vault.framework.request.operation import Operation
from vault.framework.route import Access
from vault.framework.route_table import special
from vault.framework.telemetry.log import Log
from vault.mount.router import SEALED
from vault.storage.protocol import CommitRefused, StorageBusy, StorageFailure, StorageLost, UnfitPath

_LOST: Final = "Vault is sealed: its storage was moved or replaced; see the server's log"


def to_refusal(call: Call, error: Exception, log: Log) -> VaultError:
    """Return what a client is told of an error; the log has what it is not told (SL-51)."""
    if isinstance(error, VaultError):
        return error
    if isinstance(error, UnfitPath):  # its message is written for the client
        return Malformed(str(error))
    if isinstance(error, NamespaceSealed):
        return Locked(SEALED)
    if isinstance(error, BarrierSealed):
        return Sealed()
    if isinstance(error, StorageLost):  # the log has it already: it is sealed within a second
        return Sealed(_LOST)
    if isinstance(error, StorageBusy):
        return Busy()
    if isinstance(error, CommitRefused):  # who refused has told why
        return Unavailable(detail=str(error))
    if isinstance(error, StorageFailure | BarrierFailure):
        log.crash("core", "storage or barrier failed", error, request_id=call.id)
        return Unavailable(detail=type(error).__name__)
    log.crash("core", "a request met a defect", error, request_id=call.id)
    return Internal(detail=type(error).__name__)


def raise_refusal(reply: Reply[object] | None) -> Reply[object] | None:
    """Refuse what was to be refused, now that what it wrote is kept. Raises `VaultError`."""
    if isinstance(reply, RefusedReply):
        raise reply.reason
    return reply


def refusing_route(error: VaultError, access: Access | None = None) -> BoundRoute:
    """Return a route whose handler refuses, for a path that has none: whoever may not ask learns nothing else."""
    # The call keeps it, and would wait for the collector of garbage, its token too (SL-58).
    error = error.anew()

    async def answer(call: Call) -> None:
        del call
        raise error.anew()

    return special(answer, Operation.READ, access or Access())
