# SPDX-License-Identifier: EUPL-1.2
"""What a device does when sessions, logins, keys, tokens and IVs are not what they were."""

import ctypes
import os
import threading
from collections.abc import Callable

import pkcs11
import pytest
from pkcs11 import Attribute, ObjectClass

from hsm.agent.device import Device
from hsm.agent.session.module import Module
from hsm.errors import (
    BadConfig,
    HsmError,
    IntegrityError,
    KeyAmbiguous,
    KeyMissing,
    PinBlocked,
    SlotUnavailable,
)
from hsm.key_slot import WrappedKey
from tests.hsm.spoiling import answer, appends, chooses, spoiled
from tests.hsm.tokens import SoftHsm

DEK = bytes(range(32))
OK = 0
GENERAL_ERROR, DEVICE_ERROR, DEVICE_MEMORY, DEVICE_REMOVED = 0x05, 0x30, 0x31, 0x32
OPERATION_ACTIVE, SESSION_COUNT, SESSION_HANDLE_INVALID = 0x90, 0xB1, 0xB3
PIN_INCORRECT, USER_NOT_LOGGED_IN = 0xA0, 0x101
BUFFER_TOO_SMALL = 0x150


@pytest.fixture
def device(softhsm: SoftHsm, module: Module) -> Device:
    made = softhsm.device("a", module=module)
    made.start()
    made.generate_kek("aes", modifiable=True)
    made.wrap(DEK)
    return made


def _log_out(device: Device) -> None:
    """Log the process out, as another user of the same module could."""
    session = device._sessions._anchor
    assert session is not None
    module = device._sessions._module
    module._call(19, ctypes.c_ulong(session.handle))  # type: ignore[attr-defined]  # C_Logout


def test_a_login_that_somebody_ended_is_made_again(device: Device) -> None:
    wrapped = device.wrap(DEK)
    _log_out(device)
    assert device.unwrap(wrapped) == DEK
    assert device._sessions.logins == 2
    _log_out(device)
    assert device.wrap(DEK).k == "v0001"
    assert device._sessions.logins == 3


def test_a_missing_key_that_was_there_before_is_an_outage(device: Device, module: Module) -> None:
    wrapped = device.wrap(DEK)
    with device._sessions.token.open(rw=True) as session:
        for key in session.get_objects({Attribute.CLASS: ObjectClass.SECRET_KEY}):
            key.destroy()
    with pytest.raises(SlotUnavailable, match="but it was there before"):
        device.wrap(DEK)
    with pytest.raises(SlotUnavailable, match="but it was there before"):
        device.unwrap(wrapped)


def test_a_key_that_was_never_there_is_missing(softhsm: SoftHsm, module: Module) -> None:
    device = softhsm.device("a", module=module, key_id=b"v0007")
    device.start()
    with pytest.raises(KeyMissing, match="no version v0007"):
        device.wrap(DEK)
    with pytest.raises(KeyMissing, match="no such private key"):
        device.sign("absent", b"1", "ECDSA", bytes(32))
    with pytest.raises(KeyMissing, match="key kek id v0009"):
        device.retire("v0009")


def test_a_signing_key_that_vanishes_is_an_outage(device: Device) -> None:
    device.generate_key_pair("signer", b"1", "p256")
    assert len(device.sign("signer", b"1", "ECDSA", bytes(32))) == 64
    with device._sessions.token.open(rw=True) as session:
        for key in session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY}):
            key.destroy()
    with pytest.raises(SlotUnavailable, match="but it was there before"):
        device.sign("signer", b"1", "ECDSA", bytes(32))


def test_a_token_that_is_unplugged_is_unavailable(softhsm: SoftHsm, device: Device) -> None:
    wrapped = device.wrap(DEK)
    away = softhsm.folder / "away"
    softhsm.tokens.rename(away)
    for _ in range(3):
        with pytest.raises(SlotUnavailable):
            device.unwrap(wrapped)
    assert device.probe().kind == "SlotUnavailable"
    away.rename(softhsm.tokens)


@pytest.mark.parametrize(
    "code", [SESSION_HANDLE_INVALID, OPERATION_ACTIVE, USER_NOT_LOGGED_IN, 0xB0, 0x91, 0x60, 0x82]
)
def test_a_lost_session_costs_one_retry(device: Device, module: Module, code: int) -> None:
    wrapped = device.wrap(DEK)
    with spoiled(module, C_DecryptInit=answer(code, times=1)):
        assert device.unwrap(wrapped) == DEK
    with spoiled(module, C_DecryptInit=answer(code)), pytest.raises(SlotUnavailable) as raised:
        device.unwrap(wrapped)
    assert type(raised.value) is SlotUnavailable
    assert device.unwrap(wrapped) == DEK


