# SPDX-License-Identifier: EUPL-1.2
"""The inventory of keys of real servers with SoftHSM tokens: what lies where, no PIN is told, and nobody waits."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.hsm.tokens import PIN, SoftHsm
from tests.integration.processes import PATIENCE
from tests.integration.sealed_site import Site, begin, make, migrate
from tests.integration.softhsm import CONFIGS, HSM, hsm_server, token
from tests.integration.test_external_keys import _agents

__all__ = ["token"]

INVENTORY = "sys/crypto/inventory?limit=1000&profile=anssi"
Ask = Callable[[str, str], tuple[int, Any]]


def _rows(ask: Ask) -> dict[str, Any]:
    status, answer = ask("GET", INVENTORY)
    assert status == 200, answer
    assert PIN not in json.dumps(answer)
    return {row["id"]: row for row in answer["data"]["inventory"]}


def test_a_key_in_a_token_is_listed_and_is_no_reason_to_wait_when_the_token_hangs(
    tmp_path: Path, token: SoftHsm
) -> None:
    with hsm_server(tmp_path, token, more="") as (server, client):
        assert client.ask("POST", f"{CONFIGS}/c", HSM)[0] == 204
        for key in ("k", "later"):
            assert (
                client.ask("POST", f"{CONFIGS}/c/keys/{key}", {"label": "p256", "verify": key == "k"})[0]
                == 204
            )
        row = _rows(client.ask)["external/c:k"]
        assert (row["origin"], row["algorithm"], row["bits"], row["state"]) == (
            "hsm",
            "ecdsa-p256-sha256",
            256,
            "active",
        )
        assert row["location"] == "pkcs11: token_label a, label p256"
        (agent,) = _agents(server.process.pid)
        assert (
            client.ask(
                "POST", f"{CONFIGS}/c/keys/k2", {"label": "p256", "id": "7630303031", "verify": False}
            )[0]
            == 204
        )
        os.kill(agent, signal.SIGSTOP)
        began = time.monotonic()
        away = _rows(client.ask)["external/c:k2"]
        assert time.monotonic() - began < PATIENCE / 2
        assert (away["state"], away["check"]["status"]) == ("unreachable", "warning")
        os.kill(agent, signal.SIGCONT)


def test_the_key_of_a_seal_slot_is_listed_with_its_size_and_its_token(tmp_path: Path) -> None:
    site = Site(tmp_path)
    begin(site, "three shares", make)
    begin(site, "token a", migrate)
    with site.serving(site.seal("hsm-a")):
        assert site.opened()
        deadline = time.monotonic() + PATIENCE
        row = _rows(site.ask)["seal/slot/hsm-a"]
        while not row["bits"] and time.monotonic() < deadline:
            time.sleep(0.1)
            row = _rows(site.ask)["seal/slot/hsm-a"]
        assert (row["origin"], row["algorithm"], row["bits"], row["pq"]) == ("hsm", "aes-256-gcm", 256, "pq")
        assert "kek" in row["location"] and "SoftHSM" in row["location"]
        assert row["state"] == "active" and row["version"]
