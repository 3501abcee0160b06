# SPDX-License-Identifier: EUPL-1.2
"""All background work: claims the timers that are due and runs their handlers, at least once each."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Final

from vault.background.skew import Skew
from vault.barrier.barrier import Barrier
from vault.barrier.failure import BarrierSealed, NamespaceSealed
from vault.barrier.stored import UpgradeUnderWay
from vault.barrier.view import View
from vault.framework.concurrency.lasting import end, is_ending
from vault.framework.errors import Unavailable
from vault.framework.keys.external import AskFirst
from vault.framework.telemetry.log import Log
from vault.namespace.parked import TIMER, park
from vault.storage.protocol import CommitRefused, Conflict, Storage, StorageFailure, Timer
from vault.values.ids import ROOT_ID
from vault.values.times import Millis

_WAITS: Final = (Unavailable, CommitRefused, UpgradeUnderWay)
"""What fails because something does not answer now, because of a change that shared its commit and was not recorded, or until all nodes
have the same release."""

Handler = Callable[[View, str], Awaitable[None]]
"""Does what a timer says, in one transaction on the namespace's own data that removes the timer.

It sets the timer again where the moment has moved since the timer was claimed. Where it raises `AskFirst`, it begins
again after what that asks, which no transaction waits for.
"""
Job = Callable[[], Awaitable[None]]

_BATCH: Final = 64
_TRIES: Final = 2
"""How often a timer that lost to others is run before it takes the turn from them."""
_HOLD: Final = Millis(60_000)
"""Milliseconds for which a claimed timer is ours."""
_LOOK_EVERY: Final = 1.0
_JOBS_EVERY: Final = 300.0


class Background:
    """Runs while unsealed. A handler that fails leaves its timer; it comes back when the claim has lapsed.

    So does one that raises `Unavailable`, which is told once.
    """

    def __init__(
        self,
        storage: Storage,
        barrier: Barrier,
        handlers: Mapping[str, Handler],
        jobs: Mapping[str, Job],
        *,
        skew: Skew,
        log: Log,
        each_round: Job | None = None,
        at_once: int = 1,
        look_every: float = _LOOK_EVERY,
        jobs_every: float = _JOBS_EVERY,
    ) -> None:
        """`look_every` and `jobs_every` are in seconds: between two looks at what is due, and two runs of the jobs.

        `each_round` is run first in every one, which `work` alone does not.

        `at_once` is how many timers are run side by side, and so share commits: more where a commit is a round trip, one
        where whoever writes takes turns, as requests would stand behind all of them.
        """
        self._look_every, self._jobs_every = look_every, jobs_every
        self._at_once = at_once
        self._storage = storage
        self._barrier = barrier
        self._handlers = handlers
        self._jobs, self._each_round = jobs, each_round
        self._skew = skew
        self._log = log
        self._task: asyncio.Task[None] | None = None
        self._waiting: dict[str, str] = {}
        """What the work of each kind waits for, as it was told."""

    def start(self) -> None:
        """Begin; without effect while running."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """End, after the handler that is running."""
        task, self._task = self._task, None
        if task is not None:
            await end(task)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        jobs_at = loop.time() + self._jobs_every
        while not is_ending():
            try:
                if self._each_round is not None:
                    await self._each_round()
                worked = await self.work()
                if loop.time() >= jobs_at:
                    jobs_at = loop.time() + self._jobs_every
                    await self._run_jobs()
            except BarrierSealed:
                return
            except Exception as failure:  # noqa: BLE001 -- background work must not end before the vault seals
                self._log.crash("background", "a round failed; it will be tried again", failure)
                worked = False
            if not worked and not is_ending():
                await asyncio.sleep(self._look_every)

    async def work(self) -> bool:
        """Run what is due now, one batch; return whether there was anything."""
        timers = await self._storage.claim(await self._skew.now(), _BATCH, hold=_HOLD)
        left = iter(timers)
        lanes = (self._fire_all(left) for _ in range(min(self._at_once, len(timers))))
        failures = [end for end in await asyncio.gather(*lanes, return_exceptions=True) if end is not None]
        if failures:
            sealed = (failure for failure in failures if isinstance(failure, BarrierSealed))
            raise next(sealed, failures[0])
        return bool(timers)

    async def _fire_all(self, left: Iterator[Timer]) -> None:
        """Run timers one after the other, as long as others leave some. What no other timer would survive ends it."""
        for timer in left:
            await self._fire(timer)

    async def _fire(self, timer: Timer) -> None:
        handler = self._handlers.get(timer.kind)
        if handler is None:
            self._log.caution("background", "a timer of unknown kind was left alone", type=timer.kind)
            return
        try:
            try:
                await self._handle(handler, timer)
            except AskFirst as first:
                await first.ask()
                await self._handle(handler, timer)
        except NamespaceSealed as sealed:
            async with self._barrier.write(ROOT_ID, "ns/root/") as core:
                await core.cancel(timer.kind, timer.key)
                await park(core, sealed.owner, TIMER + timer.kind, timer.key)
        except _WAITS as failure:
            self._tell(timer.kind, failure)
        except (BarrierSealed, StorageFailure, asyncio.CancelledError):
            raise
        except Exception as error:  # noqa: BLE001 -- one timer's defect must not stop the others
            self._log.crash(
                "background", "a timer's handler failed; it will run again", error, type=timer.kind
            )
        else:
            self._waiting.pop(timer.kind, None)

    async def _handle(self, handler: Handler, timer: Timer) -> None:
        for _ in range(_TRIES):
            with contextlib.suppress(Conflict):
                await self._handle_once(handler, timer, optimistic=True)
                return
        await self._handle_once(handler, timer, optimistic=False)

    async def _handle_once(self, handler: Handler, timer: Timer, *, optimistic: bool) -> None:
        async with self._barrier.write(ROOT_ID, "ns/root/", optimistic=optimistic) as core:
            await core.cancel(timer.kind, timer.key)
            await handler(core, timer.key)

    def _tell(self, kind: str, failure: Unavailable | CommitRefused | UpgradeUnderWay) -> None:
        """Tell once what the work of a kind waits for: a device or a server that does not answer is no defect."""
        reason = failure.detail or failure.message if isinstance(failure, Unavailable) else str(failure)
        if self._waiting.get(kind) != reason:
            self._waiting[kind] = reason
            self._log.caution("background", "work waits and will be done", type=kind, reason=reason)

    async def _run_jobs(self) -> None:
        for name, job in self._jobs.items():
            try:
                await job()
            except _WAITS as failure:
                self._tell(name, failure)
            except (BarrierSealed, StorageFailure, asyncio.CancelledError):
                raise
            except Exception as error:  # noqa: BLE001 -- one job's defect must not stop the others
                self._log.crash("background", "a periodic job failed; it will run again", error, type=name)
            else:
                self._waiting.pop(name, None)
