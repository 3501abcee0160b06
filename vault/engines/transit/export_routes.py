# SPDX-License-Identifier: EUPL-1.2
"""Keys that may leave the server, in clear. Whoever may read this has them for good."""

from __future__ import annotations

from vault.engines.transit.answers import KeyTexts
from vault.engines.transit.keys.export import FORMS, PARTS, exported, require_part, versions_to_export
from vault.engines.transit.keys.key_ring import KeyRing
from vault.engines.transit.keys.model import SOFT_DELETED
from vault.engines.transit.params import ExportParams, ExportVersionParams
from vault.framework.call import Call
from vault.framework.concurrency.time_slice import TimeSlice
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, NotFound
from vault.framework.quote import quote
from vault.framework.route import read


class ExportEngine(Engine):
    """Keys that leave."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    @read("export/{type}/{name:word}", event="transit.key.export")
    async def export(self, call: Call, params: ExportParams) -> KeyTexts:
        """Give out a part of each version of a key that may be used, if its settings allow it."""
        return await self._export(call, params, "")

    @read("export/{type}/{name:word}/{version}", event="transit.key.export")
    async def export_version(self, call: Call, params: ExportVersionParams) -> KeyTexts:
        """Give out a part of one version of a key, or of the `latest`, if its settings allow it."""
        return await self._export(call, params, params.version)

    async def _export(self, call: Call, params: ExportParams, wanted: str) -> KeyTexts:
        if params.type not in PARTS:
            raise Malformed(f"invalid export type: {quote(params.type)}")
        if params.format not in FORMS:
            raise Malformed("invalid format; must be raw, der or pem, or not given")
        key = await self._ring.find(call, params.name)
        if key is None:
            raise NotFound
        if key.settings.soft_deleted:
            raise Malformed(SOFT_DELETED)
        require_part(key.settings, key.kind, params.type)
        texts = {}
        turn = TimeSlice()
        for number in versions_to_export(key.settings, wanted):
            version = await self._ring.version(call, key, number)
            texts[str(number)] = exported(version, params.type, params.format)
            await turn.step()
        return KeyTexts(texts, params.name, key.kind.name)
