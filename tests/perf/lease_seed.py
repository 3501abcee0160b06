# SPDX-License-Identifier: EUPL-1.2
"""Fills a stopped vault with leases and tokens, through the product's own storage code."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from tests.calls import fill_call, mount_facts
from tests.perf.lease_server import KIND
from tests.perf.token_entries import LIFE, entry_of
from tests.unit.engines.driver import who
from vault.barrier.view import View
from vault.framework.call import Call
from vault.framework.clock import Clock, Entropy
from vault.framework.telemetry.log import Log
from vault.framework.telemetry.metrics import Metrics
from vault.server.compose.app import Vault
from vault.server.config.settings import Config, Listener, StorageSettings
from vault.storage.protocol import Storage
from vault.storage.sqlite.storage import SqliteStorage
from vault.values.ids import ROOT_ID

LEASES = "accounts/creds"
TOKENS = "auth/token/create"
STAYING, GOING = "staying", "going"
"""Last parts of the paths whose leases and tokens stay, and of those that a measurement revokes."""
_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class Amount:
    """How many leases and tokens, and how many of each are to be revoked by prefix."""

    leases: int
    tokens: int
    going: int


async def seed(database: Path, share: str, amount: Amount) -> float:
    """Fill the vault in `database`, which `share` opens; return the seconds that it took."""
    storage = SqliteStorage.open(database)
    try:
        return await fill(storage, share, amount)
    finally:
        await storage.close()


async def fill(storage: Storage, share: str, amount: Amount) -> float:
    """As `seed`, for a storage that is open."""
    began = time.perf_counter()
    vault = vault_of(storage)
    await vault.key_slots.lifecycle.unseal(share)
    await vault.credentials.tokens.load(vault.ground.barrier.reader(ROOT_ID, "ns/root/"))

    async def lease(core: View, path: str) -> None:
        call = Call()
        fill_call(
            call,
            path=f"{LEASES}/{path}",
            now=vault.ground.clock.millis(),
            mount=mount_facts(uuid=KIND, path=f"{KIND}/", kind=KIND, accessor=f"{KIND}_1", category=""),
        )
        call.identity = who("somebody")
        call.identity.key = vault.credentials.tokens.key("s.nobody")
        made = vault.leases.store.new(call, ttl=LIFE, longest=LIFE, detail=b"account-0123456789")
        await vault.leases.store.issue(core, made)

    async def token(core: View, path: str) -> None:
        tokens = vault.credentials.tokens
        entry = replace(
            entry_of(tokens, vault.ground.clock.nanos()),
            policies=("bench", "default"),
            path=f"{TOKENS}/{path}",
            orphan=True,
        )
        await tokens.create(core, tokens.new_token(), entry)

    for one, count in ((lease, amount.leases), (token, amount.tokens)):
        going = min(amount.going, count)
        await _many(vault, one, STAYING, count - going)
        await _many(vault, one, GOING, going)
    await vault.ground.barrier.save_counts()
    return time.perf_counter() - began


async def _many(vault: Vault, one: Callable[[View, str], Awaitable[None]], path: str, count: int) -> None:
    for at in range(0, count, _AT_ONCE):
        async with vault.ground.barrier.write(ROOT_ID, "ns/root/") as core:
            for _ in range(min(_AT_ONCE, count - at)):
                await one(core, path)


def vault_of(storage: Storage) -> Vault:
    """Put a vault together on a storage, without a server and not started."""
    clock = Clock()
    config = Config(
        listeners=(Listener(kind="tcp", address="127.0.0.1:1", tls_disable=True),),
        storage=StorageSettings(kind="inmem"),
    )
    return Vault(config, storage, clock=clock, entropy=Entropy(), metrics=Metrics(clock), log=Log())
