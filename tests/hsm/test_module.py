# SPDX-License-Identifier: EUPL-1.2
"""Loading a module for threads, and finding tokens."""

import os
import threading
from pathlib import Path

import pkcs11
import pytest

from hsm.agent.device import tokens
from hsm.agent.session.module import Module, load
from hsm.agent.session.token import find, present, serial_of
from hsm.errors import BadConfig, HsmError, KeyAmbiguous, PinBlocked, SlotUnavailable
from hsm.pin import Pin
from hsm.token_info import WantedToken
from tests.hsm.spoiling import answer, spoiled
from tests.hsm.tokens import PIN, SOFTHSM, SoftHsm


def test_what_is_no_module_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="absent"):
        load(str(tmp_path / "absent.so"))
    with pytest.raises(BadConfig, match=r"libc\.so\.6"):
        load("libc.so.6")


def test_a_second_load_finds_the_module_initialised(module: Module) -> None:
    assert load(SOFTHSM).description == module.description == "SoftHSM Implementation of PKCS11"


def test_parameters_reach_the_module_which_may_refuse_them(softhsm: SoftHsm) -> None:
    # SoftHSM takes the field for the reserved pointer, which must be NULL.
    with pytest.raises(pkcs11.PKCS11Error, match="C_Initialize failed with 0x7"):
        load(SOFTHSM, "configdir='sql:x'")


def test_many_threads_use_one_module(softhsm: SoftHsm, module: Module) -> None:
    """With `C_Initialize(NULL)`, as python-pkcs11 calls it, SoftHSM crashes the process within seconds here."""
    device = softhsm.device("a", module=module)
    device.start()
    device.generate_kek("aes", modifiable=False)
    problems: list[Exception] = []

    def work() -> None:
        try:
            for _ in range(150):
                dek = os.urandom(32)
                assert device.unwrap(device.wrap(dek)) == dek
        except (HsmError, AssertionError) as error:
            problems.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert device.probe().sessions <= 8


def test_closing_the_session_of_the_login_logs_nobody_out(module: Module) -> None:
    token = find(module, WantedToken(label="a"))
    first, second = token.open(), token.open()
    module.login(first, Pin(PIN.encode()))
    first.close()
    with pytest.raises(pkcs11.UserAlreadyLoggedIn):
        module.login(second, Pin(PIN.encode()))


def test_a_wrong_pin_and_a_dead_session_say_so(module: Module) -> None:
    token = find(module, WantedToken(label="a"))
    session = token.open()
    with pytest.raises(pkcs11.PinIncorrect):
        module.login(session, Pin(b"wrong"))
    session.close()
    with pytest.raises(pkcs11.SessionHandleInvalid):
        module.login(session, Pin(PIN.encode()))


def test_a_token_is_found_by_label_serial_or_slot(module: Module) -> None:
    by_label = find(module, WantedToken(label="b"))
    serial, slot = serial_of(by_label), by_label.slot.slot_id
    assert find(module, WantedToken(serial=serial)).label == "b"
    assert find(module, WantedToken(serial=serial, label="b")).label == "b"
    assert find(module, WantedToken(slot=slot)).label == "b"
    assert sorted(info.label for info in tokens(module)) == ["a", "b"]


def test_a_name_goes_before_a_slot_whose_number_changes(module: Module) -> None:
    elsewhere = find(module, WantedToken(label="a")).slot.slot_id
    assert find(module, WantedToken(label="b", slot=elsewhere)).label == "b"


@pytest.mark.parametrize("wanted", [WantedToken(label="c"), WantedToken(serial="00"), WantedToken(slot=4711)])
def test_a_token_that_is_absent_is_unavailable_and_those_present_are_named(
    module: Module, wanted: WantedToken
) -> None:
    with pytest.raises(SlotUnavailable, match=r"not present; the module shows .*a \(serial [0-9a-f]{16}\)"):
        find(module, wanted)


def test_label_and_serial_must_be_of_one_token(module: Module) -> None:
    with pytest.raises(SlotUnavailable):
        find(module, WantedToken(label="a", serial=serial_of(find(module, WantedToken(label="b")))))


def test_two_tokens_of_one_label_need_a_serial_or_a_slot(softhsm: SoftHsm) -> None:
    softhsm.initialise("a")
    module = load(SOFTHSM)
    try:
        with pytest.raises(KeyAmbiguous, match="set token_serial"):
            find(module, WantedToken(label="a"))
        twins = [token for token in present(module) if token.label == "a"]
        for twin in twins:
            assert serial_of(find(module, WantedToken(label="a", serial=serial_of(twin)))) == serial_of(twin)
            assert serial_of(find(module, WantedToken(label="a", slot=twin.slot.slot_id))) == serial_of(twin)
    finally:
        module.finish()


def test_a_module_without_tokens_says_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOFTHSM2_CONF", str(SoftHsm(tmp_path / "empty").configuration))
    module = load(SOFTHSM)
    try:
        with pytest.raises(SlotUnavailable, match="the module shows none"):
            find(module, WantedToken(slot=0))
    finally:
        module.finish()


def test_a_wrong_pin_shows_in_the_flags(softhsm: SoftHsm, module: Module) -> None:
    with pytest.raises(PinBlocked):
        softhsm.device("a", pin="wrong", module=module).start()
    (info,) = [info for info in tokens(module) if info.label == "a"]
    assert info.words == ("a wrong PIN was tried",)
    assert info.software
    assert info.description == f"SoftHSM project SoftHSM v2, serial {info.serial}, label a"
    assert "AES_GCM" in info.mechanisms


def test_a_slot_whose_token_is_taken_out_is_passed_over(module: Module) -> None:
    with spoiled(module, C_GetTokenInfo=answer(0xE0, times=1)):
        assert len(present(module)) == 1


class Broken:
    """A library that exports the one function, which fails."""

    def __init__(self, _: str) -> None:
        self.C_GetFunctionList = lambda _: 6


def test_a_module_that_gives_no_functions_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hsm.agent.session.module.ctypes.CDLL", Broken)
    with pytest.raises(pkcs11.FunctionFailed):
        load("/any.so")
