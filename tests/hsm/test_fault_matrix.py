# SPDX-License-Identifier: EUPL-1.2
"""A slot on a device that fails: the caller lives, no wrong key comes out, no PIN is locked, and it heals."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from hsm import envelope
from hsm.client.agent_client import AGAIN_SECONDS
from hsm.client.pkcs11_slot import Pkcs11Slot
from hsm.errors import HsmError, IntegrityError, KeyMissing, PinBlocked, SlotUnavailable
from hsm.key_slot import WrappedKey
from hsm.operations import ANSWERS, Operation
from hsm.pin import FilePin
from tests.house.tree import ROOT
from tests.hsm import fault_table, faults
from tests.hsm.fault_table import PAYLOAD, PLACE, Token
from tests.hsm.faults import Fault, FaultPlan
from tests.hsm.slots import gone, hurried
from tests.hsm.tokens import PIN, SOFTHSM

_SLACK = 60.0
"""Seconds that a busy machine may add to any deadline; a hang without one lasts an hour."""
_DOCUMENT = ROOT / "docs" / "hsm.md"
_DESTROY = """
import sys
from hsm.agent.session.module import load
from hsm.pin import Pin
from pkcs11 import Attribute
module = load(sys.argv[1])
token = next(slot.get_token() for slot in module.slots())
session = token.open(rw=True)
module.login(session, Pin(sys.argv[2].encode()))
for key in session.get_objects({Attribute.LABEL: "kek"}):
    key.destroy()
