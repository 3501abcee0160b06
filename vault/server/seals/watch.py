# SPDX-License-Identifier: EUPL-1.2
"""Watches the key slots: unseals through the first that answers, tries each again and again, and acts on their loss.

It waits with growing pauses, each shortened by chance, so that many servers do not ask a token at once. The
server listens and answers meanwhile. A vault that somebody sealed stays sealed until shares or a restart: the
lifecycle knows, and opens it through no slot, whatever is asked of it here.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from hsm.errors import HsmError
from vault.barrier.failure import BarrierSealed
from vault.framework.concurrency.lasting import end, is_ending
from vault.framework.telemetry.log import Log
from vault.framework.telemetry.metrics import Metrics
from vault.seal.changes import recovery_key
from vault.seal.failure import SealFailure, SealRefusal
from vault.seal.health import SlotHealth
from vault.seal.lifecycle import Lifecycle
from vault.seal.records.sealwrap import SealWrap, ValuesLost
from vault.seal.records.slots import NoSlotAnswers, SlotView, gist
from vault.server.config.seal_settings import HsmPolicy
from vault.server.seals.metrics import SlotMetrics
from vault.storage.protocol import StorageFailure

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 30.0
"""Seconds between two tries to unseal: doubled each time, up to this."""
_PROVEN_EVERY: Final = 1.0
"""Seconds between two looks at whether somebody has used a new vault's token."""
_OFTENER: Final = 12
_LOOKS: Final = 2
"""Looks in a row that find every slot failing before that counts as their loss; the second comes at once."""


