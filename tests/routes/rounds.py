# SPDX-License-Identifier: EUPL-1.2
"""Rounds of timers that vaults run by themselves: a test that waits for what is due waits for those too."""

import asyncio
from collections.abc import Iterable
from typing import Final

from tests.clocks import MOST_TURNS
from vault.background.loop import Background
from vault.server.compose.app import Vault

_PATIENCE: Final = 2_000
"""Hundredths of a second that `Rounds.work` waits at most, once many turns of the loop were not enough."""


class Rounds:
    """The rounds that are under way, of some vaults."""

    def __init__(self) -> None:
        self._backgrounds: list[Background] = []
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def count(self, background: Background) -> None:
        """Know of all rounds of a vault."""
        work = background.work

        async def counted() -> bool:
            self._running += 1
            self._idle.clear()
            try:
                return await work()
            finally:
                self._running -= 1
                if not self._running:
                    self._idle.set()

        background.work = counted  # type: ignore[method-assign]  # it does what it did, and is counted
        self._backgrounds.append(background)

    async def settle(self) -> None:
        """Run timers until none is due: one that another round has claimed is not, until that is over."""
        while any([await background.work() for background in self._backgrounds]) or self._running:
            await self._idle.wait()

    async def work(self, vaults: Iterable[Vault]) -> None:
        """Run the timers that are due, and wait until what ends by them is taken back."""
        for background in self._backgrounds:
            await background.work()
        for turn in range(MOST_TURNS):
            if not any(vault.leases.endings.waiting for vault in vaults):
                return
            # What a database or a disk is asked for takes time, and more of it where others work too.
            await asyncio.sleep(0 if turn < MOST_TURNS - _PATIENCE else 0.01)
