# SPDX-License-Identifier: EUPL-1.2
"""Whatever fails and whoever gives up, those who write at once have written one after the other.

Each transaction reads how many there were before, and writes down what it did and saw as the next one. So the file
tells in which order they were, and a dictionary is asked whether each has seen what it had to.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.storage.stores import everything
from tests.storage.test_model import Undo, names
from vault.storage.protocol import StorageFailure, Tx
from vault.storage.sqlite.database import OnStatement
from vault.storage.sqlite.storage import SqliteStorage

KEYS = [f"{folder}/{number}" for folder in ("a", "b", "a/x") for number in range(4)]
FOLDERS = ["a/", "b/", "a/x/", "none/"]
CLIENTS = 16
STEPS = 12
VERBS = ["get", "put"] * 8 + ["delete", "wait"] * 4 + ["list", "scan", "delete_prefix", "invalidate"]
READING = ("get", "list", "scan")

Done = list[Any]
"""What one step of a transaction did, and what it saw."""


class Many:
    """Clients of one file, which one process or two have open; some give up, some undo, and statements fail."""

    def __init__(self, file: Path, seed: int, processes: int) -> None:
        self._chance = Random(seed)
        self._loop = asyncio.get_running_loop()
        self.told: dict[int, int] = {}
        """The places of those that were told that they are kept."""
        self.refused: set[int] = set()
        self._count = 0
        self.failing = True
        self._processes = [SqliteStorage.open(file, on_statement=self.fault()) for _ in range(processes)]

    def fault(self) -> OnStatement:
        """Return what fails one commit of four, and one other statement of twenty-five that changes anything."""

        def fail(statement: str) -> None:
            if statement == "commit":
                self._wait()
            often = 0.25 if statement == "commit" else 0.04
            if self.failing and statement not in READING and self._chance.random() < often:
                raise StorageFailure(f"injected at {statement}")

        return fail

    def _wait(self) -> None:
        """Have the disk take as long as others need to come and write, in its thread."""
        done = threading.Event()

        def turn(left: int) -> None:
            if left:
                self._loop.call_soon(turn, left - 1)
            else:
                done.set()

        self._loop.call_soon_threadsafe(turn, 30)
        done.wait()

    async def play(self) -> dict[str, bytes | None]:
        """Let everybody write; return what is stored at the end."""
        await asyncio.gather(*(self._client() for _ in range(CLIENTS)))
        self.failing = False
        found = await everything(self._processes[0])
        for process in self._processes:
            await process.close()
        return found

    async def _client(self) -> None:
        for _ in range(STEPS):
            for _ in range(self._chance.randrange(30)):
                await asyncio.sleep(0)
            self._count += 1
            number, process = self._count, self._chance.choice(self._processes)
            writing = asyncio.create_task(self._transaction(process, number))
            if self._chance.random() < 0.2:
                for _ in range(self._chance.randrange(12)):
                    await asyncio.sleep(0)
                writing.cancel()
            try:
                place = self.told[number] = await writing
            except (StorageFailure, Undo):
                self.refused.add(number)
            except asyncio.CancelledError:
                continue  # nobody was told anything
            else:
                for each in self._processes:
                    assert int(await each.reader().get("count") or 0) >= place

    async def _transaction(self, process: SqliteStorage, number: int) -> int:
        async with process.write() as tx:
            place = int(await tx.get("count") or 0) + 1
            did = [await self._step(tx, number) for _ in range(self._chance.randrange(4))]
            if self._chance.random() < 0.1:
                raise Undo
            await tx.put("count", b"%d" % place)
            await tx.put(f"done/{place}", json.dumps([number, tx.epoch, did]).encode())
        return place

    async def _step(self, tx: Tx, number: int) -> Done:
        verb = self._chance.choice(VERBS)
        key, folder = self._chance.choice(KEYS), self._chance.choice(FOLDERS)
        if verb == "get":
            value = await tx.get(key)
            return [verb, key, None if value is None else value.decode()]
        if verb == "put":
            await tx.put(key, b"%d" % number)
            return [verb, key, str(number)]
        if verb == "delete":
            await tx.delete(key)
            return [verb, key, None]
        if verb in {"list", "scan"}:
            look = tx.list if verb == "list" else tx.scan
            return [verb, folder, list(await look(folder))]
        if verb == "delete_prefix":
            return [verb, folder, await tx.delete_prefix(folder)]
        if verb == "invalidate":
            await tx.invalidate("kind", key)
        await asyncio.sleep(0)
        return [verb, "", None]


def replay(found: dict[str, bytes | None]) -> dict[int, int]:
    """Compare what everybody saw with what a dictionary says; return the place of each that is kept."""
    model: dict[str, bytes] = {}
    places: dict[int, int] = {}
    epoch, moved = -1, True
    for place in range(1, int(found.get("count") or 0) + 1):
        number, seen, did = json.loads(found[f"done/{place}"] or b"")
        places[number] = place
        assert seen > epoch if moved else seen == epoch
        for step in did:
            look(model, step)
        epoch, moved = seen, any(verb == "invalidate" for verb, _, _ in did)
    stored = {path: value for path, value in found.items() if path in KEYS}
    assert stored == model and len(found) == len(model) + len(places) + bool(places)
    return places


def look(model: dict[str, bytes], step: Done) -> None:
    """Do one step to the dictionary, and compare what was seen."""
    verb, where, saw = step
    below: Sequence[str] = [path for path in model if path.startswith(where)]
    if verb == "get":
        assert model.get(where) == (None if saw is None else saw.encode())
    elif verb == "put":
        model[where] = saw.encode()
    elif verb == "delete":
        model.pop(where, None)
    elif verb == "list":
        assert names(model, where, "", 0) == saw
    elif verb == "scan":
        assert sorted(path[len(where) :] for path in below) == saw
    elif verb == "delete_prefix":
        assert len(below) == saw
        for path in below:
            del model[path]


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("seed", range(3))
def test_those_who_write_at_once_have_written_one_after_the_other(
    tmp_path: Path, seed: int, processes: int
) -> None:
    async def story() -> None:
        many = Many(tmp_path / "s.db", seed, processes)
        places = replay(await many.play())
        assert many.told.items() <= places.items()
        assert not many.refused & places.keys()
        assert len(many.told) > CLIENTS and many.refused

    asyncio.run(story())
