# SPDX-License-Identifier: EUPL-1.2
"""A server that is killed while keys change has the old state or the new one: no version is ever lost or half.

Keys are rotated and trimmed, imported and restored.
"""

import base64
import random
from pathlib import Path
from typing import Any

from tests.churn import Churn
from tests.conformance.moved_keys import secret_of, wrap
from tests.fuzz.process import Client, VaultProcess

TEXT = base64.b64encode(b"kept").decode()
KEEPS = 3
"""Versions that are kept when older ones are trimmed."""
KILLS = 4
VERSIONS = 20
"""Versions of the two keys that take each other's place."""


def data(client: Client, path: str, body: object = None) -> Any:
    answer = client.request("POST" if body is not None else "GET", f"/v1/transit/{path}", body)
    assert answer.status == 200, answer.body
    return answer.json()["data"]


class Rotation(Churn):
    """Rotates and trims without end. Its rounds are the versions that were acknowledged."""

    def __init__(self, vault: VaultProcess, texts: dict[int, str], begin: int) -> None:
        super().__init__(vault, begin)
        self.texts = texts
        """A ciphertext of each version that was told of."""
        self.oldest = max(1, begin - KEEPS - 1)

    def go_round(self, client: Client) -> int:
        latest: int = data(client, "keys/k/rotate", {})["latest_version"]
        self.texts[latest] = data(client, "encrypt/k", {"plaintext": TEXT})["ciphertext"]
        self.rounds = latest  # what follows may fail
        oldest = max(1, latest - KEEPS)
        bounds = {"min_decryption_version": oldest, "min_encryption_version": oldest}
        data(client, "keys/k/config", bounds)
        data(client, "keys/k/trim", {"min_available_version": oldest})
        self.oldest = oldest
        return latest


def _whole(vault: VaultProcess, churn: Rotation) -> None:
    """Every version that the key says it has decrypts, and none of those before it comes back."""
    with vault.client() as client:
        shown = data(client, "keys/k")
        latest, first = shown["latest_version"], shown["min_decryption_version"]
        assert churn.rounds <= latest <= churn.rounds + 1
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
            churn = Rotation(vault, texts, seen)
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


class Movement(Churn):
    """Imports keys and versions, and restores one of two keys in the place of the other, without end."""

    def __init__(self, vault: VaultProcess, backups: tuple[str, str], begin: int) -> None:
        super().__init__(vault, begin)
        self.backups = backups
        self._sealed: dict[str, str] = {}

    def go_round(self, client: Client) -> int:
        if not self._sealed:
            public = data(client, "wrapping_key")["public_key"]
            self._sealed = {"ciphertext": wrap(secret_of("bytes32"), public)}
        self._send(client, f"keys/new{self.rounds}/import", self._sealed)
        self._send(client, "keys/i/import_version", self._sealed)
        backup = self.backups[self.rounds % 2]
        self._send(client, "restore", {"backup": backup, "force": True})
        return self.rounds + 1

    @staticmethod
    def _send(client: Client, path: str, body: object) -> None:
        answer = client.request("POST", f"/v1/transit/{path}", body)
        assert answer.status in {204, 400} and (answer.status == 204 or b"existing key" in answer.body), (
            answer.body
        )


def _moved_whole(
    vault: VaultProcess, movement: Movement, texts: tuple[dict[int, str], dict[int, str]]
) -> None:
    """What was imported encrypts, or is not there; of the two keys one is there, with all its versions and no other's."""
    with vault.client() as client:
        for number in range(movement.rounds + 1):
            there = client.request("GET", f"/v1/transit/keys/new{number}").status == 200
            assert there or number == movement.rounds
            if there:
                made = data(client, f"encrypt/new{number}", {"plaintext": TEXT})["ciphertext"]
                assert data(client, f"decrypt/new{number}", {"ciphertext": made})["plaintext"] == TEXT
        latest = data(client, "keys/i")["latest_version"]
        for version in range(1, latest + 1):
            made = data(client, "encrypt/i", {"plaintext": TEXT, "key_version": version})["ciphertext"]
            assert data(client, "decrypt/i", {"ciphertext": made})["plaintext"] == TEXT
        opened = [
            [
                client.request("POST", "/v1/transit/decrypt/r", {"ciphertext": text}).status
                for text in each.values()
            ]
            for each in texts
        ]
        assert sorted(opened) == [[200] * len(texts[0]), [400] * len(texts[1])], opened


def test_a_kill_within_import_and_restore_leaves_the_old_state_or_the_new_one(tmp_path: Path) -> None:
    chance = random.Random(21)
    vault = VaultProcess(tmp_path)
    try:
        vault.start()
        vault.initialise()
        with vault.client() as client:
            client.request("POST", "/v1/sys/mounts/transit", {"type": "transit"})
            sealed = wrap(secret_of("bytes32"), data(client, "wrapping_key")["public_key"])
            body = {"ciphertext": sealed, "exportable": True, "allow_plaintext_backup": True}
            assert client.request("POST", "/v1/transit/keys/i/import", body).status == 204
            kept = []
            for _ in range(2):
                data(client, "keys/r", {"exportable": True, "allow_plaintext_backup": True})
                texts = {}
                for version in range(1, VERSIONS + 1):
                    texts[version] = data(client, "encrypt/r", {"plaintext": TEXT})["ciphertext"]
                    data(client, "keys/r/rotate", {})
                kept.append((data(client, "backup/r")["backup"], texts))
                data(client, "keys/r/config", {"deletion_allowed": True})
                assert client.request("DELETE", "/v1/transit/keys/r").status == 204
            (first, one), (second, other) = kept
            assert client.request("POST", "/v1/transit/restore", {"backup": first}).status == 204
        rounds = 0
        for _ in range(KILLS):
            movement = Movement(vault, (first, second), rounds)
            movement.start()
            movement.reach(rounds + chance.randrange(1, 5))
            vault.kill()
            movement.join()
            vault.start()
            vault.unseal()
            _moved_whole(vault, movement, (one, other))
            rounds = movement.rounds
    finally:
        vault.stop()
