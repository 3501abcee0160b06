# SPDX-License-Identifier: EUPL-1.2
"""Taking back what leases are for: when their time is over, when their token is revoked, and when an operator asks.

The engine is asked outside every transaction, as the other system may take its time; the lease goes once it has
agreed. Until then a timer's row says that there is something to do, so that nothing is forgotten when the process
ends. What fails is tried again, later each time; after `MOST_ATTEMPTS` the lease is parked and counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

import msgspec

from vault.barrier.barrier import Barrier
from vault.barrier.failure import BarrierSealed, NamespaceSealed
from vault.barrier.view import ReadView, View, core_prefix, mount_prefix
from vault.framework.clock import Clock
from vault.framework.concurrency.lasting import end
from vault.framework.concurrency.time_slice import TimeSlice
from vault.framework.telemetry.log import Log
from vault.framework.telemetry.metrics import Metrics
from vault.lease.model import Lease, LeaseFailure, Revoker
from vault.lease.store import LeaseStore, namespace_of
from vault.lease.turns import Turns
from vault.values.ids import LeaseId, NamespaceId
from vault.values.times import Millis, millis_to_seconds, nanos_to_millis, time_after

MOST_ATTEMPTS: Final = 6
"""Failures after which a lease is parked."""
WAITING: Final = 1024
"""Leases that wait in memory; the rest waits in storage."""
_FIRST_WAIT: Final = Millis(10_000)
_HOLD: Final = Millis(120_000)
"""Time after which a lease that was taken up is looked at again, in case that the process ended."""
_WORKERS: Final = 8
_ABREAST: Final = 4
_TOGETHER: Final = 32
"""Leases that an engine is asked about at once where somebody has all below a prefix ended."""


class Endings:
    """Works off the leases that are over; runs while the vault is open.

    `chance` gives a number from 0 to 1, by which waits differ.
    """

    longest: float = 30.0
    """Seconds that an engine may take."""

    def __init__(
        self,
        barrier: Barrier,
        store: LeaseStore,
        *,
        clock: Clock,
        chance: Callable[[], float],
        log: Log,
        metrics: Metrics,
    ) -> None:
        self._barrier = barrier
        self._store = store
        self._revokers: dict[str, Revoker] = {}
        self._clock = clock
        self._chance = chance
        self._log = log
        self._turns = Turns(WAITING, abreast=_ABREAST)
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._expired = metrics.counter("expire.lease_expiration")
        metrics.gauge("expire.job_manager.total_jobs", lambda: float(self.waiting))
        self._revoked = metrics.counter("coffre.leases.revoked_total")
        self._failed = metrics.counter("coffre.leases.revocation_failures_total")
        self._parked = metrics.counter("coffre.leases.parked_total")

    def serve(self, kind: str, revoker: Revoker) -> None:
        """Register an engine's part, for all mounts of its kind."""
        self._revokers[kind] = revoker

    def start(self) -> None:
        """Begin; without effect while running."""
        if not self._tasks:
            self._tasks = [asyncio.get_running_loop().create_task(self._work()) for _ in range(_WORKERS)]

    async def stop(self) -> None:
        """End. What was under way is taken up again after the next unseal."""
        tasks, self._tasks = self._tasks, []
        await end(*tasks)
        self._turns = Turns(WAITING, abreast=_ABREAST)

    @property
    def waiting(self) -> int:
        """How many leases wait in memory or are being worked on."""
        return len(self._turns)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do something that belongs to leases beside requests, until the vault is sealed. Return what does it."""
        self._tasks = [task for task in self._tasks if not task.done()]
        task = asyncio.get_running_loop().create_task(self._aside(work))
        task.add_done_callback(lambda _: work.close())  # it may have been ended before its first step
        self._tasks.append(task)
        return task

    async def _aside(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except (BarrierSealed, NamespaceSealed):
            return
        except Exception as error:  # noqa: BLE001 -- nobody waits for it: the log is where its end is told
            self._log.crash("expiration", "work on leases ended early; it can be asked for again", error)

    async def due(self, core: View, key: str) -> None:
        """Take up a lease whose timer is due; called in a transaction, possibly more than once."""
        lease_id = LeaseId(key)
        lease = await self._store.get(core, lease_id)
        if lease is None or lease.parked:
            return
        now = self._clock.nanos()
        if lease.expires > now:
            await self._store.arm(core, lease, nanos_to_millis(lease.expires))
            return
        await self._store.arm(core, lease, time_after(nanos_to_millis(now), _HOLD))
        if self._turns.put(lease.mount, lease_id):
            self._news.set()

    async def end(self, lease_id: LeaseId, *, force: bool = False) -> None:
        """Take back what a lease is for, and remove the lease; with `force`, whatever the engine says.

        Raises `LeaseFailure`; the lease is then kept.
        """
        for failure in await self.end_all([lease_id], force=force):
            if failure is not None:
                raise failure

    async def end_all(
        self, lease_ids: Sequence[LeaseId], *, force: bool = False
    ) -> Sequence[LeaseFailure | None]:
        """As `end`, for leases of one namespace, which are removed together; return what became of each."""
        place = namespace_of(lease_ids[0])
        reader = self._barrier.reader(place, core_prefix(place))
        pace = TimeSlice()
        leases = []
        for lease_id in lease_ids:
            leases.append(await self._store.get(reader, lease_id))
            await pace.step()
        failures: list[LeaseFailure | None] = []
        for at in range(0, len(leases), _TOGETHER):
            some = leases[at : at + _TOGETHER]
            failures += await asyncio.gather(*(self._taken_back(lease, force=force) for lease in some))
        over = [
            lease
            for lease, failure in zip(leases, failures, strict=True)
            if lease is not None and failure is None
        ]
        if over:
            await self._remove(place, over)
        return failures

    async def _taken_back(self, lease: Lease | None, *, force: bool) -> LeaseFailure | None:
        """Take back what a lease is for; return why that could not be, unless force makes it not matter."""
        try:
            if lease is not None:
                await self._revoke(lease)
        except LeaseFailure as failure:
            if not force:
                return failure
            self._log.caution("expiration", "a lease was removed by force", reason=str(failure))
        return None

    async def _remove(self, place: NamespaceId, leases: Sequence[Lease]) -> None:
        """Remove leases in one transaction. Whoever reads gets a turn in between; whoever writes waits."""
        async with self._barrier.write(place, core_prefix(place)) as core:
            pace = TimeSlice()
            for lease in leases:
                revoker = self._revokers.get(lease.kind)
                if revoker is not None:
                    await revoker.removed(core.mount(lease.mount), lease)
                await self._store.remove(core, lease)
                await pace.step()
        self._revoked.count += len(leases)

    async def renew(self, lease: Lease) -> None:
        """Have the engine prolong what a lease is for. Raises `LeaseFailure`."""
        await self._ask(lease, lambda revoker, data: revoker.renew(data, lease))

    async def _revoke(self, lease: Lease) -> None:
        await self._ask(lease, lambda revoker, data: revoker.revoke(data, lease))

    async def _ask(
        self, lease: Lease, question: Callable[[Revoker, ReadView], Coroutine[Any, Any, None]]
    ) -> None:
        revoker = self._revokers.get(lease.kind)
        if revoker is None:
            raise LeaseFailure("no engine of this server knows this kind of lease")
        place = namespace_of(lease.id)
        data = self._barrier.reader(place, core_prefix(place) + mount_prefix(lease.mount))
        try:
            async with asyncio.timeout(self.longest):
                await question(revoker, data)
        except TimeoutError:
            raise LeaseFailure("the other system did not answer in time") from None
        except (LeaseFailure, BarrierSealed, NamespaceSealed, asyncio.CancelledError):
            raise
        except Exception as error:  # noqa: BLE001 -- an engine's defect is a failure as any other
            self._log.crash("expiration", "an engine met a defect with a lease", error, type=lease.kind)
            raise LeaseFailure("the engine met a defect") from None

    async def _work(self) -> None:
        while True:
            taken = self._turns.take()
            if taken is None:
                self._news.clear()
                await self._news.wait()
                continue
            try:
                await self._settle(taken[1])
            except BarrierSealed:
                return
            except NamespaceSealed:  # its timer brings it to where it waits
                continue
            except Exception as error:  # noqa: BLE001 -- one lease's trouble must not end the others
                self._log.crash("expiration", "a lease was left alone; its timer brings it back", error)
            finally:
                self._turns.done(*taken)
                self._news.set()

    async def _settle(self, lease_id: LeaseId) -> None:
        try:
            await self.end(lease_id)
            self._expired.count += 1
        except LeaseFailure as failure:
            place = namespace_of(lease_id)
            async with self._barrier.write(place, core_prefix(place)) as core:
                lease = await self._store.get(core, lease_id)
                if lease is not None:
                    await self._again(core, lease, str(failure))

    async def _again(self, core: View, lease: Lease, reason: str) -> None:
        """Set the next attempt, or give up."""
        self._failed.count += 1
        lease = msgspec.structs.replace(lease, attempts=lease.attempts + 1, reason=reason)
        if lease.attempts >= MOST_ATTEMPTS:
            await self._store.park(core, lease)
            self._parked.count += 1
            self._log.failure(
                "expiration", "a lease cannot be revoked; it is kept for an operator", reason=reason
            )
            return
        wait = Millis(int(_FIRST_WAIT * 2 ** (lease.attempts - 1) * (1 + self._chance())))
        await self._store.replace(core, lease)
        await self._store.arm(core, lease, time_after(self._clock.millis(), wait))
        self._log.caution(
            "expiration", "a lease could not be revoked yet", reason=reason, count=lease.attempts,
            seconds=millis_to_seconds(wait),
        )  # fmt: skip
