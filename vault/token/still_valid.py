# SPDX-License-Identifier: EUPL-1.2
"""Whether a credential that was good is so still: asked again and again by an answer that goes on."""

from __future__ import annotations

import msgspec

from vault.barrier.barrier import Barrier
from vault.barrier.failure import BarrierSealed, NamespaceSealed
from vault.barrier.view import ReadView
from vault.framework.call import Identity
from vault.framework.clock import Clock
from vault.framework.errors import Unauthenticated
from vault.token.authenticator import core_reader
from vault.token.batch import BatchTokens
from vault.token.entities import present
from vault.token.other_credentials import OtherCredentials
from vault.token.store import TokenStore
from vault.values.times import Nanos, millis_to_nanos, nanos_to_millis


class StillValid:
    """Asks storage about a credential of any kind, and about whose it is. Its policies are not asked again."""

    def __init__(
        self,
        tokens: TokenStore,
        batch: BatchTokens,
        others: OtherCredentials,
        barrier: Barrier,
        clock: Clock,
    ) -> None:
        self._tokens = tokens
        self._batch = batch
        self._others = others
        self._barrier = barrier
        self._clock = clock

    async def good(self, caller: Identity) -> bool:
        """Whether a credential that was good is so now: not over, revoked, or without what it hangs on."""
        now = self._clock.nanos()
        if self._barrier.sealed or (caller.expires and now >= millis_to_nanos(caller.expires)):
            return False
        try:
            core = core_reader(self._barrier, caller.namespace)
            await present(self._tokens.entities, core, caller.namespace.id, caller.entity_id)
            return await self._kept(core, caller, now)
        except (Unauthenticated, BarrierSealed, NamespaceSealed):
            return False

    async def _kept(self, core: ReadView, caller: Identity, now: Nanos) -> bool:
        if caller.fleeting:
            return True
        token = caller.token.reveal()
        if self._others.recognises(token):
            return await self._others.lives(core, token, nanos_to_millis(now))
        if self._batch.recognises(token):
            return await self._batch.open(core, token, now) is not None
        entry = await self._tokens.get(core, caller.key)
        if entry is None:
            return False
        unspent = msgspec.structs.replace(entry, uses=0)  # what goes on was its last use
        return (
            unspent.alive(now) and await self._tokens.ancestor_keys(core, caller.key, entry, now) is not None
        )
