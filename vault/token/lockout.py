# SPDX-License-Identifier: EUPL-1.2
"""Locking names out after failed logins: one count for each name of an auth mount, in the name's one form (SL-20).

What is known of a name lies with its mount, and goes with it. Unknown names are counted too, by all who share the storage, so
that being locked out does not tell who exists; each of their failures reads and writes one row, so that the time it
takes does not tell either (SL-22). They have only so many rows, which strangers cannot add to: two names may have
the same one, and then the one that failed last has it. Each process remembers the other one by itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from vault.barrier.barrier import Barrier
from vault.barrier.stored import RecordKind
from vault.barrier.view import ReadView, View, core_prefix, mount_prefix
from vault.cache.ages import Ages
from vault.cache.follow import BoundedCache
from vault.framework.call import Call
from vault.framework.clock import Clock
from vault.framework.errors import Unauthenticated
from vault.mount.entry import LockoutConfig, MountEntry
from vault.values.times import Nanos, Seconds, seconds_to_nanos

THRESHOLD: Final = 5
"""Failed logins in a row that lock a name, unless its mount or the server's configuration says otherwise: OpenBao's."""
DURATION: Final = Seconds(900)
"""How long it is locked, and after which failures are forgotten: OpenBao's for both."""
_PREFIX: Final = "lockout/"
_STRANGER: Final = "lockout-stranger/"
_SLOT: Final = 4
"""Hexadecimal digits of an unknown name's digest that say which row it has: there are 65,536 of them."""
_STRANGERS: Final = 65_536
"""Unknown names whose failures are remembered in memory, each by a digest. A client that tries more before time forgets the
first can tell it from a name that exists: more rows would be no limit to strangers, a rate limit is one to them."""


class Attempts(msgspec.Struct, frozen=True):
    """Failed logins of one name in a row; `last` is in nanoseconds."""

    name: str
    failures: int
    last: Nanos


class _Stranger(msgspec.Struct, frozen=True):
    """Failures of an unknown name, as they are since the request `call`, and as they were before it.

    A request that starts over is judged and counted by what was before: unlike a row, memory is not undone.
    """

    call: str
    attempts: Attempts
    before: Attempts | None


_KIND: Final = RecordKind("failed logins", Attempts)
_NOBODY: Final = Attempts("", 0, Nanos(0))


