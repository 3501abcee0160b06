# SPDX-License-Identifier: EUPL-1.2
"""vaultctl hsm as a whole process, on tokens of SoftHSM."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest

from hsm.client.pkcs11_slot import Pkcs11Slot
from hsm.client.report import SOFTWARE_WARNING
from hsm.components import check_value, combine
from hsm.key_slot import WrappedKey
from tests.house.tree import ROOT
from tests.hsm.shell import Shell, new_shell
from tests.hsm.tokens import PIN, SoftHsm
from vaultctl.commands.hsm.roundtrip import use
from vaultctl.errors import CommandError


@pytest.fixture
def shell(softhsm: SoftHsm, tmp_path: Path) -> Shell:
    return new_shell(softhsm, tmp_path)


def test_tokens_are_listed_without_a_pin(shell: Shell) -> None:
    del shell.environment["BAO_HSM_PIN"]
    table = shell.run("list-slots")
    assert SOFTWARE_WARNING in table
    found = shell.document("list-slots")
    assert {token["label"] for token in found} == {"a", "b"}
    assert "AES_GCM" in found[0]["mechanisms"]
    assert found[0]["software"] is True
    assert shell.run("list-slots", "-dry-run") == table


def test_probe_tells_what_the_token_can_do(shell: Shell) -> None:
    table = shell.run("probe")
    assert f"WARNING: {SOFTWARE_WARNING}" in table
    assert "Mechanisms for a seal: AES_GCM, AES_CBC_HMAC" in table
    found = shell.document("probe")
    assert found["warnings"] == [SOFTWARE_WARNING]
    assert {trial["outcome"] for trial in found["trials"]} == {"yes", "no"}
    assert "Would try in token with label a" in shell.run("probe", "--dry-run")


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


def test_pin_and_components_are_typed_unseen(shell: Shell) -> None:
    del shell.environment["BAO_HSM_PIN"]
    one, other = bytes(range(32)), bytes(range(100, 132))
    shown, code = shell.typed(["import-kek"], [PIN, one.hex(), other.hex()])
    assert code == 0, shown
    key = combine([one, other])
    assert f"Check value of this component: {check_value(one)}" in shown
    assert f"Check value of the key: {check_value(key)}" in shown
    assert not {PIN, one.hex(), other.hex(), key.hex()} & set(re.split(r"\s+", shown))
    shown, code = shell.typed(["import-kek"], [PIN, "abc"])
    assert code == 1
    assert "must be 64 hexadecimal digits" in shown
    shown, code = shell.typed(["import-kek", "-dry-run"], [PIN])
    assert code == 0
    assert "Would import version v0002" in shown


def test_without_the_package_for_tokens_it_says_what_to_install(shell: Shell) -> None:
    shell.environment["PYTHONPATH"] = str(ROOT / "cli")
    command = [sys.executable, "-S", "-m", "vaultctl", "hsm", "list-slots"]
    done = subprocess.run(command, env=shell.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "in a checkout, pip install '.[hsm]'" in done.stderr


def test_without_the_binding_alone_it_says_what_to_install_before_it_asks_for_the_pin(shell: Shell) -> None:
    words = ["hsm", "probe", "-lib=/none.so", "-token-label=a"]
    program = (
        f"import sys; sys.modules['pkcs11'] = None; from vaultctl.main import main; sys.exit(main({words}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=shell.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == (
        "this command needs module pkcs11: in a checkout, pip install '.[hsm]'; "
        "from wheels, pip install --no-index --find-links DIR 'coffre[hsm]'\n"
    )


class _Liar:
    """A slot that unwraps to something else, or takes a changed record for the right one."""

    def __init__(self, *, forgets: bool) -> None:
        self._forgets = forgets
        self._key = b""

    async def wrap(self, dek: bytes) -> WrappedKey:
        self._key = bytes(32) if self._forgets else dek
        return WrappedKey(m="aes-gcm", k="v0001", iv=bytes(12), ct=bytes(48))

    async def unwrap(self, wrapped: WrappedKey) -> bytes:
        return self._key


@pytest.mark.parametrize(
    ("forgets", "says"),
    [(True, "something else than was wrapped"), (False, "unwrapped a record that was changed")],
)
def test_a_token_that_lies_fails_the_trial(forgets: bool, says: str) -> None:
    with pytest.raises(CommandError, match=says):
        asyncio.run(use(cast("Pkcs11Slot", _Liar(forgets=forgets)), 3))
