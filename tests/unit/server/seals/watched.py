# SPDX-License-Identifier: EUPL-1.2
"""A machine whose key slots are watched, with a clock that tests turn."""

import asyncio
import io
import os
from collections.abc import Sequence

from hsm.errors import SlotUnavailable
from tests.unit.seal.auto import Machine
from tests.unit.seal.soft import SoftSlot
from vault.framework.telemetry.log import Log
from vault.framework.telemetry.metrics import Metrics
from vault.seal.health import SlotHealth
from vault.seal.records.sealwrap import SealWrap
from vault.seal.records.slots import Slots, SlotView
from vault.server.config.seal_settings import HsmPolicy
from vault.server.seals.watch import SealWatch
from vault.values.times import Millis

AWAY = SlotUnavailable("unplugged")


class Watched:
    """A machine, its watch, and a clock in seconds."""

    def __init__(self, slots: list[SoftSlot], policy: HsmPolicy | None = None) -> None:
        self.now = 100.0
        self.chance = 1.0
        self.machine = Machine(Slots(enabled=slots), os.urandom)
        self.text = io.StringIO()
        self.metrics = Metrics()
        self.broken: Exception | None = None
        self.resumed = 0
        self.failed = asyncio.Event()
        self.restart(slots, policy)

    def restart(self, slots: list[SoftSlot], policy: HsmPolicy | None = None) -> None:
        """Be another start of the same server."""
        self.machine = self.machine.restart(Slots(enabled=slots))
        self.health = SlotHealth(
            self.machine.storage, self.machine.life.slots, now=lambda: Millis(int(self.now))
        )
        self.wraps = SealWrap(
            self.machine.storage,
            self.machine.barrier,
            self.machine.life.slots,
            now=lambda: int(self.now),
            random=os.urandom,
        )
        self.watch = SealWatch(
            self.machine.life,
            self.health,
            self.wraps,
            policy or HsmPolicy(),
            open_vault=self.open,
            close_vault=self.machine.life.seal,
            resume=self.resume,
            now=lambda: self.now,
            chance=lambda: self.chance,
            log=Log(stream=self.text, level="trace"),
            metrics=self.metrics,
        )

    async def open(self) -> bool:
        if self.broken is not None:
            raise self.broken
        await self.machine.life.auto_unseal()
        return not self.machine.barrier.sealed

    async def resume(self) -> None:
        self.resumed += 1

    async def fail(self) -> list[SlotView]:
        self.failed.set()
        raise ZeroDivisionError

    async def run(self, seconds: float) -> None:
        """Let so much time pass, step by step."""
        end = self.now + seconds
        while True:
            pause = await self.watch.step()
            if self.now + pause > end:
                self.now = end
                return
            self.now += max(pause, 0.001)

    async def lose(self, slot: SoftSlot) -> None:
        """Have the only slot go away, and stop after the first look that finds it gone."""
        slot.away = AWAY
        while not self.health.lost:
            self.now += await self.watch.step()

    def gauges(self) -> dict[str, float]:
        return {
            name + "".join(f"/{value}" for _, value in labels): value
            for name, labels, value in self.metrics.gauges()
        }


async def opened(slot: SoftSlot, policy: HsmPolicy) -> Watched:
    """Return a vault that its only slot has opened, as the watch saw."""
    here = Watched([slot], policy)
    await here.machine.init()
    here.restart([slot], policy)
    await here.run(1)
    return here


async def opened_with_shares(slot: SoftSlot, policy: HsmPolicy) -> tuple[Watched, Sequence[str]]:
    """As `opened`, of a vault that people's shares open too; return these also."""
    here = Watched([slot], policy)
    keys = (await here.machine.init()).recovery.keys
    await here.machine.life.auto_unseal()
    await here.machine.changes.add_shamir()
    here.restart([slot], policy)
    await here.run(1)
    return here, keys
