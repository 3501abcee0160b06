# SPDX-License-Identifier: EUPL-1.2
"""Servers of ours that may use a SoftHSM token."""

import base64
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from hsm.operations import GenerateKek
from hsm.versions import KeyVersion
from tests.hsm import pairs
from tests.hsm.tokens import PIN, SOFTHSM, SoftHsm
from tests.integration.processes import PATIENCE, VAULT, Running, config, running
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


TEXT = base64.b64encode(b"card 4711").decode()
_KEKS = {"aes": "aes", "aes-2027": "aes", "rsa": "rsa3072"}


class Bench(NamedTuple):
    """A server with a token, of which transit has the keys `aes`, `rsa`, and `p256`, which only signs."""

    token: SoftHsm
    server: Running
    client: Client
    log: Path
    mount: str

    def data(self, path: str, body: object) -> Any:
        status, answer = self.client.ask("POST", f"{self.mount}/{path}", body)
        assert status == 200, answer
        return answer["data"]

    def refused(self, path: str, body: object) -> tuple[int, str]:
        status, answer = self.client.ask("POST", f"{self.mount}/{path}", body)
        assert status >= 400, answer
        return status, answer["errors"][0]

    def sealed(self, key: str, **more: object) -> str:
        return str(self.data(f"encrypt/{key}", {"plaintext": TEXT, **more})["ciphertext"])

    def agents(self) -> list[int]:
        """Numbers of the server's agents."""
        ours = f"PPid:\t{self.server.process.pid}\n"
        return [
            int(process.name)
            for process in Path("/proc").iterdir()
            if process.name.isdigit()
            and "hsm.agent" in _read(process / "cmdline")
            and ours in _read(process / "status")
        ]

    def insist(self, key: str, ciphertext: str) -> None:
        """Decrypt; what comes while something is away may fail, and what comes after it may not."""
        until = time.monotonic() + PATIENCE
        while True:
            status, answer = self.client.ask(
                "POST", f"{self.mount}/decrypt/{key}", {"ciphertext": ciphertext}
            )
            if status == 200:
                assert answer["data"]["plaintext"] == TEXT
                return
            assert status >= 500, answer
            assert time.monotonic() < until, answer
            time.sleep(0.2)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


@contextmanager
def transit_bench(folder: Path, mount: str = "transit") -> Iterator[Bench]:
    """Start such a server, whose keys are the external keys of a config `c`."""
    token = SoftHsm(folder / "softhsm")
    token.initialise("a")
    with pairs.agent(token, "a") as agent:
        pairs.generate(agent, "p256")
    for label, algorithm in _KEKS.items():
        config = token.agent_config("a", key_label=label)
        with pairs.launched(config, PIN, token.environment) as agent:
            agent.ask_blocking(GenerateKek(algorithm), KeyVersion, 60)
    log = folder / "audit.log"
    audit = f'audit "file" "main" {{ options {{ file_path = "{log}" }} }}'
    with hsm_server(folder, token, more=audit) as (server, client):
        client.ask("POST", f"sys/mounts/{mount}", {"type": "transit"})
        assert client.ask("POST", f"{CONFIGS}/c", HSM)[0] == 204
        for label in (*_KEKS, "p256"):
            body = {"label": label, **({"rsa_oaep_hash": "sha1"} if label == "rsa" else {})}
            assert client.ask("POST", f"{CONFIGS}/c/keys/{label}", body)[0] == 204
            assert client.ask("POST", f"{CONFIGS}/c/keys/{label}/grants/{mount}")[0] == 204
        made = Bench(token, server, client, log, mount)
        for label in ("aes", "rsa", "p256"):
            made.data(f"keys/{label}", {"type": "external-key", "external_key_ref": f"c:{label}"})
        yield made
