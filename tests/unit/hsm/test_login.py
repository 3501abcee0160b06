# SPDX-License-Identifier: EUPL-1.2
"""The gate before a login: a wrong PIN is tried once on this machine, and by nobody again."""

import hashlib
import threading
from pathlib import Path
from typing import Any

import pkcs11
import pytest

from hsm.errors import BadConfig, PinBlocked
from hsm.login import LoginGate
from hsm.pin import Pin
from hsm.runtime import boot_id, runtime_directory

RIGHT, WRONG = Pin(b"right-3141"), Pin(b"wrong-2718")


class Token:
    """Counts tries, and knows the right PIN. A try takes as long as nobody else tries, for `seconds` at most."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.tries = 0
        self._seconds = seconds
        self._another = threading.Event()

    def login(self, pin: Pin) -> None:
        self.tries += 1
        if self.tries > 1:
            self._another.set()
        self._another.wait(self._seconds)
        if pin.reveal() != RIGHT.reveal():
            raise pkcs11.PinIncorrect


def _try(gate: LoginGate, token: Token, pin: Pin, serial: str = "0011") -> None:
    with gate.attempt(serial, pin):
        token.login(pin)


def test_the_right_pin_leaves_no_marker(tmp_path: Path) -> None:
    gate, token = LoginGate(tmp_path / "run", "boot"), Token()
    _try(gate, token, RIGHT)
    _try(gate, token, RIGHT)
    assert token.tries == 2
    assert [p.name.split("-")[0] for p in (tmp_path / "run").iterdir()] == ["login"]


def test_a_wrong_pin_is_tried_once_by_any_number_of_processes(tmp_path: Path) -> None:
    token = Token(seconds=0.3)
    blocked: list[str] = []

    def process() -> None:
        try:
            _try(LoginGate(tmp_path / "run", "boot"), token, WRONG)
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
    gate = LoginGate(tmp_path / "run", "boot")
    with pytest.raises(PinBlocked, match="the PIN is wrong"):
        _try(gate, token, WRONG)
    _try(gate, token, RIGHT)
    _try(gate, token, RIGHT, "0022")
    with pytest.raises(PinBlocked, match="the PIN is wrong"):
        _try(gate, token, WRONG, "0022")
    with pytest.raises(PinBlocked, match="the PIN is wrong"):
        _try(LoginGate(tmp_path / "run", "next boot"), token, WRONG)
    assert token.tries == 5
    for path in (tmp_path / "run").iterdir():
        assert b"wrong" not in path.read_bytes() + path.name.encode()
        assert path.stat().st_mode & 0o077 == 0


def test_the_message_names_the_marker_and_removing_it_helps(tmp_path: Path) -> None:
    gate, token = LoginGate(tmp_path / "run", "boot"), Token()
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
    gate = LoginGate(tmp_path / "run", "boot")
    for _ in range(2):
        with pytest.raises(PinBlocked) as raised, gate.attempt("1", RIGHT):
            raise error
        assert raised.value.ckr == error.__name__


def test_a_device_that_is_gone_is_not_the_pin_s_fault(tmp_path: Path) -> None:
    gate = LoginGate(tmp_path / "run", "boot")
    with pytest.raises(pkcs11.DeviceRemoved), gate.attempt("1", RIGHT):
        raise pkcs11.DeviceRemoved
    assert not list((tmp_path / "run").glob("pin-*"))


def test_a_directory_that_others_could_use_is_refused(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o755)
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    for directory in (shared, link):
        with pytest.raises(BadConfig, match="mode 0700"), LoginGate(directory, "boot").attempt("1", RIGHT):
            pass
    (tmp_path / "file").touch()
    for directory in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(BadConfig, match="cannot be made"), LoginGate(directory, "b").attempt("1", RIGHT):
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


def test_one_gate_hashes_a_pin_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[bytes] = []
    real = hashlib.scrypt

    def counting(password: bytes, **how: Any) -> bytes:
        hashed.append(password)
        return real(password, **how)

    monkeypatch.setattr("hsm.login.hashlib.scrypt", counting)
    gate, token = LoginGate(tmp_path / "run", "boot"), Token()
    for _ in range(2):
        _try(gate, token, RIGHT)
    _try(gate, token, RIGHT, "0022")
    with pytest.raises(PinBlocked):
        _try(gate, token, WRONG, "0022")
    assert hashed == [RIGHT.reveal(), RIGHT.reveal(), WRONG.reveal()]
