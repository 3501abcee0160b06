# SPDX-License-Identifier: EUPL-1.2
"""Asks an agent, from a coroutine or from a thread, and starts another agent when there is none to ask.

A refused PIN ends it. Another PIN in its place is another matter. Besides, the answer may be another one soon: an
operator resets the PIN or unlocks the token and removes the mark of the wrong PIN. So one agent a minute asks again,
and its gate (`hsm.agent.session.login`) still tries nothing that costs.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, TypeVar

import msgspec

from hsm.client.backoff import BackOff
from hsm.client.counters import Counters
from hsm.client.process import AgentProcess
from hsm.errors import BadConfig, HsmError, PinBlocked, SlotUnavailable
from hsm.operations import Operation
from hsm.pin import Pin, PinMark
from hsm.protocol import BadFrame, decode

DOUBTS: Final = 2
"""After so many answers in a row that the token cannot be reached, another agent is started.

Not after one: where a daemon stands between module and device, an old agent may work and a new one not start.
"""

AGAIN_SECONDS: Final = 60.0
"""How often it is asked again whether a login is possible by now."""

Answer = TypeVar("Answer")


class AgentClient:
    """The one user of an agent. Starts nothing before it is asked; thread-safe."""

    def __init__(
        self,
        start: Callable[[], AgentProcess],
        back_off: BackOff,
        *,
        now: Callable[[], float] = time.monotonic,
        pin: Callable[[], Pin] | None = None,
    ) -> None:
        """`pin` reads the PIN that `start` would use; without it a refusal is for good."""
        self._start: Final = start
        self._pin: Final = pin
        self._back_off: Final = back_off
        self._now: Final = now
        self._lock = threading.Lock()
        self._counting = threading.Lock()
        self._agent: AgentProcess | None = None
        self._refused: PinBlocked | None = None
        self._wrong: PinMark | None = None
        self._again_at = 0.0
        self._closed = False
        self.counters: Final = Counters()

    @property
    def pid(self) -> int | None:
        """Process number of the agent, if there is one."""
        agent = self._agent
        return agent.pid if agent is not None and not agent.dead else None

    @property
    def ready(self) -> bool:
        """Whether there is an agent that has opened its token."""
        agent = self._agent
        return agent is not None and agent.ready and not agent.dead

    @property
    def breaker_open(self) -> bool:
        """Whether a start would be refused now."""
        return self._back_off.open

    async def ask(self, operation: Operation, kind: type[Answer], seconds: float) -> Answer:
        """Return the answer to `operation`. Raises `HsmError`, within `seconds` once the agent runs."""
        return _decoded(await asyncio.wrap_future(self._submit(operation, seconds)), kind)

    def ask_blocking(self, operation: Operation, kind: type[Answer], seconds: float) -> Answer:
        """The same for a thread that may wait; never call it on the event loop."""
        return _decoded(self._submit(operation, seconds).result(), kind)

    def suspect(self) -> None:
        """Start another agent before the next request: this one does not see its token as it should."""
        agent = self._agent
        if agent is not None:
            agent.doubts = DOUBTS

    def end(self) -> AgentProcess | None:
        """Take no more requests and let the agent end. Return it, to be joined."""
        with self._lock:
            self._closed = True
            agent, self._agent = self._agent, None
        if agent is not None:
            agent.end()
        return agent

    def _submit(self, operation: Operation, seconds: float) -> Future[msgspec.Raw]:
        begin = self._now()
        try:
            with self._lock:
                future = self._usable().submit(operation, seconds)
        except HsmError as error:
            with self._counting:
                self.counters.count(error)
            raise
        name = str(operation.__struct_config__.tag)
        future.add_done_callback(lambda done: self._learn(done, name, begin))
        return future

    def _usable(self) -> AgentProcess:
        """Return an agent to ask, started if need be. Raises `HsmError`. Holds the lock."""
        agent = self._agent
        if agent is not None and agent.refused not in {None, self._refused}:
            self._refused, self._wrong = agent.refused, agent.tried
            self._again_at = self._now() + AGAIN_SECONDS
        if self._refused is not None:
            if not (self._may_change() or self._other_pin()):
                raise PinBlocked(str(self._refused), ckr=self._refused.ckr)
            if agent is not None:
                agent.end()
            self._agent = agent = None
        if self._closed:
            raise SlotUnavailable("the slot is closed")
        alive = agent is not None and not agent.dead
        if agent is not None and alive and agent.doubts < DOUBTS:
            return agent
        try:
            self._back_off.admit()
        except SlotUnavailable as error:
            if agent is not None and alive:
                return agent
            reason = agent.reason if agent is not None else "the agent was started too often"
            raise SlotUnavailable(f"{reason}; {error}") from error
        self.counters.starts += 1
        try:
            started = self._start()
        except (OSError, RuntimeError) as error:
            if agent is not None and alive:
                return agent
            raise SlotUnavailable(f"no agent can be started: {error}") from error
        if agent is not None:
            agent.retire()
        self._agent = started
        return started

    def _may_change(self) -> bool:
        """Whether the refusal is old; then it is over, and the gate decides anew."""
        if self._refused is None or self._now() < self._again_at:
            return False
        self._refused = self._wrong = None
        return True

    def _read_pin(self) -> Pin | None:
        if self._pin is None:
            return None
        try:
            return self._pin()
        except BadConfig:
            return None

    def _other_pin(self) -> bool:
        """Whether there is another PIN now than the one that was refused; then that refusal is over."""
        found = self._read_pin()
        if found is None:
            return False
        known = self._wrong is not None and self._wrong.matches(found)
        found.wipe()
        if known:
            return False
        self._refused = self._wrong = None
        return True

    def _learn(self, future: Future[msgspec.Raw], name: str, begin: float) -> None:
        """Count how an answer ended. Runs in the agent's thread, or in the caller's."""
        error = None if future.cancelled() else future.exception()
        with self._counting:
            self.counters.operations += 1
            if isinstance(error, HsmError):
                self.counters.count(error)
            elif not future.cancelled():
                self._back_off.succeeded()
                self.counters.took(name, self._now() - begin)


def _decoded(answer: msgspec.Raw, kind: type[Answer]) -> Answer:
    try:
        return decode(answer, kind)
    except BadFrame as error:
        raise SlotUnavailable("the agent answers nonsense") from error
