# SPDX-License-Identifier: EUPL-1.2
"""Proofs that count once: each is remembered for as long as it could come again.

By the wall clock a proof is too old to come again, and by the wall clock it is forgotten. One that was ahead, and is set
right, makes proofs good again that are forgotten. So it is kept of each registration, and over restarts, up to where
its proofs are: what was issued by then, and ends by then, may be one of these and counts no more.
"""

from __future__ import annotations

from typing import Any, Final, cast

import msgspec

from nhi.biscuit.records import store
from nhi.biscuit.records.model import BISCUIT_KIND, MountRef
from vault.barrier.stored import RecordKind
from vault.barrier.view import View
from vault.storage.protocol import Timer
from vault.token.store import TokenStore
from vault.values.ids import NO_TOKEN_KEY, TokenKey
from vault.values.times import HOUR, Millis, Seconds, millis_after, nanos_to_millis

ONCE: Final = "once/"
FORGOTTEN: Final = "forgotten/"
"""By registration, with which it goes."""
_AGAIN: Final = HOUR
"""Time after which it is looked again whether a token that has no end is still there."""


class SingleUseProof(msgspec.Struct, frozen=True, array_like=True):
    """A proof that counts once: what it is known by, and when it is not taken any more (ms).

    `issued` is when it was made, in seconds, or 0 where it does not tell. `token` is the key of a token that is the proof:
    it may be renewed, and is remembered until it is gone.
    """

    digest: str
    until: Millis
    registration: str
    issued: Seconds = Seconds(0)
    token: TokenKey = NO_TOKEN_KEY


class _ForgottenProofs(msgspec.Struct, frozen=True, array_like=True):
    """The latest of the proofs that were forgotten: when one was issued (s), when one ended (ms)."""

    issued: Seconds = Seconds(0)
    until: Millis = Millis(0)


_ONCE: Final[RecordKind[SingleUseProof | int]] = RecordKind(
    "Biscuit proof", cast("Any", SingleUseProof | int)
)
"""An integer, the end alone, is what was kept before."""
_FORGOTTEN: Final = RecordKind("Biscuit proofs forgotten", _ForgottenProofs)


async def take(view: View, owner: MountRef, proof: SingleUseProof) -> bool:
    """Take a proof; False where it was taken before, or may have been."""
    if await view.get(ONCE + proof.digest) is not None:
        return False
    forgotten = await _forgotten(view, proof.registration)
    if not proof.token and proof.issued <= forgotten.issued and proof.until <= forgotten.until:
        return False
    await view.put(ONCE + proof.digest, _ONCE.encode(proof))
    await view.at(_timer(owner, proof.digest, proof.until))
    return True


async def forget(core: View, owner: MountRef, digest: str, tokens: TokenStore) -> None:
    """Forget a proof whose time is over. It may be gone. A token that has more time by now is not forgotten."""
    view = core.space(owner.namespace).mount(owner.mount)
    value = await view.get(ONCE + digest)
    if value is None:
        return
    proof = _ONCE.decode(value)
    if isinstance(proof, SingleUseProof):
        held = await tokens.get(core, proof.token) if proof.token else None
        if held is not None:
            ends = nanos_to_millis(held.expires)
            due = ends if ends > proof.until else millis_after(proof.until, _AGAIN)
            await view.at(_timer(owner, digest, due))
            return
        if not proof.token and await store.registration(view, proof.registration) is not None:
            old = await _forgotten(view, proof.registration)
            new = _ForgottenProofs(max(old.issued, proof.issued), max(old.until, proof.until))
            await view.put(FORGOTTEN + proof.registration, _FORGOTTEN.encode(new))
    await view.delete(ONCE + digest)


async def _forgotten(view: View, registration: str) -> _ForgottenProofs:
    value = await view.get(FORGOTTEN + registration)
    return _ForgottenProofs() if value is None else _FORGOTTEN.decode(value)


def _timer(owner: MountRef, digest: str, until: Millis) -> Timer:
    return Timer(BISCUIT_KIND, f"{owner.namespace}/{owner.mount}/{ONCE}{digest}", until)
