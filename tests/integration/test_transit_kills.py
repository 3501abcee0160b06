# SPDX-License-Identifier: EUPL-1.2
"""A server that is killed while it rotates and trims a key has the old state or the new one: no version is ever lost or half."""

import base64
import contextlib
import http.client
import random
import threading
from pathlib import Path
from typing import Any

from tests.fuzz.process import Client, VaultProcess, wait_until

TEXT = base64.b64encode(b"kept").decode()
KEEPS = 3
"""Versions that are kept when older ones are trimmed."""
KILLS = 4


def data(client: Client, path: str, body: object = None) -> Any:
    answer = client.request("POST" if body is not None else "GET", f"/v1/transit/{path}", body)
    assert answer.status == 200, answer.body
    return answer.json()["data"]


class Churn:
    """Rotates and trims without end, and knows what was acknowledged."""

    def __init__(self, vault: VaultProcess, texts: dict[int, str]) -> None:
        self.vault = vault
        self.texts = texts
        """A ciphertext of each version that was told of."""
        self.oldest = 1
        self.acknowledged = 0
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def reach(self, version: int) -> None:
        """Wait until that version was told of."""
        wait_until(lambda: self.acknowledged >= version, lambda: "it stands still", pause=0.001)

    def join(self) -> None:
        self._thread.join()

    def _run(self) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException), self.vault.client() as client:
            while True:
                latest = data(client, "keys/k/rotate", {})["latest_version"]
                self.texts[latest] = data(client, "encrypt/k", {"plaintext": TEXT})["ciphertext"]
                self.acknowledged = latest
                oldest = max(1, latest - KEEPS)
                bounds = {"min_decryption_version": oldest, "min_encryption_version": oldest}
                data(client, "keys/k/config", bounds)
                data(client, "keys/k/trim", {"min_available_version": oldest})
                self.oldest = oldest


def _whole(vault: VaultProcess, churn: Churn) -> None:
    """Every version that the key says it has decrypts, and none of those before it comes back."""
    with vault.client() as client:
        shown = data(client, "keys/k")
        latest, first = shown["latest_version"], shown["min_decryption_version"]
        assert churn.acknowledged <= latest <= churn.acknowledged + 1
        assert churn.oldest <= first <= max(churn.oldest, latest - KEEPS)
        assert shown["min_available_version"] in {0, first, churn.oldest}
        assert sorted(map(int, shown["keys"])) == list(range(first, latest + 1))
        for version, text in churn.texts.items():
            answer = client.request("POST", "/v1/transit/decrypt/k", {"ciphertext": text})
            assert answer.status == (200 if version >= first else 400), (version, first, answer.body)
        for version in range(first, latest + 1):
            made = data(client, "encrypt/k", {"plaintext": TEXT, "key_version": version})["ciphertext"]
            assert data(client, "decrypt/k", {"ciphertext": made})["plaintext"] == TEXT


def test_a_kill_within_rotate_and_trim_leaves_the_old_state_or_the_new_one(tmp_path: Path) -> None:
    chance = random.Random(20)
    vault = VaultProcess(tmp_path)
    texts: dict[int, str] = {}
    try:
        vault.start()
        vault.initialise()
        with vault.client() as client:
            client.request("POST", "/v1/sys/mounts/transit", {"type": "transit"})
            data(client, "keys/k", {})
        seen = 1
        for _ in range(KILLS):
            churn = Churn(vault, texts)
            churn.oldest, churn.acknowledged = max(1, seen - KEEPS - 1), seen
            churn.start()
            churn.reach(seen + chance.randrange(3, 12))
            vault.kill()
            churn.join()
            vault.start()
            vault.unseal()
            _whole(vault, churn)
            with vault.client() as client:
                seen = data(client, "keys/k")["latest_version"]
    finally:
        vault.stop()
