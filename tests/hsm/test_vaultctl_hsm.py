# SPDX-License-Identifier: EUPL-1.2
"""vaultctl hsm as a whole process, on tokens of SoftHSM."""

import asyncio
import json
import os
import pty
import re
import select
import subprocess
import sys
import termios
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from hsm.importing import check_value, combined
from hsm.pkcs11_slot import Pkcs11Slot
from hsm.report import SOFTWARE_WARNING
from hsm.wrapping import Wrapped
from tests.house.tree import ROOT
from tests.hsm.tokens import PIN, SOFTHSM, SoftHsm
from vaultctl.commands.hsm.trial import use
from vaultctl.errors import CommandError

_PROGRAM = [sys.executable, "-m", "vaultctl", "hsm"]
_SCRIPT = """
title = "Keys of the vault"
place = "Room 12"
[[participant]]
name = "Alice"
role = "crypto officer"
public_key = "Alice.pem"
[[participant]]
name = "Bob"
role = "witness"
public_key = "Bob.pem"
[[step]]
by = "Alice"
text = "Opens the bag"
[[step]]
by = "Alice"
action = "record-token"
[[step]]
by = "Alice"
action = "generate-kek"
[[step]]
by = "Alice"
action = "record-key"
[[step]]
by = "Bob"
action = "test"
[[receipt]]
custodian = "Bob"
what = "share 1 of 5"
"""


