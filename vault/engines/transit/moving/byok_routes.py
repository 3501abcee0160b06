# SPDX-License-Identifier: EUPL-1.2
"""Keys that leave wrapped for another key, to be imported where that one's private half is."""

from __future__ import annotations

import base64

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from vault.engines.transit.keys.export import versions_to_export
from vault.engines.transit.keys.key_ring import KeyRing, OpenKey
from vault.engines.transit.keys.model import SOFT_DELETED
from vault.engines.transit.moving.answers import WrappedKeys
from vault.engines.transit.moving.envelope import known_hash, wrap
from vault.engines.transit.moving.params import ByokParams, ByokVersionParams
from vault.framework.call import Call
from vault.framework.clock import Entropy
from vault.framework.concurrency.time_slice import TimeSlice
from vault.framework.engine import Engine
from vault.framework.errors import Malformed
from vault.framework.route import read


class ByokEngine(Engine):
    """Keys that leave wrapped."""

    def __init__(self, ring: KeyRing, entropy: Entropy) -> None:
        self._ring = ring
        self._entropy = entropy

    @read("byok-export/{destination:word}/{source:word}", event="transit.key.export")
    async def export(self, call: Call, params: ByokParams) -> WrappedKeys:
        """Give out each version of a key that may be used, wrapped for another key, if its settings allow it."""
        return await self._export(call, params, "")

    @read("byok-export/{destination:word}/{source:word}/{version}", event="transit.key.export")
    async def export_version(self, call: Call, params: ByokVersionParams) -> WrappedKeys:
        """Give out one version of a key, or the `latest`, wrapped for another key, if its settings allow it."""
        return await self._export(call, params, params.version)

    async def _export(self, call: Call, params: ByokParams, wanted: str) -> WrappedKeys:
        destination = await self._ring.find(call, params.destination)
        if destination is None:
            raise Malformed("no such destination key to export to")
        source = await self._ring.find(call, params.source)
        if source is None:
            raise Malformed("no such source key for export")
        if not source.settings.exportable:
            raise Malformed("key is not exportable")
        if destination.settings.soft_deleted:
            raise Malformed(f"for destination key: {SOFT_DELETED}")
        if source.settings.soft_deleted:
            raise Malformed(f"for source key: {SOFT_DELETED}")
        algorithm = known_hash(params.hash)
        public = await self._public(call, destination)
        texts = {}
        turn = TimeSlice()
        for number in versions_to_export(source.settings, wanted):
            version = await self._ring.version(call, source, number)
            if version.secretive:
                sealed = wrap(public, algorithm, version.secret, self._entropy)
                texts[str(number)] = base64.b64encode(sealed).decode()
            await turn.step()
        return WrappedKeys(texts, params.source, source.kind.name)

    async def _public(self, call: Call, destination: OpenKey) -> RSAPublicKey:
        if not destination.kind.rsa:
            raise Malformed("unsupported key type in use; must be a rsa key")
        newest = await self._ring.version(call, destination, destination.settings.latest)
        public = newest.verifier
        assert isinstance(public, RSAPublicKey)
        return public
