# SPDX-License-Identifier: EUPL-1.2
"""Long-lived keys of the vault itself: wrapped for the seal's slots, numbered, in memory while the vault is open.

Without key slots they lie behind the barrier only. When no slot can unwrap a key any more, everything under it is
lost; when none can be unwrapped, a new key is made. A number is never used twice, even after deletion: a value made
under one key must not be taken for one of another key with the same number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Generic, TypeVar

from vault.barrier.barrier import Barrier
from vault.barrier.failure import BarrierSealed
from vault.barrier.stored import text
from vault.barrier.view import ReadView, View, core_prefix
from vault.framework.keys.made import note_made, when_made
from vault.seal.failure import SealFailure
from vault.seal.records.sealwrap import PREFIX, SealWrap
from vault.values.ids import ROOT_ID
from vault.values.times import Millis

T = TypeVar("T")

_NEWEST: Final = "newest/"
"""Below this path in the root namespace's own data: the highest number ever used, for each kind of key."""
_MAKING: Final = 0
"""Stands for a new key in `unopened`, which is indexed by number."""


class NumberedKeys(Generic[T]):
    """Keys of one kind. `prepare` runs after each unseal and at each check of the slots, `forget` when sealed."""

    def __init__(
        self,
        wraps: SealWrap,
        barrier: Barrier,
        read: Callable[[bytes], T],
        make: Callable[[], bytes],
        *,
        folder: str,
        first: str = "",
        bare: str = "",
    ) -> None:
        """`make` gives a new key's bytes, and `read` what they stand for.

        Key `n` lies at `folder/n`, the first one at `first` if given. An earlier version kept a key at `bare`, not
        wrapped by slots: that becomes the next key.
        """
        self._wraps = wraps
        self._barrier = barrier
        self._read = read
        self._make = make
        self._folder = folder
        self._first = first
        self._bare = bare
        self._keys: dict[int, T] = {}
        self._values: dict[str, bytes] = {}
        wraps.memories.append(lambda path, _: self._values.get(path))
        self._told: dict[int, str] = {}
        self._sealed = 0
        self.unopened: dict[int, SealFailure] = {}
        """Why keys could not be unwrapped at the last attempt, by number; 0 for a new key that no slot wrapped."""

    @property
    def known(self) -> Mapping[int, T]:
        """The keys that are in memory, by their numbers."""
        return self._keys

    async def prepare(self) -> None:
        """Read every key that is not in memory, and make one if none can be unwrapped. Failures are in `unopened`.
        Raises `BarrierSealed` while sealed, and whatever storage does.
        """
        core = self._reader()
        self.unopened.clear()
        await self.look()
        newest, noted = await self._newest(core), await self._read_newest(core)
        if self._keys and newest == noted:
            return
        try:
            wrapped = b"" if self._keys else await self._new(core, newest + 1)
            async with self._barrier.write(ROOT_ID, core_prefix(ROOT_ID)) as tx:
                if await self._newest(tx) == newest:  # otherwise another server was faster
                    await self._store(tx, newest, wrapped)
        except SealFailure as failure:
            self.unopened[_MAKING] = failure
        await self.look()

    async def look(self) -> None:
        """Read keys that other servers have made, forget keys that they deleted. Failed keys are not tried again.

        Raises `BarrierSealed`.
        """
        for number in await self.tidy():
            await self.find(number)

    async def tidy(self) -> Sequence[int]:
        """Forget keys that were deleted; return the numbers of those that are stored. Asks no slot."""
        before = set(self._keys)
        numbers = await self._numbers(self._reader())
        for number in before - set(numbers):
            self._keys.pop(number, None)
            self._values.pop(self._path(number), None)
        return numbers

    async def find(self, number: int) -> T | None:
        """Return a key, reading it if another server has just made it.

        None if it cannot be unwrapped or does not exist. Raises `BarrierSealed` if the vault was sealed meanwhile,
        since another vault may have been opened then.
        """
        if number in self._keys or number in self.unopened:
            return self._keys.get(number)
        sealed = self._sealed
        try:
            value = await self._wraps.get(self._reader(), ROOT_ID, self._path(number))
        except SealFailure as failure:
            self.unopened[number] = failure
            return None
        if sealed != self._sealed:
            raise BarrierSealed
        if value is None:
            return None
        self._values[self._path(number)] = value
        return self._keys.setdefault(number, self._read(value))

    async def made(self, number: int) -> Millis:
        """Return when a key was made (ms); 0 where nobody noted it. Raises `BarrierSealed`."""
        return await when_made(self._reader(), self._path(number))

    def news(self) -> Mapping[int, SealFailure]:
        """Return the entries of `unopened` that are new, or have another reason than at the last call."""
        news = {
            number: failure
            for number, failure in self.unopened.items()
            if self._told.get(number) != failure.gist
        }
        self._told = {number: failure.gist for number, failure in self.unopened.items()}
        return news

    def forget(self) -> None:
        """Drop the keys from memory."""
        self._keys.clear()
        self._values.clear()
        self.unopened.clear()
        self._sealed += 1

    async def _new(self, core: ReadView, number: int) -> bytes:
        value = (await core.get(self._bare) if self._bare else None) or self._make()
        return await self._wraps.wrap(ROOT_ID, self._path(number), value)

    async def _store(self, tx: View, newest: int, wrapped: bytes) -> None:
        """Store a new key if there is one, and note the highest number, which is `newest` without it."""
        if wrapped:
            newest += 1
            await self._wraps.put(tx, self._path(newest), wrapped)
            old = self._bare and await tx.get(self._bare) is not None
            await note_made(tx, self._path(newest), Millis(0) if old else self._barrier.now())
            if self._bare:
                await tx.delete(self._bare)
        await tx.put(_NEWEST + self._folder, text(str(newest)))

    async def _numbers(self, core: ReadView) -> list[int]:
        """Return the numbers of the keys that are stored."""
        above, _, name = self._first.rpartition("/")
        first = bool(name) and name in await core.list(f"{PREFIX}{above}/")
        more = sorted(int(name) for name in await core.list(f"{PREFIX}{self._folder}/"))
        return [1, *more] if first else more

    async def _newest(self, core: ReadView) -> int:
        """Return the highest number that is, or was, given."""
        return max(await self._read_newest(core), *await self._numbers(core), 0)

    async def _read_newest(self, core: ReadView) -> int:
        return int(await core.get(_NEWEST + self._folder) or b"0")

    def _path(self, number: int) -> str:
        return self._first if self._first and number == 1 else f"{self._folder}/{number}"

    def _reader(self) -> ReadView:
        return self._barrier.reader(ROOT_ID, core_prefix(ROOT_ID))
