# SPDX-License-Identifier: EUPL-1.2
"""The agent's process: crashes, hangs, and what can be seen of it from outside."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from hsm.client.agent_client import AgentClient
from hsm.client.backoff import BackOff
from hsm.client.pkcs11_slot import Pkcs11Slot
from hsm.client.process import MOST_WAITING, AgentProcess, Launch
from hsm.errors import BadConfig, SlotUnavailable
from hsm.operations import Random, Sign, Unwrap
from hsm.pin import Pin
from tests.house.tree import ROOT
from tests.hsm.faults import DEVICE_ERROR, Fault, FaultPlan
from tests.hsm.slots import DEK, PIN_VARIABLE, gone, open_files, proc, run, slot_on, stop, with_program
from tests.hsm.tokens import PIN, SOFTHSM, SoftHsm

pytestmark = pytest.mark.executed


def test_a_module_that_crashes_costs_the_requests_under_way_and_no_more(softhsm: SoftHsm) -> None:
    async def story(slot: Pkcs11Slot) -> None:
        wrapped = await slot.wrap(DEK)
        for deadly in (signal.SIGSEGV, signal.SIGKILL):
            dying = slot.agent_pid
            assert dying is not None
            os.kill(dying, deadly)
            assert gone(dying)
            with contextlib.suppress(SlotUnavailable):
                await slot.unwrap(wrapped)
            assert await slot.unwrap(wrapped) == DEK
        assert slot.counters.starts == 3

    run(softhsm, story)


def test_a_call_that_hangs_is_over_at_the_deadline(softhsm: SoftHsm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hsm.client.process._IDLE_SECONDS", 60.0)
    monkeypatch.setattr("hsm.client.process._END_SECONDS", 60.0)

    async def story(slot: Pkcs11Slot) -> None:
        wrapped = await slot.wrap(DEK)
        assert slot.agent_pid is not None
        hanging = slot.agent_pid
        stop(hanging)
        begin = time.monotonic()
        with pytest.raises(SlotUnavailable, match=r"no answer within 0\.5 s; the agent was killed"):
            await slot._client.ask(Unwrap(wrapped), bytes, 0.5)
        assert 0.5 <= time.monotonic() - begin < 50  # without the deadline it would be a minute
        assert gone(hanging)
        assert await slot.unwrap(wrapped) == DEK

    run(softhsm, story, timeout=60.0)


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
        with pytest.raises(SlotUnavailable, match="the agent died of SIGKILL; next try in"):
            await slot.random(8)
        assert slot._client.breaker_open
        assert not (await slot.probe()).up
        assert slot.counters.starts == 6

    run(softhsm, story, now=lambda: 0.0)  # however long it takes, it is within a minute


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


def test_an_agent_cannot_be_traced() -> None:
    """Its memory is nobody's to read; the kernel answers `PR_GET_DUMPABLE` (3) to the process alone."""
    program = "import ctypes, hsm.agent.hardening; hsm.agent.hardening.harden(); print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, cwd=ROOT)
    assert told.stdout == b"0\n"


def test_an_agent_dies_with_its_server(softhsm: SoftHsm) -> None:
    """Whatever kills the server: the kernel kills the agent, even one that is stopped."""
    program = (
        "import asyncio, os, sys, time\n"
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
        [sys.executable, "-c", program], stdout=subprocess.PIPE, env=softhsm.environment, text=True, cwd=ROOT
    ) as server:
        assert server.stdout is not None
        agent = int(server.stdout.readline())
        stop(agent)
        server.kill()
        server.wait()
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
        agent = slot.agent_pid
        assert agent is not None
        stop(agent)  # it takes two, and no more are taken while it stands still
        asked = [asyncio.create_task(slot.unwrap(wrapped)) for _ in range(MOST_WAITING + 100)]
        for refused in islice(asyncio.as_completed(asked, timeout=30), 98):
            with pytest.raises(SlotUnavailable, match="wait for the agent already"):
                await refused
        os.kill(agent, signal.SIGCONT)
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert found.count(DEK) == MOST_WAITING + 2
        assert slot.counters.starts == 1

    run(softhsm, story, max_sessions=2, timeout=60.0)


def test_a_pin_that_cannot_be_read_says_where_it_was_looked_for(softhsm: SoftHsm) -> None:
    async def story() -> None:
        slot = slot_on(softhsm, pin="")
        with pytest.raises(BadConfig, match=f"slot default: pin variable {PIN_VARIABLE}: is empty"):
            await slot.random(8)
        await slot.close()

    asyncio.run(story())


def test_who_asks_after_the_agent_ended_hears_why_it_ended(softhsm: SoftHsm) -> None:
    """However the race between its end and the first request goes."""
    process = slot_on(softhsm, pin="")._client._start()
    process.join(60)
    with pytest.raises(BadConfig, match=f"pin variable {PIN_VARIABLE}: is empty"):
        process.submit(Random(8), 10.0)