@dataclass
class Shell:
    """Runs vaultctl where the token `a` and its PIN are named by the environment."""

    folder: Path
    environment: dict[str, str]

    def run(self, *words: str, typed: str = "", code: int = 0) -> str:
        """What it says, after it ended with `code`."""
        command = [*_PROGRAM, *words]
        done = subprocess.run(
            command,
            input=typed,
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert PIN not in done.stdout + done.stderr
        return done.stdout + done.stderr

    def document(self, *words: str) -> Any:
        """What it says to programs."""
        return json.loads(self.run(*words, "-format=json"))


@pytest.fixture
def shell(softhsm: SoftHsm, tmp_path: Path) -> Shell:
    pin = tmp_path / "pin"
    pin.write_text(PIN)
    pin.chmod(0o400)
    return Shell(
        tmp_path,
        {
            **softhsm.environment,
            "PYTHONPATH": f"{ROOT / 'cli'}:{ROOT}",
            "RUNTIME_DIRECTORY": str(tmp_path),
            "BAO_HSM_LIB": SOFTHSM,
            "BAO_HSM_TOKEN_LABEL": "a",
            "BAO_HSM_KEY_LABEL": "kek",
            "BAO_HSM_PIN": f"file://{pin}",
        },
    )


def test_tokens_are_listed_without_a_pin(shell: Shell) -> None:
    del shell.environment["BAO_HSM_PIN"]
    table = shell.run("list-slots")
    assert SOFTWARE_WARNING in table
    found = shell.document("list-slots")
    assert {token["label"] for token in found} == {"a", "b"}
    assert "AES_GCM" in found[0]["mechanisms"]
    assert found[0]["software"] is True
    assert "Would load" in shell.run("list-slots", "-dry-run")


def test_probe_tells_what_the_token_can_do(shell: Shell) -> None:
    table = shell.run("probe")
    assert f"WARNING: {SOFTWARE_WARNING}" in table
    assert "Mechanisms for a seal: AES_GCM, AES_CBC_HMAC" in table
    found = shell.document("probe")
    assert found["warnings"] == [SOFTWARE_WARNING]
    assert {trial["outcome"] for trial in found["trials"]} == {"yes", "no"}
    assert "Would log in to token with label a" in shell.run("probe", "--dry-run")


def test_a_key_is_made_rotated_retired_and_tried(shell: Shell) -> None:
    assert "Would generate (aes) version v0001" in shell.run("generate-kek", "--dry-run")
    made = shell.document("generate-kek", "-modifiable")
    assert (made["version"], made["kind"], made["protected"]) == ("v0001", "aes", True)
    assert re.fullmatch("[0-9a-f]{6}", made["check_value"])
    assert "has it already (versions v0001)" in shell.run("generate-kek", code=1)
    assert "Would generate (aes) version v0002" in shell.run("rotate-kek", "--dry-run")
    assert "v0002" in shell.run("rotate-kek")
    assert "v0002 is the newest" in shell.run("retire-kek", "v0002", code=1)
    assert "no version v0009" in shell.run("retire-kek", "v0009", code=1)
    assert "Would let version v0001" in shell.run("retire-kek", "--dry-run", "v0001")
    assert "v0001 of kek only unwraps" in shell.run("retire-kek", "v0001")
    assert "unwrap 1000 times" in shell.run("test", "--dry-run")
    tried = shell.document("test", "-count=5")
    assert (tried["key_version"], tried["changed_record"], tried["unwraps"]) == ("v0002", "refused", 5)
    assert "aes-gcm" in shell.run("test", "-count=1")


@pytest.mark.parametrize(
    ("flags", "kind"), [(["-etm"], "aes+hmac"), (["-alg=rsa3072"], "rsa")], ids=["etm", "rsa"]
)
def test_rotation_keeps_the_kind_of_key(shell: Shell, flags: list[str], kind: str) -> None:
    shell.run("generate-kek", *flags)
    made = shell.document("rotate-kek")
    assert made["version"] == "v0002"
    assert (made["kind"] == "rsa") == (kind == "rsa")
    assert made["authenticated"] == (kind == "aes+hmac")
    if kind == "rsa":
        assert made["check_value"] == ""


def test_what_cannot_be_meant_is_refused(shell: Shell) -> None:
    for words, says in (
        (["test", "-lib=softhsm.so"], "-lib: name the PKCS#11 module by its absolute path"),
        (["test", "-key-label="], "-key-label"),
        (["generate-kek", "-etm", "-alg=rsa3072"], "-etm goes with an AES key"),
        (["test", "-count=0"], "-count: must be at least 1"),
        (["probe", "-pin=hunter2"], "-pin: names where the PIN is"),
        (["probe", "-pin=env://SECRET"], "-pin: names where the PIN is"),
    ):
        shell.environment["BAO_HSM_KEY_LABEL"] = "" if words[-1] == "-key-label=" else "kek"
        told = shell.run(*words, code=1)
        assert says in told
        assert "hunter2" not in told
    del shell.environment["BAO_HSM_TOKEN_LABEL"]
    assert "-token-label: name the token" in shell.run("probe", code=1)


def test_a_device_that_fails_is_another_exit_code(shell: Shell) -> None:
    shell.run("generate-kek")
    assert "is no PKCS#11 module" in shell.run("test", "-lib=/nowhere.so", code=2)
    assert "not present" in shell.run("test", "-token-label=c", code=2)
    assert "the token has none that encrypts" in shell.run("test", "-key-label=other", code=2)


def test_without_a_pin_source_and_a_terminal_it_says_so(shell: Shell) -> None:
    del shell.environment["BAO_HSM_PIN"]
    assert "standard input is not a terminal" in shell.run("generate-kek", code=1)
    assert "-non-interactive forbids" in shell.run("generate-kek", "-non-interactive", code=1)


def test_a_ceremony_is_gone_through_signed_and_verified(shell: Shell) -> None:
    _participants(shell.folder)
    assert "Nothing was done" in shell.run("ceremony", "run", "--dry-run", "script.toml", "t.json")
    typed = "bag 0815\nyes\nE-0042\n"
    assert "SHA-256 of what is signed" in shell.run("ceremony", "run", "script.toml", "t.json", typed=typed)
    assert "File exists" in shell.run("ceremony", "run", "script.toml", "t.json", code=1)
    assert "Bob: has not signed" in shell.run("ceremony", "verify", "t.json", code=2)
    for name in ("Alice", "Bob"):
        command = ("ceremony", "sign", f"-name={name}", f"-key={name}.key")
        assert "Would add" in shell.run(*command, "-dry-run", "t.json")
        shell.run(*command, "t.json")
    assert "All participants have signed: Alice, Bob" in shell.run("ceremony", "verify", "t.json")
    found = shell.run("ceremony", "verify", "-format=json", "t.json")
    transcript = json.loads(found)["transcript"]
    steps = [step["found"] for step in transcript["steps"]]
    assert steps[0] == {"remarks": "bag 0815"}
    assert steps[1]["protection"] == SOFTWARE_WARNING
    assert steps[2]["check_value"] == steps[3]["check_value"]
    assert steps[4]["changed_record"] == "refused"
    assert transcript["receipts"][0]["envelope"] == "E-0042"
    assert transcript["complete"] is True
    assert SOFTHSM in [evidence["path"] for evidence in transcript["evidence"]]


@pytest.mark.parametrize("typed", ["stop\n", "", "yes\nstop\n"])
def test_a_ceremony_that_is_stopped_is_written_down_as_such(shell: Shell, typed: str) -> None:
    _participants(shell.folder)
    shell.run("ceremony", "run", "script.toml", "t.json", typed=typed, code=2)
    assert "WARNING: the ceremony was stopped" in shell.run("ceremony", "verify", "t.json", code=2)


def test_a_step_that_fails_ends_the_ceremony(shell: Shell) -> None:
    _participants(shell.folder)
    shell.run("generate-kek")
    assert "failed: key kek: the token has it" in shell.run(
        "ceremony", "run", "script.toml", "t.json", typed="yes\n", code=2
    )
    found = shell.run("ceremony", "verify", "-format=json", "t.json", code=2)
    assert "failed" in json.loads(found)["transcript"]["steps"][-1]["found"]


def test_signing_needs_a_name_and_the_right_key(shell: Shell) -> None:
    _participants(shell.folder)
    shell.run("ceremony", "run", "script.toml", "t.json", typed="", code=2)
    assert "-name and -key" in shell.run("ceremony", "sign", "t.json", code=1)
    wrong = ("ceremony", "sign", "-name=Bob", "-key=Alice.key", "t.json")
    assert "not the private key of the public key" in shell.run(*wrong, code=2)
    absent = ("ceremony", "sign", "-name=Bob", "-key=absent.key", "t.json")
    assert "cannot be read" in shell.run(*absent, code=1)


def test_pin_password_and_components_are_typed_unseen(shell: Shell) -> None:
    del shell.environment["BAO_HSM_PIN"]
    one, other = bytes(range(32)), bytes(range(100, 132))
    shown, code = _typed(shell, ["import-kek"], [PIN, one.hex(), other.hex()])
    assert code == 0, shown
    key = combined([one, other])
    assert f"Check value of this component: {check_value(one)}" in shown
    assert f"Check value of the key: {check_value(key)}" in shown
    assert not {PIN, one.hex(), other.hex(), key.hex()} & set(re.split(r"\s+", shown))
    shown, code = _typed(shell, ["import-kek"], [PIN, "abc"])
    assert code == 1
    assert "must be 64 hexadecimal digits" in shown
    shown, code = _typed(shell, ["import-kek", "-dry-run"], [PIN])
    assert code == 0
    assert "Would import version v0002" in shown
    _participants(shell.folder, password=b"word")
    shell.run("ceremony", "run", "script.toml", "t.json", typed="", code=2)
    shown, code = _typed(shell, ["ceremony", "sign", "-name=Bob", "-key=Bob.key", "t.json"], ["word"])
    assert code == 0, shown


def test_without_the_package_for_tokens_it_says_what_to_install(shell: Shell) -> None:
    shell.environment["PYTHONPATH"] = str(ROOT / "cli")
    command = [sys.executable, "-S", "-m", "vaultctl", "hsm", "list-slots"]
    done = subprocess.run(command, env=shell.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "install coffre with its extra, coffre[hsm]" in done.stderr


class _Liar:
    """A slot that unwraps to something else, or takes a changed record for the right one."""

    def __init__(self, *, forgets: bool) -> None:
        self._forgets = forgets
        self._key = b""

    async def wrap(self, dek: bytes) -> Wrapped:
        self._key = bytes(32) if self._forgets else dek
        return Wrapped(m="aes-gcm", k="v0001", iv=bytes(12), ct=bytes(48))

    async def unwrap(self, wrapped: Wrapped) -> bytes:
        return self._key


@pytest.mark.parametrize(
    ("forgets", "says"),
    [(True, "something else than was wrapped"), (False, "unwrapped a record that was changed")],
)
def test_a_token_that_lies_fails_the_trial(forgets: bool, says: str) -> None:
    with pytest.raises(CommandError, match=says):
        asyncio.run(use(cast("Pkcs11Slot", _Liar(forgets=forgets)), 3))


def _participants(folder: Path, *, password: bytes = b"") -> None:
    (folder / "script.toml").write_text(_SCRIPT)
    for name in ("Alice", "Bob"):
        key = ed25519.Ed25519PrivateKey.generate()
        hiding = BestAvailableEncryption(password) if password else NoEncryption()
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hiding)
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (folder / f"{name}.key").write_bytes(private)
        (folder / f"{name}.pem").write_bytes(public)


def _typed(shell: Shell, words: list[str], texts: list[str]) -> tuple[str, int]:
    """What a terminal shows and the exit code, when each of `texts` is typed at a prompt that does not show it."""
    command = [*_PROGRAM, *words]
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(shell.folder)
        os.execve(command[0], command, shell.environment)  # noqa: S606  # a list, no shell
    shown, waiting = b"", list(texts)
    while select.select([terminal], [], [], 60)[0]:
        try:
            piece = os.read(terminal, 4096)
        except OSError:
            break
        if not piece:
            break
        shown += piece
        prompts = shown.count(b"(will be hidden)")
        if waiting and prompts > len(texts) - len(waiting) and not _echoes(terminal):
            os.write(terminal, waiting.pop(0).encode() + b"\n")
    os.close(terminal)
    return shown.decode(), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _echoes(terminal: int) -> bool:
    return bool(termios.tcgetattr(terminal)[3] & termios.ECHO)
