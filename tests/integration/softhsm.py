# SPDX-License-Identifier: EUPL-1.2
"""Servers of ours that may use a SoftHSM token."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.hsm import pairs
from tests.hsm.tokens import PIN, SOFTHSM, SoftHsm
from tests.integration.processes import VAULT, Running, config, running
from tests.integration.test_server_vault import Client
from tests.ports import free_port

CONFIGS = "sys/external-keys/configs"
HSM = {"plugin": "pkcs11", "lib": "soft", "token_label": "a", "pin": PIN}


@pytest.fixture
def token(tmp_path: Path) -> SoftHsm:
    """A token with a key pair on P-256."""
    made = SoftHsm(tmp_path / "softhsm")
    made.initialise("a")
    with pairs.agent(made, "a") as client:
        pairs.generate(client, "p256")
    return made


@contextmanager
def hsm_server(folder: Path, token: SoftHsm, *, more: str) -> Iterator[tuple[Running, Client]]:
    """Start a vault that knows SoftHSM as `soft`; initialise it where it is new, and unseal it.

    `more` stands in its configuration.
    """
    port = free_port()
    environment = {
        "BAO_PKCS11_ALIASES": f"soft={SOFTHSM}",
        "SOFTHSM2_CONF": str(token.configuration),
        "RUNTIME_DIRECTORY": str(token.folder),
    }
    flag = config(folder, port, more=more)
    with running(flag, home=folder, environment=environment, module=VAULT) as server, Client(port) as client:
        keys, root = folder / "key", folder / "root"
        if not keys.exists():
            made = client.ask("POST", "sys/init", {"secret_shares": 1, "secret_threshold": 1})[1]
            keys.write_text(made["keys"][0])
            root.write_text(made["root_token"])
        assert client.ask("POST", "sys/unseal", {"key": keys.read_text()})[0] == 200
        client.token = root.read_text()
        yield server, client