def test_a_program_that_cannot_be_run_says_so(softhsm: SoftHsm) -> None:
    async def story() -> None:
        slot = with_program(softhsm, ("/absent/agent",))
        with pytest.raises(SlotUnavailable, match="cannot be run: No such file"):
            await slot.random(8)
        await slot.close()

    asyncio.run(story())


def test_a_device_that_fails_again_and_again_keeps_the_last_agent(softhsm: SoftHsm) -> None:
    """When it may not start another, the one that is there may still find its device again."""
    plan = FaultPlan(softhsm.folder / "plan")
    program = (sys.executable, "-P", "-m", "tests.hsm.faulty_program", str(plan.folder), SOFTHSM, "hsm.agent")
    slot = with_program(softhsm, program, now=lambda: 0.0)

    async def story() -> None:
        await slot.generate_kek("aes")
        wrapped = await slot.wrap(DEK)
        plan.put(Fault(function="C_DecryptInit", kind="code", code=DEVICE_ERROR))
        for _ in range(20):
            with pytest.raises(SlotUnavailable, match="DeviceError"):
                await slot.unwrap(wrapped)
        assert slot.counters.starts == 6
        plan.put()
        assert await slot.unwrap(wrapped) == DEK
        assert slot.counters.starts == 6
        await slot.close()

    asyncio.run(story())


def test_one_device_error_costs_no_agent(softhsm: SoftHsm) -> None:
    plan = FaultPlan(softhsm.folder / "plan")
    program = (sys.executable, "-P", "-m", "tests.hsm.faulty_program", str(plan.folder), SOFTHSM, "hsm.agent")
    slot = with_program(softhsm, program)

    async def story() -> None:
        await slot.generate_kek("aes")
        wrapped = await slot.wrap(DEK)
        for _ in range(3):
            plan.put(Fault(function="C_DecryptInit", kind="code", code=DEVICE_ERROR, times=1))
            with pytest.raises(SlotUnavailable):
                await slot.unwrap(wrapped)
            assert await slot.unwrap(wrapped) == DEK
        plan.put(Fault(function="C_EncryptInit", kind="code", code=DEVICE_ERROR, times=1))
        assert (await slot.probe()).up
        assert slot.counters.starts == 1
        await slot.close()

    asyncio.run(story())


def test_a_process_takes_nothing_after_its_end(softhsm: SoftHsm) -> None:
    slot = slot_on(softhsm)
    process = slot._client._start()
    cancelled = process.submit(Random(8), 10.0)
    assert cancelled.cancel()
    process.end()
    process.join(60)
    assert process.dead
    assert process.reason == "the agent was told to end"
    with pytest.raises(SlotUnavailable, match="told to end"):
        process.submit(Random(8), 10.0)
    process.end()


def test_a_client_that_can_start_nothing_says_so() -> None:
    def start() -> AgentProcess:
        raise OSError(24, "Too many open files")

    client = AgentClient(start, BackOff(now=time.monotonic, chance=lambda: 0.0))
    client.suspect()
    with pytest.raises(SlotUnavailable, match=r"no agent can be started: .*Too many open files"):
        client.ask_blocking(Random(8), bytes, 1.0)
    for _ in range(5):
        with pytest.raises(SlotUnavailable):
            client.ask_blocking(Random(8), bytes, 1.0)
    with pytest.raises(SlotUnavailable, match="next try in"):
        client.ask_blocking(Random(8), bytes, 1.0)
    assert client.counters.errors == {("SlotUnavailable", ""): 7}
    assert client.pid is None
    client.end()


def test_an_agent_that_reads_nothing_never_makes_the_server_wait(softhsm: SoftHsm) -> None:
    async def story(slot: Pkcs11Slot) -> None:
        stop(slot.agent_pid)
        sign = Sign("root", b"1", "EDDSA", bytes(60_000))
        asking = [asyncio.create_task(slot._client.ask(sign, bytes, 2.0)) for _ in range(8)]
        await asyncio.sleep(0)  # each has been sent, as far as there was room, or this would not end
        assert not any(task.done() for task in asking)
        found = await asyncio.gather(*asking, return_exceptions=True)
        assert {type(error) for error in found} == {SlotUnavailable}
        assert "no answer within" in str(found[0])
        assert len(await slot.random(8)) == 8

    run(softhsm, story, max_sessions=8, timeout=60.0)


