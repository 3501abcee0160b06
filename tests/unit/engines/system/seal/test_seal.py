# SPDX-License-Identifier: EUPL-1.2
"""Initialising by two at once, and sealing when something in the background has gone wrong."""

import asyncio
import io

import pytest

from tests.routes.driver import Application
from vault.framework.clock import Clock, Entropy
from vault.framework.telemetry.log import Log
from vault.framework.telemetry.metrics import Metrics
from vault.seal.failure import SealRefusal
from vault.seal.init import InitRequest
from vault.server.compose.app import Vault
from vault.server.config.settings import Config, Listener, StorageSettings
from vault.storage.memory import MemoryStorage

ONE = InitRequest(secret_shares=1, secret_threshold=1)


def empty(storage: MemoryStorage) -> Vault:
    """Return an application that nobody initialised yet."""
    config = Config(listeners=(Listener(kind="tcp"),), storage=StorageSettings(kind="inmem"))
    clock = Clock()
    log = Log(stream=io.StringIO(), level="trace", clock=clock)
    return Vault(config, storage, clock=clock, entropy=Entropy(), metrics=Metrics(clock), log=log)


@pytest.mark.parametrize("replace", [False, True])
def test_of_two_who_initialise_at_once_only_one_gets_keys_unless_the_other_asked_to_replace(
    replace: bool,
) -> None:
    async def scenario() -> None:
        storage = MemoryStorage()
        vault = empty(storage)
        async with storage.write():
            first = asyncio.create_task(vault.genesis.create(ONE))
            second = asyncio.create_task(vault.genesis.create(ONE, replace=replace))
            for _ in range(5):
                await asyncio.sleep(0)
        plan, _ = await first
        if replace:
            plan, _ = await second
        else:
            with pytest.raises(SealRefusal, match="Vault is already initialized"):
                await second
        await vault.key_slots.lifecycle.unseal(plan.keys[0])
        assert not vault.ground.barrier.sealed

    asyncio.run(scenario())


def test_background_work_that_died_keeps_nobody_from_sealing() -> None:
    async def dead() -> None:
        raise ZeroDivisionError

    async def seal(application: Application) -> None:
        await application.vault._background.stop()
        application.vault._background._task = asyncio.create_task(dead())
        await asyncio.sleep(0)
        await application.vault._closing()

    with Application() as application:
        application.run(seal(application))
        assert application.vault.ground.barrier.sealed
        application.vault._background._task = None
