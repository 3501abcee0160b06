# SPDX-License-Identifier: EUPL-1.2
"""A server that ends is sealed, whatever else of it fails; and what it does beside requests goes on after a defect."""

import asyncio
from typing import Any

import pytest

from tests.routes.driver import Application
from tests.unit.seal.soft import SoftSlot
from vault.storage.memory import MemoryStorage


class _Broken(MemoryStorage):
    """Has a defect where it is asked beside requests."""

    broken = False

    async def next_due(self) -> Any:
        if self.broken:
            raise ArithmeticError("hunter2")
        return await super().next_due()

    async def check(self) -> None:
        if self.broken:
            raise ArithmeticError("hunter2")


class _Stuck(SoftSlot):
    """Cannot be released while it is stuck."""

    stuck = True

    async def close(self) -> None:
        if self.stuck:
            raise ArithmeticError("hunter2")


def _told(application: Application, text: str) -> int:
    return application.log.getvalue().count(text)


def test_what_meets_a_defect_beside_requests_is_told_of_once_and_ends_without_one() -> None:
    storage = _Broken()
    application = Application(storage)
    said = ["asking the storage met a defect", "the watch over requests met a defect"]

    async def meet() -> None:
        storage.broken = True
        await application.vault.ground.storage_watch.stop()
        application.vault.ground.storage_watch.start()
        async with asyncio.timeout(60):
            while not all(_told(application, one) for one in said):  # noqa: ASYNC110 -- a log sets no event
                await asyncio.sleep(0.01)
        storage.broken = False

    application.run(meet())
    application.close()
    assert application.vault.ground.barrier.sealed
    assert [_told(application, one) for one in said] == [1, 1]
    assert "hunter2" not in application.log.getvalue()


def test_a_server_of_which_a_part_cannot_end_is_sealed_all_the_same() -> None:
    slot = _Stuck("a")
    application = Application(slots=[slot])
    with pytest.raises(ArithmeticError):
        application.run(application.vault.stop())
    assert application.vault.ground.barrier.sealed
    assert "vault is sealed" in application.log.getvalue()
    slot.stuck = False
    application.close()