class SealWatch:
    """One server's watch; without effect where there are no key slots."""

    def __init__(
        self,
        lifecycle: Lifecycle,
        health: SlotHealth,
        wraps: SealWrap,
        policy: HsmPolicy,
        *,
        open_vault: Callable[[], Awaitable[bool]],
        close_vault: Callable[[], Awaitable[None]],
        resume: Callable[[], Awaitable[None]],
        now: Callable[[], float],
        chance: Callable[[], float],
        log: Log,
        metrics: Metrics,
    ) -> None:
        """`open_vault` tries the slots and says whether the vault is open; `now` gives seconds that only grow.

        `resume` does in an open vault what waits for a slot, if anything does.
        """
        self._lifecycle = lifecycle
        self._health = health
        self._wraps = wraps
        self._policy = policy
        self._open_vault = open_vault
        self._close_vault = close_vault
        self._resume = resume
        self._now = now
        self._chance = chance
        self._log = log
        self._slot_metrics = SlotMetrics(metrics)
        self._task: asyncio.Task[None] | None = None
        self._opening = True
        self._pause = FIRST_PAUSE
        self._try_at = 0.0
        self._look_at = 0.0
        self._lost_since: float | None = None
        self._losses = 0
        self._told = False
        self._behind: dict[str, str] = {}
        metrics.gauge("seal.unreachable.time", self._unreachable)
        metrics.gauge("coffre.hsm.entropy_fallbacks_total", lambda: float(lifecycle.slots.fallbacks()))

    def start(self) -> None:
        """Begin, if there is anything to watch; without effect while it runs, but for a look at once."""
        self.look_soon()
        if self._task is None and any(True for _ in self._lifecycle.slots):
            self._task = asyncio.get_running_loop().create_task(self._run())

    def look_soon(self) -> None:
        """Look at the slots in the next step, whenever that was due."""
        self._look_at = 0.0

    def open_again(self) -> None:
        """Try to unseal from now on, as when the server starts: something has sealed the vault that nobody asked for."""
        self._opening, self._try_at = True, 0.0

    async def stop(self) -> None:
        """End, and release the slots."""
        if self._task is not None:
            await end(self._task)
        for slot in self._lifecycle.slots:
            await slot.close()

    async def _run(self) -> None:
        while not is_ending():
            try:
                pause = await self.step()
            except Exception as error:  # noqa: BLE001 -- whatever happens, the next step comes
                self._log.crash("seal", "a step of the watch failed; it will be tried again", error)
                pause = FIRST_PAUSE
            if not is_ending():
                await asyncio.sleep(pause)

    async def step(self) -> float:
        """Do what is due now; return after how many seconds to come again."""
        now = self._now()
        with contextlib.suppress(StorageFailure, SealFailure):
            await self._lifecycle.confirm()
        if self._opening and now >= self._try_at:
            await self._try(now)
        if now >= self._look_at:
            await self._look(now)
            self._look_at = now + self._interval()
            await self._act(now)
        due = [self._look_at, now + _PROVEN_EVERY, *([self._try_at] if self._opening else [])]
        return max(0.0, min(due) - self._now())

    async def _try(self, now: float) -> None:
        """Try to unseal, unless somebody else has or there is nothing to unseal yet."""
        try:
            opened = await self._open_vault()
        except Exception as failure:  # noqa: BLE001 -- an audit device, a defect: the next try may go better
            reason = str(failure) if isinstance(failure, SealFailure) else type(failure).__name__
            if not self._told:
                self._log.caution("seal", "not unsealed; it will be tried again", reason=reason)
                self._told = isinstance(failure, NoSlotAnswers)
            self._try_at = now + self._pause * (0.5 + self._chance() / 2)
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
            return
        if opened:
            self._opening = False
            self._told = False
            self._pause = FIRST_PAUSE
        else:
            self._try_at = now + _PROVEN_EVERY

    async def _look(self, now: float) -> None:
        try:
            changed = await self._health.look()
        except (SealFailure, StorageFailure) as failure:
            self._log.failure("seal", "slots cannot be checked", error=str(failure))
            return
        for view in changed:
            self._tell(view)
        await self._show()
        if self._health.lost:
            self._lost_since = now if self._lost_since is None else self._lost_since
            self._losses += 1
        else:
            self._lost_since = None
            self._losses = 0
            self._lifecycle.slot_works()
        await self._catch_up()

    async def _show(self) -> None:
        """Let the metrics follow what was found."""
        config = await self._lifecycle.config()
        references: dict[str, dict[str, int]] | None = None
        with contextlib.suppress(SealFailure):
            references = await self._lifecycle.references()
        up = {view.name: view.up for view in self._health.seen.values()}
        self._slot_metrics.update(up, config, references, list(self._lifecycle.slots))

    async def _catch_up(self) -> None:
        """Give slots that came back what they missed: the newest root key, the recovery key, wrapped values."""
        config = await self._lifecycle.config()
        if config is None:
            return
        for name in (slot.name for slot in self._lifecycle.slots.enabled if slot.name in config.wrapped):
            view = self._health.seen.get(name)
            if view is None or not view.up:
                continue
            try:
                await self._give_missed(name, behind=name in config.behind)
            except BarrierSealed:
                return
            except (HsmError, SealFailure, SealRefusal, StorageFailure) as failure:
                if self._behind.get(name) != gist(failure):
                    self._log.caution("seal", "a slot is still behind", slot=name, reason=str(failure))
                self._behind[name] = gist(failure)
            else:
                self._behind.pop(name, None)
        with contextlib.suppress(BarrierSealed):
            await self._resume()

    async def _give_missed(self, name: str, *, behind: bool) -> None:
        changes = self._lifecycle.slot_changes
        if behind:
            await changes.renew(name, ordered=False)
            self._log.note("seal", "a slot has caught up with the root key", slot=name)
        count, lost = await self._wraps.rewrap(name, missing=True)
        if await recovery_key.give_recovery(changes, name) or count:
            self._log.note("seal", "a slot was given what it had missed", slot=name, count=count)
        if lost:
            raise ValuesLost(lost)

    async def _act(self, now: float) -> None:
        """Seal the vault if the policy says so; it opens by itself once a slot answers again.

        Never because of one failed look, and never what people opened because the slots are lost.
        """
        if (
            self._lost_since is None
            or self._losses < _LOOKS
            or self._policy.on_loss == "keep"
            or self._lifecycle.slot_changes.barrier.sealed
            or self._lifecycle.opened_by_shares
        ):
            return
        patience = self._policy.seal_after if self._policy.on_loss == "seal_after" else 0.0
        if now - self._lost_since < patience or not await self._lifecycle.opens_itself():
            return
        self._log.failure("seal", "no key slot answers: the vault is sealed, as on_loss says")
        self._opening = True
        self._try_at = now + FIRST_PAUSE
        await self._close_vault()

    def _tell(self, view: SlotView) -> None:
        if not view.up:
            level = self._log.failure if view.refused else self._log.caution
            level("seal", "a key slot does not work", slot=view.name, reason=view.reason)
            return
        self._log.note("seal", "a key slot works", slot=view.name, key_version=view.key_version)
        if view.remark:
            self._log.caution("seal", "a key slot works, but", slot=view.name, reason=view.remark)
        if view.software and view.kind == "pkcs11":
            self._log.caution("seal", "software token: no hardware protection", slot=view.name)

    def _interval(self) -> float:
        if 0 < self._losses < _LOOKS:
            return FIRST_PAUSE
        interval = self._policy.canary_interval or 1.0
        return interval if self._health.well else max(1.0, interval / _OFTENER)

    def _unreachable(self) -> float:
        """Milliseconds for which no key slot has answered; 0 while one does."""
        return 0.0 if self._lost_since is None else (self._now() - self._lost_since) * 1000
