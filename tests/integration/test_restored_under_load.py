# SPDX-License-Identifier: EUPL-1.2
"""Backups put in place while two servers write and read: each answer is of the file as it was while it was asked for."""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.fuzz.process import Client, VaultProcess, beside, initialised, wait_until
from tests.integration.test_restored import copy

PATHS = ("a", "b", "c")
NEVER = float("inf")


class Written(NamedTuple):
    """A number that one client wrote; `end` is `NEVER` where nobody knows how it went."""

    begin: float
    end: float
    number: int


class Read(NamedTuple):
    """What was read of a path in between; None for nothing."""

    begin: float
    end: float
    path: str
    number: int | None


class Restored(NamedTuple):
    """A backup that came into the place of what was there in between."""

    begin: float
    end: float
    backup: Path


def locked(source: Path, target: Path) -> None:
    """Copy as often as it takes: whoever writes can be in the way."""
    while True:
        try:
            copy(source, target)
        except sqlite3.OperationalError:
            time.sleep(0.01)
        else:
            return


def number_at(client: Client, path: str) -> tuple[int, int | None]:
    answer = client.request("GET", f"/v1/secret/data/{path}")
    return answer.status, answer.json()["data"]["data"]["number"] if answer.status == 200 else None


@dataclass
class Load:
    """Clients of two servers, who open what seals itself."""

    servers: Sequence[VaultProcess]
    written: Mapping[str, list[Written]]
    read: list[Read]
    over: threading.Event

    def begin(self) -> list[threading.Thread]:
        """Write a first number everywhere, and let the clients begin."""
        with self.servers[0].client() as client:
            for path in PATHS:
                assert (
                    client.request("POST", f"/v1/secret/data/{path}", {"data": {"number": 0}}).status == 200
                )
        threads = [
            threading.Thread(target=self.write, args=(path, self.servers[number % 2]))
            for number, path in enumerate(PATHS)
        ]
        threads += [
            threading.Thread(target=self.look, args=(vault, seed)) for seed, vault in enumerate(self.servers)
        ]
        for thread in threads:
            thread.start()
        return threads

    def go_on(self) -> None:
        """Let some time pass, by what is read meanwhile."""
        wanted = len(self.read) + 40
        wait_until(lambda: len(self.read) > wanted, lambda: "nobody reads")

    def write(self, path: str, vault: VaultProcess) -> None:
        """Write an ever larger number; nobody else writes to this path."""
        number = 0
        with vault.client() as client:
            while not self.over.is_set():
                number += 1
                begin = time.monotonic()
                target = f"/v1/secret/data/{path}"
                status = client.request("POST", target, {"data": {"number": number}}).status
                end = time.monotonic() if status == 200 else NEVER
                self.written[path].append(Written(begin, end, number))
                self.open(vault, status)

    def look(self, vault: VaultProcess, seed: int) -> None:
        chance = random.Random(seed)
        with vault.client() as client:
            while not self.over.is_set():
                path, begin = chance.choice(PATHS), time.monotonic()
                status, number = number_at(client, path)
                if status != 503:  # 500 for what was written, and cannot be read, is no answer
                    found = number if status in {200, 404} else -status
                    self.read.append(Read(begin, time.monotonic(), path, found))
                self.open(vault, status)

    @staticmethod
    def open(vault: VaultProcess, status: int) -> None:
        if status == 503:
            assert "this one cannot follow" in vault.log.read_text(encoding="utf-8")
            with vault.client("") as client:
                client.request("PUT", "/v1/sys/unseal", {"key": vault.key})


def wrong(
    load: Load, restored: Sequence[Restored], held: Mapping[Path, Mapping[str, int | None]]
) -> Iterator[str]:
    """Return each read of what was in the file at no moment of it."""
    for read in load.read:
        meanwhile = [one for one in restored if one.begin < read.end and one.end >= read.begin]
        if any(held[one.backup][read.path] == read.number for one in meanwhile):
            continue
        before = [one for one in restored if one.end < read.begin]
        last = before[-1] if before else None
        brought = last is not None and held[last.backup][read.path] == read.number
        writing = next((one for one in load.written[read.path] if one.number == read.number), None)
        since = NEVER if writing is None else writing.end
        if last is not None and brought:
            since = last.end
        elif writing is None or writing.begin >= read.end or (last is not None and writing.end < last.begin):
            yield f"{read} was not there; {writing}, {last}"
            continue
        later = [one for one in load.written[read.path] if one.begin > since and one.end < read.begin]
        if later and not any(one.end > later[0].begin for one in meanwhile):
            yield f"{read} was written over by {later[0]}"


def exchange(load: Load, folder: Path, chance: random.Random, rounds: int) -> list[Restored]:
    """Take a backup, replace keys now and then, and bring one of the backups back: so often."""
    database, restored = load.servers[0].database, []
    for number in range(rounds):
        load.go_on()
        locked(database, folder / f"{number}.db")
        if chance.random() < 0.5:
            with chance.choice(load.servers).client() as client:
                client.request("POST", chance.choice(("/v1/sys/rotate/root", "/v1/sys/rotate")), {})
        load.go_on()
        backup, begin = folder / f"{chance.randrange(number + 1)}.db", time.monotonic()
        locked(backup, database)
        restored.append(Restored(begin, time.monotonic(), backup))
    return restored


def play(folder: Path, seed: int, rounds: int) -> tuple[int, int]:
    """Back up and restore so often under load; return how much was read and written."""
    with initialised(folder) as first, beside(first, folder / "second") as second:
        load = Load([first, second], {path: [Written(0, 0, 0)] for path in PATHS}, [], threading.Event())
        threads = load.begin()
        try:
            restored = exchange(load, folder, random.Random(seed), rounds)
        finally:
            load.over.set()
            for thread in threads:
                thread.join()
        said = [everything(vault) for vault in load.servers]
        assert said[0] == said[1]
        assert [vault.stop() for vault in load.servers] == [0, 0]
        assert opened(first) == said[0]
        held = {}
        for backup in {one.backup for one in restored}:
            locked(backup, first.database)
            held[backup] = opened(first)
    assert list(wrong(load, restored, held))[:5] == []
    return len(load.read), sum(map(len, load.written.values()))


def opened(vault: VaultProcess) -> dict[str, int | None]:
    """Return what a server finds that has only just begun."""
    vault.start()
    vault.unseal()
    found = everything(vault)
    assert vault.stop() == 0
    return found


def everything(vault: VaultProcess) -> dict[str, int | None]:
    """Return what is at each path; a server that sealed itself is opened first."""
    with vault.client() as client:
        Load.open(vault, number_at(client, PATHS[0])[0])
        return {path: number_at(client, path)[1] for path in PATHS}


def test_no_read_answers_what_is_not_in_the_file_under_load(tmp_path: Path) -> None:
    read, written = play(tmp_path, 1, 3)
    assert read > 100
    assert written > 20


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(10, 20))
def test_no_read_answers_what_is_not_in_the_file_under_load_for_long(tmp_path: Path, seed: int) -> None:
    play(tmp_path, seed, 20)
