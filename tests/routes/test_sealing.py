# SPDX-License-Identifier: EUPL-1.2
"""Somebody seals a vault that key slots open, at every moment of somebody else's opening it. It stays sealed."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator

import pytest

from tests.routes.driver import Application
from tests.unit.seal.soft import SoftSlot
from vault.server.compose.app import Vault

Step = Callable[[Vault], Awaitable[object]]

STEPS: dict[str, Step] = {
    "somebody seals": lambda vault: vault._sealing(),
    "the watch opens": lambda vault: vault._open_by_slots(),
    "the watch seals because of a loss": lambda vault: vault._closing(),
}


@pytest.fixture
def application() -> Iterator[Application]:
    made = Application(slots=[SoftSlot("a")])
    yield made
    made.close()


@pytest.mark.parametrize("order", list(itertools.permutations(STEPS)), ids="; ".join)
@pytest.mark.parametrize("begins", ["open", "sealed by a loss"])
def test_whoever_comes_first_what_somebody_sealed_is_opened_by_no_slot(
    application: Application, begins: str, order: tuple[str, ...]
) -> None:
    async def scenario() -> None:
        vault = application.vault
        sealed = vault.ground.barrier
        if begins != "open":
            await vault._closing()
        async with vault._turn:
            waiting = []
            for name in order:
                waiting.append(asyncio.ensure_future(STEPS[name](vault)))
                await asyncio.sleep(0)  # each waits for its turn, in this order
        await asyncio.gather(*waiting)
        assert sealed.sealed
        for _ in range(3):
            await vault._open_by_slots()
            await vault._seal_watch.step()
        assert sealed.sealed

    application.run(scenario())


def test_shares_open_what_somebody_sealed_and_slots_open_it_again_from_then_on(
    application: Application,
) -> None:
    assert application.request("POST", "/v1/sys/seal", token="root").status == 204
    [slot] = application.vault.key_slots.lifecycle.slots.enabled
    assert isinstance(slot, SoftSlot)
    slot.calls.clear()
    application.run(application.vault._open_by_slots())
    assert not slot.calls
    assert application.request("GET", "/v1/sys/seal-status").json()["sealed"]
    application.reopen()
    assert not application.request("GET", "/v1/sys/seal-status").json()["sealed"]
    application.run(application.vault._closing())
    application.run(application.vault._open_by_slots())
    assert not application.request("GET", "/v1/sys/seal-status").json()["sealed"]


def test_shares_that_come_between_the_wish_to_seal_and_the_sealing_change_nothing(
    application: Application,
) -> None:
    async def scenario() -> None:
        vault = application.vault
        await vault._closing()
        async with vault._turn:
            sealing = asyncio.ensure_future(vault._sealing())
            await asyncio.sleep(0)
            await vault.key_slots.lifecycle.unseal(application.key)
            await vault._opened()
        await sealing
        await vault._open_by_slots()
        assert vault.ground.barrier.sealed

    application.run(scenario())
