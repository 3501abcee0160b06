# SPDX-License-Identifier: EUPL-1.2
"""Leases in memory, and another system that can be made to refuse, to hang and to break."""

import asyncio
import io
import os

from tests.calls import fill_call, mount_facts
from tests.clocks import MOST_TURNS
from tests.unit.engines.driver import FakeClock, who
from vault.barrier.barrier import Barrier
from vault.barrier.key import Key
from vault.barrier.keyring import Keyring
from vault.barrier.view import ReadView, View
from vault.framework.call import Call, Identity
from vault.framework.clock import Entropy
from vault.framework.telemetry.log import Log
from vault.framework.telemetry.metrics import Metrics
from vault.lease.model import Lease, LeaseFailure
from vault.lease.revocation import Endings
from vault.lease.store import LeaseStore
from vault.storage.memory import MemoryStorage
from vault.values.ids import ROOT_ID
from vault.values.times import Millis, Seconds

CORE = "ns/root/"
SECOND = 1_000_000_000
"""Turns of the event loop that are waited for at most."""


class OtherSystem:
    """Accounts in another system; an engine's part that makes and removes them."""

    def __init__(self) -> None:
        self.accounts: set[str] = set()
        self.until: dict[str, int] = {}
        self.refusing = False
        self.broken = False
        self.hanging: asyncio.Event | None = None
        self.asked = 0
        self.busy = 0
        self.busiest = 0

    async def revoke(self, data: ReadView, lease: Lease) -> None:
        """Remove the account; one that is gone is no failure."""
        self.asked += 1
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        try:
            await self._answer()
        finally:
            self.busy -= 1
        self.accounts.discard(lease.detail.decode())

    async def removed(self, data: View, lease: Lease) -> None:
        """Forget what the mount keeps for the lease."""
        await data.delete(lease.detail.decode())

    async def renew(self, data: ReadView, lease: Lease) -> None:
        """Move the account's end."""
        await self._answer()
        self.until[lease.detail.decode()] = lease.expires

    async def _answer(self) -> None:
        if self.hanging is not None:
            await self.hanging.wait()
        if self.broken:
            raise ValueError("hunter2")
        if self.refusing:
            raise LeaseFailure("the account could not be removed")
        await asyncio.sleep(0)


class Bench:
    """An open barrier with a lease store and the workers that end leases."""

    def __init__(self, *, known: bool = True) -> None:
        """With `known`, the other system's engine is one that this server has."""
        self.clock = FakeClock()
        self.failing: Exception | None = None
        self.storage = MemoryStorage(on_statement=self._statement)
        self.barrier = Barrier(self.storage, now=self.clock.millis, random=os.urandom)
        self.metrics = Metrics(self.clock)
        self.stream = io.StringIO()
        self.log = Log(stream=self.stream)
        self.other = OtherSystem()
        self.store = LeaseStore(self.clock, Entropy())
        self.endings = Endings(
            self.barrier,
            self.store,
            clock=self.clock,
            chance=lambda: 0.0,
            log=self.log,
            metrics=self.metrics,
        )
        if known:
            self.endings.serve("fake", self.other)
        self.made = 0

    def _statement(self, name: str) -> None:
        if self.failing is not None:
            raise self.failing

    async def open(self) -> "Bench":
        """Make the keyring and unseal."""
        root = Key(bytes(32))
        async with self.storage.write() as tx:
            await self.barrier.create_in(tx, root, Keyring.create(self.clock.millis(), os.urandom))
        await self.barrier.load(root)
        return self

    def call(
        self, path: str = "fake/creds/role", identity: Identity | None = None, mount: str = "one"
    ) -> Call:
        """Return a request that makes something."""
        call = Call()
        fill_call(call, path=path)
        call.now = self.clock.millis()
        fill_call(
            call,
            mount=mount_facts(uuid=mount, path="fake/", kind="fake", accessor=f"fake_{mount}"),
        )
        call.identity = identity or who("first")
        return call

    async def issue(
        self, call: Call | None = None, *, ttl: Seconds = Seconds(60), longest: Seconds = Seconds(600)
    ) -> Lease:
        """Make an account with a lease."""
        self.made += 1
        account = f"account-{self.made}"
        self.other.accounts.add(account)
        lease = self.store.new(call or self.call(), ttl=ttl, longest=longest, detail=account.encode())
        async with self.barrier.write(ROOT_ID, CORE) as core:
            await self.store.issue(core, lease)
        return lease

    async def get(self, lease: Lease) -> Lease | None:
        """Return what is stored of a lease now."""
        return await self.store.get(self.barrier.reader(ROOT_ID, CORE), lease.id)

    async def get_all(self) -> list[str]:
        """Return the identifiers of all leases."""
        return list(await self.store.below(self.barrier.reader(ROOT_ID, CORE), ""))

    async def tick(self) -> int:
        """Run the timers that are due, as the background loop does, and let the workers finish."""
        timers = await self.storage.claim(self.clock.millis(), 1000, hold=Millis(1))
        for timer in timers:
            async with self.barrier.write(ROOT_ID, CORE) as core:
                await core.cancel(timer.kind, timer.key)
                await self.endings.due(core, timer.key)
        for _ in range(MOST_TURNS):
            if self.other.hanging is not None or not self.endings.waiting:
                break
            await asyncio.sleep(0)
        return len(timers)

    async def due(self) -> int | None:
        """Return in how many seconds the next timer is due; None without one."""
        due = await self.storage.next_due()
        return None if due is None else round((due - self.clock.millis()) / 1000)
