# SPDX-License-Identifier: EUPL-1.2
"""Batch tokens: the entry itself, sealed by the barrier. Nothing is stored, so nothing can be revoked or renewed."""

from __future__ import annotations

import base64
import binascii
from typing import Final

from vault.barrier.barrier import Barrier
from vault.barrier.envelope import entry_scope
from vault.barrier.failure import BarrierFailure
from vault.barrier.view import ReadView
from vault.framework.call import Call, Identity, Namespace
from vault.framework.clock import Entropy
from vault.framework.errors import Unauthenticated
from vault.framework.secret import Secret
from vault.namespace.ids import bound
from vault.token.addresses import within
from vault.token.authenticator import core_reader
from vault.token.entities import present
from vault.token.model import TOKEN, TokenEntry
from vault.token.store import TokenStore
from vault.values.ids import NO_ACCESSOR, NO_TOKEN_KEY
from vault.values.times import Nanos, millis_to_nanos, nanos_to_millis

PREFIX: Final = "b."
_PLACE: Final = "token/batch"
"""Bound into every batch token, so that nothing else the barrier sealed can pass for one."""
_LONGEST: Final = 8192


class BatchTokens:
    """Makes and verifies batch tokens. They die with their expiry, and with the service token that made them."""

    def __init__(self, store: TokenStore, barrier: Barrier, entropy: Entropy) -> None:
        self._store = store
        self._barrier = barrier
        self._entropy = entropy

    def issue(self, namespace: Namespace, entry: TokenEntry) -> str:
        """Return the token that is this entry."""
        scope = entry_scope(namespace.id)
        sealed = self._barrier.keys(namespace.id)[0].encrypt(
            scope, _PLACE, TOKEN.encode(entry), self._entropy.bytes
        )
        return bound(PREFIX + base64.urlsafe_b64encode(sealed).decode().rstrip("="), namespace)

    def recognises(self, token: str) -> bool:
        """See `Authenticator.recognises`."""
        return token.startswith(PREFIX)

    def known(self, call: Call) -> Identity | None:
        """Nothing is remembered: opening the token is as quick."""
        del call
        return None

    async def open(self, core: ReadView, token: str, now: Nanos) -> TokenEntry | None:
        """Return the entry of a token that is good at `now` (nanoseconds), or None."""
        home = self._store.namespace(token)
        if home is None or len(token) > _LONGEST:
            return None
        try:
            text = token.removeprefix(PREFIX).partition(".")[0]
            sealed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            value = self._barrier.keys(home.id)[0].decrypt(entry_scope(home.id), _PLACE, sealed)
        except (binascii.Error, ValueError, BarrierFailure):
            return None
        entry = TOKEN.decode(value)
        if not entry.alive(now):
            return None
        if entry.parent:
            keys = await self._store.ancestor_keys(core, NO_TOKEN_KEY, entry, now)
            if keys is None or keys.left:
                return None
        return entry

    async def authenticate(self, call: Call) -> Identity:
        """See `Authenticator.authenticate`."""
        core = core_reader(self._barrier, call.namespace)
        found = await self._opened(core, call.token, millis_to_nanos(call.now))
        if found is None:
            raise Unauthenticated
        entry, home = found
        if entry.bound_cidrs and not within(call.client_address, entry.bound_cidrs):
            raise Unauthenticated
        return await self._identity(core, call.token, entry, home)

    async def identify(self, call: Call, token: str) -> Identity | None:
        """Return whom a token stands for; None for one that is not good, or not of `call`'s namespace or below."""
        core = core_reader(self._barrier, call.namespace)
        found = await self._opened(core, Secret(token), millis_to_nanos(call.now))
        if found is None or not call.namespace.holds(found[1]):
            return None
        try:
            return await self._identity(core, Secret(token), *found)
        except Unauthenticated:
            return None

    async def _opened(self, core: ReadView, token: Secret, now: Nanos) -> tuple[TokenEntry, Namespace] | None:
        entry = await self.open(core, token.reveal(), now)
        home = self._store.namespace(token.reveal())
        return None if entry is None or home is None else (entry, home)

    async def _identity(self, core: ReadView, token: Secret, entry: TokenEntry, home: Namespace) -> Identity:
        standing = await present(self._store.entities, core, home.id, entry.entity)
        return Identity(
            token=token,
            key=NO_TOKEN_KEY,
            accessor=NO_ACCESSOR,
            policies=entry.policies,
            display_name=entry.display_name,
            metadata=entry.metadata,
            kind="batch",
            entity_id=entry.entity,
            entity=None if entry.claims_only else standing,
            orphan=entry.orphan,
            parent=entry.parent,
            created=entry.created,
            expires=nanos_to_millis(entry.expires),
            ttl=entry.ttl,
            namespace=home,
        )
