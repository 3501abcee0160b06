# SPDX-License-Identifier: EUPL-1.2
"""`keys`: the issuer keys of an `nhi` mount."""

from __future__ import annotations

from typing import Final

import msgspec

from nhi.biscuit.format.authority import Algorithm
from nhi.biscuit.issue.issuer import BiscuitIssuer
from nhi.biscuit.records import store
from nhi.biscuit.records.model import IssuerKey, KeyState, MountRef
from nhi.biscuit.revocation.mount_removal import MountRemoval
from nhi.biscuit.routes.params import (
    KeyChange,
    KeyInfo,
    KeyParams,
    KeyPath,
    Names,
)
from nhi.biscuit.routes.publication_routes import word
from nhi.biscuit.routes.revocation_routes import destroy
from vault.barrier.view import View
from vault.framework.call import Call, MountFacts, Namespace
from vault.framework.clock import rfc3339
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, NotFound
from vault.framework.route import list_, read, write
from vault.values.times import millis_to_nanos

_ALGORITHMS: Final = {"ed25519": Algorithm.ED25519, "p256": Algorithm.P256}
_NEXT: Final = {
    KeyState.STAGED: {KeyState.ACTIVE, KeyState.DESTROYED},
    KeyState.ACTIVE: {KeyState.RETIRED, KeyState.DESTROYED},
    KeyState.RETIRED: {KeyState.ACTIVE, KeyState.DESTROYED},
    KeyState.DESTROYED: set[KeyState](),
}


class IssuerKeyEngine(Engine):
    """The paths of issuer keys. A key's number belongs to one mount for ever, also once the key is destroyed."""

    stays = True

    def __init__(self, issuer: BiscuitIssuer, mount_removal: MountRemoval) -> None:
        self._issuer = issuer
        self._mount_removal = mount_removal

    async def unmounting(self, core: View, home: Namespace, mount: MountFacts) -> None:
        """See `Engine.unmounting`: whatever the keys have signed ends."""
        await self._mount_removal.end(core, MountRef(home.id, mount.uuid), mount.logins)

    @list_("keys", event="nhi.key.list")
    async def list_keys(self, call: Call) -> Names:
        """List the numbers of all issuer keys, the oldest first."""
        found = await store.keys(call.reader)
        if not found:
            raise NotFound
        return Names([str(key.kid) for key in found])

    @write("keys", event="nhi.key.create")
    async def make_key(self, call: Call, params: KeyParams) -> KeyInfo:
        """Make an issuer key, or take one in a device. Tokens are signed by the newest active one."""
        algorithm = _ALGORITHMS.get(params.algorithm)
        if algorithm is None:
            raise Malformed("algorithm: must be ed25519 or p256")
        state = KeyState.STAGED if params.staged else KeyState.ACTIVE
        return _shown(await self._issuer.new_key(call, algorithm, params.external, state))

    @read("keys/{kid}", event="nhi.key.read")
    async def read_key(self, call: Call, params: KeyPath) -> KeyInfo:
        """Show an issuer key."""
        key = await store.key(call.reader, _number(params.kid))
        if key is None:
            raise NotFound
        return _shown(key)

    @write("keys/{kid}", event="nhi.key.write")
    async def change_key(self, call: Call, params: KeyChange) -> KeyInfo:
        """Activate, retire or destroy an issuer key. The tokens of a destroyed one end at once."""
        key = await store.key(call.tx, _number(params.kid))
        if key is None:
            raise NotFound
        if params.state not in set(KeyState) or KeyState(params.state) not in _NEXT[key.state]:
            raise Malformed(f"state: a key that is {key.state} cannot become that")
        state = KeyState(params.state)
        if state is KeyState.DESTROYED:
            return _shown(await destroy(call, key))
        changed = msgspec.structs.replace(key, state=state, changed=call.now)
        await store.put_key(call.tx, changed)
        return _shown(changed)


def _number(text: str) -> int:
    """Return a key's number; 0, which is no key's, for anything else."""
    return int(text) if text.isdecimal() and text.isascii() and len(text) <= 10 else 0


def _shown(key: IssuerKey) -> KeyInfo:
    return KeyInfo(
        kid=key.kid,
        algorithm=word(key),
        state=key.state,
        public_key=key.public.hex(),
        held=key.where,
        created_time=rfc3339(millis_to_nanos(key.created)),
    )
