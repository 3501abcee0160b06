# SPDX-License-Identifier: EUPL-1.2
"""Servers that a SoftHSM token seals: as `make run HSM=1` starts one, and as vaultctl handles one."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.integration.processes import PATIENCE, ROOT, VAULT, Running, get, refused, running
from tests.ports import free_port


@pytest.fixture
def vaultctl(tmp_path: Path) -> Path:
    """The command line as a program of one word."""
    program = tmp_path / "bin" / "vaultctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m vaultctl "$@"\n')
    program.chmod(0o755)
    return program


@pytest.fixture
def variables(tmp_path: Path, vaultctl: Path) -> dict[str, str]:
    """What `.ci/dev-token` says, for a token that it has just made."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'cli'}", "RUNTIME_DIRECTORY": str(tmp_path)}
    said = subprocess.run(
        [ROOT / ".ci" / "dev-token", tmp_path / "hsm", vaultctl],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    lines = [line.removeprefix("export ") for line in said.splitlines()]
    return {"RUNTIME_DIRECTORY": str(tmp_path), **dict(line.split("=", 1) for line in lines)}


def test_a_token_opens_the_same_vault_again(variables: dict[str, str], tmp_path: Path) -> None:
    port = free_port()
    flags = [f"-dev-storage={tmp_path / 'dev.db'}", f"-dev-listen-address=127.0.0.1:{port}"]
    keys = []
    for _ in range(2):
        with running(*flags, home=tmp_path, environment=variables, module=VAULT) as server:
            server.wait_for("should NOT be used in production installations!")
            server.wait_for("software token: no hardware protection")
            status = json.loads(get(port, "/v1/sys/seal-status")[1])
            assert (status["type"], status["sealed"], status["recovery_seal"]) == ("pkcs11", False, True)
            keys.append([line for line in server.lines if line.startswith(("Recovery Key:", "Root Token:"))])
            assert server.end() == 0
    assert keys[0] == keys[1]
    assert len(keys[0]) == 2


def test_without_its_token_the_server_says_which_slot_is_away(
    variables: dict[str, str], tmp_path: Path
) -> None:
    flags = [f"-dev-storage={tmp_path / 'dev.db'}", f"-dev-listen-address=127.0.0.1:{free_port()}"]
    environment = {**variables, "BAO_HSM_TOKEN_LABEL": "another"}
    done = subprocess.run(
        [sys.executable, "-m", VAULT, *flags],
        cwd=ROOT,
        env={"HOME": str(tmp_path), "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    said = done.stderr.splitlines()[-1]
    assert "error: the vault cannot be opened: no seal slot answers" in said
    assert "token with label another: not present; the module shows coffre-dev" in said


def test_the_five_commands_of_the_document_make_a_sealed_server(vaultctl: Path, tmp_path: Path) -> None:
    document = (ROOT / "docs" / "hsm.md").read_text(encoding="utf-8")
    commands = document.partition("```sh\n")[2].partition("```")[0]
    assert len(commands.splitlines()) == 5
    folder = tmp_path / "empty"
    folder.mkdir()
    port = free_port()
    environment = {
        "HOME": str(tmp_path),
        "PATH": f"{vaultctl.parent}:{os.environ['PATH']}",
        "PYTHONPATH": f"{ROOT}:{ROOT / 'cli'}",
        "RUNTIME_DIRECTORY": str(tmp_path),
        "BAO_DEV_LISTEN_ADDRESS": f"127.0.0.1:{port}",
    }
    before, _, last = commands.rstrip().rpartition("\n")
    process = subprocess.Popen(
        ["bash", "-ec", f"{before}\nexec env {last}"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    server = Running(process)
    try:
        server.wait_for("should NOT be used in production installations!")
        status = json.loads(get(port, "/v1/sys/seal-status")[1])
        assert (status["type"], status["sealed"]) == ("pkcs11", False)
        assert server.end() == 0
    finally:
        process.kill()
        process.wait()
        server.close()


_CONFIGURATION = """
storage "sqlite" {{
  path = "{database}"
}}
listener "tcp" {{
  address     = "127.0.0.1:{port}"
  tls_disable = true
}}
seal "pkcs11" {{
  name        = "hsm-a"
  lib         = "{BAO_HSM_LIB}"
  token_label = "{BAO_HSM_TOKEN_LABEL}"
  key_label   = "{BAO_HSM_KEY_LABEL}"
  pin         = "{BAO_HSM_PIN}"
}}
"""


def test_vaultctl_initialises_a_sealed_server_and_handles_its_slots(
    variables: dict[str, str], tmp_path: Path
) -> None:
    port = free_port()
    with _server(port, variables, tmp_path):
        vaultctl = _Vaultctl(port, tmp_path)
        made = json.loads(vaultctl("operator", "init", "-recovery-shares=3", "-recovery-threshold=2", *_JSON))
        assert len(made["recovery_keys_b64"]) == 3
        assert (made["unseal_keys_b64"], made["unseal_shares"], made["unseal_threshold"]) == ([], 1, 1)
        vaultctl.environment["BAO_TOKEN"] = made["root_token"]
        listing = vaultctl("operator", "seal-slots", "list")
        assert re.search(r"hsm-a +pkcs11 +1 +yes +v0001 +0 +no: software", listing)
        assert "verified       yes" in vaultctl("operator", "seal-slots", "verify", "hsm-a")
        for verb in ("verify", "promote", "demote", "remove", "rewrap"):
            said = vaultctl("operator", "seal-slots", verb, "-dry-run", "hsm-a")
            assert f"Would {verb} slot hsm-a" in said
        for verb, name in (("add", "hsm-a"), ("verify", "shamir"), ("rewrap", "shamir")):
            said = vaultctl("operator", "seal-slots", verb, "-dry-run", name, code=2)
            assert f"Would not {verb} slot {name}: slot {name} " in said
        dropping = ("operator", "rotate-root", "-no-links")
        assert "Would not replace the root key: without links" in vaultctl(*dropping, "-dry-run", code=2)
        assert "open the vault no more: shamir" in vaultctl(*dropping, code=2)
        assert "slot shamir would be dropped" in vaultctl(*dropping, "-drop=shamir", "-dry-run")
        assert "slot shamir is dropped" in vaultctl(*dropping, "-drop=shamir")
        assert "is part of the vault now" in vaultctl("operator", "seal-slots", "add", "shamir")
        said = vaultctl("operator", "seal-slots", "remove", "-dry-run", "shamir")
        assert "Would remove slot shamir" in said
        assert "no longer part" in vaultctl("operator", "seal-slots", "remove", "shamir")
        last = vaultctl("operator", "seal-slots", "remove", "-dry-run", "hsm-a", code=2)
        assert "Would not remove slot hsm-a: slot hsm-a is the last one that works" in last
        assert "is the last one that works" in vaultctl("operator", "seal-slots", "remove", "hsm-a", code=2)
        assert "is part of the vault now" in vaultctl("operator", "seal-slots", "add", "shamir")
        assert "is tried last" in vaultctl("operator", "seal-slots", "demote", "hsm-a")
        assert re.search(r"hsm-a +pkcs11 +2", vaultctl("operator", "seal-slots", "list"))
        assert "is tried first" in vaultctl("operator", "seal-slots", "promote", "hsm-a")
        vaultctl.environment |= {name: value for name, value in variables.items() if name != "BAO_SEAL_TYPE"}
        vaultctl("hsm", "rotate-kek")
        rewrapped = vaultctl("hsm", "rewrap", "hsm-a")
        assert re.search(r"key_version +v0002", rewrapped)
        assert re.search(r"outstanding +0", rewrapped)
        state = json.loads(vaultctl("operator", "seal-slots", "rewrap", "-status", *_JSON, "hsm-a"))
        assert state["data"]["outstanding"] == 0
        assert "no longer part" in vaultctl("operator", "seal-slots", "remove", "hsm-a")
        assert "configured, not added yet" in vaultctl("operator", "seal-slots", "list")
        assert "there is no seal slot hsm-a" in vaultctl(
            "operator", "seal-slots", "remove", "-dry-run", "hsm-a", code=2
        )
        would = vaultctl("operator", "seal-slots", "add", "--dry-run", "hsm-a")
        assert re.search(r"Would add slot hsm-a(.|\n)*^added +-$", would, re.MULTILINE)
        added = vaultctl("operator", "seal-slots", "add", "hsm-a")
        assert "is part of the vault now" in added
        assert re.search(r"added +20\d\d-", added)
        assert "no seal stanza has the name nix" in vaultctl("operator", "seal-slots", "add", "nix", code=2)
        assert "Would not add slot nix" in vaultctl(
            "operator", "seal-slots", "add", "-dry-run", "nix", code=2
        )
        shown = json.loads(vaultctl("operator", "seal-slots", "list", *_JSON))
        assert set(shown["data"]["key_info"]) == {"hsm-a", "shamir"}


def test_a_token_that_is_away_stops_nothing_and_opens_the_vault_when_it_is_back(
    variables: dict[str, str], tmp_path: Path
) -> None:
    port = free_port()
    vaultctl = _Vaultctl(port, tmp_path)
    tokens = tmp_path / "hsm" / "tokens"
    away = tmp_path / "away"
    with _server(port, variables, tmp_path):
        made = json.loads(vaultctl("operator", "init", "-recovery-shares=1", "-recovery-threshold=1", *_JSON))
        vaultctl.environment["BAO_TOKEN"] = made["root_token"]
        vaultctl("secrets", "enable", "-path=secret", "-version=2", "kv")
        vaultctl("kv", "put", "secret/a", "b=c")
        tokens.rename(away)
        assert vaultctl("kv", "get", "-field=b", "secret/a") == "c"
        assert "rewrapping seal slot hsm-a" in vaultctl("hsm", "rewrap", "hsm-a", code=2)
        assert vaultctl("kv", "get", "-field=b", "secret/a") == "c"
    with _server(port, variables, tmp_path):
        assert get(port, "/v1/sys/health")[0] == 503
        assert json.loads(get(port, "/v1/sys/seal-status")[1])["sealed"] is True
        if tokens.exists():  # SoftHSM makes an empty folder where there is none
            shutil.rmtree(tokens)
        away.rename(tokens)
        deadline = time.monotonic() + 10 * PATIENCE
        while get(port, "/v1/sys/health")[0] != 200:
            assert time.monotonic() < deadline, "it does not open by itself"
            time.sleep(0.2)
        assert vaultctl("kv", "get", "-field=b", "secret/a") == "c"


_READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'


def test_storage_that_is_read_only_at_the_start_is_named_and_nothing_is_lost(
    variables: dict[str, str], tmp_path: Path
) -> None:
    port = free_port()
    vaultctl = _Vaultctl(port, tmp_path)
    data = tmp_path / "data"
    data.mkdir()
    with _server(port, variables, tmp_path, data) as server:
        made = json.loads(vaultctl("operator", "init", "-recovery-shares=1", "-recovery-threshold=1", *_JSON))
        vaultctl.environment["BAO_TOKEN"] = made["root_token"]
        vaultctl("secrets", "enable", "-path=secret", "-version=1", "kv")
        vaultctl("kv", "put", "-mount=secret", "a", "b=c")
        server.process.kill()
        server.process.wait()
    before = {path.name: path.read_bytes() for path in data.iterdir()}
    said = refused(
        f"-config={tmp_path / 'config.hcl'}",
        home=tmp_path,
        environment={key: variables[key] for key in ("SOFTHSM2_CONF", "RUNTIME_DIRECTORY")},
        module=VAULT,
        inside=("unshare", "--mount", "--propagation", "private", "sh", "-c", _READ_ONLY, str(data)),
    )
    assert re.fullmatch(f"storage {data}/vault.db.*: it cannot be opened: Read-only file system", said)
    assert {path.name: path.read_bytes() for path in data.iterdir()} == before
    with _server(port, variables, tmp_path, data) as server:
        server.wait_for("vault is unsealed")
        assert vaultctl("kv", "get", "-mount=secret", "-field=b", "a") == "c"


def _server(
    port: int, variables: dict[str, str], folder: Path, data: Path | None = None
) -> contextlib.AbstractContextManager[Running]:
    """A server whose one slot is the token that `variables` name; they themselves are not its environment."""
    configuration = folder / "config.hcl"
    configuration.write_text(
        _CONFIGURATION.format(port=port, database=(data or folder) / "vault.db", **variables)
    )
    environment = {key: variables[key] for key in ("SOFTHSM2_CONF", "RUNTIME_DIRECTORY")}
    return running(f"-config={configuration}", home=folder, environment=environment, module=VAULT)


_JSON = ("-format=json",)


class _Vaultctl:
    """Runs vaultctl against one server."""

    def __init__(self, port: int, home: Path) -> None:
        measuring = {name: value for name, value in os.environ.items() if name.startswith("COV")}
        self.environment = {
            **measuring,
            "HOME": str(home),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{ROOT}:{ROOT / 'cli'}",
            "BAO_ADDR": f"http://127.0.0.1:{port}",
        }

    def __call__(self, *words: str, code: int = 0) -> str:
        command = [sys.executable, "-m", "vaultctl", *words]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr
