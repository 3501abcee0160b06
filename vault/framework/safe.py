# SPDX-License-Identifier: EUPL-1.2
"""The safe: where long-lived signing keys lie. Storage and the root key together do not open it.

A safe key is seal-wrapped (`sealwrap.py`) and kept in memory while the vault is open; every signing key is encrypted
under it. So making or using one asks no device, not even within a transaction, and a rotation of a slot's key
rewraps one value. Without key slots all of that lies behind the barrier only. A safe key that no slot opens any
more takes what is under it along; from then on there is another one.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

from vault.barrier.barrier import Barrier
from vault.barrier.envelope import unwrap, wrap
from vault.barrier.failure import BarrierFailure, BarrierSealed
from vault.barrier.key import KEY_BYTES, Key, Random
from vault.barrier.view import ReadView, View, core_prefix
from vault.framework.errors import Failed, Unavailable
from vault.seal.failure import SealFailure
from vault.seal.sealwrap import PREFIX, SealWrap

_KEYS: Final = "safe/"
_ROOT: Final = "root"
_NUMBER: Final = 4
"""Bytes of a safe key's number, which everything under it begins with."""

_SHUT: Final = "no slot opens the safe that signing keys are kept in"

Write = Callable[[], AbstractAsyncContextManager[View]]


class Safe:
    """`prepare` it when the vault was opened and when a slot came back, `forget` it when it is sealed."""

    def __init__(self, wraps: SealWrap, barrier: Barrier, random: Random) -> None:
        """`random` gives entropy."""
        self._wraps = wraps
        self._barrier = barrier
        self._random = random
        self._keys: dict[int, Key] = {}
        self._missing = True
        self._sealed = 0
        self.unopened: dict[int, SealFailure] = {}
        """Why safe keys did not open when they were last tried, by their numbers."""

    @property
    def whole(self) -> bool:
        """Whether there is no safe key but those in memory, as far as is known."""
        return not self._missing

    async def prepare(self) -> None:
        """Read every safe key, and make one where the newest does not open.

        Raises `NoSlotAnswers` where none can be made, `BarrierSealed` while sealed; whatever opened is kept.
        """
        core = self._barrier.reader(_ROOT, core_prefix(_ROOT))
        newest = await self._read(core)
        if newest in self._keys:
            return
        path = f"{_KEYS}{newest + 1}"
        wrapped = await self._wraps.wrap(_ROOT, path, self._random(KEY_BYTES))
        async with self._barrier.write(_ROOT, core_prefix(_ROOT)) as tx:
            if await self._wraps.stored(tx, path) is None:
                await self._wraps.put(tx, path, wrapped)
        await self._read(self._barrier.reader(_ROOT, core_prefix(_ROOT)))

    async def _read(self, core: ReadView) -> int:
        """Read what is not in memory yet; return the newest number, 0 where there is none.

        Raises `BarrierSealed` where the vault was sealed meanwhile: it may be another one by now.
        """
        numbers = sorted(int(name) for name in await core.list(PREFIX + _KEYS))
        missing, sealed = False, self._sealed
        for number in numbers:
            if number in self._keys:
                continue
            try:
                value = await self._wraps.get(core, _ROOT, f"{_KEYS}{number}")
            except SealFailure as failure:
                missing = True
                self.unopened[number] = failure
                continue
            self.unopened.pop(number, None)
            if sealed != self._sealed:
                raise BarrierSealed
            if value is not None:
                self._keys[number] = Key(value)
        self._missing = missing
        return numbers[-1] if numbers else 0

    def close(self, about: tuple[str, ...], value: bytes) -> bytes:
        """Encrypt `value`, bound to what `about` says of it. Raises `Unavailable`."""
        if not self._keys:
            raise Unavailable(_SHUT)
        number = max(self._keys)
        return number.to_bytes(_NUMBER, "big") + wrap(self._keys[number], about, value, self._random)

    def open(self, about: tuple[str, ...], closed: bytes) -> bytes:
        """Decrypt what `close` made. Raises `Unavailable`, and `Failed` for what was altered or is of something else."""
        key = self._keys.get(int.from_bytes(closed[:_NUMBER], "big"))
        if key is None:
            self._missing = True
            raise Unavailable(_SHUT)
        try:
            return unwrap(key, about, closed[_NUMBER:])
        except BarrierFailure:
            raise Failed("a signing key fails its integrity check", chained=False) from None

    def forget(self) -> None:
        """Drop the safe keys from memory."""
        self._keys.clear()
        self._missing = True
        self._sealed += 1
