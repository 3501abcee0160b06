# SPDX-License-Identifier: EUPL-1.2
"""vaultctl hsm ceremony as a whole process, on a token of SoftHSM."""

import json
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from hsm.client.report import SOFTWARE_WARNING
from tests.hsm.shell import Shell, new_shell
from tests.hsm.tokens import SOFTHSM, SoftHsm

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


@pytest.fixture
def shell(softhsm: SoftHsm, tmp_path: Path) -> Shell:
    return new_shell(softhsm, tmp_path)


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
    shown = shell.run("ceremony", "verify", "t.json")
    assert "transcript's own word" in shown
    der = subprocess.run(
        ["openssl", "pkey", "-pubin", "-in", shell.folder / "Bob.pem", "-outform", "DER"],
        capture_output=True,
        check=True,
    ).stdout
    assert f"{sha256(der).hexdigest()}  Bob, witness" in shown
    assert "own word" not in shell.run("ceremony", "verify", "-script=script.toml", "t.json")
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


def test_a_transcript_that_one_person_made_up_is_not_of_the_script(shell: Shell) -> None:
    _participants(shell.folder)
    kept = {path: path.read_bytes() for path in shell.folder.glob("*.pem")}
    _participants(shell.folder)
    shell.run("ceremony", "run", "script.toml", "t.json", typed="yes\nE-1\n")
    for name in ("Alice", "Bob"):
        shell.run("ceremony", "sign", f"-name={name}", f"-key={name}.key", "t.json")
    for path, content in kept.items():
        path.write_bytes(content)
    shell.run("ceremony", "verify", "t.json")
    said = shell.run("ceremony", "verify", "-script=script.toml", "t.json", code=2)
    assert "PROBLEM: Alice: is another person or has another key than in the script" in said
    assert "PROBLEM: Bob: is another" in said
    assert "All participants" not in said


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


def test_the_password_of_a_private_key_is_typed_unseen(shell: Shell) -> None:
    _participants(shell.folder, password=b"word")
    shell.run("ceremony", "run", "script.toml", "t.json", typed="", code=2)
    shown, code = shell.typed(["ceremony", "sign", "-name=Bob", "-key=Bob.key", "t.json"], ["word"])
    assert code == 0, shown
    assert "word" not in shown.replace("Password", "")


def _participants(folder: Path, *, password: bytes = b"") -> None:
    (folder / "script.toml").write_text(_SCRIPT)
    for name in ("Alice", "Bob"):
        key = ed25519.Ed25519PrivateKey.generate()
        hiding = BestAvailableEncryption(password) if password else NoEncryption()
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hiding)
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (folder / f"{name}.key").write_bytes(private)
        (folder / f"{name}.pem").write_bytes(public)
