# SPDX-License-Identifier: EUPL-1.2
"""The keys of the audit hashes: stored behind the barrier, and wrapped for the key slots where there are any."""

from __future__ import annotations

from typing import Final

from vault.barrier.view import ReadView, View
from vault.framework.keys.made import forget_made, note_made, when_made
from vault.seal.failure import SealFailure
from vault.seal.records.sealwrap import SealWrap
from vault.values.ids import ROOT_ID
from vault.values.times import Millis

_PREFIX: Final = "audit/salt/"


class SaltUnreadable(Exception):
    """There is a salt, but no slot that answers can unwrap it, or it is damaged."""


class Salts:
    """The salt of each device, by the device's path. `core` is the root namespace's own data."""

    def __init__(self, wraps: SealWrap) -> None:
        self._wraps = wraps
        self._known: dict[str, tuple[bytes, bytes]] = {}
        wraps.memories.append(self._cached)

    async def get(self, core: ReadView, device: str) -> bytes | None:
        """Return a device's salt, or None where it has none. Raises `SaltUnreadable`.

        A salt in use stays cached until its stored form changes. So an HSM that is away meanwhile changes no hash,
        and one that hangs delays no request.
        """
        try:
            stored = await self._wraps.stored(core, _PREFIX + device)
            known = self._known.get(device)
            if known is not None and known[0] == stored:
                return known[1]
            salt = await self._wraps.get(core, ROOT_ID, _PREFIX + device)
        except SealFailure as error:
            raise SaltUnreadable(str(error)) from error
        if stored is not None and salt is not None:
            self._known[device] = stored, salt
        return salt

    def _cached(self, path: str, stored: bytes) -> bytes | None:
        known = self._known.get(path.removeprefix(_PREFIX))
        return known[1] if known is not None and known[0] == stored else None

    def forget(self) -> None:
        """Forget every salt, when the vault is sealed."""
        self._known.clear()

    async def wrap(self, device: str, salt: bytes) -> bytes:
        """Wrap a device's salt for `put`. It may ask an HSM, so call it outside transactions.

        Raises `SaltUnreadable` where no slot answers.
        """
        try:
            return await self._wraps.wrap(ROOT_ID, _PREFIX + device, salt)
        except SealFailure as error:
            raise SaltUnreadable(str(error)) from error

    async def put(self, core: View, device: str, wrapped: bytes, now: Millis) -> None:
        """Store the result of `wrap`, made at `now` (ms). Raises `SaltUnreadable` where its slots have been removed meanwhile."""
        try:
            await self._wraps.put(core, _PREFIX + device, wrapped)
        except SealFailure as error:
            raise SaltUnreadable(str(error)) from error
        await note_made(core, _PREFIX + device, now)

    async def delete(self, core: View, device: str) -> None:
        """Remove a device's salt."""
        await self._wraps.delete(core, _PREFIX + device)
        await forget_made(core, _PREFIX + device)


async def salt_made(core: ReadView, device: str) -> Millis:
    """Return when a device's salt was made (ms); 0 where nobody noted it."""
    return await when_made(core, _PREFIX + device)
