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
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from time import monotonic, perf_counter_ns
from typing import Final

from vault.audit.device import DeviceFailure
from vault.barrier import formats
from vault.barrier.failure import BarrierFailure
from vault.barrier.stored import NewerFormat
from vault.engines.system.external_keys.engine import ExternalKeyEngine
from vault.engines.system.seal.legacy_rekey import TAKEN
from vault.engines.system.seal.seal import SealHooks
from vault.framework.clock import Clock, Entropy
from vault.framework.concurrency.lasting import LastingTask
from vault.framework.limits import JsonLimits
from vault.framework.telemetry.log import Log
from vault.framework.telemetry.metrics import Metrics
from vault.install import Install, Installation
from vault.log.witness.rounds import Witnesses
from vault.mount.table import Catalog
from vault.seal.failure import RootKeyReplaced, SealFailure
from vault.server.application import Answer, Colleagues, DevResult, Message
from vault.server.compose import unseal
from vault.server.compose.catalog import ENGINES, catalog, hook
from vault.server.compose.common_log import make_log_reader, make_purger, open_common_log
from vault.server.compose.external_keys import external_key_providers
from vault.server.compose.groups import token_metrics
from vault.server.compose.groups.capacities import USUAL, Capacities
from vault.server.compose.groups.controls import make_controls
from vault.server.compose.groups.credentials import make_credentials
from vault.server.compose.groups.ground import make_ground
from vault.server.compose.groups.key_slots import make_key_slots
from vault.server.compose.groups.leases import make_leases
from vault.server.compose.groups.mounts import make_mounts
from vault.server.compose.groups.nodes import make_nodes
from vault.server.compose.groups.schedules import make_schedules
from vault.server.compose.groups.usage import make_usage
from vault.server.compose.listener_paths import fixed_paths, offered_paths
from vault.server.compose.log_signing import sign_with_hsm
from vault.server.compose.request_path import make_pipeline, make_requests
from vault.server.compose.safe_migration import SafeMigration
from vault.server.compose.services import make_services
from vault.server.compose.timers import background, do_waiting
from vault.server.compose.together import Together
from vault.server.compose.unseal import OpenState, Presence, make_genesis
from vault.server.compose.witnesses import make_witnesses
from vault.server.config.settings import Config, Listener
from vault.server.failure import StartFailure
from vault.server.http.discovery import well_known
from vault.server.http.listener_app import listener_application
from vault.server.process.freed_memory import Remains
from vault.server.seals.slots import new_slots, told_of_stanzas
from vault.server.seals.watch import SealWatch
from vault.storage.protocol import Storage, StorageFailure
from vault.ui.session.sessions import UiSessions
from vault.wire.http import Front

_DEFECT: Final = "the watch over requests met a defect; it is begun anew"
_WATCH_SECONDS: Final = 1.0
_LEFT: Final = "another process replaced the root key, or a backup was restored, and this one cannot follow: it is sealed; unseal it again"
_OUTDATED: Final = (
    "a newer release was started on this database: this one is sealed, and cannot be unsealed again; stop it"
)
_EXCHANGED: Final = "the files of the storage were moved, removed, exchanged or overwritten: it is sealed"


