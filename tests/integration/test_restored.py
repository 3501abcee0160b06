# SPDX-License-Identifier: EUPL-1.2
"""A backup that is put in place under running servers: they follow the file, or are sealed; never a mixture."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.process import Client, VaultProcess, beside, initialised, wait_until


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[VaultProcess]:
    """A running server, initialised and unsealed, with a secret and a backup of all that in `backup.db`."""
    with initialised(tmp_path) as running:
        yield running


def copy(source: Path, target: Path) -> None:
    """Copy a database as `sqlite3 SOURCE ".backup TARGET"` does: within SQLite's own locks."""
    with (
        closing(sqlite3.connect(source, timeout=60)) as one,
        closing(sqlite3.connect(target, timeout=60)) as other,
    ):
        one.backup(other)


def done(client: Client, method: str, path: str, body: object = None) -> Any:
    """Return the data of an answer that is a success."""
    answer = client.request(method, f"/v1/{path}", body)
    assert answer.status in {200, 204}, (method, path, answer)
    return answer.json() if answer.status == 200 else None


def value(client: Client, path: str) -> str | None:
    """Return what a secret holds, None where there is none."""
    answer = client.request("GET", f"/v1/secret/data/{path}")
    assert answer.status in {200, 404}, answer
    found: str | None = answer.json()["data"]["data"]["value"] if answer.status == 200 else None
    return found


@pytest.mark.parametrize("later", ["rotate/root", "rotate"])
def test_a_vault_whose_keys_were_replaced_since_the_backup_opens_after_it_was_restored(
    vault: VaultProcess, tmp_path: Path, later: str
) -> None:
    with vault.client() as client:
        done(client, "POST", "secret/data/a", {"data": {"value": "old"}})
        copy(vault.database, tmp_path / "backup.db")
        done(client, "POST", f"sys/{later}")
        done(client, "POST", "secret/data/a", {"data": {"value": "new"}})
        copy(tmp_path / "backup.db", vault.database)
    vault.stop()
    vault.start()
    vault.unseal()
    with vault.client() as client:
        assert value(client, "a") == "old"


def test_reads_and_writes_are_of_the_restored_file(vault: VaultProcess, tmp_path: Path) -> None:
    with vault.client() as client:
        done(client, "POST", "secret/data/a", {"data": {"value": "1"}})
        copy(vault.database, tmp_path / "backup.db")
        kept = done(client, "POST", "auth/token/create", {"policies": ["default"]})["auth"]["client_token"]
        for number in range(2, 30):
            done(client, "POST", "secret/data/a", {"data": {"value": str(number)}})
        assert value(client, "a") == "29"
        copy(tmp_path / "backup.db", vault.database)
        assert value(client, "a") == "1"
        with vault.client(kept) as gone:
            assert gone.request("GET", "/v1/auth/token/lookup-self").status == 403
        done(client, "POST", "secret/data/a", {"data": {"value": "2 again"}})
        data = done(client, "GET", "secret/metadata/a")["data"]
        assert (data["current_version"], sorted(data["versions"])) == (2, ["1", "2"])
        first = done(client, "GET", "secret/data/a?version=1")["data"]
        assert first["data"] == {"value": "1"}


@pytest.mark.parametrize("initialized", [True, False])
def test_the_backup_of_another_vault_seals_and_opens_with_its_own_keys(
    vault: VaultProcess, tmp_path: Path, initialized: bool
) -> None:
    (tmp_path / "other").mkdir()
    if initialized:
        with initialised(tmp_path / "other") as other, other.client() as client:
            done(client, "POST", "secret/data/a", {"data": {"value": "other"}})
            copy(other.database, tmp_path / "backup.db")
    else:
        other = VaultProcess(tmp_path / "other")
        other.start()
        copy(other.database, tmp_path / "backup.db")
        other.stop()
    with vault.client() as client:
        done(client, "POST", "secret/data/a", {"data": {"value": "own"}})
        copy(tmp_path / "backup.db", vault.database)
        assert client.request("GET", "/v1/secret/data/a").status == 503
        wait_until(lambda: "vault is sealed" in vault.log.read_text(encoding="utf-8"), lambda: "not sealed")
        assert "this one cannot follow" in vault.log.read_text(encoding="utf-8")
    if initialized:
        vault.root, vault.key = other.root, other.key
        vault.unseal()
        with vault.client() as client:
            assert value(client, "a") == "other"


