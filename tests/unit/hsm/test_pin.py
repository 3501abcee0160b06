# SPDX-License-Identifier: EUPL-1.2
"""Sources of a PIN: what is read, what is refused, and that nothing shows it."""

import os
import pickle
import stat
from pathlib import Path

import pytest

from hsm.errors import BadConfig
from hsm.pin import LiteralPin, Pin, PinMark, pin_source

SECRET = "3141-never-shown"


def _file(folder: Path, content: bytes = SECRET.encode() + b"\n", mode: int = 0o400) -> Path:
    path = folder / "pin"
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_a_pin_hides_in_texts_and_pickles() -> None:
    pin = Pin(SECRET.encode())
    assert SECRET not in f"{pin!r} {pin} {[pin]}"
    with pytest.raises(TypeError):
        pickle.dumps(pin)
    assert pin.reveal() == SECRET.encode()


def test_a_pin_is_known_again_and_gone_once_it_is_handed_over() -> None:
    reading, writing = os.pipe()
    pin = Pin(SECRET.encode())
    mark = PinMark(pin)
    pin.hand_over(writing)
    assert os.read(reading, 100) == SECRET.encode()
    assert pin.reveal() == bytes(len(SECRET))
    assert mark.matches(Pin(SECRET.encode()))
    assert not mark.matches(pin)
    assert not PinMark(pin).matches(Pin(SECRET.encode()))
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n"])
def test_a_file_holds_the_pin_with_or_without_a_line_feed(tmp_path: Path, ending: bytes) -> None:
    path = _file(tmp_path, SECRET.encode() + ending)
    source = pin_source(f"file://{path}", literal=False)
    assert source.read().reveal() == SECRET.encode()
    assert source.warning == ""
    assert str(path) in repr(source)


@pytest.mark.parametrize("mode", [0o404, 0o402, 0o444, 0o420, 0o666])
def test_a_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    path = _file(tmp_path, mode=mode)
    with pytest.raises(BadConfig, match=f"chmod 0400 {path}"):
        pin_source(f"file://{path}", literal=False).read()


def test_a_file_that_is_absent_or_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match=r"absent: cannot be read: No such file"):
        pin_source(f"file://{tmp_path}/absent", literal=False).read()
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name in ("pipe", "."):
        with pytest.raises(BadConfig, match="not a regular file"):
            pin_source(f"file://{tmp_path}/{name}", literal=False).read()


def test_a_file_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _file(tmp_path)
    real = os.fstat

    def other_owner(descriptor: int) -> os.stat_result:
        found = list(real(descriptor))
        found[stat.ST_UID] = 4711
        return os.stat_result(found)

    monkeypatch.setattr(os, "fstat", other_owner)
    with pytest.raises(BadConfig, match="belongs to uid 4711"):
        pin_source(f"file://{path}", literal=False).read()


@pytest.mark.parametrize("content", [b"", b"\n", b"one\ntwo\n", b"nul\0byte", b"x" * 4097])
def test_what_is_no_pin_is_refused_without_being_repeated(tmp_path: Path, content: bytes) -> None:
    path = _file(tmp_path, content)
    with pytest.raises(BadConfig) as raised:
        pin_source(f"file://{path}", literal=False).read()
    assert "one" not in str(raised.value).replace("one line", "")


def test_a_credential_is_below_the_directory_that_systemd_names(tmp_path: Path) -> None:
    _file(tmp_path)
    source = pin_source(
        "credential://pin", literal=False, environment={"CREDENTIALS_DIRECTORY": str(tmp_path)}
    )
    assert source.read().reveal() == SECRET.encode()
    assert "pin" in repr(source)
    with pytest.raises(BadConfig, match="LoadCredential="):
        pin_source("credential://pin", literal=False, environment={}).read()


def test_a_variable_is_read_with_a_warning_and_kept_from_children() -> None:
    source = pin_source("env://HSM_PIN", literal=False, environment={"HSM_PIN": SECRET})
    assert source.read().reveal() == SECRET.encode()
    assert "HSM_PIN" in source.warning
    assert source.hidden_variables == ("HSM_PIN",)
    assert SECRET not in repr(source)
    with pytest.raises(BadConfig, match="pin variable HSM_PIN: is empty"):
        pin_source("env://HSM_PIN", literal=False, environment={}).read()


def test_the_process_s_own_variables_are_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HSM_PIN_OF_THIS_TEST", SECRET)
    assert pin_source("env://HSM_PIN_OF_THIS_TEST", literal=False).read().reveal() == SECRET.encode()


def test_the_pin_itself_is_taken_from_a_file_of_configuration_only() -> None:
    source = pin_source(SECRET, literal=True)
    assert isinstance(source, LiteralPin)
    assert source.read().reveal() == SECRET.encode()
    assert source.warning
    assert SECRET not in repr(source)
    with pytest.raises(BadConfig) as raised:
        pin_source(SECRET, literal=False)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    "text",
    ["", "file://relative", "file://", "credential://", "credential://..", "env://A/B", "credential://a/b"],
)
def test_a_source_without_a_proper_name_is_refused(text: str) -> None:
    with pytest.raises(BadConfig, match="pin: "):
        pin_source(text, literal=True)
