# SPDX-License-Identifier: EUPL-1.2
"""A part of storage, encrypted: one layer that prefixes paths and encrypts values.

Long values are encrypted and decrypted in a thread: of those, others are answered meanwhile.

Only values are encrypted. Paths, and the kinds and keys of timers and invalidations, lie in
storage in the clear: never put a secret into one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any, ClassVar, Final, TypeVar

from vault.barrier import envelope
from vault.barrier.failure import UnknownTerm
from vault.barrier.key import Random
from vault.barrier.keyring import Keyring
from vault.barrier.stored import Stored
from vault.storage.protocol import LONG, ReadTx, Timer, Tx
from vault.storage.single_thread import SingleThread
from vault.values.ids import MountId, NamespaceId

T = TypeVar("T")
Reload = Callable[[], Awaitable[None]]
"""Makes the keyring follow storage, for an entry whose term another worker or node made."""


Keys = Callable[[NamespaceId], tuple[Keyring, Reload]]
"""Gives the keyring that encrypts the namespace with an id, and what reloads it; raises `NamespaceSealed`."""

Opened = dict[tuple[bytes, str], tuple[bytes, bytes]]
"""By the place of a value, its namespace included: what lay there when it was decrypted, and what that meant.

What lies at a place is looked up each time; where that is the very same object, it means the same.
"""
_REMEMBERED: Final = 64
"""Values that one call remembers."""


def mount_prefix(mount_id: MountId) -> str:
    """Return where a mount's data lies, below its namespace's own."""
    return f"mnt/{mount_id}/"


def core_prefix(namespace_id: NamespaceId) -> str:
    """Return where a namespace keeps its own data: tokens, policies, mount table and, below it, its mounts' data."""
    return f"ns/{namespace_id}/"


class ReadView:
    """A `ReadTx` below `prefix` that decrypts. It cannot write, whatever it reads through."""

    __slots__ = ("_keyring", "_keys", "_prefix", "_reload", "_scope", "_tx", "opened")
    _thread: ClassVar[SingleThread] = SingleThread("vault-open")

    def __init__(
        self,
        tx: ReadTx,
        keyring: Keyring,
        namespace_id: NamespaceId,
        prefix: str,
        *,
        reload: Reload | None = None,
        keys: Keys | None = None,
    ) -> None:
        """`prefix` is empty or ends in `/`; with `namespace_id` it is bound into every value.

        `keys` finds the keyring of other namespaces; without it all have this one.
        """
        self._tx = tx
        self._keyring = keyring
        self._scope = envelope.entry_scope(namespace_id)
        self._prefix = prefix
        self._reload = reload
        self._keys = keys
        self.opened: Opened | None = None
        """What was decrypted before, by the views of one call, which it ends with; None to decrypt each time."""

    @property
    def prefix(self) -> str:
        """Where in storage this view begins."""
        return self._prefix

    @property
    def epoch(self) -> int:
        """The epoch that the last statement of the transaction below saw."""
        return self._tx.epoch

    @epoch.setter
    def epoch(self, value: int) -> None:
        self._tx.epoch = value

    async def get(self, path: str) -> bytes | None:
        """Return the value at `path`, or None; `BarrierFailure` when it is not what was written."""
        full = self._prefix + path
        data = await self._tx.get(full)
        if data is None:
            return None
        opened, scope, keyring = self.opened, self._scope, self._keyring
        if opened:
            known = opened.get((scope, full))
            if known is not None and known[0] is data and keyring.terms:
                return known[1]
        if len(data) > LONG:
            return await self._by(full, data, self._apart)
        try:
            value = keyring.decrypt(scope, full, data)
        except UnknownTerm:
            if self._reload is None:
                raise
            await self._reload()
            value = keyring.decrypt(scope, full, data)
        if opened is not None and len(opened) < _REMEMBERED:
            opened[scope, full] = data, value
        return value

    async def encrypted(self, path: str) -> bytes | None:
        """Return what is stored at `path` as it is, for who knows what that means; None without it. `BarrierFailure` once sealed."""
        data = await self._tx.get(self._prefix + path)
        if not self._keyring.terms:
            raise self._keyring.gone
        return data

    async def get_by(self, path: str, use: Callable[[int, Callable[[], bytes]], Awaitable[T]]) -> T | None:
        """Return what `use` makes of the value at `path`, or None without one.

        It is given the length of what is stored, and what decrypts that: in a thread, if it likes.
        """
        full = self._prefix + path
        data = await self._tx.get(full)
        if data is None:
            return None
        return await self._by(full, data, use)

    async def _by(self, full: str, data: bytes, use: Callable[[int, Callable[[], bytes]], Awaitable[T]]) -> T:
        decrypt = partial(self._keyring.decrypt, self._scope, full, data)
        try:
            return await use(len(data), decrypt)
        except UnknownTerm:
            if self._reload is None:
                raise
            await self._reload()
            return await use(len(data), decrypt)

    async def decrypted(self, path: str, data: bytes) -> bytes:
        """Return what `encrypted` gave of `path`, decrypted. `BarrierFailure` when it is not what was written there."""
        return await self._by(self._prefix + path, data, self._apart if len(data) > LONG else _at_once)

    async def _apart(self, length: int, work: Callable[[], bytes]) -> bytes:
        del length
        return await self._thread.do(work)

    def has(self, path: str) -> Coroutine[Any, Any, bool]:
        """Tell whether there is a value at `path`, whatever it is."""
        return self._tx.has(self._prefix + path)

    def list(self, prefix: str, *, after: str = "", limit: int = 0) -> Coroutine[Any, Any, Sequence[str]]:
        """List names directly below `prefix`, as `ReadTx.list`."""
        return self._tx.list(self._prefix + prefix, after=after, limit=limit)

    def scan(self, prefix: str, *, after: str = "", limit: int = 0) -> Coroutine[Any, Any, Sequence[str]]:
        """List every path below `prefix`, relative to it, as `ReadTx.scan`."""
        return self._tx.scan(self._prefix + prefix, after=after, limit=limit)

    def sub(self, prefix: str) -> ReadView:
        """Return a view of the same namespace below `prefix`, which ends in `/`."""
        below = object.__new__(ReadView)
        self._descend(below, prefix)
        return below

    def mount(self, mount_id: MountId) -> ReadView:
        """Return a view of a mount's data; this view is of its namespace's own."""
        return self.sub(mount_prefix(mount_id))

    def space(self, namespace_id: NamespaceId) -> ReadView:
        """Return a view of a namespace's own data, through the same transaction."""
        there = object.__new__(ReadView)
        self._move(there, namespace_id)
        return there

    def _move(self, there: ReadView, namespace_id: NamespaceId) -> None:
        """Make `there` a view of a namespace's own data. Raises `NamespaceSealed`."""
        if self._keys is None:
            there._keyring, there._reload = self._keyring, self._reload
        else:
            there._keyring, there._reload = self._keys(namespace_id)
        there._tx = self._tx
        there._scope = envelope.entry_scope(namespace_id)
        there._prefix = core_prefix(namespace_id)
        there._keys = self._keys
        there.opened = self.opened

    def _descend(self, below: ReadView, prefix: str) -> None:
        below._tx = self._tx
        below._keyring = self._keyring
        below._scope = self._scope
        below._prefix = self._prefix + prefix
        below._reload = self._reload
        below._keys = self._keys
        below.opened = self.opened