@pytest.mark.parametrize("content", ["empty", "foreign"])
def test_what_is_no_vault_at_all_is_answered_as_sealed_from_the_first_request_on(
    vault: VaultProcess, tmp_path: Path, content: str
) -> None:
    with closing(sqlite3.connect(tmp_path / "other.db")) as other, other:
        if content == "foreign":
            other.execute("CREATE TABLE cookie (name TEXT)")
    with vault.client() as client:
        copy(tmp_path / "other.db", vault.database)
        for method, path in (("GET", "secret/data/a"), ("POST", "secret/data/a"), ("GET", "sys/mounts")):
            answer = client.request(method, f"/v1/{path}", {"data": {}} if method == "POST" else None)
            assert answer.status == 503, answer
            assert answer.json()["errors"][0].startswith("Vault is sealed"), answer
        told = "an empty one" if content == "empty" else "another program's"
        wait_until(lambda: told in vault.log.read_text(encoding="utf-8"), lambda: "not sealed")
        assert client.request("GET", "/v1/secret/data/a").status == 503
    assert vault.stop() == 0


class Estate:
    """Two servers on one file, and what must be found in it: values by path, tokens that are let in."""

    def __init__(self, servers: list[VaultProcess], folder: Path, seed: int) -> None:
        self.servers = servers
        self.chance = random.Random(seed)
        self.folder = folder
        self.values: dict[str, str] = {}
        self.tokens: set[str] = set()
        self.every: set[str] = set()
        self.backups: list[tuple[Path, dict[str, str], set[str]]] = []
        self.steps = (
            [self.write] * 4
            + [self.create, self.revoke, self.rotate, self.rotate_root, self.backup]
            + [
                self.restore,
                self.start_again,
            ]
        )

    def step(self, number: int) -> str:
        """Do one thing on one of the servers, and compare what both say; return what was done."""
        server = self.chance.choice(self.servers)
        act = self.chance.choice(self.steps)
        self.wake(server)
        act(server, number)
        for each in self.chance.sample(self.servers, 2):
            self.compare(each)
        return act.__name__

    def wake(self, server: VaultProcess) -> None:
        """Let a server notice what came from elsewhere. One that sealed itself says why, and opens with its share."""
        with server.client() as client:
            if client.request("GET", "/v1/secret/data/a").status == 503:
                assert "this one cannot follow" in server.log.read_text(encoding="utf-8")
                server.unseal()

    def compare(self, server: VaultProcess) -> None:
        """Read everything."""
        self.wake(server)
        with server.client() as client:
            for path in ("a", "b", "c"):
                assert value(client, path) == self.values.get(path), path
        for token in self.every:
            with server.client(token) as client:
                status = client.request("GET", "/v1/auth/token/lookup-self").status
            assert status == (200 if token in self.tokens else 403)

    def write(self, server: VaultProcess, number: int) -> None:
        path = self.chance.choice("abc")
        with server.client() as client:
            done(client, "POST", f"secret/data/{path}", {"data": {"value": str(number)}})
        self.values[path] = str(number)

    def create(self, server: VaultProcess, number: int) -> None:
        del number
        with server.client() as client:
            auth = done(client, "POST", "auth/token/create", {"policies": ["default"]})["auth"]
        self.tokens.add(auth["client_token"])
        self.every.add(auth["client_token"])

    def revoke(self, server: VaultProcess, number: int) -> None:
        del number
        if self.tokens:
            token = self.chance.choice(sorted(self.tokens))
            with server.client() as client:
                done(client, "POST", "auth/token/revoke", {"token": token})
            self.tokens.discard(token)

    def rotate(self, server: VaultProcess, number: int) -> None:
        del number
        with server.client() as client:
            done(client, "POST", "sys/rotate")

    def rotate_root(self, server: VaultProcess, number: int) -> None:
        del number
        with server.client() as client:
            done(client, "POST", "sys/rotate/root")

    def backup(self, server: VaultProcess, number: int) -> None:
        file = self.folder / f"backup-{number}.db"
        copy(server.database, file)
        self.backups.append((file, dict(self.values), set(self.tokens)))

    def restore(self, server: VaultProcess, number: int) -> None:
        del number
        if self.backups:
            file, values, tokens = self.chance.choice(self.backups)
            copy(file, server.database)
            self.values, self.tokens = dict(values), set(tokens)

    def start_again(self, server: VaultProcess, number: int) -> None:
        if number % 2:
            server.kill()
        else:
            assert server.stop() == 0
        server.start()
        server.unseal()


def _interleave(folder: Path, seed: int, steps: int) -> None:
    with initialised(folder) as first, beside(first, folder / "second") as second:
        estate = Estate([first, second], folder, seed)
        did: list[str] = []
        for number in range(steps):
            try:
                did.append(estate.step(number))
            except AssertionError as error:
                raise AssertionError(f"seed {seed}, after {did}: {error}") from error


@pytest.mark.parametrize("seed", range(2))
def test_what_two_servers_answer_is_always_what_is_in_the_file(tmp_path: Path, seed: int) -> None:
    _interleave(tmp_path, seed, 40)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(100, 300))
def test_two_hundred_interleavings_of_two_servers_and_backups(tmp_path: Path, seed: int) -> None:
    _interleave(tmp_path, seed, 30)