class Lockout:
    """Counts failed logins and refuses names that are locked."""

    def __init__(
        self,
        barrier: Barrier,
        clock: Clock,
        entry: Callable[[Call], MountEntry],
        server: Callable[[str], LockoutConfig],
    ) -> None:
        """`entry` returns the mount of a call, `server` what the configuration says about mounts of a kind."""
        self._barrier = barrier
        self._ages = Ages(clock)
        self._entry = entry
        self._server = server
        self._strangers: BoundedCache[bytes, _Stranger] = BoundedCache(_STRANGERS)

    async def check(self, call: Call, name: str, *, known: bool) -> None:
        """Refuse a name that is locked, whatever else came with it. Raises `Unauthenticated`."""
        config = self._config(call)
        if config.disable:
            return
        if self._locked(await self._found(call, call.reader, name, known=known), config):
            raise Unauthenticated

    async def failed(self, call: Call, name: str, *, known: bool) -> None:
        """Count a failed login, durably. Raises `Unauthenticated` where others locked the name meanwhile."""
        if self._config(call).disable:
            return
        prefix = core_prefix(call.namespace.id) + mount_prefix(call.mount.uuid)
        async with self._barrier.write(call.namespace.id, prefix) as view:
            await self.count(call, view, name, known=known)

    async def count(self, call: Call, view: View, name: str, *, known: bool) -> None:
        """Count a failed login within its mount's transaction, which is to be kept. Raises as `failed`."""
        config = self._config(call)
        if config.disable:
            return
        found = await self._found(call, view, name, known=known)
        if self._locked(found, config):
            raise Unauthenticated
        counted = self._counted(found, name, config)
        if not known:
            counted = msgspec.structs.replace(counted, name=_digest(name))
            self._strangers.put(_stranger(call.mount.uuid, name), _Stranger(call.id, counted, found))
        await view.put(_place(name, known=known), _KIND.encode(counted))

    async def succeeded(self, call: Call, name: str) -> None:
        """Forget the failures of a name that has logged in, unless they are not counted now."""
        if not self._config(call).disable:
            await self.forget(call.tx, name)

    async def forget(self, view: View, name: str) -> None:
        """Forget the failures of a name."""
        place = _place(name, known=True)
        if await view.get(place) is not None:
            await view.delete(place)

    async def admit(self, view: View, mount: str, name: str) -> None:
        """Forget the failures of an unknown name, on the mount with this uuid: elsewhere too."""
        self._strangers.drop(_stranger(mount, name))
        if await self._shared(view, name) is not None:
            # The row stays, as what another process remembers counts where there is none.
            admitted = Attempts(_digest(name), 0, Nanos(0))
            await view.put(_place(name, known=False), _KIND.encode(admitted))

    async def locked(self, view: ReadView, entry: MountEntry) -> Sequence[str]:
        """Return the names of a mount that are locked now."""
        config = self._settled(entry)
        found = []
        for place in await view.list(_PREFIX):
            value = await view.get(_PREFIX + place)
            attempts = _KIND.decode(value) if value is not None else None
            if attempts is not None and self._locked(attempts, config):
                found.append(attempts.name)
        return sorted(found)

    def _config(self, call: Call) -> LockoutConfig:
        return self._settled(self._entry(call))

    def _settled(self, entry: MountEntry) -> LockoutConfig:
        own, server = entry.config.user_lockout, self._server(entry.kind)
        return server if own is None else own.over(server)

    async def _found(self, call: Call, view: ReadView, name: str, *, known: bool) -> Attempts | None:
        """Return the failures of a name; an unknown name takes as long to ask for."""
        if known:
            value = await view.get(_place(name, known=True))
            return _KIND.decode(value) if value is not None else None
        shared = await self._shared(view, name)
        if shared is not None:
            return shared
        stranger = self._strangers.get(_stranger(call.mount.uuid, name))
        if stranger is None:
            return None
        return stranger.before if stranger.call == call.id else stranger.attempts

    async def _shared(self, view: ReadView, name: str) -> Attempts | None:
        """Return what all who share the storage know of an unknown name, None where another one has its row, or none."""
        value = await view.get(_place(name, known=False))
        kept = _KIND.decode(value) if value is not None else None
        return kept if kept is not None and kept.name == _digest(name) else None

    def _locked(self, found: Attempts | None, config: LockoutConfig) -> bool:
        if found is None or found.failures < (config.threshold or THRESHOLD):
            return False
        return self._ages.of(found.last) < seconds_to_nanos(config.duration or DURATION)

    def _counted(self, found: Attempts | None, name: str, config: LockoutConfig) -> Attempts:
        before = found or _NOBODY
        forgotten = self._ages.of(before.last) >= seconds_to_nanos(config.counter_reset or DURATION)
        over = before.failures >= (config.threshold or THRESHOLD)
        return Attempts(name, 1 if forgotten or over else before.failures + 1, self._ages.begin())


def _stranger(mount: str, name: str) -> bytes:
    """Return what an unknown name is remembered by, on the mount with this uuid."""
    return hashlib.sha256(f"{mount}/{name}".encode()).digest()


def _digest(name: str) -> str:
    """Return what stands for a name: names are not for the storage to read, and some are half a secret."""
    return hashlib.sha256(name.encode()).hexdigest()


def _place(name: str, *, known: bool) -> str:
    """Return where a name's count lies; many unknown ones share a place."""
    digest = _digest(name)
    return _PREFIX + digest if known else _STRANGER + digest[:_SLOT]
