# SPDX-License-Identifier: EUPL-1.2
"""How a call that cannot go on becomes a refusal: what fails in storage and barrier, misses, and answers that refuse.

Who is refused before anybody is asked who calls is told of in the log alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from vault.audit.broker import Broker, Taken
from vault.barrier.failure import BarrierFailure, BarrierSealed, NamespaceSealed
from vault.barrier.stored import UpgradeUnderWay
from vault.framework.call import BoundRoute, Call, Identity
from vault.framework.errors import (
    Busy,
    Internal,
    Locked,
    Malformed,
    Sealed,
    Unavailable,
    UnsupportedOperation,
    UnsupportedPath,
    VaultError,
)
from vault.framework.reply import RefusedReply, Reply
from vault.framework.request.operation import Operation
from vault.framework.route import Access
from vault.framework.route_table import special
from vault.framework.telemetry.log import Log
from vault.mount.router import SEALED, Barred, Router
from vault.seal.failure import SealFailure
from vault.storage.protocol import (
    CommitRefused,
    OutcomeUnknown,
    StorageBusy,
    StorageFailure,
    StorageLost,
    UnfitPath,
)
from vault.token.authenticator import Authenticator

_UNKNOWN: Final = "the storage was lost while it committed: this may have been done, or not"
_LOST: Final = "Vault is sealed: its storage was moved or replaced; see the server's log"


def to_refusal(call: Call, error: Exception, log: Log) -> VaultError:
    """Return what a client is told of an error; the log has what it is not told (SL-51)."""
    if isinstance(error, StorageFailure) and not isinstance(error, OutcomeUnknown | StorageLost):
        call.record.standing = False  # nothing was kept
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
    if isinstance(error, UpgradeUnderWay):
        return Unavailable(str(error))
    if isinstance(error, StorageFailure | BarrierFailure | SealFailure):
        log.crash("core", "storage, barrier or seal failed", error, request_id=call.id)
        if isinstance(error, OutcomeUnknown):
            return Unavailable(_UNKNOWN, detail=type(error).__name__)
        return Unavailable(detail=type(error).__name__)
    log.crash("core", "a request met a defect", error, request_id=call.id)
    return Internal(detail=type(error).__name__)


def raise_refusal(call: Call, reply: Reply[object] | None) -> Reply[object] | None:
    """Refuse what was to be refused, now that what it wrote is kept. Raises `VaultError`."""
    call.record.keep()
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


class UnaskedRefusals:
    """Has the log tell of refusals that come before anybody is asked who calls, or while nobody can be (LOG-003).

    Those are malformed requests, verbs that do not exist, rate limits, and the seal. The audit devices hear nothing of
    them, as those of OpenBao do not. Each leaves one record of bounded size, without data: the paths are all that came.
    """

    def __init__(
        self, router: Router, authenticators: Sequence[Authenticator], audit: Broker, log: Log
    ) -> None:
        self._router, self._authenticators = router, authenticators
        self._audit, self._log = audit, log

    def require_devices(self, call: Call) -> None:
        """Put a call off, as `Broker.require_devices`, before it spends a use of its token: it will come again. Raises `Busy`.

        Which device lacks what is told to those alone who are known.
        """
        try:
            self._audit.require_devices(call)
        except Busy:
            call.identity = self._known(call)
            if call.identity is None:
                raise Busy from None
            raise

    def record(self, call: Call, error: VaultError) -> None:
        """Record a refusal, unless it is that of a route that is not recorded. What fails here is told in the server log."""
        try:
            self._place(call)
            if hasattr(call, "bound") and call.bound.route.access.unaudited:
                return
            call.data = {}
            call.identity = call.identity or self._known(call)
            self._audit.refused(call, error)
        except Exception as defect:  # noqa: BLE001 -- the refusal goes out all the same
            self._log.crash("core", "a refusal could not be recorded", defect, request_id=call.id)

    def _place(self, call: Call) -> None:
        """Find out where a call would have led, if that was not asked yet."""
        if not hasattr(call, "bound"):
            with suppress(UnsupportedPath, UnsupportedOperation, Barred):
                found = self._router.lead(call)
                if found is not None:
                    call.bound = found.bound

    def _known(self, call: Call) -> Identity | None:
        """Return who calls where that is in memory: nothing is looked up for a refusal, and no use of a token spent."""
        token = call.token.reveal()
        for authenticator in self._authenticators:
            if authenticator.recognises(token):
                return authenticator.known(call)
        return None


async def taken(record: Taken) -> None:
    """Wait until a record is taken. Raises `Unavailable`."""
    if record is not None:
        await record