"""


_QUICK = ("general error", "vendor's own", "hangs", "wrong data")
"""Columns of the table of which each function is always tried in one, and in "crashes"; the others take minutes."""


def _document() -> dict[str, dict[str, str]]:
    """The table of the document: outcomes by function and column."""
    text = _DOCUMENT.read_text(encoding="utf-8").splitlines()
    begin = text.index(fault_table.heading()[0])
    found = {}
    for line in text[begin + 2 :]:
        if not line.startswith("|"):
            break
        function, *cells = (cell.strip(" `") for cell in line.strip("|").split("|"))
        found[function] = dict(zip(fault_table.COLUMNS, cells, strict=True))
    return found


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("number", "function"), list(enumerate(fault_table.FUNCTIONS)))
def test_what_faults_lead_to(number: int, function: str, tmp_path: Path) -> None:
    tried = ("crashes", _QUICK[number % len(_QUICK)])
    documented = {column: _document()[function][column] for column in tried}
    assert asyncio.run(fault_table.row(function, tmp_path, tried)) == documented


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("function", fault_table.FUNCTIONS)
def test_the_document_tells_what_each_fault_leads_to(function: str, tmp_path: Path) -> None:
    assert asyncio.run(fault_table.row(function, tmp_path)) == _document()[function]


def test_the_table_has_every_function_that_is_called(tmp_path: Path) -> None:
    """Whatever an agent or an errand is asked for, on both kinds of keys; and the document has no other rows."""
    assert asyncio.run(fault_table.called(tmp_path)) == set(fault_table.FUNCTIONS)
    assert list(_document()) == list(fault_table.FUNCTIONS)
    pairs = fault_table.everything(WrappedKey(m="", k="", ct=b""), "", "", b"")
    assert {kind for _, kind in pairs} == set(ANSWERS)
    asked = {type(operation) for operation, _ in pairs}
    assert asked == set(get_args(Operation))


_BEFORE_LOGIN = (
    "C_Initialize",
    "C_GetInfo",
    "C_GetSlotList",
    "C_GetSlotInfo",
    "C_GetTokenInfo",
    "C_OpenSession",
    "C_CloseSession",
    "C_Finalize",
)
_FAULTS_OF_LOGIN = (
    *(fault for fault in fault_table.COLUMNS.values() if fault.kind != "wrong"),
    Fault(function="", kind="late crash"),
    Fault(function="", kind="late crash", times=1),
    Fault(function="", kind="says", code=faults.VENDOR_ERROR),
    Fault(function="", kind="says", code=faults.GENERAL_ERROR, times=1),
)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "fault", _FAULTS_OF_LOGIN, ids=lambda fault: f"{fault.kind}-{fault.code:#x}-{fault.times}"
)
def test_a_wrong_pin_costs_one_try_whatever_the_login_answers(fault: Fault, tmp_path: Path) -> None:
    spoiled = msgspec.structs.replace(fault, function="C_Login")
    assert asyncio.run(fault_table.tries_of_a_wrong_pin(spoiled, tmp_path)) <= 1


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("function", _BEFORE_LOGIN)
def test_a_wrong_pin_costs_one_try_whatever_fails_beside_it(function: str, tmp_path: Path) -> None:
    for column, fault in fault_table.COLUMNS.items():
        if fault.kind != "wrong" or function in faults.FALSIFIED:
            spoiled = msgspec.structs.replace(fault, function=function)
            folder = tmp_path / column.replace(" ", "-")
            assert asyncio.run(fault_table.tries_of_a_wrong_pin(spoiled, folder)) <= 1, column


def test_the_functions_around_a_wrong_pin_are_these(tmp_path: Path) -> None:
    async def work(bench: _Bench) -> None:
        wrong = tmp_path / "wrong"
        wrong.write_text("not-the-pin")
        wrong.chmod(0o400)
        bench.token.pin = FilePin(wrong)
        plan = FaultPlan(tmp_path / "another plan")
        plan.put()
        slot = bench.token.slot(tmp_path / "another run", plan)
        assert isinstance(await _error_of(slot), PinBlocked)
        await slot.close()
        ending = {"C_Finalize"}  # unless the machine is so busy that the agent is ended before
        assert plan.called() | ending == {*_BEFORE_LOGIN, "C_Login"} | ending

    _run(tmp_path, work)


class _Bench:
    """A slot whose agent works, and the plan that spoils it."""

    def __init__(self, folder: Path) -> None:
        self.token = Token(folder, signing=False)
        self.plan = FaultPlan(folder / "plan")
        self.plan.put()
        self.runtime = folder / "run"
        self.slot = self.token.slot(self.runtime, self.plan)

    async def unseal(self) -> bytes:
        return await envelope.unseal(self.slot, PLACE, self.token.record)

    async def heals(self) -> None:
        """Ask a few times, as a server does, until it works."""
        for _ in range(4):
            try:
                assert await self.unseal() == PAYLOAD
            except SlotUnavailable:
                continue
            else:
                return
        raise AssertionError("the slot does not heal")


def _run(folder: Path, work: Callable[[_Bench], Awaitable[None]]) -> None:
    async def all_of_it() -> None:
        bench = _Bench(folder)
        try:
            await bench.token.prepare()
            assert await bench.unseal() == PAYLOAD
            await work(bench)
        finally:
            await bench.slot.close()

    asyncio.run(all_of_it())


@pytest.mark.parametrize(
    "fault",
    [
        Fault(function="C_DecryptInit", kind="logout", times=1),
        Fault(function="C_DecryptInit", kind="code", code=faults.OPERATION_ACTIVE, times=1),
        Fault(function="C_DecryptInit", kind="code", code=faults.KEY_HANDLE_INVALID, times=1),
        Fault(function="C_Decrypt", kind="code", code=faults.SESSION_HANDLE_INVALID, times=1),
        Fault(function="C_Decrypt", kind="delay", times=5),
        Fault(function="C_DecryptInit", kind="code", code=faults.GENERAL_ERROR, times=1),
        Fault(function="C_Decrypt", kind="code", code=faults.GENERAL_ERROR, times=1),
        Fault(function="C_Decrypt", kind="code", code=faults.FUNCTION_FAILED, times=1),
    ],
    ids=lambda fault: f"{fault.function}-{fault.kind}-{fault.code}",
)
def test_one_fault_of_a_working_agent_is_not_seen(tmp_path: Path, fault: Fault) -> None:
    async def work(bench: _Bench) -> None:
        agent = bench.slot.agent_pid
        bench.plan.put(fault)
        assert await bench.unseal() == PAYLOAD
        assert bench.slot.agent_pid == agent

    _run(tmp_path, work)


def test_a_crash_is_not_seen_where_the_next_agent_answers(tmp_path: Path) -> None:
    async def work(bench: _Bench) -> None:
        agent = bench.slot.agent_pid
        bench.plan.put(Fault(function="C_Decrypt", kind="crash", times=1))
        assert await bench.unseal() == PAYLOAD
        assert bench.slot.agent_pid not in {agent, None}

    _run(tmp_path, work)


def test_a_crash_within_the_login_is_told_and_no_other_login_made_for_the_same_request(
    tmp_path: Path,
) -> None:
    async def work(bench: _Bench) -> None:
        agent = bench.slot.agent_pid
        assert agent is not None
        os.kill(agent, signal.SIGKILL)
        while bench.slot.agent_pid is not None:  # noqa: ASYNC110 -- its thread tells nobody
            await asyncio.sleep(0.01)
        bench.plan.put(Fault(function="C_Login", kind="crash"))
        with pytest.raises(SlotUnavailable, match=r"^slot a: the agent died of SIGSEGV$"):
            await bench.unseal()
        assert bench.plan.calls("C_Login") == 1

    _run(tmp_path, work)


def test_a_module_that_crashes_at_each_call_is_asked_twice_and_then_told(tmp_path: Path) -> None:
    async def work(bench: _Bench) -> None:
        bench.plan.put(Fault(function="C_Decrypt", kind="crash"))
        with pytest.raises(SlotUnavailable, match=r"^slot a: the agent died of SIGSEGV$"):
            await bench.unseal()
        assert bench.plan.calls("C_Decrypt") == 2
        bench.plan.put()
        await bench.heals()

    _run(tmp_path, work)


def test_an_agent_that_hangs_is_replaced(tmp_path: Path) -> None:
    async def work(bench: _Bench) -> None:
        agent = bench.slot.agent_pid
        bench.plan.put(Fault(function="C_Decrypt", kind="hang", times=1))
        began = time.monotonic()
        with (
            hurried(bench.slot, 0.5),
            pytest.raises(SlotUnavailable, match=r"slot a: .*(gone|no answer within)"),
        ):
            await bench.unseal()
        assert time.monotonic() - began < 0.5 + _SLACK
        await bench.heals()
        assert bench.slot.agent_pid != agent

    _run(tmp_path, work)


@pytest.mark.parametrize("kind", ["crash", "hang"])
def test_an_agent_that_does_not_end_is_ended(tmp_path: Path, kind: str) -> None:
    async def work(bench: _Bench) -> None:
        agent = bench.slot.agent_pid
        assert agent is not None
        bench.plan.put(Fault(function="C_Finalize", kind="crash" if kind == "crash" else "hang"))
        await bench.slot.close()
        assert await asyncio.to_thread(gone, agent, name="stat")

    _run(tmp_path, work)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_an_agent_that_somebody_ends_or_stops_is_replaced(tmp_path: Path, number: signal.Signals) -> None:
    async def work(bench: _Bench) -> None:
        agent = bench.slot.agent_pid
        assert agent is not None
        os.kill(agent, number)
        try:
            with hurried(bench.slot, 2.0):
                assert await bench.unseal() == PAYLOAD
        except SlotUnavailable:
            await bench.heals()

    _run(tmp_path, work)


def test_a_device_that_was_unplugged_works_again_when_it_is_back(tmp_path: Path) -> None:
    async def work(bench: _Bench) -> None:
        tokens = bench.token.softhsm.tokens
        away = tokens.with_name("away")
        tokens.rename(away)
        with pytest.raises(SlotUnavailable):
            await bench.unseal()
        assert not (await bench.slot.probe()).up
        if tokens.exists():  # SoftHSM makes an empty folder where there is none
            shutil.rmtree(tokens)
        away.rename(tokens)
        await bench.heals()
        assert (await bench.slot.probe()).up

    _run(tmp_path, work)


def test_a_key_that_somebody_destroyed_counts_as_an_outage_where_it_was_seen(tmp_path: Path) -> None:
    async def work(bench: _Bench) -> None:
        environment = {**bench.token.softhsm.environment, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", _DESTROY, SOFTHSM, PIN]
        await asyncio.to_thread(subprocess.run, command, check=True, env=environment)
        with pytest.raises(SlotUnavailable, match="it was there before"):
            await bench.unseal()
        stranger = bench.token.slot(bench.runtime)
        try:
            with pytest.raises(KeyMissing):
                await envelope.unseal(stranger, PLACE, bench.token.record)
        finally:
            await stranger.close()

    _run(tmp_path, work)


_MAKING: dict[str, Callable[[Pkcs11Slot, int], Awaitable[object]]] = {
    "C_GenerateRandom": lambda slot, _: slot.random(32),
    "C_GenerateKey": lambda slot, _: slot.generate_kek("aes", modifiable=True),
    "C_GenerateKeyPair": lambda slot, n: slot.generate_key_pair(f"pair-{n}", b"v0001", "p256"),
    "C_SetAttributeValue": lambda slot, _: slot.retire("v0002"),
    "C_Sign": lambda slot, _: slot.sign("signer", b"v0001", "ECDSA", bytes(32)),
}


@pytest.mark.parametrize("function", _MAKING)
def test_a_key_that_was_half_made_is_in_nobody_s_way(tmp_path: Path, function: str) -> None:
    """The token has made it, or signed with it, and the agent dies before anybody hears of it."""

    async def work(bench: _Bench) -> None:
        await bench.slot.generate_kek("aes", modifiable=True)  # v0002, which may be retired
        await bench.slot.generate_key_pair("signer", b"v0001", "p256")
        bench.plan.put(Fault(function=function, kind="late crash"))
        with pytest.raises(SlotUnavailable):
            await _MAKING[function](bench.slot, 0)
        bench.plan.put()
        await bench.heals()
        wrapped = await bench.slot.wrap(PAYLOAD)
        assert await bench.slot.unwrap(wrapped) == PAYLOAD
        await _MAKING[function](bench.slot, 1)

    _run(tmp_path, work)


def test_a_changed_record_is_no_outage(tmp_path: Path) -> None:
    async def work(bench: _Bench) -> None:
        wrapped = await bench.slot.wrap(PAYLOAD)
        agent = bench.slot.agent_pid
        for position in range(0, len(wrapped.ct) * 8, 11):
            ct = bytearray(wrapped.ct)
            ct[position // 8] ^= 1 << position % 8
            changed = type(wrapped)(m=wrapped.m, k=wrapped.k, iv=wrapped.iv, ct=bytes(ct))
            with pytest.raises(IntegrityError):
                await bench.slot.unwrap(changed)
        assert bench.slot.agent_pid == agent
        assert await bench.slot.unwrap(wrapped) == PAYLOAD

    _run(tmp_path, work)


def test_faults_under_load_cost_few_requests_and_no_wrong_answer(tmp_path: Path) -> None:
    async def work(bench: _Bench) -> None:
        bench.plan.put(
            Fault(function="C_DecryptInit", kind="code", code=faults.SESSION_HANDLE_INVALID, times=10)
        )
        answers = await asyncio.gather(*(bench.unseal() for _ in range(200)), return_exceptions=True)
        assert all(answer == PAYLOAD or isinstance(answer, SlotUnavailable) for answer in answers)
        assert sum(answer == PAYLOAD for answer in answers) >= 190
        await bench.heals()

    _run(tmp_path, work)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_thousands_of_requests_among_all_kinds_of_faults(tmp_path: Path) -> None:
    async def work(bench: _Bench) -> None:
        bench.plan.put(
            Fault(function="C_DecryptInit", kind="code", code=faults.SESSION_HANDLE_INVALID, every=97),
            Fault(function="C_Decrypt", kind="code", code=faults.DEVICE_ERROR, every=701),
            Fault(function="C_FindObjectsInit", kind="logout", every=11),
            Fault(function="C_OpenSession", kind="code", code=faults.SESSION_COUNT, every=13),
        )
        outcomes = [0, 0]

        async def worker() -> None:
            for _ in range(1500):
                try:
                    assert await bench.unseal() == PAYLOAD
                    outcomes[0] += 1
                except SlotUnavailable:
                    outcomes[1] += 1

        await asyncio.gather(*(worker() for _ in range(8)))
        assert sum(outcomes) == 12_000
        assert outcomes[1] < 600, outcomes
        bench.plan.put()
        await bench.heals()

    _run(tmp_path, work)


@pytest.mark.parametrize(
    "said",
    [faults.PIN_INCORRECT, faults.VENDOR_ERROR, faults.FUNCTION_FAILED, faults.GENERAL_ERROR],
    ids=hex,
)
def test_four_workers_with_a_wrong_pin_try_it_once(tmp_path: Path, said: int) -> None:
    """Whatever the module says to it, as long as the token itself tells that it has seen a wrong PIN."""

    async def work(bench: _Bench) -> None:
        wrong = tmp_path / "wrong"
        wrong.write_text("not-the-pin")
        wrong.chmod(0o400)
        right, bench.token.pin = bench.token.pin, FilePin(wrong)
        bench.plan.put(Fault(function="C_Login", kind="says", code=said))
        workers = [bench.token.slot(bench.runtime, bench.plan, quick=False) for _ in range(4)]
        for _ in range(3):
            answers = await asyncio.gather(*(_error_of(worker) for worker in workers))
            assert all(isinstance(answer, PinBlocked) for answer in answers)
            assert bench.plan.calls("C_Login") == 1
        restarted = [bench.token.slot(bench.runtime, bench.plan, quick=False) for _ in range(2)]
        answers = await asyncio.gather(*(_error_of(worker) for worker in restarted))
        assert all(isinstance(answer, PinBlocked) for answer in answers)
        assert bench.plan.calls("C_Login") == 1
        bench.token.pin = right
        good = bench.token.slot(bench.runtime, bench.plan, quick=False)
        assert await envelope.unseal(good, PLACE, bench.token.record) == PAYLOAD
        await asyncio.gather(*(worker.close() for worker in [*workers, *restarted, good]))

    _run(tmp_path, work)


def test_a_running_server_sees_what_was_mended_after_a_wrong_pin(tmp_path: Path) -> None:
    """Another PIN in the file at once; the same PIN within a minute, once it was set on the token and the mark removed."""

    async def work(bench: _Bench) -> None:
        right = bench.token.pin
        file = tmp_path / "changed"
        file.write_text("not-the-pin")
        file.chmod(0o600)
        bench.token.pin = FilePin(file)
        clock = [0.0]
        slot = bench.token.slot(bench.runtime, bench.plan, now=lambda: time.monotonic() + clock[0])
        assert isinstance(await _error_of(slot), PinBlocked)
        file.write_text(right.read().reveal().decode())
        assert await envelope.unseal(slot, PLACE, bench.token.record) == PAYLOAD
        await slot.close()

        bench.plan.put(Fault(function="C_Login", kind="code", code=faults.PIN_INCORRECT, times=1))
        slot = bench.token.slot(bench.runtime, bench.plan, now=lambda: time.monotonic() + clock[0])
        said = ""
        for _ in range(6):  # as long as the mark is there, no login is tried
            said = str(await _error_of(slot))
            clock[0] += AGAIN_SECONDS / 2
        assert bench.plan.calls("C_Login") == 1
        assert "was wrong before" in said
        (mark,) = [path for path in bench.runtime.glob("pin-refused-*") if str(path) in said]
        mark.unlink()
        clock[0] += AGAIN_SECONDS
        assert await envelope.unseal(slot, PLACE, bench.token.record) == PAYLOAD
        await slot.close()

    _run(tmp_path, work)


@pytest.mark.parametrize("code", [faults.PIN_LOCKED, faults.PIN_INCORRECT])
def test_a_refused_pin_ends_the_slot(tmp_path: Path, code: int) -> None:
    async def work(bench: _Bench) -> None:
        bench.plan.put(Fault(function="C_Login", kind="code", code=code))
        slot = bench.token.slot(tmp_path / "other", bench.plan)
        for _ in range(3):
            assert isinstance(await _error_of(slot), PinBlocked)
        assert bench.plan.calls("C_Login") == 1
        await slot.close()

    _run(tmp_path, work)


async def _error_of(slot: Pkcs11Slot) -> HsmError | None:
    try:
        await slot.wrap(PAYLOAD)
    except HsmError as error:
        return error
    return None
