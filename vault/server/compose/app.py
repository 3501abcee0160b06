# SPDX-License-Identifier: EUPL-1.2
"""Composition root: the only place that knows every concrete class.

A vault is `build`t sealed. `start` begins the watch over requests; unsealing, by a request or by `bootstrap_dev`,
loads what an open vault needs and begins background work; sealing ends both in the opposite order, and so does
`stop`. `reload` follows SIGHUP. `at` says what one listener serves.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic, perf_counter_ns
from typing import Final

from vault.audit.device import DeviceFailure
from vault.barrier import formats
from vault.barrier.failure import BarrierFailure
from vault.barrier.stored import NewerFormat
from vault.barrier.view import View
from vault.engines.system.external_keys.engine import ExternalKeyEngine
from vault.engines.system.seal.legacy_rekey import TAKEN
from vault.engines.system.seal.seal import SealHooks
from vault.framework.clock import Clock, Entropy
from vault.framework.limits import JsonLimits
from vault.framework.telemetry.log import Log
from vault.framework.telemetry.metrics import Metrics
from vault.framework.telemetry.refusals import Refusals
from vault.install import Install, Installation
from vault.mount.table import Catalog
from vault.namespace.waiting import ENDED_LEASE, ORPHANED_TOKEN, REVOKED_TOKEN, TIMER
from vault.pipeline import Pipeline
from vault.seal.failure import RootKeyReplaced, SealFailure
from vault.server.application import Answer, Colleagues, DevResult, Message
from vault.server.compose import token_metrics, unsealing
from vault.server.compose.capacities import USUAL, Capacities
from vault.server.compose.catalog import ENGINES, catalog, hook
from vault.server.compose.external_keys import external_key_providers
from vault.server.compose.listener_paths import fixed_paths, offered_paths
from vault.server.compose.parts import make
from vault.server.compose.services import Witness
from vault.server.compose.timers import background
from vault.server.compose.together import Together
from vault.server.config.settings import Config, Listener
from vault.server.failure import StartFailure
from vault.server.http.listener_app import listener_application
from vault.server.process.freed_memory import Remains
from vault.server.seals.slots import new_slots, told_of_stanzas
from vault.server.seals.watch import SealWatch
from vault.storage.protocol import Storage, StorageFailure, Timer
from vault.token.authenticator import ServiceTokens
from vault.ui.session.sessions import UiSessions
from vault.values.ids import LeaseId, TokenKey
from vault.wire.http import Front
from vault.wire.in_flight import RunningRequests
from vault.wrap.guard import WrappingGuard

_WATCH_SECONDS: Final = 1.0
_LEFT: Final = "another process replaced the root key, or a backup was restored, and this one cannot follow: it is sealed; unseal it again"
_OUTDATED: Final = (
    "a newer release was started on this database: this one is sealed, and cannot be unsealed again; stop it"
)
_EXCHANGED: Final = "the files of the storage were moved, removed, exchanged or overwritten: it is sealed"


class Vault:
    """The application: an ASGI callable with a life of its own."""

    def __init__(
        self,
        config: Config,
        storage: Storage,
        *,
        clock: Clock,
        entropy: Entropy,
        metrics: Metrics,
        log: Log,
        engines: Sequence[Install] = ENGINES,
        capacities: Capacities = USUAL,
        colleagues: Colleagues | None = None,
    ) -> None:
        """Put everything together, sealed. `engines` are those that need `Services` alone. Raises `StartFailure` for an audit device that cannot be opened."""
        self._turn = asyncio.Lock()
        parts = self._parts = make(
            config, storage, clock=clock, entropy=entropy, metrics=metrics, log=log, capacities=capacities
        )
        self._capacities = capacities
        self._together = Together(parts, self._turn, self._opened, self._closing, colleagues)
        self._state = parts.open_state()
        pipeline = self._make_pipeline()
        self._plans = pipeline.plans
        self._sessions = UiSessions(clock, entropy) if config.ui else None
        self._requests = RunningRequests(
            metrics, pipeline.handle, pipeline.refuse, Refusals(log, metrics, monotonic)
        )
        self._migrate = parts.safe_migration()
        installed = self._install(engines)
        parts.router.seal()
        self._background = background(parts, installed, self._migrate)
        self._fixed = fixed_paths(parts.router.root)
        self._watch: asyncio.Task[None] | None = None
        self._remains = Remains(lambda: parts.barrier.moves, monotonic)
        self._leaving: asyncio.Task[None] | None = None
        self._seal_watch = SealWatch(
            parts.lifecycle,
            parts.health,
            parts.wraps,
            config.hsm,
            open_vault=self._open_by_slots,
            close_vault=self._closing,
            resume=self._state.resume,
            now=monotonic,
            chance=lambda: entropy.bytes(1)[0] / 256,
            log=log,
            metrics=metrics,
        )
        self._answer = self.at(config.listeners[0])
        self._state.own_facts(self._leave)
        parts.tokens.on_revoke(parts.leases.token_gone)
        hook(installed, parts.follower, parts.lifecycle, parts.tokens, parts.endings)
        parts.sealing.on_opening(self._resume)
        token_metrics.show_state(metrics, parts.barrier, "")
        token_metrics.show_keys(metrics, parts.barrier)

    def _install(self, engines: Sequence[Install]) -> Sequence[Installation]:
        """Make the engines, and have the router know them. Returns what they brought."""
        parts, config = self._parts, self._parts.config
        passage = SealHooks(
            self._opened,
            self._closing,
            self._sealing,
            self._open_by_slots,
            lambda: parts.presence.cluster,
            parts.nodes,
            config.storage.kind,
            parts.log,
            parts.skew,
            self._turn,
            self._together.share,
        )
        external = ExternalKeyEngine(parts.barrier, external_key_providers(parts.entropy, config, os.environ))
        parts.router.catalog, installed = catalog(
            parts.services(external),
            external,
            parts.credentials(),
            parts.key_slots(),
            parts.controls(),
            config,
            self._capacities,
            passage=passage,
            whole_metrics=self._together.metrics,
            share_levels=self._together.share_levels,
            migrate=self._migrate,
            running=self._requests.running,
            engines=engines,
        )
        return installed

    def _make_pipeline(self) -> Pipeline:
        parts = self._parts
        tokens = ServiceTokens(parts.tokens, parts.barrier, parts.follower, most=self._capacities.tokens)
        service = Witness(tokens, parts.lifecycle)
        pipeline = Pipeline(
            barrier=parts.barrier,
            router=parts.router,
            authenticators=(
                parts.batch,
                parts.biscuits,
                WrappingGuard(service, parts.wrapper, parts.tokens, parts.barrier),
            ),
            gate=parts.gate,
            audit=parts.audit,
            follower=parts.follower,
            wrapper=parts.wrapper,
            log=parts.log,
            admit=parts.quotas.admit,
            issue=parts.skew.require,
        )
        pipeline.plans.accompany(tokens.tidy)
        return pipeline

    def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> Awaitable[None]:
        """Answer one request as the first listener does."""
        return self._answer(scope, receive, send)

    def at(self, listener: Listener) -> Answer:
        """Return what answers on `listener`: its limits, its headers, its metrics."""
        parts = self._parts
        lane = self._requests.lane(
            longest=listener.max_request_duration or parts.config.default_max_request_duration,
            max_body=listener.max_request_size,
            json_limits=JsonLimits(
                strings=listener.max_request_json_strings,
                memory=listener.max_request_json_memory,
                unknown=listener.max_unauthenticated_request_size,
            ),
        )
        front = Front(
            lane,
            self._plans,
            parts.clock,
            parts.entropy,
            fixed={**self._fixed, **dict.fromkeys(offered_paths(listener), TAKEN)},
            sealed=lambda: parts.barrier.sealed,
        )
        answer = listener_application(
            listener,
            front,
            origins=parts.origins,
            refused=self._requests.refusals.count,
            metrics=self._together.metrics,
            telemetry=parts.config.telemetry,
            sessions=self._sessions,
        )
        return self._together.before(answer, listener)

    @property
    def catalog(self) -> Catalog:
        """Which kinds of mount there are."""
        return self._parts.router.catalog

    async def start(self) -> None:
        """Begin to watch over requests and key slots, and let a new vault set itself up. Raises `StartFailure`.

        Other background work begins when the vault is unsealed.
        """
        try:
            with contextlib.suppress(
                StorageFailure
            ):  # it is told where it matters, and asked again at the unseal
                await formats.check(self._parts.storage.reader())
        except BarrierFailure as failure:
            raise StartFailure(str(failure)) from failure
        self._watch = asyncio.get_running_loop().create_task(self._watch_forever())
        await self._together.join()
        self._parts.nodes.start()
        first = self._parts.config.initialize
        if first:
            from vault.server.compose.self_init import SelfInit

            parts = self._parts
            await SelfInit(
                parts.genesis,
                parts.lifecycle,
                parts.barrier,
                parts.follower,
                self._requests.handle,
                open_vault=self._open_by_slots,
                closing=self._closing,
                clock=parts.clock,
                entropy=parts.entropy,
                log=parts.log,
            ).begin(first)
        await self._tell_of_stanzas(self._parts.config)
        self._seal_watch.start()

    async def _tell_of_stanzas(self, config: Config) -> None:
        with contextlib.suppress(SealFailure, StorageFailure):  # it is told where it matters
            stored = await self._parts.lifecycle.config()
            members = stored.wrapped if stored is not None else ()
            told_of_stanzas(config, self._parts.lifecycle.slots, members, self._parts.log)

    async def stop(self) -> None:
        """End background work, forget keys, release audit devices. Requests have been answered by now."""
        await self._together.leave()
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
        if self._leaving is not None:
            await asyncio.wait([self._leaving])
        await self._seal_watch.stop()
        await self._closing()
        await self._parts.nodes.stop()
        self._parts.audit.close()

    async def reload(self, config: Config) -> None:
        """Take in key slots that are new, and open audit files anew. Raises `StartFailure` for what cannot be.

        Levels, certificates and settings of listeners are exchanged by the process itself; everything else
        that `config` may say differently takes a restart. A new slot becomes part of the vault when it is added.
        """
        slots = self._parts.lifecycle.slots
        await self._tell_of_stanzas(config)
        made = new_slots(config, slots, self._parts.entropy)
        slots.join(made)
        for slot in made:
            self._parts.log.note("seal", "a key slot is configured and can be added", slot=slot.name)
        if made:
            self._seal_watch.start()
        try:
            await self._parts.audit.reopen()
        except DeviceFailure as failure:
            raise StartFailure(str(failure)) from failure

    async def bootstrap_dev(
        self, *, root_token_id: str | None, mount_kv: bool, unseal_key: str | None
    ) -> DevResult:
        """Initialise if needed, unseal with `unseal_key` otherwise, mount KV v2 at `secret/`, make the token.

        With a key slot the vault opens by it, and the key is a recovery key. A second start with another
        `root_token_id` makes that token too.
        """
        parts = self._parts
        made = await unsealing.first_start(
            parts.lifecycle,
            parts.genesis,
            parts.tokens,
            parts.entropy,
            root_token=root_token_id or "",
            mount_kv=mount_kv,
        )
        key = made.unseal_key if made is not None else unseal_key or ""
        if not await self._open_by_slots():
            await self._parts.lifecycle.unseal(key)
            await self._opened()
        if made is not None:
            return made
        if root_token_id:
            await unsealing.ensure_root(
                parts.barrier, parts.tokens, parts.follower, parts.clock, root_token_id
            )
        return DevResult(unseal_key=key, root_token=root_token_id or "")

    async def _opened(self) -> None:
        """Load what the open vault needs. On any failure the vault is sealed again."""
        began = perf_counter_ns()
        try:
            await self._state.load()
        except BaseException:
            await self._close()
            raise
        self._background.start()
        self._parts.endings.start()
        self._parts.metrics.timing("core.post_unseal").observe(perf_counter_ns() - began)
        self._parts.log.note("core", "vault is unsealed")

    async def _open_by_slots(self) -> bool:
        """Unseal through a key slot; return whether the vault is open. Raises `SealFailure` when none answers."""
        async with self._turn:
            reasons = await self._parts.lifecycle.auto_unseal()
            if reasons is None:
                return not self._parts.barrier.sealed
            for name, failure in reasons.items():
                self._parts.log.caution(
                    "seal", "a key slot did not open the vault", slot=name, reason=str(failure)
                )
            await self._opened()
        return True

    async def _closing(self, *, kept: bool = False) -> None:
        """Seal, once nobody is opening the vault; with `kept` no key slot opens it again."""
        async with self._turn:
            if kept:
                self._parts.lifecycle.keep_sealed()
            was_open = not self._parts.barrier.sealed
            await self._close()
        if was_open:
            self._parts.log.note("core", "vault is sealed")

    async def _sealing(self) -> None:
        """Seal because somebody asks for it: no key slot opens it again."""
        await asyncio.gather(self._closing(kept=True), self._together.seal_others())

    def _leave(self, failure: RootKeyReplaced | NewerFormat) -> None:
        """Seal soon, as whoever found out may be anywhere. A key slot may open it where the root key was replaced."""
        if self._leaves:
            return
        newer = isinstance(failure, NewerFormat)
        self._parts.log.failure("seal", _OUTDATED if newer else _LEFT, reason=str(failure))
        # So it is seen as sealed while this lasts, as requests are refused.
        self._parts.presence.cluster = None
        self._leaving = asyncio.get_running_loop().create_task(self._left(kept=newer))

    @property
    def _leaves(self) -> bool:
        """Whether it is sealed, or about to be: who found out late why it has to be changes nothing any more."""
        return self._parts.barrier.sealed or (self._leaving is not None and not self._leaving.done())

    async def _left(self, *, kept: bool) -> None:
        try:
            with contextlib.suppress(TimeoutError, StorageFailure):  # it is sealed all the same
                await self._closing(kept=kept)
        finally:
            if not kept:
                self._seal_watch.open_again()

    async def _close(self) -> None:
        """Forget everything that came from the open vault, once nothing works with it in the background."""
        try:
            await self._background.stop()
            await self._parts.endings.stop()
        finally:
            await self._state.close()
            self._plans.tidy(self._parts.clock.millis())

    async def _watch_forever(self) -> None:
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            await self._look_at_files()
            self._plans.tidy(self._parts.clock.millis())
            self._requests.settle()
            self._requests.refusals.settle()
            self._parts.failures.settle()
            await self._remains.look()
            await self._together.look()
            ended = self._requests.end_overdue()
            if ended:
                self._parts.log.caution(
                    "core", "requests took longer than they may and were ended", count=ended
                )

    async def _look_at_files(self) -> None:
        """Seal where the storage's files are others than those that are open: what was read is not what is there."""
        try:
            await self._parts.storage.check()
        except StorageFailure as failure:
            if not self._leaves:
                self._parts.log.failure("storage", _EXCHANGED, reason=str(failure))
                self._leaving = asyncio.get_running_loop().create_task(self._left(kept=True))

    async def _resume(self, core: View, kind: str, key: str) -> None:
        """Do what waited for a namespace to open."""
        parts = self._parts
        if kind == REVOKED_TOKEN:
            await parts.tokens.revoke_tree(core, TokenKey(key))
        elif kind == ORPHANED_TOKEN:
            await parts.tokens.adopt(core, TokenKey(key))
        elif kind == ENDED_LEASE:
            await parts.leases.end(core, LeaseId(key))
        else:
            await core.at(Timer(kind.removeprefix(TIMER), key, parts.clock.millis()))


async def build(
    config: Config,
    storage: Storage,
    *,
    clock: Clock,
    entropy: Entropy,
    metrics: Metrics,
    log: Log,
    colleagues: Colleagues | None = None,
) -> Vault:
    """Make the application, sealed and not started yet."""
    return Vault(
        config, storage, clock=clock, entropy=entropy, metrics=metrics, log=log, colleagues=colleagues
    )
