# SPDX-License-Identifier: EUPL-1.2
"""A real OpenBao that keeps its root key under a key of our transit: it opens by itself, whatever becomes of the key and of us."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.servers import NotStartedError, OpenBaoServer
from tests.conformance.wire import send
from tests.fuzz.process import VaultProcess, wait_until

POLICY = """
path "transit/encrypt/unseal" { capabilities = ["update"] }
path "transit/decrypt/unseal" { capabilities = ["update"] }
"""


class Rival(OpenBaoServer):
    """OpenBao with recovery keys in the place of unseal keys: who opens it is the seal."""

    def initialise(self) -> None:
        self.root = self._post("init", {"recovery_shares": 1, "recovery_threshold": 1})["root_token"]

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, object]:
        sent = json.dumps(body).encode() if body is not None else None
        answer = send(self.port, method, f"/v1/{path}", {"X-Vault-Token": self.root}, sent)
        return answer.status, answer.json()

    @property
    def open(self) -> bool:
        return send(self.port, "GET", "/v1/sys/health", {}, None).status == 200


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[VaultProcess]:
    vault = VaultProcess(tmp_path)
    try:
        vault.start()
        vault.initialise()
        yield vault
    finally:
        vault.stop()


def _seal(ours: VaultProcess) -> str:
    with ours.client() as client:
        client.request("POST", "/v1/sys/mounts/transit", {"type": "transit"})
        assert client.request("POST", "/v1/transit/keys/unseal", {}).status == 200
        client.request("POST", "/v1/sys/policies/acl/unseal", {"policy": POLICY})
        made = client.request("POST", "/v1/auth/token/create-orphan", {"policies": ["unseal"]})
    return f"""
seal "transit" {{
  address         = "http://127.0.0.1:{ours.port}"
  token           = "{made.json()["auth"]["client_token"]}"
  key_name        = "unseal"
  mount_path      = "transit/"
  disable_renewal = "true"
  tls_skip_verify = "true"
}}
"""


def _rotate(ours: VaultProcess) -> None:
    with ours.client() as client:
        assert client.request("POST", "/v1/transit/keys/unseal/rotate", {}).status == 200


def _opens(rival: Rival) -> None:
    wait_until(lambda: rival.open, lambda: f"it stays sealed:\n{rival.log_tail()}")
    wait_until(lambda: rival.ask("GET", "cubbyhole/kept")[0] == 200, rival.log_tail)


def test_openbao_opens_by_our_transit_across_rotations_and_restarts_of_both(ours: VaultProcess) -> None:
    seal = _seal(ours)
    rival = Rival(seal=seal, lasting=True)
    try:
        rival.initialise()
        wait_until(lambda: rival.ask("POST", "cubbyhole/kept", {"a": "b"})[0] == 204, rival.log_tail)
        for rotations in (1, 2):
            for _ in range(rotations):
                _rotate(ours)
            rival.restart(seal)
            _opens(rival)
        ours.stop()
        ours.start()
        ours.unseal()
        rival.restart(seal)
        _opens(rival)
        with ours.client() as client:
            assert client.request("DELETE", "/v1/transit/keys/unseal/soft-delete").status == 200
        with pytest.raises(NotStartedError, match="refusing to use soft-deleted key"):
            rival.restart(seal)
    finally:
        rival.stop()
