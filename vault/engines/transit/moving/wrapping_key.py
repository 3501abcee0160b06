# SPDX-License-Identifier: EUPL-1.2
"""The wrapping key of a mount: whoever imports a key wraps it for this one. It is made when somebody first asks for it."""

from __future__ import annotations

from functools import partial
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from vault.barrier.stored import RecordKind
from vault.barrier.view import ReadView
from vault.engines.transit.keys.key_types import KEY_TYPES, Material, load_signer, make
from vault.framework.call import Call
from vault.framework.clock import Entropy
from vault.framework.concurrency.offload import Pool, client_of
from vault.framework.keys.asked_first import asked_first
from vault.framework.keys.safe import Safe
from vault.values.times import Nanos, millis_to_nanos

KIND: Final = KEY_TYPES["rsa-4096"]
_PLACE: Final = "wrapping-key"
"""Where it lies in a mount's data."""


class WrappingKey(msgspec.Struct, frozen=True, kw_only=True):
    """The wrapping key; its private half (`held`) lies in the safe. `id` is its own."""

    id: str
    created: Nanos
    held: bytes
    public: bytes
    """SubjectPublicKeyInfo."""

    def __repr__(self) -> str:
        """Show nothing of it."""
        return "WrappingKey(…)"


_RECORD: Final = RecordKind("transit wrapping key", WrappingKey)


class WrappingKeys:
    """Finds, makes and opens them."""

    def __init__(self, safe: Safe, entropy: Entropy, pool: Pool) -> None:
        self._safe = safe
        self._entropy = entropy
        self._pool = pool

    async def known(self, call: Call) -> WrappingKey:
        """Return the one of a mount, within a transaction. Raises `Unavailable`, and `Busy`.

        Where there is none yet it is made, which takes seconds; no transaction waits for that.
        """
        found = await wrapping_key(call.tx)
        if found is not None:
            return found
        work = partial(make, KIND, 0, self._entropy)
        made = await asked_first(call, _PLACE, Material, partial(self._pool.run, client_of(call), work))
        new = self._entropy.uuid()
        found = WrappingKey(
            id=new,
            created=millis_to_nanos(call.now),
            held=self._safe.close(_about(new), made.secret),
            public=made.public,
        )
        await call.tx.put(_PLACE, _RECORD.encode(found))
        return found

    async def private(self, view: ReadView) -> RSAPrivateKey | None:
        """Return the private half of a mount's; None where nobody asked for one yet. Raises `Unavailable`."""
        found = await wrapping_key(view)
        if found is None:
            return None
        private = load_signer(await self._safe.open(_about(found.id), found.held))
        assert isinstance(private, RSAPrivateKey)
        return private


async def wrapping_key(view: ReadView) -> WrappingKey | None:
    """Return the wrapping key of a mount; None where nobody asked for one yet."""
    stored = await view.get(_PLACE)
    return _RECORD.decode(stored) if stored is not None else None


def _about(key: str) -> tuple[str, ...]:
    return ("transit", key, "wrapping")