async def _at_once(length: int, work: Callable[[], bytes]) -> bytes:
    del length
    return work()


class View(ReadView):
    """A `Tx` below `prefix` that encrypts and decrypts, within the transaction it was given.

    It stores what `vault.barrier.stored` made alone, so that every record says its kind and version.
    """

    __slots__ = ("_random", "_write")
    _thread = SingleThread("vault-seal")
    """Others wait for who writes, so he waits for none who only reads."""

    def __init__(
        self,
        tx: Tx,
        keyring: Keyring,
        namespace_id: NamespaceId,
        prefix: str,
        *,
        random: Random,
        reload: Reload | None = None,
        keys: Keys | None = None,
    ) -> None:
        """As `ReadView`; `random` gives the nonces."""
        super().__init__(tx, keyring, namespace_id, prefix, reload=reload, keys=keys)
        self._write = tx
        self._random = random

    @property
    def transaction(self) -> Tx:
        """The transaction below, for what lies outside every view, as the keyring."""
        return self._write

    def put(self, path: str, value: Stored) -> Coroutine[Any, Any, None]:
        """Encrypt `value` and store it at `path`."""
        full = self._prefix + path
        if len(value) > LONG:
            return self._put_long(full, value)
        return self._write.put(full, self._keyring.encrypt(self._scope, full, value, self._random))

    async def _put_long(self, full: str, value: Stored) -> None:
        work = self._keyring.encryption(self._scope, full, value, self._random)
        await self._write.put(full, await self._apart(len(value), work))

    def delete(self, path: str) -> Coroutine[Any, Any, None]:
        """Remove `path`."""
        return self._write.delete(self._prefix + path)

    def delete_prefix(self, prefix: str) -> Coroutine[Any, Any, int]:
        """Remove everything below `prefix`; return how many entries there were."""
        return self._write.delete_prefix(self._prefix + prefix)

    def delete_some(self, prefix: str, limit: int) -> Coroutine[Any, Any, str]:
        """Remove the first entries below `prefix`; return the last of them, empty if none are left. See `Tx.delete_some`."""
        return self._write.delete_some(self._prefix + prefix, limit)

    def at(self, timer: Timer) -> Coroutine[Any, Any, None]:
        """Set a timer; its kind and key are the caller's, unprefixed."""
        return self._write.at(timer)

    def cancel(self, kind: str, key: str) -> Coroutine[Any, Any, None]:
        """Remove a timer."""
        return self._write.cancel(kind, key)

    def invalidate(self, kind: str, key: str) -> Coroutine[Any, Any, None]:
        """Say that what is cached as (`kind`, `key`) becomes untrue with this transaction."""
        return self._write.invalidate(kind, key)

    def sub(self, prefix: str) -> View:
        """Return a view of the same namespace below `prefix`, which ends in `/`."""
        below = object.__new__(View)
        self._descend(below, prefix)
        below._write = self._write
        below._random = self._random
        return below

    def mount(self, mount_id: MountId) -> View:
        """Return a view of a mount's data, within the same transaction."""
        return self.sub(mount_prefix(mount_id))

    def space(self, namespace_id: NamespaceId) -> View:
        """Return a view of a namespace's own data, within the same transaction."""
        there = object.__new__(View)
        self._move(there, namespace_id)
        there._write = self._write
        there._random = self._random
        return there
