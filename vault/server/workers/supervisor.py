# SPDX-License-Identifier: EUPL-1.2
"""The supervisor: holds the sockets of all listeners, starts workers that accept from them, and starts dead ones anew.

It reads no request and has no key. Workers end with it, however it ends: the system sees to that. A worker is a child made
by `fork`, so it starts with what the supervisor has loaded, and with the configuration of the others, whatever a file says by now.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import selectors
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from vault.framework.clock import Clock
from vault.server.config.settings import Config
from vault.server.failure import StartFailure
from vault.server.http import sockets
from vault.server.process import logs, resources
from vault.server.process.notices import Notices
from vault.server.process.reload import as_started
from vault.server.process.signals import Signals
from vault.server.workers import control
from vault.server.workers.watch import BEAT_SECONDS, SILENT, START_SECONDS, Child, Watch, kill

Work = Callable[[Config, list[socket.socket], socket.socket, int, int], int]
"""Is a worker, in a process of its own: takes the configuration, the listeners' sockets, its end of the connection to the
supervisor, its number, and its seat, which was that of a dead one; returns the exit code."""

SETTLED_SECONDS: Final = 10.0
"""Whoever lives as long did not die of its start."""
_FIRST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 30.0
_MOST_DOUBLINGS: Final = 16
"""More make it no longer, and soon a number that is none."""
_END_SECONDS: Final = 30.0
"""How long workers may take to end, which includes their requests in flight."""
_REAP_SECONDS: Final = 1.0
_REAP_PAUSE: Final = 0.002
"""How long a worker that says no more may take to end, in which nothing else is done, and between two looks at that."""
_MOST_UNSAID: Final = 1024
"""Connections for requests that are kept for a worker which does not listen; who wants one more tries it again."""
_PR_SET_PDEATHSIG: Final = 1
_SIGNALS: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2})


class Supervisor:
    """One server's workers."""

    def __init__(
        self,
        config: Config,
        *,
        work: Work,
        reread: Callable[[], Config],
        signals: Signals,
        clock: Clock,
        notices: Notices,
        beat: float = BEAT_SECONDS,
        patience: float = _END_SECONDS,
        start: float = START_SECONDS,
    ) -> None:
        """`reread` reads the configuration again, for SIGHUP; `signals` are those of the process.

        `beat` is how many seconds pass between two questions to workers; `patience` how many they have for their end, and
        `start` for their beginning.
        """
        self._started = self._config = config
        self._work = work
        self._reread = reread
        self._signals = signals
        self._clock = clock
        self._notices = notices
        self._sockets: list[socket.socket] = []
        self._children: dict[int, Child] = {}
        self._numbers = 0
        self._selector = selectors.DefaultSelector()
        self._pending: deque[tuple[Callable[[int], None], int]] = deque()
        self._due: list[float] = []
        self._beat_seconds = beat
        self._patience = patience
        self._next_beat = time.monotonic() + beat
        self._alive_seconds = min(notices.beat or beat, beat)
        """Whoever watches the server waits for twice as long at least."""
        self._next_alive = self._next_beat
        self._start_seconds = start
        self._deaths = 0
        self._served = False
        self._ending: float | None = None
        self._reload_ends: float | None = None
        """Until when workers are waited for that reload; None where none is."""
        self._failure = ""

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT. Raises `StartFailure`, as a server without workers does.

        Raises `SystemExit` where it was asked to end before it served.
        """
        config = self._config
        resources.harden(lock_memory=False)
        self._log = logs.open_log(config, self._clock)
        self._watch = Watch(
            self._children,
            self._log,
            beat=self._beat_seconds,
            patience=self._patience,
            start=self._start_seconds,
        )
        with self._open_sockets(), resources.pid_file(config.pid_file), self._hearing():
            self._spawn()
            while self._children or self._due:
                self._step()
        if self._failure:
            raise StartFailure(self._failure)
        if not self._served:
            raise SystemExit(128 + signal.SIGTERM)
        self._log.note("server", "all workers have stopped")

    @contextlib.contextmanager
    def _open_sockets(self) -> Iterator[None]:
        """Listen on all addresses. Raises `StartFailure`."""
        listeners = self._config.listeners
        self._sockets = [sockets.bind(listener) for listener in listeners]
        try:
            for listener, bound in zip(listeners, self._sockets, strict=True):
                sockets.occupy(listener, bound)
            yield
        finally:
            for listener, bound in zip(listeners, self._sockets, strict=True):
                sockets.forget(listener, bound)
                bound.close()

    @contextlib.contextmanager
    def _hearing(self) -> Iterator[None]:
        """Have signals wake the supervisor, and be acted on one after the other."""
        near, far = socket.socketpair()
        with near, far:
            near.setblocking(False)
            far.setblocking(False)
            self._woken = near
            self._selector.register(near, selectors.EVENT_READ, None)
            before = signal.set_wakeup_fd(far.fileno(), warn_on_full_buffer=False)
            self._signals.pass_on(self, self._act)
            try:
                yield
            finally:
                signal.set_wakeup_fd(before)

    def is_closed(self) -> bool:
        """See `Loop` of signals."""
        return False

    def call_soon_threadsafe(self, act: Callable[[int], None], number: int) -> None:
        """See `Loop` of signals."""
        self._pending.append((act, number))

    def _step(self) -> None:
        """Wait for the next thing that happens, and act on it."""
        for key, events in self._selector.select(self._pause()):
            if key.data is None:
                with contextlib.suppress(BlockingIOError):
                    self._woken.recv(4096)
                continue
            if events & selectors.EVENT_WRITE:
                key.data.outbox.flush()
            if events & selectors.EVENT_READ:
                self._hear(key.data)
        while self._pending:
            act, number = self._pending.popleft()
            act(number)
        now = time.monotonic()
        if self._ending is not None and now >= self._ending:
            for child in self._children.values():
                kill(child, signal.SIGKILL)
        while self._due and self._due[0] <= now:
            del self._due[0]
            self._spawn()
        self._look_at_reload(now)
        if now >= self._next_alive:
            self._next_alive = now + self._alive_seconds
            self._say_alive()
        if now >= self._next_beat:
            self._next_beat = now + self._beat_seconds
            self._bury_orphans()
            self._watch.beat(first_start=not self._served)

    def _pause(self) -> float:
        ends = [end for end in (self._ending, self._reload_ends) if end is not None]
        times = [self._next_beat, self._next_alive, *self._due[:1], *ends]
        return max(0.0, min(times) - time.monotonic())

    def _say_alive(self) -> None:
        """Tell who watches the server that it lives: it does not while no worker answers, as one process that stands still."""
        if self._served and not self._watch.unanswered:
            self._notices.alive()

    def _act(self, number: int) -> None:
        if number in {signal.SIGTERM, signal.SIGINT}:
            self._end()
        elif self._ending is not None:
            return
        elif number == signal.SIGUSR2:
            self._log.caution("server", "a signal has no effect here", signal="SIGUSR2")
        else:
            self._reload()

    def _end(self) -> None:
        """Let all workers finish what they do; asked again, without that."""
        if self._ending is not None:
            for child in self._children.values():
                child.outbox.say(control.HURRY)
            return
        self._ending = time.monotonic() + self._patience
        self._notices.stopping()
        self._due.clear()
        for child in self._children.values():
            kill(child, signal.SIGTERM)

    def _reload(self) -> None:
        """Have each worker reload; those that are started from now on begin with the same."""
        self._notices.reloading()
        try:
            self._config = as_started(self._started, self._config, self._reread())
            logs.reopen(self._log, self._config)
        except StartFailure as failure:
            self._log.failure(
                "server",
                "reload failed, going on with the previous one",
                setting="configuration",
                error=str(failure),
            )
        for child in self._children.values():
            child.reloads = True
            kill(child, signal.SIGHUP)
        self._reload_ends = time.monotonic() + self._patience
        self._look_at_reload(time.monotonic())

    def _look_at_reload(self, now: float) -> None:
        """Say that a reload is over once all workers have said so, or have had the time for it."""
        if self._reload_ends is None:
            return
        late = [child for child in self._children.values() if child.reloads]
        if late and now < self._reload_ends:
            return
        if late:
            self._log.caution(
                "server", "workers have not reloaded yet, and are not waited for", count=len(late)
            )
        self._reload_ends = None
        self._notices.ready()

    def _spawn(self) -> None:
        """Start one worker. One that the system has no room for is tried again: those that serve go on meanwhile.

        Raises `StartFailure` where none has served yet.
        """
        try:
            self._try_to_spawn()
        except OSError as error:
            reason = error.strerror or type(error).__name__
            if not self._served:
                raise StartFailure(f"no worker can be started: {reason}") from None
            self._log.failure("server", "no worker can be started, which is tried again", error=reason)
            self._start_later(early=True)

    def _try_to_spawn(self) -> None:
        """Start one worker. Raises `OSError` where there are no descriptors, processes or memory for it."""
        mine, theirs = control.pair()
        try:
            number, seat, pid = self._fork(mine, theirs)
        except OSError:
            mine.close()
            raise
        finally:
            theirs.close()

        def wait(*, listening: bool) -> None:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if listening else 0)
            self._selector.modify(mine, events, child)

        child = self._children[number] = Child(mine, wait, number=number, seat=seat, pid=pid)
        self._selector.register(mine, selectors.EVENT_READ, child)

    def _fork(self, mine: socket.socket, theirs: socket.socket) -> tuple[int, int, int]:
        """Return number, seat and process of a new worker, which goes on elsewhere. Raises `OSError`."""
        self._numbers += 1
        number = self._numbers
        seat = min(set(range(self._config.workers)) - {child.seat for child in self._children.values()})
        sys.stdout.flush()
        gc.freeze()
        signal.pthread_sigmask(
            signal.SIG_BLOCK, _SIGNALS
        )  # those of the child are not the supervisor's to act on
        try:
            pid = os.fork()
            if pid == 0:
                self._be_worker(mine, theirs, number, seat)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        return number, seat, pid

    def _be_worker(self, mine: socket.socket, theirs: socket.socket, number: int, seat: int) -> None:
        """Go on as a worker, and never return."""
        supervisor, code = os.getppid(), 1
        try:
            signal.set_wakeup_fd(-1)
            self._signals.renew()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            self._selector.close()
            for child in self._children.values():
                child.control.close()
                child.outbox.drop()
            mine.close()
            if os.getppid() == supervisor:
                code = self._work(self._config, self._sockets, theirs, number, seat)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        finally:
            sys.stdout.flush()
            os._exit(code)

    def _hear(self, child: Child) -> None:
        """Act on what a worker says."""
        while child.number in self._children:
            try:
                message = control.receive(child.control)
            except BlockingIOError:
                return
            if message is None:
                self._lost(child)
                return
            text, beside = message
            word, _, rest = text.partition(" ")
            if word == control.TO:
                # For want of a descriptor it does not come, and its other end hears of that.
                if beside is not None:
                    self._connect(rest, beside)
            elif word == control.SILENT:
                silent = self._children.get(int(rest))
                if silent is not None:
                    self._watch.put_out(silent, SILENT)
            elif word == control.BEAT:
                child.asked = False
            elif word == control.RELOADED:
                child.reloads = False
            elif word == control.FAILED:
                child.failure = rest
            elif word == control.READY:
                self._is_ready(child)
            elif word in {control.JOINED, control.LEFT}:
                child.joined, child.left, child.missed = word == control.JOINED, word == control.LEFT, 0
                self._tell_crew()

    def _connect(self, said: str, beside: socket.socket) -> None:
        """Hand a socket to the worker that it is for; where there is none, the other end hears of it."""
        number, _, verb = said.partition(" ")
        other = self._children.get(int(number))
        crowded = other is not None and verb == control.REQUEST and len(other.outbox) >= _MOST_UNSAID
        if other is None or not other.joined or crowded:
            beside.close()
        else:
            other.outbox.say(f"{control.TAKE} {verb}", beside)

    def _tell_crew(self) -> None:
        joined = [child for child in self._children.values() if child.joined]
        crew = " ".join([control.CREW, *(str(child.number) for child in joined)])
        for child in joined:
            child.outbox.say(crew)

    def _is_ready(self, child: Child) -> None:
        """One more serves. The first is waited for: it sets up a new vault, and opens what is to be opened."""
        child.ready = True
        if not self._served:
            self._served = True
            self._notices.ready()
            if self._ending is None:
                for _ in range(1, self._config.workers):
                    self._spawn()
        self._log.note("server", "a worker serves", pid=child.pid, count=len(self._ready()))

    def _ready(self) -> list[Child]:
        return [child for child in self._children.values() if child.ready]

    def _lost(self, child: Child) -> None:
        """A worker has ended: start another one, at once unless it did not live long."""
        del self._children[child.number]
        self._selector.unregister(child.control)
        child.control.close()
        child.outbox.drop()
        status = self._status_of(child)
        self._bury_orphans()
        self._tell_crew()
        if self._ending is not None:
            return
        reason = child.failure or _how(status)
        if not self._served:
            self._failure = child.failure or f"the first worker {reason} before it served"
            return
        tell = self._log.failure if status else self._log.caution
        tell("server", "a worker has ended, and another one is started", pid=child.pid, reason=reason)
        self._start_later(early=time.monotonic() - child.began < SETTLED_SECONDS)

    def _start_later(self, *, early: bool) -> None:
        """Start a worker in the place of one that ended, `early` if it did not live long: then after a growing pause."""
        self._deaths = self._deaths + 1 if early else 0
        self._due = sorted([*self._due, time.monotonic() + pause_after(self._deaths)])

    def _status_of(self, child: Child) -> int:
        """Return how a worker ended that says no more. One that a disk keeps from ending is not waited for, but replaced."""
        until = time.monotonic() + _REAP_SECONDS
        while time.monotonic() < until:
            ended, status = os.waitpid(child.pid, os.WNOHANG)
            if ended:
                return status
            time.sleep(_REAP_PAUSE)
        kill(child, signal.SIGKILL)
        return signal.SIGKILL

    def _bury_orphans(self) -> None:
        """As process 1 of a container it is the parent of what dead workers have started, too. Others died too late."""
        own = {child.pid for child in self._children.values()}
        with contextlib.suppress(ChildProcessError):
            while (
                ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            ) is not None and ended.si_pid not in own:
                os.waitpid(ended.si_pid, 0)


def pause_after(deaths: int) -> float:
    """Return how many seconds pass before a worker is started after so many that died early, one after the other."""
    return min(_FIRST_PAUSE * 2 ** min(deaths, _MOST_DOUBLINGS), _LONGEST_PAUSE) if deaths > 1 else 0.0


def _how(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
