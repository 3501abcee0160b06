# SPDX-License-Identifier: EUPL-1.2
"""The life of the process: start in order, serve, reload on SIGHUP, and leave without dropping anybody."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Callable, Coroutine
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from vault import __version__
from vault.engines.system.release import VERSION
from vault.framework.clock import Clock, Entropy
from vault.framework.telemetry.log import Log
from vault.framework.telemetry.metrics import Metrics
from vault.server.application import Application, Build
from vault.server.config.settings import Config
from vault.server.failure import StartFailure
from vault.server.http import tls
from vault.server.http.listeners import Listeners
from vault.server.process import logs, reload, resources, runtime_metrics, storages
from vault.server.process.disk_metrics import DiskWatch
from vault.server.process.doors import Doors, OwnDoors
from vault.server.process.loop_watch import LoopWatch
from vault.server.process.notices import Notices

if TYPE_CHECKING:
    from vault.server.process.signals import Heard

DRAIN_SECONDS: Final = 10.0
"""How long requests in flight may take once the process was asked to end."""

T = TypeVar("T")
_SOON: Final = timedelta(days=14)
_WENT_BACK: Final = (
    "the database went back, or another server took its place: all that was known of it is dropped, and what it does not have "
    "cannot be had again"
)
_GARBAGE: Final = 10_000
"""Containers more than there were before the collector looks at the young ones: requests make no cycles."""


class Guest(Protocol):
    """Somebody who works with the application before clients do, and speaks once they can: development mode."""

    async def prepare(self, application: Application) -> None:
        """Work with the application, which has started."""
        ...

    def announce(self, addresses: list[str]) -> None:
        """Tell the user; the listeners are open."""
        ...


class Server:
    """One process's server. `reread` reads the configuration again, for SIGHUP.

    `signals` are those of the process, which have come and will. `doors` are its own unless given.
    """

    def __init__(
        self,
        config: Config,
        *,
        reread: Callable[[], Config],
        build: Build,
        clock: Clock,
        entropy: Entropy,
        signals: Heard,
        doors: Doors | None = None,
    ) -> None:
        self._doors = doors or OwnDoors(Notices({}))
        self._config = self._started = config
        self._reread = reread
        self._build = build
        self._clock = clock
        self._entropy = entropy
        self._signals = signals
        self._ending = asyncio.Event()
        self._held_back = False
        self._reloading: asyncio.Task[None] | None = None
        self._reload_asked = False
        self._metrics = Metrics(clock)

    async def run(self, guest: Guest | None = None) -> None:
        """Serve until SIGTERM or SIGINT. Raises `StartFailure` or `StorageFailure` when it cannot start.

        Raises `SystemExit` where it was asked to end before that: nothing is left half done, and nobody was served.
        """
        config = self._config
        missing = resources.harden(lock_memory=not config.disable_mlock)
        log = logs.open_log(config, self._clock)
        await self._with_storage(config, log, missing, guest)
        log.note("server", "stopped")

    async def _with_storage(self, config: Config, log: Log, missing: list[str], guest: Guest | None) -> None:
        metrics = self._metrics
        runtime_metrics.register(metrics, log)
        async with storages.opened(config.storage, partial(_tell_of_turn, log)) as storage:
            contexts = [tls.context_for(listener) for listener in config.listeners]
            warnings = [*config.warnings, *missing, *self._expiring(config), *tls.exposed(config.listeners)]
            warnings += await storages.risks(storage)
            with self._doors.opened(config) as bound:
                build = self._doors.builder(self._build, log)
                application = await build(
                    config, storage, clock=self._clock, entropy=self._entropy, metrics=metrics, log=log
                )
                await application.start()
                watches = (LoopWatch(log, metrics), DiskWatch(config, metrics))
                try:
                    for watch in watches:
                        watch.start()
                    if guest is not None:
                        await guest.prepare(application)
                    listening = Listeners(
                        application,
                        partial(log.crash, "server", "watching clients met a defect; it is begun anew"),
                    )
                    await listening.start(list(zip(config.listeners, bound, contexts, strict=True)))
                    await self._serve(application, listening, log, warnings, guest)
                finally:
                    for watch in watches:
                        watch.stop()
                    await application.stop()

    async def _serve(
        self,
        application: Application,
        listening: Listeners,
        log: Log,
        warnings: list[str],
        guest: Guest | None,
    ) -> None:
        """Serve, with everything open, until asked to end."""
        config = self._config
        self._hear(application, listening, log)
        self._doors.serving(listening)
        for warning in warnings if self._doors.warns else ():
            log.caution("server", "attention", reason=warning)
        for address, listener in zip(listening.addresses, config.listeners, strict=True):
            log.note(
                "server",
                "listening",
                address=address,
                tls=bool(listener.tls_cert_file) and not listener.tls_disable,
            )
        log.note("server", "started", version=__version__, api=VERSION, storage=config.storage.kind)
        if guest is not None:
            guest.announce(listening.addresses)
        gc.collect()
        gc.freeze()
        gc.set_threshold(_GARBAGE)
        gc.enable()
        self._doors.notices.ready()
        self._doors.notices.keep(asyncio.get_running_loop())
        await self._ending.wait()
        self._doors.notices.stopping()
        log.note(
            "server", "stopping: no new connections, waiting for requests in flight", seconds=DRAIN_SECONDS
        )
        log.end_watches()
        if self._reloading is not None:
            self._reloading.cancel()
            await asyncio.wait({self._reloading})
        cut = await listening.stop(DRAIN_SECONDS)
        if cut:
            log.caution("server", "requests took too long and were cut off", count=cut)

    def _hear(self, application: Application, listening: Listeners, log: Log) -> None:
        """Act on signals from now on, and on those that came before."""
        loop = asyncio.get_running_loop()

        def act(number: int) -> None:
            if number in {signal.SIGTERM, signal.SIGINT}:
                if self._ending.is_set():
                    listening.hurry()
                self._ending.set()
            elif self._ending.is_set():
                return  # there is nothing left to reload
            elif number == signal.SIGUSR2:
                log.caution("server", "a signal has no effect here", signal="SIGUSR2")
            else:
                self._reload_asked = True
                if self._reloading is None or self._reloading.done():
                    self._reloading = loop.create_task(self._reload_while_asked(application, listening, log))

        self._signals.pass_on(loop, act)

    async def _reload_while_asked(self, application: Application, listening: Listeners, log: Log) -> None:
        """Reload, and once more if that was asked for meanwhile: a file may have been moved since it was opened."""
        self._doors.notices.reloading()
        try:
            while self._reload_asked and not self._ending.is_set():
                self._reload_asked = False
                await self._reload(application, listening, log)
        finally:
            if not self._ending.is_set():
                self._doors.notices.ready()
                self._doors.reloaded()

    async def _reload(self, application: Application, listening: Listeners, log: Log) -> None:
        """Read configuration, certificates and audit files anew; whatever is not usable stays as it was."""
        self._held_back = False
        wanted = await self._kept(log, "configuration", _now(self._reread))
        if wanted is not None:
            self._config = reload.reloadable(self._config, wanted)
            if wanted.storage != self._config.storage or reload.where(wanted) != reload.where(self._config):
                log.caution("server", "storage and addresses of listeners change at the next start only")
            for setting in reload.waiting(self._started, wanted):
                log.caution("server", "a setting changes at the next start only", setting=setting)
        config = self._config
        await self._kept(log, "log_file", _now(lambda: logs.reopen(log, config)))
        await self._kept(log, "certificates", self._exchange(listening))
        await self._kept(log, "application", application.reload(config))
        for warning in tls.exposed(config.listeners):
            log.caution("server", "attention", reason=warning)
        log.note("server", "reloaded in part" if self._held_back else "reloaded")

    async def _exchange(self, listening: Listeners) -> None:
        self._expiring(self._config)
        await listening.exchange([(each, tls.context_for(each)) for each in self._config.listeners])

    async def _kept(self, log: Log, what: str, step: Coroutine[Any, Any, T]) -> T | None:
        """Do one step of a reload; if it fails, say so and go on with what there is."""
        try:
            return await step
        except StartFailure as failure:
            log.failure(
                "server", "reload failed, going on with the previous one", setting=what, error=str(failure)
            )
        except Exception as error:  # noqa: BLE001 - a reload must not end the server
            log.crash("server", "reload failed, going on with the previous one", error, setting=what)
        self._held_back = True
        return None

    def _expiring(self, config: Config) -> list[str]:
        """Return warnings about certificates that expire soon. Raises `StartFailure` for one that is not valid."""
        now = tls.utc(self._clock.millis())
        warnings: list[str] = []
        for listener in config.listeners:
            if listener.tls_disable or not listener.tls_cert_file:
                continue
            end = tls.expiry(listener, now)
            runtime_metrics.show_expiry(self._metrics, listener.address, end.timestamp())
            if end - now < _SOON:
                warnings.append(f"tls_cert_file {listener.tls_cert_file} expires on {end:%Y-%m-%d}; renew it")
        return warnings


async def _now(step: Callable[[], T]) -> T:
    return step()


def _tell_of_turn(log: Log, known: str, found: str) -> None:
    """Say that the database went back; epochs are a timeline and a number."""
    log.caution("storage", _WENT_BACK, reason=f"its epoch was {known} and is {found}")
