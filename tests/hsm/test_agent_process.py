# SPDX-License-Identifier: EUPL-1.2
"""The agent's process: crashes, hangs, impostors, and what can be seen of it from outside."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hsm.errors import BadConfig, SlotUnavailable
from hsm.pkcs11_slot import Pkcs11Slot
from tests.hsm.slots import DEK, PIN_VARIABLE, gone, open_files, proc, run, slot_on, with_program
from tests.hsm.tokens import PIN, SoftHsm


def test_a_module_that_crashes_costs_the_requests_under_way_and_no_more(softhsm: SoftHsm) -> None:
    async def story(slot: Pkcs11Slot) -> None:
        wrapped = await slot.wrap(DEK)
        for deadly in (signal.SIGSEGV, signal.SIGKILL):
            assert slot.agent_pid is not None
            os.kill(slot.agent_pid, deadly)
            with contextlib.suppress(SlotUnavailable):
                await slot.unwrap(wrapped)
            assert await slot.unwrap(wrapped) == DEK
        assert slot.counters.starts == 3

    run(softhsm, story)


def test_a_call_that_hangs_is_over_at_the_deadline(softhsm: SoftHsm) -> None:
    async def story(slot: Pkcs11Slot) -> None:
        wrapped = await slot.wrap(DEK)
        assert slot.agent_pid is not None
        hanging = slot.agent_pid
        os.kill(hanging, signal.SIGSTOP)
        begin = time.monotonic()
        with pytest.raises(SlotUnavailable, match=r"no answer within 0\.5 s; the agent was killed"):
            await slot.unwrap(wrapped)
        assert 0.5 <= time.monotonic() - begin < 5
        assert gone(hanging)
        assert await slot.unwrap(wrapped) == DEK

    run(softhsm, story, timeout=0.5)


def test_an_agent_that_crashes_again_and_again_is_not_started_for_a_while(softhsm: SoftHsm) -> None:
    async def story(slot: Pkcs11Slot) -> None:
        for _ in range(5):
            assert slot.agent_pid is not None
            os.kill(slot.agent_pid, signal.SIGKILL)
            with contextlib.suppress(SlotUnavailable):
                await slot.random(8)
            await slot.random(8)
        assert slot.agent_pid is not None
        os.kill(slot.agent_pid, signal.SIGKILL)
        with contextlib.suppress(SlotUnavailable):
            await slot.random(8)
        with pytest.raises(SlotUnavailable, match="started 6 times within a minute; next try in"):
            await slot.random(8)
        assert slot._client.breaker_open
        assert not (await slot.probe()).up
        assert slot.counters.starts == 6

    run(softhsm, story)


def test_nobody_sees_the_pin_of_an_agent(softhsm: SoftHsm) -> None:
    async def story(slot: Pkcs11Slot) -> None:
        pid = slot.agent_pid
        for name in ("cmdline", "environ"):
            shown = proc(pid, name)
            assert "SOFTHSM2_CONF" in shown or name == "cmdline"
            assert PIN not in shown
            assert PIN_VARIABLE not in shown

    run(softhsm, story)


def test_an_agent_leaves_no_core_and_takes_no_signals_of_the_terminal(softhsm: SoftHsm) -> None:
    async def story(slot: Pkcs11Slot) -> None:
        pid = slot.agent_pid
        assert pid is not None
        limits = proc(pid, "limits")
        core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
        assert core.split()[4:6] == ["0", "0"]
        status = proc(pid, "status")
        ignored = int(next(line for line in status.splitlines() if line.startswith("SigIgn")).split()[1], 16)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            assert ignored >> (number - 1) & 1
        assert os.getsid(pid) == pid
        assert len([name for name in open_files(pid) if name.startswith("socket:")]) == 1

    run(softhsm, story)


def test_an_agent_dies_with_its_server(softhsm: SoftHsm) -> None:
    """Whatever kills the server: the kernel kills the agent, even one that is stopped."""
    program = (
        "import asyncio, os, sys, time\n"
        "sys.path.insert(0, os.getcwd())\n"
        "from pathlib import Path\n"
        "from tests.hsm.slots import slot_on\n"
        "from tests.hsm.tokens import SoftHsm\n"
        "softhsm = SoftHsm.__new__(SoftHsm)\n"
        "softhsm.configuration = Path(os.environ['SOFTHSM2_CONF'])\n"
        "softhsm.runtime = softhsm.configuration.parent / 'run'\n"
        "slot = slot_on(softhsm)\n"
        "asyncio.run(slot.random(8))\n"
        "print(slot.agent_pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, env=softhsm.environment, text=True
    ) as server:
        assert server.stdout is not None
        agent = int(server.stdout.readline())
        os.kill(agent, signal.SIGSTOP)
        server.kill()
        server.wait()
        until = time.monotonic() + 10
        while not gone(agent) and time.monotonic() < until:
            time.sleep(0.01)
        assert gone(agent)


def test_a_request_that_nobody_waits_for_harms_nothing(softhsm: SoftHsm) -> None:
    async def story(slot: Pkcs11Slot) -> None:
        for _ in range(20):
            task = asyncio.create_task(slot.random(8))
            await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        assert len(await slot.random(8)) == 8

    run(softhsm, story)


def test_a_request_that_no_frame_holds_is_refused(softhsm: SoftHsm) -> None:
    async def story(slot: Pkcs11Slot) -> None:
        with pytest.raises(BadConfig, match="sign a hash instead"):
            await slot.sign("root", b"1", "EDDSA", bytes(1 << 17))
        assert len(await slot.random(8)) == 8

    run(softhsm, story)


def test_many_at_once_wait_their_turn(softhsm: SoftHsm) -> None:
    async def story(slot: Pkcs11Slot) -> None:
        wrapped = await slot.wrap(DEK)
        answers = await asyncio.gather(*(slot.unwrap(wrapped) for _ in range(500)))
        assert set(answers) == {DEK}
        more = await asyncio.gather(*(slot.unwrap(wrapped) for _ in range(1500)), return_exceptions=True)
        assert any(isinstance(found, SlotUnavailable) for found in more)
        assert all(found == DEK or "wait for the agent already" in str(found) for found in more)
        assert slot.counters.starts == 1

    run(softhsm, story, max_sessions=2)


def test_a_pin_that_cannot_be_read_says_where_it_was_looked_for(softhsm: SoftHsm) -> None:
    async def story() -> None:
        slot = slot_on(softhsm, pin="")
        with pytest.raises(BadConfig, match=f"slot default: pin variable {PIN_VARIABLE}: is empty"):
            await slot.random(8)
        await slot.close()

    asyncio.run(story())


def agent_program(tmp_path: Path, body: str) -> tuple[str, ...]:
    """A program that starts like an agent and then does what `body` says with `channel`."""
    path = tmp_path / "agent.py"
    path.write_text(
        "import os, socket, sys, time, msgspec\n"
        "from hsm.frames import *\n"
        "from hsm.frames import _LENGTH\n"
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


READY_TEXT = "channel.sendall(encode(Reply(LOADED, raw)) + encode(Reply(READY, raw)))\nreceive()\n"


ANSWER_TEXT = "r = decode(receive(), Request)\nchannel.sendall(encode(Reply(r.number, raw)))\n"


@pytest.mark.parametrize(
    ("body", "said", "seconds"),
    [
        ("", "the agent died|the agent is gone", 10.0),
        ("channel.sendall(b'\\xff' * 8)\nreceive()\ntime.sleep(60)", "answers nonsense", 10.0),
        (READY_TEXT + "channel.sendall(encode(Reply(99, raw)))\ntime.sleep(60)", "answers nonsense", 10.0),
        (READY_TEXT + ANSWER_TEXT + "time.sleep(60)", "answers nonsense", 10.0),
        ("channel.sendall(encode(Reply(LOADED, raw)))\ntime.sleep(60)", "not open the token in time", 0.1),
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


def test_a_program_that_cannot_be_run_says_so(softhsm: SoftHsm) -> None:
    async def story() -> None:
        slot = with_program(softhsm, ("/absent/agent",))
        with pytest.raises(SlotUnavailable, match="cannot be run: No such file"):
            await slot.random(8)
        await slot.close()

    asyncio.run(story())
