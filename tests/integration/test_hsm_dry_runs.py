# SPDX-License-Identifier: EUPL-1.2
"""A dry run of a `vaultctl hsm` command changes nothing and refuses what the command would, in the same words."""

import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.hsm.shell import Shell, new_shell
from tests.hsm.tokens import SoftHsm
from vaultctl.tree.hsm import COMMANDS

_SCRIPT = """title = "t"
place = "p"
{evidence}
[[participant]]
name = "A"
role = "r"
public_key = "a.pem"
[[participant]]
name = "B"
role = "r"
public_key = "b.pem"
[[step]]
by = "A"
text = "t"
"""


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A shell on a token `a` without a key."""
    softhsm = SoftHsm(tmp_path / "softhsm")
    softhsm.initialise("a")
    return new_shell(softhsm, tmp_path)


@pytest.fixture
def keyed(tmp_path: Path) -> Shell:
    """A shell on a token `a` with two versions of the key, which were made unmodifiable."""
    softhsm = SoftHsm(tmp_path / "softhsm")
    made = new_shell(softhsm, tmp_path)

    def make() -> None:
        softhsm.initialise("a")
        for command in ("generate-kek", "rotate-kek"):
            made.run(command)

    softhsm.kept("two versions", make)
    return made


def ceremony_files(folder: Path, script: str = _SCRIPT.format(evidence="")) -> None:
    """A script, its participants' keys, and a file in the transcript's place."""
    (folder / "script.toml").write_text(script)
    for name in ("a", "b"):
        key = Ed25519PrivateKey.generate()
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (folder / f"{name}.key").write_bytes(private)
        (folder / f"{name}.pem").write_bytes(public)
    (folder / "taken.json").write_text("kept")


def action(name: str) -> str:
    """A script with one step of such an action."""
    return _SCRIPT.format(evidence="").replace('text = "t"', f'action = "{name}"')


def kept(shell: Shell) -> dict[str, bytes]:
    """Every file but what a login changes: the token's own object, and what servers tell each other of logins."""
    passing = {"token.object", "generation", "token.lock"}
    return {
        str(path): path.read_bytes()
        for path in shell.folder.rglob("*")
        if path.is_file() and path.name not in passing and path.parent.name != "coffre-hsm"
    }


