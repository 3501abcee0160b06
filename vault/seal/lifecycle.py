# SPDX-License-Identifier: EUPL-1.2
"""Initialise, unseal, seal: the life of a vault, as `sys/init`, `sys/unseal` and `sys/seal` show it.

Initialising is two-phase, so that keys can never be lost (SL-96): as long as a new vault has never
been unsealed it is unconfirmed, nothing but its own first entries can lie under it, and another
initialisation replaces it. The first unseal proves that somebody holds the keys, and confirms it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from vault.barrier.barrier import Barrier
from vault.barrier.failure import BarrierFailure
from vault.barrier.key import Key, Random
from vault.barrier.keyring import KEYRING_PATH
from vault.seal.failure import SealFailure, SealRefusal
from vault.seal.init import InitPlan, InitRequest, check, make_plan
from vault.seal.record import (
    CONFIG_PATH,
    SHAMIR_SLOT,
    SealConfig,
    ShamirSlot,
    decode,
    encode,
    open_shamir_slot,
    slot_path,
)
from vault.seal.state import WRONG_KEY, Progress, check_length, parse_share
from vault.storage.protocol import ReadTx, Storage, Tx

SEAL_KIND: Final = "seal"
"""Kind of the invalidation (key "") when the stored seal changes."""

SAVE_SECONDS: Final = 2.0
"""How long sealing waits for storage before it forgets the keys all the same."""

_INITIALIZED: Final = "Vault is already initialized"
_NOT_INITIALIZED: Final = "Vault is not initialized"
_NO_KEY: Final = "'key' must be specified in request body as JSON, or 'reset' set to true"
_NO_MIGRATION: Final = "can't perform a seal migration, no migration seal found"


@dataclass(frozen=True, slots=True)
class Status:
    """The facts of `sys/seal-status` that the seal knows; all zero but `sealed` before initialisation."""

    type: str
    initialized: bool
    sealed: bool
    t: int
    n: int
    progress: int
    nonce: str


class Lifecycle:
    """Owns the way from sealed to unsealed and back; nobody else loads or seals the barrier."""

    def __init__(self, storage: Storage, barrier: Barrier, *, now: Callable[[], int], random: Random) -> None:
        """`now` gives milliseconds since the epoch, `random` entropy."""
        self._storage = storage
        self._barrier = barrier
        self._now = now
        self._random = random
        self._progress = Progress()
        self._lock = asyncio.Lock()

    async def config(self) -> SealConfig | None:
        """Return the stored seal configuration, or None before initialisation; raises `SealFailure`."""
        return await _config(self._storage.reader())

    async def is_initialized(self) -> bool:
        """Return whether there is a vault here, confirmed or not; raises `SealFailure`."""
        return await self.config() is not None

    async def prepare_init(self, request: InitRequest) -> InitPlan:
        """Check `request` and make the new vault's keys in memory; stores nothing.

        Raises `SealRefusal` with OpenBao's text, `SealFailure` when storage holds the rest of a vault.
        """
        now = self._now()
        recipients = check(request, now)
        await _refuse_replacing(self._storage.reader())
        return make_plan(request, recipients, now, self._random)

    async def commit_init(self, tx: Tx, plan: InitPlan) -> None:
        """Store the new vault within `tx`, replacing an unconfirmed one whole. The vault stays sealed.

        Write what else belongs to the initialisation after this, through `plan.view(tx, …)`, and set
        no timers. Hand out the keys only once `tx` has committed; if they never arrive, initialise again.
        """
        if await _refuse_replacing(tx) is not None:
            await _clear(tx)
        await tx.put(slot_path(SHAMIR_SLOT), encode(slot_path(SHAMIR_SLOT), plan.slot))
        await self._barrier.create_in(tx, plan.root_key, plan.keyring)
        await tx.put(CONFIG_PATH, encode(CONFIG_PATH, plan.config))
        await tx.invalidate(SEAL_KIND, "")

    async def status(self) -> Status:
        """Return the current facts; raises `SealFailure`."""
        reader = self._storage.reader()
        config = await _config(reader)
        if config is None:
            return Status("shamir", initialized=False, sealed=True, t=0, n=0, progress=0, nonce="")
        slot = await _slot(reader)
        given = self._progress if self._progress.generation == slot.generation else Progress()
        return Status(
            "shamir",
            initialized=True,
            sealed=self._barrier.sealed,
            t=slot.threshold,
            n=slot.shares,
            progress=len(given.shares),
            nonce=given.nonce,
        )

    async def unseal(self, key: str = "", *, reset: bool = False, migrate: bool = False) -> Status:
        """Do what `sys/unseal` does with these parameters, and return the status after it.

        Raises `SealRefusal` with OpenBao's text and status; after wrong shares the progress is empty.
        Raises `SealFailure` when the right shares meet damaged records; then the vault stays sealed.
        """
        async with self._lock:
            if reset:
                self._reset()
            elif not key:
                raise SealRefusal(_NO_KEY)
            else:
                await self._submit(parse_share(key), migrate=migrate)
        return await self.status()

    async def seal(self) -> None:
        """Save the encryption counts and forget all keys; without effect while sealed.

        Call it outside any transaction. Whatever saving raises (`TimeoutError` after `SAVE_SECONDS`
        included), the vault is sealed when this returns or raises.
        """
        async with self._lock:
            self._progress = Progress()
            try:
                if not self._barrier.sealed:
                    async with asyncio.timeout(SAVE_SECONDS):
                        await self._barrier.save_counts()
            finally:
                self._barrier.seal()

    def _reset(self) -> None:
        if not self._barrier.sealed:
            raise SealRefusal("vault is unsealed")
        self._progress = Progress()

    async def _submit(self, share: bytes, *, migrate: bool) -> None:
        if migrate:
            raise SealRefusal(_NO_MIGRATION)
        reader = self._storage.reader()
        if await _config(reader) is None:
            raise SealRefusal(_NOT_INITIALIZED)
        if not self._barrier.sealed:
            return
        check_length(share)
        slot = await _slot(reader)
        self._progress = self._progress.add(share, slot.generation, self._random)
        if len(self._progress.shares) < slot.threshold:
            return
        given, self._progress = self._progress, Progress()
        root_key = open_shamir_slot(slot, given.key())
        if root_key is None:
            raise SealRefusal(WRONG_KEY)
        await self._open(root_key, slot.generation)

    async def _open(self, root_key: Key, generation: str) -> None:
        """Confirm the initialisation and unseal. Only a vault whose keyring opens is ever confirmed."""
        try:
            await self._barrier.check(root_key)
            await self._confirm(generation)
            await self._barrier.load(root_key)
        except BarrierFailure:
            raise SealFailure("the shares are right, but the stored keyring is damaged") from None

    async def _confirm(self, generation: str) -> None:
        """Make the initialisation final, unless another one replaced it meanwhile."""
        async with self._storage.write() as tx:
            config = await _config(tx)
            if config is None or config.generation != generation:
                raise SealFailure("the stored seal configuration belongs to another initialisation")
            if not config.confirmed:
                final = SealConfig(generation=generation, slots=config.slots, confirmed=True)
                await tx.put(CONFIG_PATH, encode(CONFIG_PATH, final))


async def _config(tx: ReadTx) -> SealConfig | None:
    data = await tx.get(CONFIG_PATH)
    return None if data is None else decode(CONFIG_PATH, data, SealConfig)


async def _slot(tx: ReadTx) -> ShamirSlot:
    path = slot_path(SHAMIR_SLOT)
    data = await tx.get(path)
    if data is None:
        raise SealFailure("the stored seal configuration names a slot that is missing")
    return decode(path, data, ShamirSlot)


async def _refuse_replacing(tx: ReadTx) -> SealConfig | None:
    """Return the unconfirmed vault that may be replaced, or None where there is none; else raise."""
    config = await _config(tx)
    if config is not None and config.confirmed:
        raise SealRefusal(_INITIALIZED)
    if config is None and await tx.get(KEYRING_PATH) is not None:
        raise SealFailure("storage holds a keyring but no seal configuration: restore it before initialising")
    return config


async def _clear(tx: Tx) -> None:
    for name in await tx.list(""):
        if name.endswith("/"):
            await tx.delete_prefix(name)
        else:
            await tx.delete(name)
