# SPDX-License-Identifier: EUPL-1.2
"""Counts encryptions and signatures by version of a key, in memory, and adds them to what is stored now and then.

So no use waits for a write, and all processes together count in one place. What a process has not stored yet is lost with
it if it is killed: some minutes of it. A version of AES-GCM, or of another cipher with nonces of 96 random bits, is for
2^32 encryptions at most (NIST SP 800-38D, section 8.3): half of them are told of.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from vault.barrier.barrier import Barrier
from vault.barrier.failure import NamespaceSealed
from vault.barrier.view import ReadView, View
from vault.engines.transit.keys.key_ring import OpenKey, find_key, stored_version
from vault.engines.transit.keys.key_types import EXTERNAL, SHORT_NONCE
from vault.engines.transit.keys.model import USES, USES_RECORD, KeyUses, TransitKey
from vault.framework.call import Call
from vault.framework.telemetry.log import Log
from vault.values.ids import ROOT_ID, MountId, NamespaceId

TOLD_AT: Final = 1 << 31
"""Encryptions with one version after which it is told that the key should be rotated: half of what it is for."""
_MOST: Final = 65_536
"""Keys whose uses are counted between two times of storing; one more is not counted until then."""
_AT_ONCE: Final = 64
"""Keys whose uses are stored in one transaction."""
_SOON: Final = "a version of a transit key has half of the encryptions that it is for: rotate the key"


class _KeyCount(NamedTuple):
    """Uses of one key by version, and where it is."""

    namespace: NamespaceId
    mount: MountId
    path: str
    name: str
    uses: Counter[int]


class Uses:
    """Uses that are not stored yet, and how they are stored."""

    def __init__(self, barrier: Barrier, log: Log) -> None:
        self._barrier = barrier
        self._log = log
        self._counted: dict[str, _KeyCount] = {}
        """By the id of a key."""

    def note(self, call: Call, key: OpenKey, number: int, times: int = 1) -> None:
        """Count uses of a version."""
        counted = self._counted.get(key.settings.id)
        if counted is None:
            if len(self._counted) >= _MOST:
                return
            mount = call.mount
            counted = _KeyCount(call.namespace.id, mount.uuid, mount.path, call.captures["name"], Counter())
            self._counted[key.settings.id] = counted
        counted.uses[number] += times

    async def of(self, view: ReadView, key: TransitKey) -> Mapping[str, int]:
        """Return how often each version of a key was used that may be: as it is stored, and by this process since."""
        counts = Counter((await _stored(view, key.id)).counts)
        counted = self._counted.get(key.id)
        if counted is not None:
            counts.update(counted.uses)
        oldest = max(key.first, key.min_decryption)
        return {str(number): counts[number] for number in range(oldest, key.latest + 1)}

    async def store(self) -> None:
        """Add what was counted to what is stored. What cannot be stored now is added the next time."""
        left = list(self._counted.items())
        while left:
            await self._store(left[:_AT_ONCE])
            del left[:_AT_ONCE]

    async def _store(self, some: Sequence[tuple[str, _KeyCount]]) -> None:
        """Do so for some keys, in one transaction."""
        stored: list[tuple[str, _KeyCount, Counter[int], Sequence[int]]] = []
        async with self._barrier.write(ROOT_ID, "ns/root/") as core:
            for key_id, counted in some:
                more = counted.uses.copy()
                with contextlib.suppress(NamespaceSealed):
                    data = core.space(counted.namespace).mount(counted.mount)
                    stored.append((key_id, counted, more, await _add(data, counted.name, key_id, more)))
        for key_id, counted, more, told in stored:
            counted.uses.subtract(more)
            if not any(counted.uses.values()):
                self._counted.pop(key_id, None)
            for number in told:
                self._log.caution("core", _SOON, mount=counted.path, key=counted.name, key_version=number)

    def forget(self) -> None:
        """Forget which keys were used, as the vault is sealed."""
        self._counted.clear()


async def _stored(view: ReadView, key_id: str) -> KeyUses:
    stored = await view.get(USES + key_id)
    return USES_RECORD.decode(stored) if stored is not None else KeyUses()


async def _add(view: View, name: str, key_id: str, more: Mapping[int, int]) -> Sequence[int]:
    """Add uses of a key, if it is still there; return the versions that have half of what they are for by these."""
    key = await find_key(view, name)
    if key is None or key.id != key_id:
        return []
    before = (await _stored(view, key_id)).counts
    both = Counter(before)
    both.update(more)
    counts = {number: count for number, count in both.items() if number >= key.first}
    await view.put(USES + key_id, USES_RECORD.encode(KeyUses(counts)))
    if key.type not in {*SHORT_NONCE, EXTERNAL} or key.convergent:
        return []
    half = [number for number, count in counts.items() if before.get(number, 0) < TOLD_AT <= count]
    return [number for number in half if await _has_short_nonce(view, key, number)]


async def _has_short_nonce(view: View, key: TransitKey, number: int) -> bool:
    """Whether a version of such a kind has them: in a device only an AES key does, which has no public half."""
    stored = await stored_version(view, key, number)
    return stored is not None and not (stored.external and stored.public)
