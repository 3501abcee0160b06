# SPDX-License-Identifier: EUPL-1.2
"""`kill -9` of the real server under write load: what was acknowledged is there, what was revoked stays so."""

import http.client
import json
import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.fuzz.process import PATIENCE, Answer, Client, VaultProcess, initialised
from tests.receipts import Receipt, outcomes, receipt_of

CLIENTS = 4
_LOST = (OSError, http.client.HTTPException)
"""What a client sees when the server dies under it: the request may or may not have happened."""


@dataclass
class Acknowledged:
    """What one client was told had happened."""

    secrets: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    """Accessor by token, of those whose revocation was never even asked for."""
    revoked: dict[str, str] = field(default_factory=dict)
    receipts: list[Receipt] = field(default_factory=list)
    """Log and number of each outcome that an answer named."""

    @property
    def count(self) -> int:
        return len(self.secrets) + len(self.tokens) + 2 * len(self.revoked)


class Writer(threading.Thread):
    """A client that writes secrets and makes and revokes tokens until its server is gone; `done` takes each answer."""

    def __init__(self, vault: VaultProcess, name: str, seed: int, done: threading.Semaphore) -> None:
        super().__init__(name=name, daemon=True)
        self.told = Acknowledged()
        self.problem = ""
        self._client = vault.client()
        self._chance = random.Random(seed)
        self._done = done

    def run(self) -> None:
        number = 0
        try:
            while not self.problem:
                self._step(number)
                self._done.release()
                number += 1
        except _LOST:
            pass
        finally:
            self._client.close()

    def _step(self, number: int) -> None:
        choice = self._chance.random()
        if choice < 0.5:
            self._write(f"{self.name}/{number % 40}", f"{self.name} {number} {'x' * (number % 700)}")
        elif choice < 0.75 or not self.told.tokens:
            self._create()
        else:
            self._revoke()

    def _write(self, path: str, value: str) -> None:
        before = self.told.secrets.pop(path, None)  # in flight, either value may be found
        answer = self._client.request("POST", f"/v1/secret/data/{path}", {"data": {"value": value}})
        if self._told(answer, 200) or before is None:
            self.told.secrets[path] = value

    def _create(self) -> None:
        answer = self._client.request("POST", "/v1/auth/token/create", {"policies": ["default"]})
        if self._told(answer, 200):
            auth = answer.json()["auth"]
            self.told.tokens[auth["client_token"]] = auth["accessor"]

    def _revoke(self) -> None:
        token, accessor = self._chance.choice(list(self.told.tokens.items()))
        del self.told.tokens[token]
        body, name = ({"token": token}, "revoke")
        if self._chance.random() < 0.5:
            body, name = ({"accessor": accessor}, "revoke-accessor")
        if self._told(self._client.request("POST", f"/v1/auth/token/{name}", body), 204):
            self.told.revoked[token] = accessor

    def _told(self, answer: Answer, expected: int) -> bool:
        if answer.status != expected:
            self.problem = f"{self.name} got {answer.status} instead of {expected}"
        self.told.receipts.append(receipt_of(answer))
        return answer.status == expected


def _load_and_kill(vault: VaultProcess, number: int, chance: random.Random) -> list[Acknowledged]:
    """Put the server under load, kill it after as many answers as chance chose, and return what clients were told."""
    done = threading.Semaphore(0)
    writers = [
        Writer(vault, f"r{number}c{client}", chance.random().__hash__(), done) for client in range(CLIENTS)
    ]
    for writer in writers:
        writer.start()
    for _ in range(chance.randrange(20, 150)):
        assert done.acquire(timeout=PATIENCE), [writer.problem for writer in writers]
    threading.Event().wait(chance.uniform(0, 0.01))  # never set: the kill may fall anywhere into a request
    vault.kill()
    for writer in writers:
        writer.join(PATIENCE)
        assert not writer.is_alive()
        assert not writer.problem, writer.problem
    return [writer.told for writer in writers]


def _check(vault: VaultProcess, told: Acknowledged) -> None:
    with vault.client() as client:
        _check_secrets(client, told)
        _check_tokens(client, told)


def _check_secrets(client: Client, told: Acknowledged) -> None:
    for path, value in told.secrets.items():
        answer = client.request("GET", f"/v1/secret/data/{path}")
        assert answer.status == 200, f"{path}: an acknowledged write is gone"
        assert answer.json()["data"]["data"] == {"value": value}


def _check_tokens(client: Client, told: Acknowledged) -> None:
    for token, accessor in told.tokens.items():
        assert _alive(client, token), "an acknowledged token is gone"
        found = client.request("POST", "/v1/auth/token/lookup-accessor", {"accessor": accessor})
        assert found.status == 200, "an acknowledged accessor is gone"
    for token, accessor in told.revoked.items():
        assert not _alive(client, token), "an acknowledged revocation was undone"
        found = client.request("POST", "/v1/auth/token/lookup-accessor", {"accessor": accessor})
        assert found.status in {400, 403, 404}, found.body


def _alive(client: Client, token: str) -> bool:
    status = client.request("GET", "/v1/auth/token/lookup-self", token=token).status
    assert status in {200, 403}
    return status == 200


def _check_audit(vault: VaultProcess, start: int) -> int:
    """Parse each line of the audit file from `start` on; return where it ends."""
    with vault.audit.open("rb") as file:
        file.seek(start)
        for line in file:
            assert line.endswith(b"\n"), line[-80:]
            assert json.loads(line)["type"] in {"request", "response"}
        return file.tell()


def _check_log(vault: VaultProcess, told: Sequence[Acknowledged]) -> None:
    """What was answered is in the log, whole and in its order: the log goes on after a kill, and none begins."""
    recorded = outcomes(vault.folder / "log")
    assert len({log for log, _ in recorded}) == 1
    named = {receipt for one in told for receipt in one.receipts}
    assert {recorded.get(receipt) for receipt in named} == {"success"}


def _kill_rounds(folder: Path, rounds: int) -> tuple[int, int]:
    """Kill so many times, on one vault; check each round by itself and, at the end, all of them once more."""
    chance = random.Random(rounds)
    everything: list[Acknowledged] = []
    audited = 0
    with initialised(folder) as vault:
        for number in range(rounds):
            told = _load_and_kill(vault, number, chance)
            vault.start()
            audited = _check_audit(vault, audited)
            _check_log(vault, told)
            vault.unseal()
            for one in (*told, *chance.sample(everything, min(2, len(everything)))):
                _check(vault, one)
            everything += told
        for one in everything:
            _check(vault, one)
        _check_audit(vault, 0)
        _check_log(vault, everything)
    log = vault.log.read_text(errors="replace")
    assert "Traceback" not in log and "defect" not in log
    return sum(one.count for one in everything), sum(len(one.revoked) for one in everything)


def test_three_kills_of_the_server_under_load_lose_nothing(tmp_path: Path) -> None:
    acknowledged, _ = _kill_rounds(tmp_path, 3)
    assert acknowledged > 20


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_two_hundred_kills_of_the_server_under_load_lose_nothing(tmp_path: Path) -> None:
    acknowledged, revoked = _kill_rounds(tmp_path, 200)
    print(f"200 kills, {acknowledged} acknowledged changes, {revoked} of them revocations")  # noqa: T201 -- the figure is the result
    assert acknowledged > 5000 and revoked > 500
