# SPDX-License-Identifier: EUPL-1.2
"""A server of several workers, put together: what each of them runs, and the supervisor above them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

import uvloop

from vault.framework.clock import Clock, Entropy
from vault.framework.telemetry.log import Log, places
from vault.quota.tally import Tally, shared_memory
from vault.server.application import Build
from vault.server.config.settings import Config
from vault.server.failure import StartFailure
from vault.server.http.listeners import Listeners
from vault.server.process.notices import Notices
from vault.server.process.run import Server
from vault.server.process.signals import Signals
from vault.server.workers import control
from vault.server.workers.supervisor import Supervisor
from vault.server.workers.worker import Worker
from vault.storage.protocol import StorageFailure

if TYPE_CHECKING:
    from vault.server.process.signals import Loop

_ENDING: Final = frozenset({signal.SIGTERM, signal.SIGINT})


def supervise(
    config: Config,
    *,
    reread: Callable[[], Config],
    build: Build,
    clock: Clock,
    entropy: Entropy,
    signals: Signals,
    notices: Notices,
) -> None:
    """Serve with `config.workers` workers until asked to end. Raises what a server without them does."""
    memory = shared_memory(config.workers)

    def work(
        config: Config, bound: Sequence[socket.socket], end: socket.socket, number: int, seat: int
    ) -> int:
        server = Server(
            config,
            reread=reread,
            build=build,
            clock=clock,
            entropy=entropy,
            signals=_Once(signals),
            doors=_InheritedDoors(config, bound, end, number, Tally(memory, seat)),
        )
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(server.run())
        except (StartFailure, StorageFailure) as failure:
            control.send(end, f"{control.FAILED} {failure}")
            return 1
        except Exception as error:  # noqa: BLE001 - its message may hold anything, so only its place is shown
            sys.stderr.write(
                f"error: unexpected {type(error).__name__} at {places(error)}; please report this\n"
            )
            return 1
        finally:
            signals.ignore()
        return 0

    Supervisor(config, work=work, reread=reread, signals=signals, clock=clock, notices=notices).run()


class _Once:
    """The signals of a worker: it may be asked to end by the supervisor and by whoever asks all processes of a server."""

    def __init__(self, signals: Signals) -> None:
        self._signals = signals
        self._ending = False

    def pass_on(self, loop: Loop, act: Callable[[int], None]) -> None:
        """See `Heard`."""

        def once(number: int) -> None:
            if number in _ENDING:
                if self._ending:
                    return
                self._ending = True
            act(number)

        self._signals.pass_on(loop, once)


class _InheritedDoors:
    """See `Doors`: the supervisor has bound the sockets, and is told of what becomes of them."""

    notices = Notices({})
    """It is the supervisor who tells."""

    def __init__(
        self, config: Config, bound: Sequence[socket.socket], end: socket.socket, number: int, tally: Tally
    ) -> None:
        self._one_writes = config.storage.is_file
        self._longest = config.default_max_request_duration
        self.warns = number == 1
        self._bound = bound
        self._end = end
        self._number = number
        self._tally = tally
        self._worker: Worker | None = None

    @contextlib.contextmanager
    def opened(self, config: Config) -> Iterator[list[socket.socket]]:
        """See `Doors`. Each is a plain socket: whose file a listener's is, is the supervisor's matter."""
        del config
        yield [socket.socket(fileno=os.dup(each.fileno())) for each in self._bound]

    def builder(self, build: Build, log: Log) -> Build:
        """See `Doors`."""
        self._worker = Worker(
            self._end,
            self._number,
            log,
            one_writes=self._one_writes,
            longest=self._longest,
            tally=self._tally,
        )
        return partial(build, colleagues=self._worker)

    def serving(self, listening: Listeners) -> None:
        """See `Doors`."""
        if self._worker is not None:
            self._worker.on_hurry(listening.hurry)
        control.send(self._end, control.READY)

    def reloaded(self) -> None:
        """See `Doors`. A supervisor that does not listen now hears of it by none: it waits only for so long."""
        with contextlib.suppress(OSError):
            control.send(self._end, control.RELOADED)
