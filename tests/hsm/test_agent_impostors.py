# SPDX-License-Identifier: EUPL-1.2
"""Programs that are no agents: what a server makes of nonsense, silence and slow answers."""

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest

from hsm.client.process import AgentProcess, Launch
from hsm.errors import SlotUnavailable
from hsm.operations import AgentConfig, Random
from hsm.pin import Pin
from tests.hsm.slots import DEK, hurried, with_program
from tests.hsm.tokens import SoftHsm


def agent_program(tmp_path: Path, body: str) -> tuple[str, ...]:
    """A program that starts like an agent and then does what `body` says with `channel`."""
    path = tmp_path / "agent.py"
    path.write_text(
        "import os, socket, sys, time, msgspec\n"
        "from hsm.protocol import *\n"
        "from hsm.protocol import _LENGTH\n"
        "channel = socket.socket(fileno=int(sys.argv[1]))\n"
        "raw = msgspec.Raw(b'\\xc0')\n"
        "reader, bodies = FrameReader(), []\n"
        "def receive():\n"
        "    while not bodies:\n"
        "        bodies.extend(reader.feed(channel.recv(65536)))\n"
        "    return bodies.pop(0)\n" + body,
        encoding="utf-8",
    )
    return (sys.executable, str(path))


READY_TEXT = "channel.sendall(encode(AgentReply(LOADED, raw)) + encode(AgentReply(READY, raw)))\nreceive()\n"


ANSWER_TEXT = "r = decode(receive(), Request)\nchannel.sendall(encode(AgentReply(r.number, raw)))\n"


@pytest.mark.parametrize(
    ("body", "said", "seconds"),
    [
        ("", "the agent died|the agent is gone", 10.0),
        (READY_TEXT + "receive()", "the agent died", 10.0),
        ("channel.sendall(b'\\xff' * 8)\nreceive()\ntime.sleep(60)", "answers nonsense", 10.0),
        (
            READY_TEXT + "channel.sendall(encode(AgentReply(99, raw)))\ntime.sleep(60)",
            "answers nonsense",
            10.0,
        ),
        (READY_TEXT + ANSWER_TEXT + "time.sleep(60)", "answers nonsense", 10.0),
        (
            "channel.sendall(encode(AgentReply(LOADED, raw)))\ntime.sleep(60)",
            "not open the token in time",
            0.1,
        ),
        (READY_TEXT + "time.sleep(60)", "no answer within", 0.3),
    ],
)
def test_an_agent_that_is_none_is_found_out(tmp_path: Path, body: str, said: str, seconds: float) -> None:
    nowhere = SoftHsm(tmp_path / "nowhere")
    slot = with_program(nowhere, agent_program(tmp_path, body), timeout=seconds)

    async def story() -> None:
        with pytest.raises(SlotUnavailable, match=said):
            await slot.random(8)
        await slot.close()

    asyncio.run(story())


def test_a_request_that_waits_longer_than_it_may_fails_and_harms_nothing(tmp_path: Path) -> None:
    """The only session makes a key, which may take long."""
    nowhere = SoftHsm(tmp_path / "nowhere")
    program = agent_program(tmp_path, READY_TEXT + ANSWER_TEXT + "receive()\ntime.sleep(60)")
    slot = with_program(nowhere, program, timeout=60.0, max_sessions=1)

    async def story() -> None:
        with pytest.raises(SlotUnavailable, match="nonsense"):
            await slot.random(8)
        making = asyncio.create_task(slot.generate_kek("rsa4096"))
        await asyncio.sleep(0)
        with hurried(slot, 2.0), pytest.raises(SlotUnavailable, match="too busy"):
            await slot.random(8)
        assert not making.done()
        await slot.close()
        with pytest.raises(SlotUnavailable, match="told to end"):
            await making

    asyncio.run(story())


def test_what_a_crash_interrupts_is_answered_within_its_own_time_although_the_next_agent_hangs(
    tmp_path: Path,
) -> None:
    body = (
        "if os.path.exists(__file__ + '.next'):\n"
        "    channel.sendall(encode(AgentReply(LOADED, raw)))\n"
        "    time.sleep(60)\n"
        "open(__file__ + '.next', 'w').close()\n" + READY_TEXT + ANSWER_TEXT + "receive()\n"
    )
    slot = with_program(SoftHsm(tmp_path / "nowhere"), agent_program(tmp_path, body), timeout=10.0)

    async def story() -> None:
        with pytest.raises(SlotUnavailable, match="nonsense"):
            await slot.random(8)
        with (
            hurried(slot, 0.5),
            pytest.raises(SlotUnavailable, match=r"and the next one did not answer in time$"),
        ):
            await slot.wrap(DEK)
        await slot.close()

    asyncio.run(story())


def test_the_time_of_a_request_counts_its_wait_for_others_which_is_no_hang_of_the_agent(
    tmp_path: Path,
) -> None:
    """The second waits six seconds and is told so after ten; the agent, which had only four, is asked again."""
    body = READY_TEXT + (
        "for name in ('first', 'second', 'third'):\n"
        "    r = decode(receive(), Request)\n"
        "    while not os.path.exists(os.path.join(os.path.dirname(__file__), name)): time.sleep(0.01)\n"
        "    channel.sendall(encode(AgentReply(r.number, raw)))\n"
        "receive()\n"
    )
    launch = Launch(
        config=AgentConfig(lib="/none", login=False, max_sessions=1),
        pin=lambda: Pin(b""),
        environment=os.environ,
        program=agent_program(tmp_path, body),
        opening_seconds=10.0,
    )
    seconds = [0.0]
    process = AgentProcess(launch, now=lambda: seconds[0])
    try:
        while not process._ready:
            time.sleep(0.005)
        first, second = process.submit(Random(1), 10.0), process.submit(Random(2), 10.0)
        seconds[0] = 6.0
        (tmp_path / "first").touch()
        assert bytes(first.result(60)) == b"\xc0"
        while not second.running():
            time.sleep(0.005)
        seconds[0] = 10.0
        with process._lock:
            process._alarm()
        with pytest.raises(SlotUnavailable, match=r"^the agent was too busy$"):
            second.result(60)
        third, late = process.submit(Random(3), 10.0), process.submit(Random(4), 1.0)
        with process._lock:  # so that the answer to the second finds that the last one has no time left
            (tmp_path / "second").touch()
            seconds[0] = 11.0
        (tmp_path / "third").touch()
        assert bytes(third.result(60)) == b"\xc0"
        with pytest.raises(SlotUnavailable, match=r"^the agent was too busy$"):
            late.result(60)
        assert not process.dead
    finally:
        process.end()
        process.join(60)
