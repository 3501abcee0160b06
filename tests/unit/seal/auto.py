# SPDX-License-Identifier: EUPL-1.2
"""A vault with key slots, for tests: storage, barrier, lifecycle, and slots that can be away."""

from collections.abc import Sequence

from tests.shared import Shared
from tests.unit.seal.keys import NOW
from tests.unit.seal.soft import SoftSlot
from vault.barrier.barrier import Barrier
from vault.barrier.key import Random
from vault.barrier.stored import raw
from vault.seal.changes.slot_changes import SlotChanges
from vault.seal.init import InitPlan, InitRequest
from vault.seal.lifecycle import Lifecycle
from vault.seal.records.record import SealConfig
from vault.seal.records.slots import Slots
from vault.storage.protocol import StorageFailure
from vault.values.ids import ROOT_ID

RECOVERY = InitRequest(recovery_shares=3, recovery_threshold=2)


class Faults:
    """Counts the statements of a storage, and lets one of them fail: `at`, from 1; 0 for none."""

    def __init__(self) -> None:
        self.at = 0
        self.statements: list[str] = []

    def __call__(self, name: str) -> None:
        self.statements.append(name)
        if len(self.statements) == self.at:
            raise StorageFailure


class Machine:
    """One start of a server on a storage."""

    def __init__(
        self,
        slots: Slots,
        random: Random,
        *,
        shared: Shared | None = None,
        faults: Faults | None = None,
    ) -> None:
        self.faults = faults or Faults()
        self.shared = shared or Shared()
        self.storage = self.shared.open(self.faults)
        self._random = random
        self.barrier = Barrier(self.storage, now=lambda: NOW, random=random)
        self.life = Lifecycle(self.storage, self.barrier, slots, now=lambda: NOW, random=random)

    @property
    def changes(self) -> SlotChanges:
        """What changes its slots."""
        return self.life.slot_changes

    def fail_statement(self, number: int) -> None:
        """Let the `number`th statement from now on fail; 0 for none."""
        self.faults.statements.clear()
        self.faults.at = number

    def restart(self, slots: Slots) -> "Machine":
        """Return another start, which opens the same storage."""
        return Machine(slots, self._random, shared=self.shared, faults=self.faults)

    async def init(self, request: InitRequest = RECOVERY) -> InitPlan:
        """Initialise, with one first entry as the root token would be."""
        plan = await self.life.prepare_init(request)
        async with self.storage.write() as tx:
            await self.life.commit_init(tx, plan)
            await plan.view(tx, ROOT_ID, "sys/token/").put("root", raw(b"token"))
        return plan

    async def give(self, keys: Sequence[str], *, migrate: bool = False) -> None:
        """Give shares one after the other."""
        for key in keys:
            await self.life.unseal(key, migrate=migrate)

    async def reads(self) -> bool:
        """Whether the vault is open and its data is there."""
        return await self.barrier.reader(ROOT_ID, "sys/token/").get("root") == b"token"

    async def config(self) -> SealConfig:
        """Return what is stored about the seal."""
        config = await self.life.config()
        assert config is not None
        return config


def named(*names: str) -> list[SoftSlot]:
    """Return slots with these names."""
    return [SoftSlot(name) for name in names]
