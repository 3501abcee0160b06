# SPDX-License-Identifier: EUPL-1.2
"""Locking names out after failed logins: one count for each name of an auth mount, in the name's one form (SL-20).

What is known of a name lies with its mount, and goes with it. Names that nobody has are counted too, in memory, so
that being locked out does not tell who exists (SL-22).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from vault.barrier.barrier import Barrier
from vault.barrier.view import ReadView, View, core_prefix
from vault.cache.follow import Bounded
from vault.framework.call import Call
from vault.framework.clock import Clock
from vault.framework.errors import Unauthenticated
from vault.mount.entry import LockoutConfig

THRESHOLD: Final = 5
"""Failed logins in a row that lock a name, unless its mount says otherwise."""
DURATION: Final = 900
"""Seconds for which it is locked, and after which failures are forgotten."""
_PREFIX: Final = "lockout/"
_STRANGERS: Final = 4096
_SECOND: Final = 1_000_000_000


class Attempts(msgspec.Struct, frozen=True):
    """Failed logins of one name in a row; `last` is in nanoseconds."""

    name: str
    failures: int
    last: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Attempts).decode
_NOBODY: Final = Attempts("", 0, 0)


class Lockout:
    """Counts failed logins and refuses names that are locked."""

    def __init__(self, barrier: Barrier, clock: Clock, config: Callable[[Call], LockoutConfig]) -> None:
        """`config` returns what the mount of a call says about lockout."""
        self._barrier = barrier
        self._clock = clock
        self._config = config
        self._strangers: Bounded[tuple[str, str], Attempts] = Bounded(_STRANGERS)

    async def check(self, call: Call, name: str, *, known: bool) -> None:
        """Refuse a name that is locked, whatever else came with it. Raises `Unauthenticated`."""
        config = self._config(call)
        if config.disable:
            return
        found = await _load(call.reader, name) if known else self._strangers.get((call.mount.uuid, name))
        if self._locked(found, config):
            raise Unauthenticated

    async def failed(self, call: Call, name: str, *, known: bool) -> None:
        """Count a failed login, durably. Raises `Unauthenticated` where others locked the name meanwhile."""
        config = self._config(call)
        if config.disable:
            return
        if not known:
            key = (call.mount.uuid, name)
            self._strangers.put(key, self._counted(self._strangers.get(key), name, config))
            return
        prefix = f"{core_prefix(call.namespace.id)}mnt/{call.mount.uuid}/"
        async with self._barrier.write(call.namespace.id, prefix) as view:
            found = await _load(view, name)
            if self._locked(found, config):
                raise Unauthenticated
            await view.put(_place(name), _encode(self._counted(found, name, config)))

    async def succeeded(self, view: View, name: str) -> None:
        """Forget the failures of a name."""
        if await view.get(_place(name)) is not None:
            await view.delete(_place(name))

    def admit(self, mount: str, name: str) -> None:
        """Forget the failures of a name that nobody has, on the mount with this uuid."""
        self._strangers.drop((mount, name))

    async def locked(self, view: ReadView, config: LockoutConfig) -> Sequence[str]:
        """Return the names of a mount that are locked now."""
        found = []
        for place in await view.list(_PREFIX):
            value = await view.get(_PREFIX + place)
            attempts = _decode(value) if value is not None else None
            if attempts is not None and self._locked(attempts, config):
                found.append(attempts.name)
        return sorted(found)

    def _locked(self, found: Attempts | None, config: LockoutConfig) -> bool:
        if found is None or found.failures < (config.threshold or THRESHOLD):
            return False
        return self._clock.nanos() < found.last + (config.duration or DURATION) * _SECOND

    def _counted(self, found: Attempts | None, name: str, config: LockoutConfig) -> Attempts:
        now = self._clock.nanos()
        before = found or _NOBODY
        forgotten = now >= before.last + (config.counter_reset or DURATION) * _SECOND
        over = before.failures >= (config.threshold or THRESHOLD)
        return Attempts(name, 1 if forgotten or over else before.failures + 1, now)


async def _load(view: ReadView, name: str) -> Attempts | None:
    value = await view.get(_place(name))
    return _decode(value) if value is not None else None


def _place(name: str) -> str:
    """Return where a name's count lies: names are not for the storage to read, and some are half a secret."""
    return _PREFIX + hashlib.sha256(name.encode()).hexdigest()