def test_a_session_that_saw_an_error_is_never_used_again(device: Device, module: Module) -> None:
    """An error between Init and the operation leaves the session active for good."""
    wrapped = device.wrap(DEK)
    for _ in range(5):
        with spoiled(module, C_Decrypt=answer(DEVICE_ERROR, times=1)), pytest.raises(SlotUnavailable):
            device.unwrap(wrapped)
        assert device.unwrap(wrapped) == DEK
    assert device._sessions.generation == 1
    assert device.probe().sessions <= 2


@pytest.mark.parametrize("code", [DEVICE_ERROR, DEVICE_REMOVED, 0x31, 0xE0, 0x02, 0x80000042, 0x190])
def test_a_device_error_is_not_retried(device: Device, module: Module, code: int) -> None:
    with spoiled(module, C_EncryptInit=answer(code, times=1)), pytest.raises(SlotUnavailable):
        device.wrap(DEK)
    device.wrap(DEK)


def test_a_general_error_that_comes_once_is_nobody_s_fault(device: Device, module: Module) -> None:
    wrapped = device.wrap(DEK)
    with spoiled(module, C_Decrypt=answer(GENERAL_ERROR, times=1)):
        assert device.unwrap(wrapped) == DEK


def test_a_general_error_is_the_data_s_fault_when_a_canary_passes(device: Device) -> None:
    wrapped = device.wrap(DEK)
    changed = WrappedKey(m=wrapped.m, k=wrapped.k, iv=wrapped.iv, ct=bytes(len(wrapped.ct)))
    with pytest.raises(IntegrityError, match="the record was changed"):
        device.unwrap(changed)
    assert device.unwrap(wrapped) == DEK


def test_a_general_error_is_the_device_s_fault_when_a_canary_fails(device: Device, module: Module) -> None:
    wrapped = device.wrap(DEK)
    with spoiled(module, C_Decrypt=answer(GENERAL_ERROR)), pytest.raises(SlotUnavailable, match="canary"):
        device.unwrap(wrapped)
    with spoiled(module, C_DecryptInit=answer(0x06)), pytest.raises(SlotUnavailable, match="canary"):
        device.unwrap(wrapped)


def test_a_retired_key_that_only_decrypts_is_judged_by_the_newest(device: Device) -> None:
    wrapped = device.wrap(DEK)
    device.generate_kek("aes", modifiable=True)
    device.retire("v0001")
    changed = type(wrapped)(m=wrapped.m, k=wrapped.k, iv=wrapped.iv, ct=bytes(48))
    with pytest.raises(IntegrityError, match="the record was changed"):
        device.unwrap(changed)
    assert device.unwrap(wrapped) == DEK


def test_an_unwrapped_key_that_is_wrong_right_away_never_leaves(device: Device, module: Module) -> None:
    def garble(real: Callable[..., int], *arguments: int) -> int:
        code = real(*arguments)
        if code == OK and arguments[3]:
            ctypes.c_ubyte.from_address(arguments[3]).value ^= 1
        return code

    with spoiled(module, C_Decrypt=garble), pytest.raises(SlotUnavailable, match="something else"):
        device.wrap(DEK)


def test_a_wrong_tag_right_after_wrapping_is_the_device_s_fault(device: Device, module: Module) -> None:
    with spoiled(module, C_Decrypt=answer(0x40)), pytest.raises(SlotUnavailable):
        device.wrap(DEK)
    with spoiled(module, C_Encrypt=_shortened), pytest.raises(SlotUnavailable, match="right after"):
        device.wrap(DEK)


def _shortened(real: Callable[..., int], *arguments: int) -> int:
    code = real(*arguments)
    if code == OK and arguments[3]:
        ctypes.c_ulong.from_address(arguments[4]).value -= 1
    return code


def test_a_token_that_chooses_the_iv_is_believed(device: Device, module: Module) -> None:
    """It writes its IV over ours through the pointer: what counts is what stands there afterwards."""
    chosen = os.urandom(12)
    with spoiled(module, C_EncryptInit=chooses(chosen)):
        wrapped = device.wrap(DEK)
    assert wrapped.iv == chosen
    assert device.unwrap(wrapped) == DEK
    assert device.wrap(DEK).iv != chosen


def test_a_token_that_appends_its_iv_is_believed(device: Device, module: Module) -> None:
    iv = os.urandom(12)
    with spoiled(module, C_EncryptInit=chooses(iv, hides=True), C_Encrypt=appends(iv)):
        wrapped = device.wrap(DEK)
    assert (wrapped.iv, len(wrapped.ct)) == (iv, 48)
    assert device.unwrap(wrapped) == DEK


