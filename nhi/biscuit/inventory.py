# SPDX-License-Identifier: EUPL-1.2
"""The keys of an `nhi` mount, as the crypto inventory has them: those that sign Biscuits, and those of approvers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from nhi.biscuit.format.authority import Algorithm
from nhi.biscuit.records import model, store
from nhi.biscuit.records.model import Approver, IssuerKey
from vault.barrier.view import ReadView
from vault.framework.keys.inventory import KeyState, KeyUse, Purpose
from vault.values.times import Millis

_NAMES: Final = {Algorithm.ED25519: "ed25519", Algorithm.P256: "ecdsa-p256-sha256"}
_STATES: Final = {
    model.KeyState.STAGED: KeyState.NEXT,
    model.KeyState.ACTIVE: KeyState.ACTIVE,
    model.KeyState.RETIRED: KeyState.RETIRED,
}
"""A destroyed key is none any more."""


async def keys_of(core: ReadView, mount: ReadView) -> Sequence[KeyUse]:
    """Describe the keys of a mount; see `vault.framework.keys.inventory.KeysOf`."""
    del core
    roots = [_root(key) for key in await store.keys(mount) if key.state in _STATES]
    names = await mount.list(store.APPROVERS)
    approvers = [await store.approver(mount, name) for name in names]
    return [*roots, *(_approver(one) for one in approvers if one is not None and one.where)]


def _root(key: IssuerKey) -> KeyUse:
    return KeyUse(
        name=f"key/{key.kid:010}",
        purpose=Purpose.BISCUIT_ROOT,
        protects="Biscuits: the signature of their first block",
        algorithm=_NAMES[Algorithm(key.algorithm)],
        bits=256,
        location=_location(key),
        in_hsm=bool(key.external),
        version=str(key.kid),
        state=_STATES[key.state],
        created=key.created,
        rotated=key.changed
        if key.state is model.KeyState.ACTIVE and key.changed != key.created
        else Millis(0),
    )


def _approver(key: Approver) -> KeyUse:
    return KeyUse(
        name=f"approver/{key.name}",
        purpose=Purpose.BISCUIT_APPROVER,
        protects="approvals of Biscuits: their signature",
        algorithm=_NAMES[Algorithm(key.algorithm)],
        bits=256,
        location=_location(key),
        in_hsm=bool(key.external),
    )


def _location(key: IssuerKey | Approver) -> str:
    return f"external key {key.external}" if key.external else f"storage, in the {key.where}"
