# SPDX-License-Identifier: EUPL-1.2
"""The gate before a login: a wrong PIN is tried once on this machine, and by nobody again."""

import contextlib
import hashlib
import os
import threading
import time
from pathlib import Path
from typing import Any

import pkcs11
import pytest

from hsm.agent.session.login import GUESSES, GUESSING_SECONDS, LoginGate
from hsm.errors import BadConfig, PinBlocked, SlotUnavailable
from hsm.pin import Pin
from hsm.runtime import boot_id, runtime_directory
from hsm.token_info import FINAL_TRY, LOCKED, WRONG_TRIED

RIGHT, WRONG = Pin(b"right-3141"), Pin(b"wrong-2718")


class Token:
    """Counts tries, and knows the right PIN. A try takes as long as nobody else tries, for `seconds` at most."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.tries = 0
        self.flags = 0
        self._seconds = seconds
        self._another = threading.Event()

    def login(self, pin: Pin) -> None:
        self.tries += 1
        if self.tries > 1:
            self._another.set()
        self._another.wait(self._seconds)
        if pin.reveal() != RIGHT.reveal():
            self.flags |= WRONG_TRIED
            raise pkcs11.PinIncorrect
        self.flags = 0


def _gate(directory: Path, boot: str, **how: Any) -> LoginGate:
    """A gate that hashes PINs a thousand times as fast."""
    return LoginGate(directory, boot, cost=16, **how)


def _try(gate: LoginGate, token: Token, pin: Pin, serial: str = "0011") -> None:
    with gate.attempt(serial, pin, lambda: token.flags):
        token.login(pin)


def test_the_right_pin_leaves_no_marker(tmp_path: Path) -> None:
    gate, token = _gate(tmp_path / "run", "boot"), Token()
    _try(gate, token, RIGHT)
    _try(gate, token, RIGHT)
    assert token.tries == 2
    assert sorted(p.name.split("-")[0] for p in (tmp_path / "run").iterdir()) == ["login", "pin"]
    assert not list((tmp_path / "run").glob("pin-refused-*"))


def test_a_wrong_pin_is_tried_once_by_any_number_of_processes(tmp_path: Path) -> None:
    token = Token(seconds=0.3)
    blocked: list[str] = []

    def process() -> None:
        try:
            _try(_gate(tmp_path / "run", "boot"), token, WRONG)
        except PinBlocked as error:
            blocked.append(str(error))

    threads = [threading.Thread(target=process) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert token.tries == 1
    assert len(blocked) == 8
    assert sum("not tried again" in text for text in blocked) == 7


def test_what_the_marker_is_named_after(tmp_path: Path) -> None:
    token = Token()
    gate = _gate(tmp_path / "run", "boot")
    with pytest.raises(PinBlocked, match="the PIN is wrong"):
        _try(gate, token, WRONG)
    _try(gate, token, RIGHT)
    _try(gate, token, RIGHT, "0022")
    with pytest.raises(PinBlocked, match="the PIN is wrong"):
        _try(gate, token, WRONG, "0022")
    with pytest.raises(PinBlocked, match="the PIN is wrong"):
        _try(_gate(tmp_path / "run", "next boot"), token, WRONG)
    assert token.tries == 5
    for path in (tmp_path / "run").iterdir():
        assert b"wrong" not in path.read_bytes() + path.name.encode()
        assert path.stat().st_mode & 0o077 == 0


def test_the_message_names_the_marker_and_removing_it_helps(tmp_path: Path) -> None:
    gate, token = _gate(tmp_path / "run", "boot"), Token()
    with pytest.raises(PinBlocked):
        _try(gate, token, WRONG)
    (marker,) = (tmp_path / "run").glob("pin-refused-*")
    with pytest.raises(PinBlocked, match=f"remove {marker}"):
        _try(gate, token, WRONG)
    marker.unlink()
    with pytest.raises(PinBlocked, match="the PIN is wrong"):
        _try(gate, token, WRONG)


@pytest.mark.parametrize("error", [pkcs11.PinLocked, pkcs11.PinExpired, pkcs11.UserPinNotInitialized])
def test_an_answer_that_cost_no_try_leaves_no_marker(tmp_path: Path, error: type[pkcs11.PKCS11Error]) -> None:
    gate = _gate(tmp_path / "run", "boot")
    for _ in range(2):
        with pytest.raises(PinBlocked) as raised, gate.attempt("1", RIGHT, int):
            raise error
        assert raised.value.ckr == error.__name__


def test_a_device_that_is_gone_is_not_the_pin_s_fault(tmp_path: Path) -> None:
    gate = _gate(tmp_path / "run", "boot")
    with pytest.raises(pkcs11.DeviceRemoved), gate.attempt("1", RIGHT, int):
        raise pkcs11.DeviceRemoved
    assert not list((tmp_path / "run").glob("pin-*"))


class Died(BaseException):
    """The process ended here."""


def _die(gate: LoginGate, token: Token, pin: Pin, directory: Path) -> None:
    """Try, and leave the directory as a process leaves it that dies before it hears the answer."""
    left: list[tuple[Path, bytes]] = []
    with contextlib.suppress(Died), gate.attempt("0011", pin, lambda: token.flags):
        with contextlib.suppress(pkcs11.PKCS11Error):
            token.login(pin)
        left = [(path, path.read_bytes()) for path in directory.glob("pin-*")]
        raise Died
    for path, content in left:
        path.write_bytes(content)


def test_a_wrong_pin_that_nobody_heard_of_is_tried_once(tmp_path: Path) -> None:
    gate, token = _gate(tmp_path, "boot"), Token()
    tmp_path.chmod(0o700)
    _die(gate, token, WRONG, tmp_path)
    for _ in range(2):
        with pytest.raises(PinBlocked, match="a process that tried this PIN had no clear answer") as raised:
            _try(gate, token, WRONG)
    (left,) = tmp_path.glob("pin-tried-*")
    assert f"remove {left}" in str(raised.value)
    assert token.tries == 1
    _try(gate, token, RIGHT)
    with pytest.raises(PinBlocked, match="the PIN is wrong"):
        _try(gate, token, WRONG)
    assert not left.exists()


class Mumbler(Token):
    """A token that answers a wrong PIN with a code that does not speak of it; `tells` is whether its flags do."""

    def __init__(self, answer: pkcs11.PKCS11Error, *, tells: bool) -> None:
        super().__init__()
        self._answer = answer
        self._tells = tells

    def login(self, pin: Pin) -> None:
        try:
            super().login(pin)
        except pkcs11.PinIncorrect:
            self.flags = WRONG_TRIED if self._tells else 0
            raise self._answer from None


_UNCLEAR = [
    pkcs11.PKCS11Error("Unmapped error code 0x80000042"),
    pkcs11.PKCS11Error("Unmapped error code 0x200"),
    pkcs11.GeneralError(),
    pkcs11.FunctionFailed(),
    pkcs11.ArgumentsBad(),
]


@pytest.mark.parametrize("answer", _UNCLEAR, ids=repr)
def test_a_wrong_pin_behind_another_code_is_tried_once_where_the_token_tells(
    tmp_path: Path, answer: pkcs11.PKCS11Error
) -> None:
    gate, token = _gate(tmp_path / "run", "boot"), Mumbler(answer, tells=True)
    with pytest.raises(PinBlocked, match="the token has seen a wrong PIN") as raised:
        _try(gate, token, WRONG)
    assert raised.value.ckr == "PinIncorrect"
    token.flags = 0  # somebody else logged in with the right one since
    for _ in range(3):
        with pytest.raises(PinBlocked, match="not tried again"):
            _try(_gate(tmp_path / "run", "boot"), token, WRONG)
    assert token.tries == 1
    _try(gate, token, RIGHT)


@pytest.mark.parametrize("answer", _UNCLEAR, ids=repr)
def test_a_wrong_pin_behind_another_code_locks_no_token_that_never_tells(
    tmp_path: Path, answer: pkcs11.PKCS11Error
) -> None:
    token = Mumbler(answer, tells=False)
    with pytest.raises(type(answer)):
        _try(_gate(tmp_path / "run", "boot"), token, WRONG)
    with pytest.raises(pkcs11.DeviceRemoved), _gate(tmp_path / "run", "boot").attempt("0011", WRONG, int):
        raise pkcs11.DeviceRemoved  # which makes nobody forget
    with pytest.raises(PinBlocked, match="2 times in a row"):
        _try(_gate(tmp_path / "run", "boot"), token, WRONG)
    for _ in range(3):
        with pytest.raises(PinBlocked, match="not tried again"):
            _try(_gate(tmp_path / "run", "boot"), token, WRONG)
    assert token.tries == 2


def test_a_device_that_answers_unclearly_for_once_is_asked_again(tmp_path: Path) -> None:
    gate, token = _gate(tmp_path / "run", "boot"), Token()
    for _ in range(3):
        with pytest.raises(pkcs11.GeneralError), gate.attempt("0011", RIGHT, int):
            raise pkcs11.GeneralError
        _try(gate, token, RIGHT)
    assert token.tries == 3


class Unwell(Token):
    """A token that answers every login with a general failure."""

    def login(self, pin: Pin) -> None:
        self.tries += 1
        raise pkcs11.GeneralError


def test_a_pin_that_was_taken_before_outlives_unclear_answers_which_come_ever_more_seldom(
    tmp_path: Path,
) -> None:
    now = [1000.0]
    gate = _gate(tmp_path / "run", "boot", now=lambda: now[0])
    _try(gate, Token(), RIGHT)
    unwell = Unwell()
    for _ in range(3600):
        with pytest.raises((pkcs11.GeneralError, SlotUnavailable)):
            _try(gate, unwell, RIGHT)
        now[0] += 1
    assert unwell.tries == 2 + 6  # then after 30, 60, 120, 240, 480 and 960 seconds
    with pytest.raises(SlotUnavailable, match=r"8 unclear answers in a row; it is tried again in \d+ s"):
        _try(_gate(tmp_path / "run", "boot", now=lambda: now[0]), Token(), RIGHT)
    now[0] += 1920
    _try(gate, Token(), RIGHT)
    with pytest.raises(pkcs11.GeneralError), gate.attempt("0011", RIGHT, int):
        raise pkcs11.GeneralError
    _try(gate, Token(), RIGHT)


def test_a_pin_that_was_taken_before_and_that_the_token_calls_wrong_is_not_tried_again(
    tmp_path: Path,
) -> None:
    gate, token = _gate(tmp_path / "run", "boot"), Mumbler(pkcs11.GeneralError(), tells=True)
    with gate.attempt("0011", WRONG, int):
        pass  # it was right then
    for _ in range(3):
        with pytest.raises(PinBlocked):
            _try(gate, token, WRONG)
    assert token.tries == 1


def test_a_token_that_cannot_be_asked_what_it_saw_is_asked_before_the_next_login(tmp_path: Path) -> None:
    gate, token = _gate(tmp_path / "run", "boot"), Mumbler(pkcs11.GeneralError(), tells=True)
    asked: list[int] = []

    def flags() -> int:
        asked.append(1)
        if len(asked) == 2:
            raise pkcs11.TokenNotPresent
        return token.flags

    with pytest.raises(pkcs11.GeneralError), gate.attempt("0011", WRONG, flags):
        token.login(WRONG)
    with pytest.raises(PinBlocked, match="had no clear answer"), gate.attempt("0011", WRONG, flags):
        token.login(WRONG)
    assert token.tries == 1


@pytest.mark.parametrize(
    "answer",
    [
        pkcs11.DeviceError(),
        pkcs11.DeviceRemoved(),
        pkcs11.TokenNotPresent(),
        pkcs11.SessionHandleInvalid(),
        pkcs11.PKCS11Error("Unmapped error code 0x190"),
    ],
    ids=repr,
)
def test_a_device_that_is_away_is_asked_for_ever(tmp_path: Path, answer: pkcs11.PKCS11Error) -> None:
    gate = _gate(tmp_path / "run", "boot")
    for _ in range(5):
        with pytest.raises(type(answer)), gate.attempt("1", RIGHT, lambda: WRONG_TRIED):
            raise answer
    assert not list((tmp_path / "run").glob("pin-*"))


def test_guests_guess_no_more_often_where_answers_are_unclear(tmp_path: Path) -> None:
    guest = _gate(tmp_path / "run", "boot", guest=True)
    token = Mumbler(pkcs11.FunctionFailed(), tells=False)
    for number in range(GUESSES):
        with pytest.raises(pkcs11.FunctionFailed):
            _try(guest, token, Pin(b"guess %d" % number))
    with pytest.raises(PinBlocked, match="3 wrong PINs were given"):
        _try(guest, token, Pin(b"another"))
    assert token.tries == GUESSES


def test_a_login_that_was_cut_off_is_made_again_where_the_token_saw_no_wrong_pin(tmp_path: Path) -> None:
    gate, token = _gate(tmp_path, "boot"), Token()
    tmp_path.chmod(0o700)
    _die(gate, token, RIGHT, tmp_path)
    assert list(tmp_path.glob("pin-tried-*"))
    _try(gate, token, RIGHT)
    assert not list(tmp_path.glob("pin-tried-*"))


def test_a_login_that_could_lock_the_token_is_not_tried(tmp_path: Path) -> None:
    token = Token()
    for flags, force, problem in (
        (FINAL_TRY, False, "force_pin_final_try"),
        (LOCKED, False, "is locked"),
        (LOCKED | FINAL_TRY, True, "is locked"),
    ):
        token.flags = flags
        with pytest.raises(PinBlocked, match=problem):
            _try(_gate(tmp_path / "run", "boot", force=force), token, RIGHT)
    assert token.tries == 0
    for flags, force in ((0, False), (WRONG_TRIED, False), (0x80000, False), (FINAL_TRY, True)):
        token.flags = flags
        _try(_gate(tmp_path / "run", "boot", force=force), token, RIGHT)
    assert token.tries == 4


def test_guests_cost_the_token_of_a_seal_no_try(tmp_path: Path) -> None:
    token, clock = Token(), [1000.0]
    seal = _gate(tmp_path / "run", "boot", now=lambda: clock[0])
    guest = _gate(tmp_path / "run", "boot", guest=True, now=lambda: clock[0])
    _try(seal, token, RIGHT)
    for number in range(GUESSES):
        with pytest.raises(PinBlocked, match="with another PIN"):
            _try(guest, token, Pin(b"guess %d" % number))
        clock[0] += 1
    for pin in (RIGHT, WRONG):  # that the right one is refused too is what makes guessing slow
        with pytest.raises(PinBlocked, match="3 wrong PINs were given for it; none is looked at for 597 s"):
            _try(guest, token, pin)
    assert token.tries == 1
    _try(seal, token, RIGHT)
    clock[0] += GUESSING_SECONDS - 2
    _try(guest, token, RIGHT)
    assert token.tries == 3


def test_guests_of_a_token_that_no_seal_is_on_guess_seldom(tmp_path: Path) -> None:
    token, clock = Token(), [1000.0]
    guest = _gate(tmp_path / "run", "boot", guest=True, now=lambda: clock[0])
    for number in range(GUESSES):
        with pytest.raises(PinBlocked, match="the PIN is wrong"):
            _try(guest, token, Pin(b"guess %d" % number))
    with pytest.raises(PinBlocked, match="none is looked at for 600 s"):
        _try(guest, token, RIGHT)
    assert token.tries == GUESSES
    clock[0] += GUESSING_SECONDS
    with pytest.raises(PinBlocked, match="was wrong before") as raised:
        _try(guest, token, Pin(b"guess 0"))
    assert str(tmp_path) not in str(raised.value)
    _try(guest, token, RIGHT)


def test_a_pin_of_the_seal_that_is_refused_is_no_measure_for_guests_any_longer(tmp_path: Path) -> None:
    seal, guest = (_gate(tmp_path / "run", "boot", guest=guest) for guest in (False, True))
    _try(seal, Token(), RIGHT)
    changed = Token()
    with pytest.raises(PinBlocked, match="the PIN is wrong"), seal.attempt("0011", RIGHT, int):
        raise pkcs11.PinIncorrect
    with pytest.raises(PinBlocked, match="the PIN is wrong"):
        _try(guest, changed, WRONG)
    assert changed.tries == 1


def test_a_directory_that_others_could_use_is_refused(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o755)
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    for directory in (shared, link):
        with (
            pytest.raises(BadConfig, match="mode 0700"),
            _gate(directory, "boot").attempt("1", RIGHT, int),
        ):
            pass
    (tmp_path / "file").touch()
    for directory in (tmp_path / "file", tmp_path / "file" / "below"):
        with (
            pytest.raises(BadConfig, match="cannot be made"),
            _gate(directory, "b").attempt("1", RIGHT, int),
        ):
            pass


def test_where_markers_go(monkeypatch: pytest.MonkeyPatch) -> None:
    assert runtime_directory({"RUNTIME_DIRECTORY": "/run/a:/run/b", "XDG_RUNTIME_DIR": "/x"}) == Path(
        "/run/a/coffre-hsm"
    )
    assert runtime_directory({"RUNTIME_DIRECTORY": "relative", "XDG_RUNTIME_DIR": "/x"}) == Path(
        "/x/coffre-hsm"
    )
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert runtime_directory({}) == Path("/run/coffre-hsm")
    monkeypatch.setattr("os.geteuid", lambda: 1234)
    assert runtime_directory({}) == Path("/tmp/coffre-hsm-1234")


def test_a_boot_has_an_id() -> None:
    assert len(boot_id()) == 36


def test_one_gate_hashes_a_pin_once_and_slowly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[tuple[bytes, int]] = []
    real = hashlib.scrypt

    def counting(password: bytes, **how: Any) -> bytes:
        hashed.append((password, how["n"]))
        return real(password, **how)

    monkeypatch.setattr("hsm.agent.session.login.hashlib.scrypt", counting)
    gate, token = LoginGate(tmp_path / "run", "boot"), Token()
    for _ in range(2):
        _try(gate, token, RIGHT)
    _try(gate, token, RIGHT, "0022")
    with pytest.raises(PinBlocked):
        _try(gate, token, WRONG, "0022")
    slow = 1 << 14
    assert hashed == [(RIGHT.reveal(), slow), (RIGHT.reveal(), slow), (WRONG.reveal(), slow)]


def test_guesses_are_counted_by_the_clock_that_nobody_sets_and_not_past_a_boot(tmp_path: Path) -> None:
    before = time.monotonic()
    for place in range(GUESSES):
        with pytest.raises(PinBlocked):
            _try(_gate(tmp_path / "run", "boot", guest=True), Token(), Pin(b"guess %d" % place))
    (guesses,) = (tmp_path / "run").glob("guesses-*")
    assert all(before - 1 <= moment <= time.monotonic() for moment in map(float, guesses.read_text().split()))
    with pytest.raises(PinBlocked, match="none is looked at"):
        _try(_gate(tmp_path / "run", "boot", guest=True), Token(), RIGHT)
    _try(_gate(tmp_path / "run", "next boot", guest=True), Token(), RIGHT)


def test_what_a_server_noted_by_another_clock_keeps_nobody_waiting(tmp_path: Path) -> None:
    gate = _gate(tmp_path / "run", "boot")
    _try(gate, Token(), RIGHT)
    for _ in range(2):
        with pytest.raises(pkcs11.GeneralError):
            _try(gate, Unwell(), RIGHT)
    (tried,) = (tmp_path / "run").glob("pin-tried-*")
    with pytest.raises(SlotUnavailable):
        _try(gate, Token(), RIGHT)
    os.utime(tried, (time.time(), time.time()))
    _try(gate, Token(), RIGHT)
