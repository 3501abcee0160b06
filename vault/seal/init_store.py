# SPDX-License-Identifier: EUPL-1.2
"""The beginning of a vault: initialising is two-phase, so that keys can never be lost (SL-96).

A new vault is unconfirmed until somebody shows that they hold its shares or its token. Until then only its own first
entries can lie under it, and another initialisation replaces it. The first unseal with shares confirms it; where
key slots unseal, the first accepted token does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from vault.barrier.barrier import Barrier
from vault.barrier.key import Random
from vault.barrier.keyring import KEYRING_PATH
from vault.seal.failure import SealFailure, SealRefusal
from vault.seal.init import InitPlan, InitRequest, check, make_plan, make_wrapped_plan
from vault.seal.records import seal_store
from vault.seal.records.record import CONFIG_PATH, SHAMIR_SLOT, SealConfig, encode
from vault.seal.records.slots import Slots
from vault.storage.protocol import ReadTx, Storage, Tx
from vault.values.times import Millis

_INITIALIZED: Final = "Vault is already initialized"


class InitStore:
    """Makes vaults, and knows which of them may still be replaced.

    1. `prepare_init`: check the request and make all keys in memory. Nothing is stored.
    2. `commit_init`, in the caller's transaction: replace an unconfirmed vault, store records, keyring, configuration.
    3. The caller commits, and only then shows the keys.
    4. `confirm`, or the first unseal with shares: from now on the vault is never replaced.
    """

    def __init__(
        self, storage: Storage, barrier: Barrier, slots: Slots, *, now: Callable[[], Millis], random: Random
    ) -> None:
        """`now` gives milliseconds since the epoch, `random` entropy; without key slots the seal is Shamir's."""
        self._storage = storage
        self._barrier = barrier
        self._now = now
        self._random = random
        self._proven = False
        self.slots = slots

    async def config(self) -> SealConfig | None:
        """Return the stored seal configuration, or None before initialisation; raises `SealFailure`."""
        return await seal_store.read_config(self._storage.reader())

    async def is_initialized(self) -> bool:
        """Return whether there is a vault here, confirmed or not; raises `SealFailure`."""
        return await self.config() is not None

    async def prepare_init(self, request: InitRequest) -> InitPlan:
        """Check `request` and make the new vault's keys in memory; stores nothing.

        Raises `SealRefusal` with OpenBao's text, `SealFailure` when storage holds the rest of a vault, and
        `NoSlotAnswers` when there are key slots and none can wrap.
        """
        now = self._now()
        recipients = check(request, now, self._kind())
        await self._refuse_replacing(self._storage.reader())
        if self.slots.enabled:
            return await make_wrapped_plan(request, recipients, now, self._random, self.slots)
        return make_plan(request, recipients, now, self._random)

    async def commit_init(self, tx: Tx, plan: InitPlan) -> None:
        """Store the new vault within `tx`, replacing an unconfirmed one whole. The vault stays sealed.

        Write what else belongs to the initialisation after this, through `plan.view(tx, …)`, and set
        no timers. Hand out the keys only once `tx` has committed; if they never arrive, initialise again.
        """
        if await self._refuse_replacing(tx) is not None:
            await _clear(tx)
        for path, record in plan.records.items():
            await tx.put(path, record)
        await self._barrier.create_in(tx, plan.root_key, plan.keyring)
        await seal_store.write_config(tx, plan.config)

    def prove(self) -> None:
        """Note that somebody holds what came with the vault: from now on it is not replaced. See `confirm`."""
        self._proven = True

    async def confirm(self) -> None:
        """Make the initialisation final once `prove` was called; without effect otherwise."""
        if not self._proven:
            return
        config = await self.config()
        if config is not None and not config.confirmed:
            await self._confirm(config.generation)
        self._proven = False

    async def replaceable(self) -> bool:
        """Whether there is a vault that another initialisation may replace."""
        config = await self.config()
        return config is not None and not config.confirmed and not self._proven

    def _kind(self) -> str:
        """Kind of the seal that a new vault gets."""
        return self.slots.enabled[0].kind if self.slots.enabled else SHAMIR_SLOT

    async def _confirm(self, generation: str) -> None:
        """Make the initialisation final, unless another one replaced it meanwhile."""
        async with self._storage.write() as tx:
            config = await self._expect(generation, tx)
            if not config.confirmed:
                final = msgspec.structs.replace(config, confirmed=True)
                await tx.put(CONFIG_PATH, encode(CONFIG_PATH, final))

    async def _expect(self, generation: str, tx: ReadTx | None = None) -> SealConfig:
        config = await seal_store.read_config(tx or self._storage.reader())
        if config is None or config.generation != generation:
            raise SealFailure("the stored seal configuration belongs to another initialisation")
        return config

    async def _refuse_replacing(self, tx: ReadTx) -> SealConfig | None:
        """Return the unconfirmed vault that may be replaced, or None where there is none; else raise."""
        config = await seal_store.read_config(tx)
        if config is not None and (config.confirmed or self._proven):
            raise SealRefusal(_INITIALIZED)
        if config is None and await tx.get(KEYRING_PATH) is not None:
            raise SealFailure(
                "storage holds a keyring but no seal configuration: restore it before initialising"
            )
        return config


async def _clear(tx: Tx) -> None:
    for name in await tx.list(""):
        if name.endswith("/"):
            await tx.delete_prefix(name)
        else:
            await tx.delete(name)
