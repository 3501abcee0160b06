# SPDX-License-Identifier: EUPL-1.2
"""Barriers that are open, for tests."""

import os

from vault.barrier.barrier import Barrier
from vault.barrier.key import Key
from vault.barrier.keyring import KEYRING_PATH, Keyring
from vault.storage.memory import MemoryStorage
from vault.values.times import Millis

ROOT = Key(bytes(32))
NOW = Millis(1_700_000_000_000)


async def open_barrier(storage: MemoryStorage | None = None) -> tuple[MemoryStorage, Barrier]:
    """Return an unsealed barrier over `storage`, which gets a keyring when it has none."""
    storage = storage or MemoryStorage()
    barrier = Barrier(storage, now=lambda: NOW, random=os.urandom)
    if await storage.reader().get(KEYRING_PATH) is None:
        async with storage.write() as tx:
            await barrier.create_in(tx, ROOT, Keyring.create(NOW, os.urandom))
    await barrier.load(ROOT)
    return storage, barrier


async def second(storage: MemoryStorage) -> Barrier:
    """Return the barrier of another worker over the same storage."""
    return (await open_barrier(storage))[1]
