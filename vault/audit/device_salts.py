# SPDX-License-Identifier: EUPL-1.2
"""Which salt each audit device has: one that a key slot unwraps, or a temporary one until a slot can."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Final

from vault.audit.device import DeviceFailure
from vault.audit.salts import Salts, SaltUnreadable
from vault.barrier.view import ReadView, View
from vault.framework.clock import Clock, Entropy
from vault.framework.errors import Unavailable
from vault.framework.telemetry.log import Log
from vault.values.times import Millis

_SALT: Final = "audit/salt/"
"""Where earlier versions kept salts, before salts were wrapped for the key slots."""


class DeviceSalts:
    """The salts of all devices. `core` is the root namespace's own data."""

    def __init__(self, salts: Salts, clock: Clock, entropy: Entropy, log: Log) -> None:
        self._salts, self._clock, self._entropy, self._log = salts, clock, entropy, log
        self._unopened: set[str] = set()
        """Devices whose salt no slot could unwrap at the last attempt."""

    async def prepare(
        self,
        core: ReadView,
        write: Callable[[], AbstractAsyncContextManager[View]],
        devices: Iterable[str],
    ) -> None:
        """Make a salt for each of `devices` without one. It may ask an HSM; only storing is done in `write`."""
        for path in devices:
            wrapped = await self.wrapped_for(core, path)
            if wrapped:
                async with write() as tx:
                    old = await tx.get(_SALT + path) is not None
                    await self._salts.put(tx, path, wrapped, Millis(0) if old else self._clock.millis())
                    await tx.delete(_SALT + path)

    async def wrapped_for(self, core: ReadView, path: str) -> bytes:
        """Return a wrapped salt for a device without one; empty where it has one, or where no slot answers.

        It may ask an HSM, so call it outside transactions.
        """
        earlier = await core.get(_SALT + path)
        try:
            if earlier is None and await self._salts.get(core, path) is not None:
                wrapped = b""
            else:
                wrapped = await self._salts.wrap(path, earlier or self._fresh())
        except SaltUnreadable as error:
            self._unopened.add(path)
            self._log.caution("audit", "no slot opens a salt: hashes differ for now", reason=str(error))
            return b""
        self._unopened.discard(path)
        return wrapped

    async def readable(self, core: ReadView, path: str) -> bytes:
        """Return a device's salt; a temporary one where no slot can unwrap it. Raises `DeviceFailure`."""
        try:
            salt = await self._salts.get(core, path) or await core.get(_SALT + path)
        except SaltUnreadable:
            self._unopened.add(path)
            salt = None
        if salt is None and path not in self._unopened:
            raise DeviceFailure(f'audit device "{path}" has no salt; unseal again')
        return salt or self._fresh()

    async def put(self, core: View, path: str, wrapped: bytes) -> None:
        """Store what `wrapped_for` returned. Raises `Unavailable` where its slots have been removed meanwhile."""
        try:
            await self._salts.put(core, path, wrapped, self._clock.millis())
        except SaltUnreadable as error:
            raise Unavailable(str(error)) from error

    async def delete(self, core: View, path: str) -> None:
        """Remove a device's salt."""
        await self._salts.delete(core, path)

    def forget(self) -> None:
        """Forget every salt, when the vault is sealed."""
        self._salts.forget()

    def _fresh(self) -> bytes:
        return self._entropy.bytes(32).hex().encode()
