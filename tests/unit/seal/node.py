# SPDX-License-Identifier: EUPL-1.2
"""One node of a vault, for tests of its life."""

import os
from collections.abc import Sequence

import pytest

from tests.unit.seal.keys import NOW
from vault.barrier.barrier import Barrier
from vault.barrier.stored import raw
from vault.seal.failure import SealRefusal
from vault.seal.init import InitPlan, InitRequest
from vault.seal.lifecycle import Lifecycle
from vault.seal.records.record import slot_path
from vault.storage.memory import MemoryStorage
from vault.storage.protocol import StorageFailure
from vault.values.ids import ROOT_ID

SLOT_PATH = slot_path("shamir")
FIVE_THREE = InitRequest(secret_shares=5, secret_threshold=3)
ONE = InitRequest(secret_shares=1, secret_threshold=1)


class Vault:
    """One node: storage, barrier and lifecycle; `fail_at` makes that statement (from 1) of storage fail."""

    def __init__(self, storage: MemoryStorage | None = None) -> None:
        self.fail_at = 0
        self.statements: list[str] = []
        self.storage = storage or MemoryStorage(on_statement=self._on_statement)
        self.barrier = Barrier(self.storage, now=lambda: NOW, random=os.urandom)
        self.life = Lifecycle(self.storage, self.barrier, now=lambda: NOW, random=os.urandom)

    def _on_statement(self, name: str) -> None:
        self.statements.append(name)
        if len(self.statements) == self.fail_at:
            raise StorageFailure

    def fail_statement(self, number: int) -> None:
        """Let the `number`th statement from now on fail; 0 for none."""
        self.statements.clear()
        self.fail_at = number

    async def init(self, request: InitRequest = ONE) -> InitPlan:
        """Initialise, with one first entry as the root token would be."""
        plan = await self.life.prepare_init(request)
        async with self.storage.write() as tx:
            await self.life.commit_init(tx, plan)
            await plan.view(tx, ROOT_ID, "sys/token/").put("root", raw(b"token"))
        return plan

    async def unseal(self, keys: Sequence[str]) -> None:
        """Give `keys` one after the other."""
        for key in keys:
            await self.life.unseal(key)

    async def token(self) -> bytes | None:
        """Read the first entry."""
        return await self.barrier.reader(ROOT_ID, "sys/token/").get("root")

    async def overwrite(self, path: str, value: bytes | None) -> None:
        """Change storage behind the vault's back."""
        async with self.storage.write() as tx:
            await (tx.delete(path) if value is None else tx.put(path, value))


async def refused(awaitable: object) -> str:
    """Return the text of the refusal that `awaitable` ends with."""
    with pytest.raises(SealRefusal) as caught:
        await awaitable  # type: ignore[misc]  # callers pass coroutines
    return str(caught.value)