def said(shell: Shell, words: list[str]) -> tuple[int, str]:
    """How a command ends and what it says, on both outputs."""
    command = [sys.executable, "-m", "vaultctl", "hsm", *words]
    done = subprocess.run(
        command,
        input="",
        env=shell.environment,
        cwd=shell.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


_NO_KEY: list[tuple[list[str], str]] = [
    (["list-slots", "-lib=/nowhere.so"], "lib /nowhere.so: is no PKCS#11 module"),
    (["list-slots", "-lib=/etc/passwd"], "lib /etc/passwd: is no PKCS#11 module"),
    (["probe", "-lib=/etc/passwd"], "lib /etc/passwd: is no PKCS#11 module"),
    (["probe", "-token-label=c"], "token with label c: not present"),
    (["probe", "-token-label=", "-token-serial=1"], "token with serial 1: not present"),
    (["probe", "-pin=file:///nowhere"], "pin file /nowhere: cannot be read"),
    (["probe", "-pin=file:///wrong"], "PIN"),
    (["probe", "-pin="], "standard input is not a terminal"),
    (["generate-kek", "-token-label=c"], "token with label c: not present"),
    (["generate-kek", "-pin=file:///wrong"], "PIN"),
    (["generate-kek", "-etm", "-alg=rsa3072"], "-etm goes with an AES key"),
    (["generate-kek", "-key-label="], "-key-label: name the key that wraps"),
    (["rotate-kek"], "the token has none that encrypts"),
    (["retire-kek", "v0001"], "the token has no version v0001"),
    (["import-kek"], "Component of the first custodian is needed"),
    (["import-kek", "-token-label=c"], "token with label c: not present"),
    (["test"], "the token has none that encrypts"),
    (["test", "-count=0"], "-count: must be at least 1"),
    (["test", "-token-label=c"], "token with label c: not present"),
    (["ceremony", "run", "gone.toml", "t.json"], "gone.toml"),
    (["ceremony", "run", "script.toml", "taken.json"], "taken.json: cannot be made: File exists"),
    (["ceremony", "run", "script.toml", "nowhere/t.json"], "nowhere/t.json: cannot be made: No such file"),
    (["ceremony", "run", "record-key.toml", "t.json"], "the token has none that encrypts"),
    (["ceremony", "run", "test.toml", "t.json"], "the token has none that encrypts"),
    (["ceremony", "run", "-token-label=c", "record-token.toml", "t.json"], "token with label c"),
    (["ceremony", "run", "-token-label=c", "generate-kek.toml", "t.json"], "token with label c"),
    (["ceremony", "sign", "taken.json"], "-name and -key: say who signs"),
    (["ceremony", "sign", "-name=A", "-key=a.key", "taken.json"], "taken.json"),
    (["ceremony", "verify", "taken.json"], "taken.json"),
]
"""Commands that a token without a key refuses, or whoever calls so, and what is said to it."""

_KEYED: list[tuple[list[str], str]] = [
    (["generate-kek"], "the token has it already (versions v0001, v0002)"),
    (["retire-kek", "v0001"], "was made unmodifiable and cannot be retired on the token"),
    (["retire-kek", "v0002"], "version v0002 is the newest, which wraps"),
    (["test", "-mechanism=RSA_PKCS_OAEP"], "is an AES key; set mechanism to AES_GCM"),
    (["test", "-mechanism=AES_CBC_HMAC"], "it needs a second key"),
    (["ceremony", "run", "generate-kek.toml", "t.json"], "the token has it already"),
    (["ceremony", "run", "-mechanism=RSA_PKCS_OAEP", "test.toml", "t.json"], "is an AES key"),
]
"""The same on a token that has two versions."""


def command_of(words: list[str]) -> tuple[str, ...]:
    """The words of a command line that name the command."""
    return tuple(words[: 2 if words[0] == "ceremony" else 1])


def _sampled(cases: list[tuple[list[str], str]]) -> list[object]:
    """The first case of each command and of each refusal is always played, all others in the soak."""
    seen: set[object] = set()
    sampled: list[object] = []
    for words, told in cases:
        new = {command_of(words), told} - seen
        seen |= new
        sampled.append(pytest.param(words, told, marks=() if new else pytest.mark.soak))
    return sampled


def refused_both_times(shell: Shell, words: list[str], told: str) -> None:
    """Check that a command is refused as a dry run and in earnest, in these words, and the dry run did nothing."""
    if "-token-label=" in words:
        del shell.environment["BAO_HSM_TOKEN_LABEL"]
    if "-key-label=" in words:
        del shell.environment["BAO_HSM_KEY_LABEL"]
    if "-pin=" in words:
        del shell.environment["BAO_HSM_PIN"]
    (shell.folder / "wrong").write_text("wrong-pin")
    (shell.folder / "wrong").chmod(0o400)
    ceremony_files(shell.folder)
    for name in ("record-token", "generate-kek", "record-key", "test"):
        (shell.folder / f"{name}.toml").write_text(action(name))
    words = [word.replace("/wrong", f"{shell.folder}/wrong") for word in words if not word.endswith("=")]
    command = command_of(words)
    before = kept(shell)
    code, tried = said(shell, [*command, "-dry-run", *words[len(command) :]])
    assert (code != 0, told in tried) == (True, True), tried
    assert kept(shell) == before
    again, done = said(shell, words)
    assert told in done
    assert again == code


@pytest.mark.parametrize(("words", "told"), _sampled(_NO_KEY), ids=str)
def test_what_a_command_refuses_its_dry_run_refuses(shell: Shell, words: list[str], told: str) -> None:
    refused_both_times(shell, words, told)


@pytest.mark.parametrize(("words", "told"), _KEYED, ids=str)
def test_what_a_key_refuses_a_dry_run_refuses(keyed: Shell, words: list[str], told: str) -> None:
    refused_both_times(keyed, words, told)


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.soak)], ids=["each", "all"])
def test_a_dry_run_that_is_not_refused_changes_nothing_and_then_the_command_works(
    shell: Shell, *, every: bool
) -> None:
    """In an order in which each works: the dry run says what would be done, and then it is.

    The first line of each command is always played, all others in the soak.
    """
    played = set()
    ceremony_files(shell.folder, action("generate-kek"))
    (shell.folder / "quiet.toml").write_text(action("record-token"))
    sign = ["ceremony", "sign", "-name=A", "-key=a.key"]
    for words, would in (
        (["list-slots"], "SoftHSM"),
        (["probe"], "Would try in token with label a"),
        (["generate-kek", "-modifiable"], "Would generate (aes) version v0001 of key kek"),
        (["generate-kek", "-key-label=r", "-alg=rsa3072"], "Would generate (rsa3072) version v0001 of key r"),
        (["generate-kek", "-key-label=h", "-etm"], "Would generate (aes+hmac) version v0001 of key h"),
        (["rotate-kek"], "Would generate (aes) version v0002 of key kek"),
        (["rotate-kek", "-key-label=h"], "Would generate (aes+hmac) version v0002 of key h"),
        (["retire-kek", "v0001"], "Would let version v0001 of kek unwrap only"),
        (["test", "-count=3"], "Would wrap with key kek"),
        (["ceremony", "run", "quiet.toml", "t.json"], "Nothing was done and nothing is written"),
        (["ceremony", "run", "-key-label=c", "script.toml", "u.json"], "Would generate (aes) version v0001"),
        ([*sign, "t.json"], "Would add the signature of A"),
        (["ceremony", "verify", "-script=quiet.toml", "t.json"], "B: has not signed"),
    ):
        command = command_of(words)
        if command in played and not every:
            continue
        played.add(command)
        before = kept(shell)
        code, tried = said(shell, [*command, "-dry-run", *words[len(command) :]])
        assert would in tried
        assert kept(shell) == before
        again, done = said(shell, words)
        assert again == code, done


_SERVERS = {
    "hsm rewrap",
    "operator rotate-root",
    *(
        f"operator seal-slots {verb}"
        for verb in ("list", "add", "verify", "promote", "demote", "remove", "rewrap")
    ),
}
"""Commands that ask the server, which `test_slot_dry_runs.py` has."""


def test_every_command_has_a_dry_run_here() -> None:
    assert all(any(flag.name == "dry-run" for flag in command.flags) for command in COMMANDS)
    tried = {f"hsm {' '.join(command_of(words))}" for words, _ in (*_NO_KEY, *_KEYED)}
    assert {command.name for command in COMMANDS} == tried | _SERVERS


def test_evidence_that_is_not_there_is_missed_before_as_well(shell: Shell) -> None:
    ceremony_files(shell.folder, _SCRIPT.format(evidence='evidence = ["gone.txt"]'))
    for more in ([], ["-dry-run"]):
        code, told = said(shell, ["ceremony", "run", *more, "script.toml", "t.json"])
        assert (code, "gone.txt" in told) == (2, True), told
    assert not (shell.folder / "t.json").exists()
