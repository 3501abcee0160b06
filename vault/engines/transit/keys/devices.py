# SPDX-License-Identifier: EUPL-1.2
"""Whoever signs with a pair: it is here, or in a device (an external key) that is asked for each signature."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from vault.engines.transit.keys.key_ring import OpenVersion
from vault.engines.transit.keys.key_types import MAC_KEY, Material, Signer
from vault.framework.call import Call
from vault.framework.clock import Entropy
from vault.framework.concurrency.offload import Pool
from vault.framework.errors import Failed, Malformed
from vault.framework.keys.external import ExternalKey, ExternalKeys, PrivateKey

T = TypeVar("T")


class Devices:
    """Finds external keys, and hands work to whoever has the private half."""

    def __init__(self, keys: ExternalKeys, entropy: Entropy, pool: Pool) -> None:
        """`pool` signs with RSA, and long texts, where the pair is here."""
        self._keys = keys
        self._entropy = entropy
        self._pool = pool

    async def material(self, call: Call, ref: str) -> Material:
        """Return a version that is the external key `ref`: its public half, and a key for MACs that is made here.

        Never within a transaction. Raises `Malformed` in OpenBao's words, `Unavailable`, and `Failed`.
        """
        key = await self._find(call, ref)
        public = await key.use(call, _public)
        return Material(b"", self._entropy.bytes(MAC_KEY), public, ref)

    async def do(
        self, call: Call, version: OpenVersion, work: Callable[[Signer], T], *, slow: bool = False
    ) -> T:
        """Return what `work` makes with the private half of a version; `slow` where that takes a while here.

        Raises what `work` does, and of a device `Unavailable` and `Failed`. Never within a transaction.
        """
        ref = version.stored.external
        if not ref:
            return await self._pool.do(call, partial(work, version.signer), slow=slow)
        key = await self._find(call, ref)

        def checked(private: PrivateKey) -> T:
            if _public(private) != version.stored.public:
                raise Failed("the device has another key of this name by now")
            return work(private)

        return await key.use(call, checked)

    async def _find(self, call: Call, ref: str) -> ExternalKey:
        try:
            return await self._keys.find(call.namespace, call.mount, ref)
        except Malformed as error:
            raise Malformed(f"failed to fetch external key: {error.message}") from None


def _public(private: PrivateKey) -> bytes:
    return private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
