# SPDX-License-Identifier: EUPL-1.2
"""A development server that a SoftHSM token seals, as `make run HSM=1` starts it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.processes import ROOT, VAULT, free_port, get, refused, running


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    """What `.ci/dev-token` says, for a token that it has just made."""
    vaultctl = tmp_path / "vaultctl"
    vaultctl.write_text(f'#!/bin/sh\nexec {sys.executable} -m vaultctl "$@"\n')
    vaultctl.chmod(0o755)
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
    variables["BAO_HSM_TOKEN_LABEL"] = "another"
    said = refused(*flags, home=tmp_path, environment=variables, module=VAULT)
    assert "the vault cannot be opened: no seal slot answers" in said
    assert "token with label another: not present; the module shows coffre-dev" in said