def test_an_agent_that_reads_slowly_gets_all_of_it(softhsm: SoftHsm) -> None:
    """The channel's buffer takes three of the largest frames; an agent has to read before the next one fits."""

    async def story(slot: Pkcs11Slot) -> None:
        public = load_der_public_key(await slot.generate_key_pair("root", b"1", "ed25519"))
        assert isinstance(public, Ed25519PublicKey)
        agent = slot.agent_pid
        assert agent is not None
        for _ in range(3):
            stop(agent)
            data = [bytes([number]) * 65_000 for number in range(12)]
            asking = [asyncio.create_task(slot.sign("root", b"1", "EDDSA", each)) for each in data]
            await asyncio.sleep(0.05)
            os.kill(agent, signal.SIGCONT)
            for each, signature in zip(data, await asyncio.gather(*asking), strict=True):
                public.verify(signature, each)
        assert slot.agent_pid == agent

    run(softhsm, story, timeout=60.0)


def test_whatever_fails_in_the_thread_nobody_waits_for_ever(softhsm: SoftHsm) -> None:
    def pin() -> Pin:
        raise ZeroDivisionError

    launch = Launch(
        config=softhsm.agent_config("a"), pin=pin, environment=softhsm.environment, opening_seconds=10.0
    )
    process = AgentProcess(launch, now=time.monotonic)
    process.join(60)
    assert process.dead
    assert process.reason == "the agent's thread failed with ZeroDivisionError"


def test_an_agent_that_is_replaced_answers_what_it_was_asked(softhsm: SoftHsm) -> None:
    async def story(slot: Pkcs11Slot) -> None:
        old = slot.agent_pid
        asked = [asyncio.create_task(slot.random(8)) for _ in range(300)]
        await asyncio.sleep(0)
        slot._client.suspect()
        assert len(await slot.random(8)) == 8
        assert slot.agent_pid != old
        assert {len(answer) for answer in await asyncio.gather(*asked)} == {8}
        assert await asyncio.to_thread(gone, old)

    run(softhsm, story)


def test_what_a_module_prints_goes_nowhere(softhsm: SoftHsm) -> None:
    slot = slot_on(softhsm)

    async def story() -> None:
        await slot.random(8)
        fds = Path(f"/proc/{slot.agent_pid}/fd")
        assert {os.readlink(fds / number) for number in "012"} == {os.devnull}
        await slot.close()

    asyncio.run(story())


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("raise ImportError('no module named pkcs11')", "exit code 1: ImportError$"),
        ("import pkcs11_of_another_place", "exit code 1: ModuleNotFoundError$"),
        ("import os; os.abort()", "died of SIGABRT"),
        ("raise SystemExit(3)", "died with exit code 3"),
    ],
)
def test_an_agent_that_never_loads_says_what_kept_it(softhsm: SoftHsm, program: str, said: str) -> None:
    slot = with_program(softhsm, (sys.executable, "-c", program), timeout=20.0)

    async def story() -> None:
        with pytest.raises(SlotUnavailable, match=said):
            await slot.random(8)
        await slot.close()

    asyncio.run(story())


_PRINTS = """
import base64, os, sys
pin = os.read(int(sys.argv[2]), 100)
for text in (pin, pin.hex().encode(), base64.b64encode(pin), pin[::-1]):
    os.write(2, b"RuntimeError " + text + b"\\n" + text + b"\\n")
if sys.argv[-1] == "raise":
    raise ValueError(pin)
os.abort()
"""


@pytest.mark.parametrize("how", ["raise", "abort"])
def test_an_agent_that_prints_its_pin_puts_it_into_no_error_and_no_log(
    softhsm: SoftHsm, capfd: pytest.CaptureFixture[str], how: str
) -> None:
    program = (sys.executable, "-c", f"import sys; sys.argv.append({how!r})\n{_PRINTS}")
    slot = with_program(softhsm, program, timeout=20.0)

    async def story() -> None:
        with pytest.raises(SlotUnavailable) as caught:
            await slot.random(8)
        assert re.fullmatch(
            r"slot default: the agent died (of SIGABRT|with exit code 1: ValueError)", str(caught.value)
        )
        await slot.close()

    asyncio.run(story())
    assert capfd.readouterr() == ("", "")


def test_a_module_that_prints_the_pin_at_the_login_works_and_is_not_heard(
    softhsm: SoftHsm, capfd: pytest.CaptureFixture[str]
) -> None:
    plan = FaultPlan(softhsm.folder / "plan")
    plan.put(Fault(function="C_Login", kind="prints"))
    program = (sys.executable, "-P", "-m", "tests.hsm.faulty_program", str(plan.folder), SOFTHSM, "hsm.agent")
    slot = with_program(softhsm, program)

    async def story() -> None:
        assert len(await slot.random(8)) == 8
        assert plan.calls("C_Login") == 1
        plan.put(Fault(function="C_GenerateRandom", kind="crash"))
        with pytest.raises(SlotUnavailable, match=r"^slot default: the agent died of SIGSEGV$"):
            await slot.random(8)
        await slot.close()

    asyncio.run(story())
    assert capfd.readouterr() == ("", "")