class Vault:
    """The application: an ASGI callable with a life of its own, and the groups that it consists of."""

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
        reads_log: bool = True,
    ) -> None:
        """Put everything together, sealed. `engines` are those that need `Services` alone; without `reads_log` no process is started that reads the log. Raises `StartFailure` for an audit device that cannot be opened."""
        self.ground = ground = make_ground(
            config, storage, clock=clock, entropy=entropy, metrics=metrics, log=log
        )
        self.mounts = mounts = make_mounts(ground)
        self.key_slots = slots = make_key_slots(ground, mounts.namespaces)
        self.credentials = credentials = make_credentials(ground, mounts, slots, capacities)
        common = open_common_log(ground)
        self.controls = controls = make_controls(ground, mounts.namespaces, slots.wraps, colleagues, common)
        self.leases = make_leases(ground)
        self.presence = Presence()
        self.schedules = make_schedules(ground, controls.audit, controls.skew, lambda: self.presence.cluster)
        self._nodes = make_nodes(ground)
        self._tokens = tokens = credentials.tokens
        self.genesis = make_genesis(ground, slots.lifecycle, controls.policies, mounts.router.root)
        self._turn = asyncio.Lock()
        self._together = Together(ground, slots, self._turn, self._opened, self._closing, colleagues)
        self._state = OpenState(
            ground=ground,
            key_slots=slots,
            router=mounts.router,
            tokens=tokens,
            controls=controls,
            presence=self.presence,
            nodes=self._nodes,
        )
        pipeline = make_pipeline(ground, slots.lifecycle, mounts.router, credentials, controls, capacities)
        self._plans = pipeline.plans
        self._sessions = UiSessions(clock, entropy) if config.ui else None
        self._requests = make_requests(ground, pipeline)
        migrate = SafeMigration(ground, mounts, slots, credentials.pairs)
        self._reader = make_log_reader(config, log) if reads_log else None
        self.purger = make_purger(ground, controls, self._reader)
        installed = self._install(engines, capacities, migrate)
        mounts.router.seal()
        self._background = background(
            ground, mounts.namespaces, tokens, self.leases, controls, installed, migrate, self.purger
        )
        self._usage = make_usage(ground, mounts, tokens, self.leases, colleagues)
        self._fixed = fixed_paths(mounts.router.root)
        self._watch = LastingTask(self._watch_forever, partial(log.crash, "core", _DEFECT))
        self._remains = Remains(lambda: ground.barrier.moves, monotonic)
        self._leaving: asyncio.Task[None] | None = None
        self._seal_watch = self._make_seal_watch()
        self._answer = self.at(config.listeners[0])
        self._hook(installed)

    def _install(
        self, engines: Sequence[Install], capacities: Capacities, migrate: SafeMigration
    ) -> Sequence[Installation]:
        """Make the engines, and have the router know them. Returns what they brought."""
        ground, mounts, credentials = self.ground, self.mounts, self.credentials
        slots, controls, config = self.key_slots, self.controls, ground.config
        passage = SealHooks(
            self._opened,
            self._closing,
            self._sealing,
            self._open_by_slots,
            lambda: self.presence.cluster,
            self._nodes,
            config.storage.kind,
            ground.log,
            controls.skew,
            self._turn,
            self._together.share,
            lambda: self.schedules.failing,
        )
        external = ExternalKeyEngine(
            ground.barrier, external_key_providers(ground.entropy, config, os.environ)
        )
        common = controls.audit.common
        if common is not None:
            sign_with_hsm(common.checkpoints, external, config.log.signing_key, ground.log)
        if common is not None and self._reader is not None:
            common.witnesses = make_witnesses(ground, common, self._reader)
        mounts.router.catalog, installed = catalog(
            ground,
            make_services(ground, mounts, credentials, controls.policies, self.leases, slots.safe, external),
            external,
            credentials,
            slots,
            controls,
            self.leases.endings,
            capacities,
            genesis=self.genesis,
            passage=passage,
            whole_metrics=self._together.metrics,
            share_levels=self._together.share_levels,
            migrate=migrate,
            reader=self._reader,
            purger=self.purger,
            running=self._requests.running,
            schedules=self.schedules,
            engines=engines,
        )
        return installed

    def _make_seal_watch(self) -> SealWatch:
        ground, slots = self.ground, self.key_slots
        return SealWatch(
            slots.lifecycle,
            slots.health,
            slots.wraps,
            ground.config.hsm,
            open_vault=self._open_by_slots,
            close_vault=self._closing,
            resume=self._state.resume,
            now=monotonic,
            chance=ground.chance,
            log=ground.log,
            metrics=ground.metrics,
        )

    def _hook(self, installed: Iterable[Installation]) -> None:
        """Have the groups call each other, and engines, where something ends, opens or becomes untrue."""
        self._nodes.after_beat = self._state.end_upgrade
        ground, tokens, lifecycle = self.ground, self._tokens, self.key_slots.lifecycle
        leases, endings = self.leases.store, self.leases.endings
        self._state.own_facts(self._leave)
        tokens.on_revoke(leases.token_gone)
        hook(installed, ground.follower, lifecycle, tokens, endings)
        self._state.before_seal.extend(save for each in installed for save in each.before_seal)
        self.key_slots.sealing.on_opening(partial(do_waiting, tokens, leases, ground.clock))
        token_metrics.show_state(ground.metrics, ground.barrier, ground.config.cluster_name)
        token_metrics.show_keys(ground.metrics, ground.barrier)

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
        ground, barrier = self.ground, self.ground.barrier
        lane = self._requests.lane(
            longest=listener.max_request_duration or ground.config.default_max_request_duration,
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
            ground.clock,
            ground.entropy,
            fixed={**self._fixed, **dict.fromkeys(offered_paths(listener), TAKEN)},
            sealed=lambda: barrier.sealed,
        )
        answer = listener_application(
            listener,
            front,
            origins=self.controls.origins,
            refused=self._requests.refusals.count,
            metrics=self._together.metrics,
            telemetry=ground.config.telemetry,
            sessions=self._sessions,
            told=partial(well_known, ground.config, listener, ground.clock.millis),
        )
        return self._together.before(answer, listener)

    @property
    def catalog(self) -> Catalog:
        """Which kinds of mount there are."""
        return self.mounts.router.catalog

    @property
    def _witnesses(self) -> Witnesses | None:
        common = self.controls.audit.common
        return None if common is None else common.witnesses

    async def start(self) -> None:
        """Begin to watch over requests and key slots, and let a new vault set itself up. Raises `StartFailure`.

        Other background work begins when the vault is unsealed.
        """
        try:
            with contextlib.suppress(
                StorageFailure
            ):  # it is told where it matters, and asked again at the unseal
                await formats.check(self.ground.storage.reader())
        except BarrierFailure as failure:
            raise StartFailure(str(failure)) from failure
        self._watch.start()
        self.controls.audit.start()
        self.ground.storage_watch.start()
        self._usage.start()
        self._together.collect()
        if self._reader is not None:
            self._reader.begin()
        if (witnesses := self._witnesses) is not None:
            witnesses.start()
        await self._together.join()
        self._nodes.start()
        first = self.ground.config.initialize
        if first:
            from vault.server.compose.self_init import SelfInit

            await SelfInit(
                self.ground,
                self.key_slots.lifecycle,
                self.genesis,
                self._requests.handle,
                open_vault=self._open_by_slots,
                closing=self._closing,
            ).begin(first)
        await self._tell_of_stanzas(self.ground.config)
        self._seal_watch.start()

    async def _tell_of_stanzas(self, config: Config) -> None:
        with contextlib.suppress(SealFailure, StorageFailure):  # it is told where it matters
            stored = await self.key_slots.lifecycle.config()
            members = stored.wrapped if stored is not None else ()
            told_of_stanzas(config, self.key_slots.lifecycle.slots, members, self.ground.log)

    async def stop(self) -> None:
        """End background work, forget keys, release audit devices: all of it, whatever fails, which is then raised.

        Requests have been answered by now.
        """
        witnesses, feed, usage = self._witnesses, self.ground.feed, self._usage
        async with contextlib.AsyncExitStack() as rest:
            for end in (
                *([feed.stop] if feed is not None else ()),
                self.controls.audit.stop,
                *([self._reader.close] if self._reader is not None else ()),
                *([witnesses.stop] if witnesses is not None else ()),
                *(self._nodes.stop, self._closing, usage.stop, self.ground.storage_watch.stop),
                *(self._seal_watch.stop, self._left_alone, self._watch.stop, self._together.leave),
            ):
                rest.push_async_callback(end)  # the last one is called first

    async def _left_alone(self) -> None:
        if self._leaving is not None:
            await asyncio.wait([self._leaving])

    async def reload(self, config: Config) -> None:
        """Take in key slots that are new, and open audit files anew. Raises `StartFailure` for what cannot be.

        Levels, certificates and settings of listeners are exchanged by the process itself; everything else
        that `config` may say differently takes a restart. A new slot becomes part of the vault when it is added.
        """
        slots = self.key_slots.lifecycle.slots
        await self._tell_of_stanzas(config)
        made = new_slots(config, slots, self.ground.entropy)
        slots.join(made)
        self.controls.audit.notice("esa.config.reload", {})
        for slot in made:
            self.ground.log.note("seal", "a key slot is configured and can be added", slot=slot.name)
        if made:
            self._seal_watch.start()
        try:
            await self.controls.audit.reopen()
        except DeviceFailure as failure:
            raise StartFailure(str(failure)) from failure

    async def bootstrap_dev(
        self, *, root_token_id: str | None, mount_kv: bool, unseal_key: str | None
    ) -> DevResult:
        """Initialise if needed, unseal with `unseal_key` otherwise, mount KV v2 at `secret/`, make the token.

        With a key slot the vault opens by it, and the key is a recovery key. A second start with another
        `root_token_id` makes that token too.
        """
        made = await unseal.first_start(
            self.key_slots.lifecycle,
            self.genesis,
            self._tokens,
            self.ground.entropy,
            root_token=root_token_id or "",
            mount_kv=mount_kv,
        )
        key = made.unseal_key if made is not None else unseal_key or ""
        if not await self._open_by_slots():
            await self.key_slots.lifecycle.unseal(key)
            await self._opened()
        if made is not None:
            return made
        if root_token_id:
            await unseal.ensure_root(self.ground, self._tokens, root_token_id)
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
        self.leases.endings.start()
        self.schedules.start()
        self.ground.metrics.timing("core.post_unseal").observe(perf_counter_ns() - began)
        self.ground.log.note("core", "vault is unsealed")

    async def _open_by_slots(self) -> bool:
        """Unseal through a key slot; return whether the vault is open. Raises `SealFailure` when none answers."""
        async with self._turn:
            reasons = await self.key_slots.lifecycle.auto_unseal()
            if reasons is None:
                return not self.ground.barrier.sealed
            for name, failure in reasons.items():
                self.ground.log.caution(
                    "seal", "a key slot did not open the vault", slot=name, reason=str(failure)
                )
            await self._opened()
        return True

    async def _closing(self, *, kept: bool = False) -> None:
        """Seal, once nobody is opening the vault; with `kept` no key slot opens it again."""
        async with self._turn:
            if kept:
                self.key_slots.lifecycle.keep_sealed()
            was_open = not self.ground.barrier.sealed
            await self._close()
        if was_open:
            self.ground.log.note("core", "vault is sealed")

    async def _sealing(self) -> None:
        """Seal because somebody asks for it: no key slot opens it again."""
        await asyncio.gather(self._closing(kept=True), self._together.seal_others())

    def _leave(self, failure: RootKeyReplaced | NewerFormat) -> None:
        """Seal soon, as whoever found out may be anywhere. A key slot may open it where the root key was replaced."""
        if self._leaves:
            return
        newer = isinstance(failure, NewerFormat)
        self.ground.log.failure("seal", _OUTDATED if newer else _LEFT, reason=str(failure))
        # So it is seen as sealed while this lasts, as requests are refused.
        self.presence.cluster = None
        self._leaving = asyncio.get_running_loop().create_task(self._left(kept=newer))

    @property
    def _leaves(self) -> bool:
        """Whether it is sealed, or about to be: who found out late why it has to be changes nothing any more."""
        return self.ground.barrier.sealed or (self._leaving is not None and not self._leaving.done())

    async def _left(self, *, kept: bool) -> None:
        try:
            with contextlib.suppress(TimeoutError, StorageFailure):  # it is sealed all the same
                await self._closing(kept=kept)
        finally:
            if not kept:
                self._seal_watch.open_again()

    async def _close(self) -> None:
        """Forget everything that came from the open vault, once nothing works with it in the background."""
        began, was_open = perf_counter_ns(), not self.ground.barrier.sealed
        try:
            await self._background.stop()
            await self.leases.endings.stop()
        finally:
            await self._state.close()
            self._plans.tidy(self.ground.clock.millis())
            if was_open:
                self.ground.metrics.timing("core.pre_seal").observe(perf_counter_ns() - began)

    async def _watch_forever(self) -> None:
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            await self._look_at_files()
            self._plans.tidy(self.ground.clock.millis())
            self._requests.settle()
            self._requests.refusals.settle()
            self.credentials.failures.settle()
            await self._remains.look()
            await self._together.look()
            ended = self._requests.end_overdue()
            if ended:
                self.ground.log.caution(
                    "core", "requests took longer than they may and were ended", count=ended
                )

    async def _look_at_files(self) -> None:
        """Seal where the storage's files are others than those that are open: what was read is not what is there."""
        try:
            await self.ground.storage.check()
        except StorageFailure as failure:
            if not self._leaves:
                self.ground.log.failure("storage", _EXCHANGED, reason=str(failure))
                self._leaving = asyncio.get_running_loop().create_task(self._left(kept=True))


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