def test_too_many_sessions_give_way_to_one(device: Device, module: Module) -> None:
    barrier = threading.Barrier(3)

    def hold(_: object) -> bytes:
        barrier.wait(60)
        return b""

    threads = [threading.Thread(target=device._sessions.run, args=(hold, "hold")) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert device._sessions.open == 3
    with spoiled(module, C_OpenSession=answer(SESSION_COUNT, times=1)):
        device.generate_kek("aes", modifiable=False)
    assert device._sessions.open == 0
    with spoiled(module, C_OpenSession=answer(SESSION_COUNT)), pytest.raises(SlotUnavailable):
        device.wrap(DEK)
    assert device._sessions.open == 0
    device.wrap(DEK)


def test_an_operation_before_the_login_is_unavailable(softhsm: SoftHsm, module: Module) -> None:
    device = softhsm.device("a", module=module)
    with pytest.raises(SlotUnavailable, match="not logged in"):
        device.random(8)
    assert device._sessions.open == 0


@pytest.mark.parametrize("function", ["C_OpenSession", "C_GetSlotList", "C_GetTokenInfo", "C_Login"])
def test_a_device_that_fails_at_the_login_is_unavailable(
    softhsm: SoftHsm, module: Module, function: str
) -> None:
    device = softhsm.device("a", module=module)
    for code in (DEVICE_ERROR, SESSION_HANDLE_INVALID, GENERAL_ERROR, 0x80000042):
        with spoiled(module, **{function: answer(code)}), pytest.raises(SlotUnavailable) as raised:
            device.start()
        assert type(raised.value) is SlotUnavailable
        if code == GENERAL_ERROR:
            device.start()  # two in a row would count as a wrong PIN
    device.start()


def test_a_token_information_that_cannot_be_read_is_a_failed_probe(device: Device, module: Module) -> None:
    with spoiled(module, C_GetMechanismList=answer(DEVICE_ERROR)):
        found = device.probe()
    assert (found.kind, found.ckr, found.token) == ("SlotUnavailable", "DeviceError", None)


def test_a_wrong_pin_blocks_at_once_and_again_without_a_try(softhsm: SoftHsm, module: Module) -> None:
    calls: list[int] = []

    def count(real: Callable[..., int], *arguments: int) -> int:
        calls.append(1)
        return real(*arguments)

    with spoiled(module, C_Login=count):
        for _ in range(3):
            with pytest.raises(PinBlocked):
                softhsm.device("a", pin="wrong-pin", module=module).start()
    assert len(calls) == 1


def test_a_pin_that_was_changed_meanwhile_blocks_the_new_login(device: Device, module: Module) -> None:
    _log_out(device)
    with spoiled(module, C_Login=answer(PIN_INCORRECT)), pytest.raises(PinBlocked):
        device.wrap(DEK)
    with pytest.raises(PinBlocked, match="not tried again"):
        device.wrap(DEK)


def test_another_process_s_login_counts_as_ours(softhsm: SoftHsm, device: Device, module: Module) -> None:
    second = softhsm.device("a", module=module)
    second.start()
    assert second.unwrap(device.wrap(DEK)) == DEK
    assert second._sessions.logins == 0


def test_many_threads_and_faults_give_right_answers_or_errors(device: Device, module: Module) -> None:
    """One call in fifty fails; nothing hangs, and nothing is ever wrong."""
    wrapped = device.wrap(DEK)
    lock, calls, failures = threading.Lock(), [0], [0]

    def sometimes(real: Callable[..., int], *arguments: int) -> int:
        with lock:
            calls[0] += 1
            hit = calls[0] % 50 == 0
        codes = (SESSION_HANDLE_INVALID, DEVICE_ERROR, OPERATION_ACTIVE, USER_NOT_LOGGED_IN)
        return codes[calls[0] // 50 % 4] if hit else real(*arguments)

    def work() -> None:
        for _ in range(250):
            try:
                assert device.unwrap(wrapped) == DEK
            except SlotUnavailable:
                failures[0] += 1

    with spoiled(module, C_DecryptInit=sometimes):
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert calls[0] >= 2000
    assert failures[0] < 60
    assert device._sessions.open <= 8


def test_a_wrong_length_or_an_unknown_way_never_reaches_the_token(device: Device) -> None:
    wrapped = device.wrap(DEK)
    for way in ("aes-ecb", "", "shamir"):
        with pytest.raises(IntegrityError):
            device.unwrap(type(wrapped)(m=way, k=wrapped.k, iv=wrapped.iv, ct=wrapped.ct))
    with pytest.raises(IntegrityError, match="no CKA_ID"):
        device.unwrap(type(wrapped)(m="aes-gcm", k="0xzz", iv=wrapped.iv, ct=wrapped.ct))
    with pytest.raises(BadConfig, match="32 bytes, not 31"):
        device.wrap(bytes(31))


def test_a_wrapped_key_of_another_size_is_no_key(device: Device, module: Module) -> None:
    def shorten(real: Callable[..., int], *arguments: int) -> int:
        code = real(*arguments)
        if code == OK and arguments[3]:
            ctypes.c_ulong.from_address(arguments[4]).value = 16
        return code

    wrapped = device.wrap(DEK)
    with spoiled(module, C_Decrypt=shorten), pytest.raises(IntegrityError, match="not a key of 32"):
        device.unwrap(wrapped)


def test_two_programs_that_make_the_same_version_do_not_leave_two(device: Device, module: Module) -> None:
    """Another program makes the same version between our look and our key: ours is taken back."""

    def twice(real: Callable[..., int], *arguments: int) -> int:
        handle = ctypes.c_ulong()
        real(*arguments[:4], ctypes.addressof(handle))
        return real(*arguments)

    with spoiled(module, C_GenerateKey=twice), pytest.raises(KeyAmbiguous):
        device.generate_kek("aes", modifiable=False)
    found = device.keys()
    assert [version.version for version in found] == ["v0001", "v0002"]


@pytest.mark.parametrize("interrupted", [False, True], ids=["full", "killed"])
def test_half_a_pair_of_keys_hinders_no_later_one(
    softhsm: SoftHsm, module: Module, *, interrupted: bool
) -> None:
    """The token is full when the second key is to be made, or the process ends between the two."""
    device = softhsm.device("a", module=module, mechanism="AES_CBC_HMAC")
    device.start()
    count = 0

    def second_fails(real: Callable[..., int], *arguments: int) -> int:
        nonlocal count
        count += 1
        return DEVICE_MEMORY if count == 2 else real(*arguments)

    ended = {"C_DestroyObject": lambda _real, *_arguments: GENERAL_ERROR} if interrupted else {}
    with spoiled(module, C_GenerateKey=second_fails, **ended), pytest.raises(SlotUnavailable):
        device.generate_kek("aes+hmac", modifiable=False)
    assert device.keys() == []
    made = device.generate_kek("aes+hmac", modifiable=False)
    assert made.version == ("v0002" if interrupted else "v0001")
    assert device.unwrap(device.wrap(DEK)) == DEK


def test_errors_tell_no_secrets(device: Device, module: Module) -> None:
    from tests.hsm.tokens import PIN

    for code in (GENERAL_ERROR, DEVICE_ERROR, PIN_INCORRECT, 0x80000042):
        _log_out(device)
        with (
            spoiled(module, C_Login=answer(code), C_EncryptInit=answer(code)),
            pytest.raises(HsmError) as raised,
        ):
            device.wrap(DEK)
        shown = f"{raised.value!r} {raised.value.__cause__!r}"
        assert PIN not in shown
        assert DEK.hex() not in shown


def test_a_key_that_is_missing_after_a_retry_and_was_never_there_is_missing(
    device: Device, module: Module
) -> None:
    with (
        spoiled(module, C_FindObjects=answer(SESSION_HANDLE_INVALID, times=1)),
        pytest.raises(KeyMissing),
    ):
        device.sign("absent", b"1", "ECDSA", bytes(32))


def test_a_configured_version_is_found_among_newer_ones(
    softhsm: SoftHsm, device: Device, module: Module
) -> None:
    device.generate_kek("aes", modifiable=False)
    second = softhsm.device("a", module=module, key_id=b"v0002")
    second.start()
    assert second.wrap(DEK).k == "v0002"


def test_threads_that_lose_their_sessions_together_log_in_once(device: Device, module: Module) -> None:
    barrier, calls = threading.Barrier(4), [0]

    def count(real: Callable[..., int], *arguments: int) -> int:
        calls[0] += 1
        return real(*arguments)

    def work() -> None:
        tries = [0]

        def lose(_: object) -> None:
            tries[0] += 1
            if tries[0] == 1:
                barrier.wait(60)
                raise pkcs11.SessionHandleInvalid

        device._sessions.run(lose, "lose")

    _log_out(device)
    with spoiled(module, C_Login=count):
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert calls[0] == 1


def test_logins_made_again_leave_no_sessions_open(device: Device, module: Module) -> None:
    opened = [0]

    def count(by: int) -> Callable[..., int]:
        def counted(real: Callable[..., int], *arguments: int) -> int:
            opened[0] += by
            return real(*arguments)

        return counted

    with spoiled(module, C_OpenSession=count(1), C_CloseSession=count(-1)):
        for _ in range(20):
            _log_out(device)
            device.wrap(DEK)
    assert opened[0] <= 1
