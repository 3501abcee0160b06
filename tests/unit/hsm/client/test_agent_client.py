# SPDX-License-Identifier: EUPL-1.2
"""Which agent a client asks, and when it starts another."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, cast

import msgspec
import pytest

from hsm.client.agent_client import AGAIN_SECONDS, DOUBTS, AgentClient
from hsm.client.backoff import BackOff
from hsm.client.process import AgentProcess
from hsm.errors import PinBlocked, SlotUnavailable
from hsm.operations import Operation, Random
from hsm.pin import Pin, PinMark


class FakeAgent:
    """An agent that answers at once, or that no login was possible for."""

    def __init__(self, refused: PinBlocked | None = None) -> None:
        self.refused = refused
        self.tried = PinMark(Pin(b"first"))
        self.dead = refused is not None
        self.reason = str(refused or "")
        self.doubts = 0
        self.pid = 1
        self.ended: list[str] = []

    def submit(self, operation: Operation, seconds: float) -> Future[msgspec.Raw]:
        """Answer."""
        if self.refused is not None:
            raise PinBlocked(str(self.refused), ckr=self.refused.ckr)
        found: Future[msgspec.Raw] = Future()
        found.set_result(msgspec.Raw(msgspec.msgpack.encode(b"x")))
        return found

    def end(self) -> None:
        """End."""
        self.ended.append("end")

    def retire(self) -> None:
        """End later."""
        self.ended.append("retire")


class Bench:
    """A client, its clock, and the agents that it starts one after the other."""

    def __init__(self, *agents: FakeAgent | Exception, pin: Callable[[], Pin] | None = None) -> None:
        self.now = 0.0
        self.agents = list(agents)
        self.started = 0
        back_off = BackOff(now=lambda: self.now, chance=lambda: 0.0)
        self.client = AgentClient(self._start, back_off, now=lambda: self.now, pin=pin)

    def _start(self) -> AgentProcess:
        self.started += 1
        agent: Any = self.agents.pop(0)
        if isinstance(agent, Exception):
            raise agent
        return cast("AgentProcess", agent)

    def ask(self) -> bytes:
        """Ask for something."""
        return asyncio.run(self.client.ask(Random(1), bytes, 1.0))


@pytest.mark.parametrize("ckr", ["", "PinLocked", "PinIncorrect"])
def test_whether_a_login_is_possible_is_asked_again_after_a_while(ckr: str) -> None:
    bench = Bench(FakeAgent(PinBlocked("for now", ckr=ckr)), FakeAgent(), pin=lambda: Pin(b"first"))
    for _ in range(3):
        with pytest.raises(PinBlocked, match="for now"):
            bench.ask()
    assert bench.started == 1
    bench.now += AGAIN_SECONDS
    assert bench.ask() == b"x"
    assert bench.started == 2


def test_another_pin_is_tried_at_once() -> None:
    pins = [Pin(b"second")]
    bench = Bench(FakeAgent(PinBlocked("wrong", ckr="PinIncorrect")), FakeAgent(), pin=lambda: pins[0])
    with pytest.raises(PinBlocked):
        bench.ask()
    assert bench.ask() == b"x"


def test_an_agent_in_doubt_works_on_where_no_other_can_be_started() -> None:
    first = FakeAgent()
    bench = Bench(first, OSError("no more processes"))
    assert bench.ask() == b"x"
    first.doubts = DOUBTS
    assert bench.ask() == b"x"
    assert (bench.started, first.ended) == (2, [])
    first.dead = True
    bench.agents.append(OSError("no more processes"))
    with pytest.raises(SlotUnavailable, match="no more processes"):
        bench.ask()


def test_an_agent_in_doubt_is_replaced() -> None:
    first = FakeAgent()
    bench = Bench(first, FakeAgent())
    assert bench.ask() == b"x"
    first.doubts = DOUBTS
    assert bench.ask() == b"x"
    assert (bench.started, first.ended) == (2, ["retire"])
