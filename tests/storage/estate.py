# SPDX-License-Identifier: EUPL-1.2
"""Two storages on one file, whatever is done to it, and what they must answer: what is in the file, asked by SQLite alone."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from tests.storage.copies import silent
from tests.storage.test_model import Undo, names, paths
from vault.storage.copies.backup import back_up
from vault.storage.copies.restore import restore
from vault.storage.protocol import StorageFailure, Timer, Tx
from vault.storage.sqlite.storage import SqliteStorage
from vault.values.times import Millis

KEYS = [f"{folder}/{number}" for folder in ("a", "a/b", "c") for number in range(4)]
FACTS = [f"fact/{number}" for number in range(3)]
FOLDERS = ["", "a/", "a/b/", "c/", "none/"]
TRIES = 50
"""How often somebody writes again who was told that another came first."""


class State(NamedTuple):
    """What a database holds: entries by path, and due times of timers by key."""

    entries: Mapping[str, bytes]
    timers: Mapping[str, int]


def state_of(file: Path) -> State:
    """Ask SQLite, which keeps nothing between two that open a file."""
    with closing(sqlite3.connect(file, timeout=60)) as connection:
        connection.execute("BEGIN")
        entries = dict(connection.execute("SELECT path, value FROM entry").fetchall())
        return State(entries, dict(connection.execute("SELECT key, due FROM timer").fetchall()))


def _another_came_first(failure: StorageFailure) -> None:
    assert "try again" in str(failure)


class Caching:
    """A storage, and facts that are believed as long as its epoch says so."""

    def __init__(self, file: Path) -> None:
        self.storage = SqliteStorage.open(file, patience=60)
        self.facts: dict[str, bytes | None] = {}
        self.epoch = -1

    async def follow(self) -> None:
        """Forget what is untrue by now."""
        reader = self.storage.reader()
        await reader.get("")
        while reader.epoch != self.epoch:
            self.epoch, changes = await self.storage.news(self.epoch)
            for key in self.facts.copy() if changes is None else [change.key for change in changes]:
                self.facts.pop(key, None)
            await reader.get("")

    async def learn(self, path: str) -> None:
        """Keep a fact, if it is one of the epoch that was followed to."""
        reader = self.storage.reader()
        value = await reader.get(path)
        if reader.epoch == self.epoch:
            self.facts[path] = value


class Estate:
    """Both, the file, and its backups."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.chance = Random(seed)
        self.folder = folder
        self.file = folder / "s.db"
        self.both = [Caching(self.file), Caching(self.file)]
        self.known = State({}, {})
        self.backups: list[tuple[Path, State]] = []
        self.did: list[str] = []
        self._count = 0
        often = [self.write] * 5 + [self.read_and_write] * 3
        self._acts: list[Callable[[], Awaitable[None]]] = [
            *often,
            *(self.undo, self.conflict, self.rotate, self.schedule, self.back_up, self.back_up_under_load),
            *(self.restore, self.restore_under_load, self.restore_alone, self.start_again, self.tidy),
        ]

    async def begin(self) -> None:
        """Put something in: nobody backs up or restores what is empty."""
        await self.rotate()

    async def step(self) -> None:
        """Do one thing, and compare what both say with what is there."""
        act = self.chance.choice(self._acts)
        self.did.append(act.__name__)
        await act()
        assert state_of(self.file) == self.known
        for each in self.both:
            await self.compare(each)

    async def compare(self, each: Caching) -> None:
        """Read everything, in any order."""
        reader, entries = each.storage.reader(), dict(self.known.entries)
        for place in self.chance.sample(KEYS + FACTS + FOLDERS, len(KEYS + FACTS + FOLDERS)):
            if place not in FOLDERS:
                assert await reader.get(place) == entries.get(place), place
            elif self.chance.random() < 0.5:
                assert await reader.list(place) == names(entries, place, "", 0), place
            else:
                assert await reader.scan(place, limit=2) == paths(entries, place, "", 2), place
        assert await each.storage.next_due() == min(self.known.timers.values(), default=None)
        await each.follow()
        await each.learn(self.chance.choice(FACTS))
        assert each.facts == {path: entries.get(path) for path in each.facts}
        await each.storage.check()

    @property
    def any(self) -> SqliteStorage:
        """One of the two."""
        return self.chance.choice(self.both).storage

    def _value(self) -> bytes:
        self._count += 1
        return b"%d" % self._count * self.chance.choice([1, 1, 1, 2000])

    async def _kept(self, change: Callable[[Tx, dict[str, bytes]], Awaitable[None]]) -> None:
        """Write through one of them, and note what is there now; where another came first, again."""
        storage = self.any
        for _ in range(TRIES):
            entries = dict(self.known.entries)
            try:
                async with storage.write() as tx:
                    await change(tx, entries)
            except StorageFailure as failure:
                _another_came_first(failure)
            else:
                self.known = State(entries, self.known.timers)
                return
        raise AssertionError("it was never let in")

    async def _put(self, tx: Tx, entries: dict[str, bytes]) -> None:
        path = self.chance.choice(KEYS)
        if self.chance.random() < 0.2:
            await tx.delete(path)
            entries.pop(path, None)
        else:
            entries[path] = self._value()
            await tx.put(path, entries[path])

    async def write(self) -> None:
        await self._kept(self._put)

    async def read_and_write(self) -> None:
        async def change(tx: Tx, entries: dict[str, bytes]) -> None:
            for _ in range(self.chance.randrange(1, 4)):
                path, folder = self.chance.choice(KEYS), self.chance.choice(FOLDERS)
                assert await tx.get(path) == entries.get(path)
                await self._put(tx, entries)
                assert await tx.scan(folder) == paths(entries, folder, "", 0)
                await asyncio.sleep(0)

        await self._kept(change)

    async def undo(self) -> None:
        async def change(tx: Tx, entries: dict[str, bytes]) -> None:
            await self._put(tx, entries)
            raise Undo

        before = self.known
        with suppress(Undo):
            await self._kept(change)
        assert self.known is before

    async def conflict(self) -> None:
        """Both count at once, as often as they can."""

        async def count(storage: SqliteStorage) -> int:
            counted = 0
            for _ in range(4):
                for _ in range(self.chance.randrange(30)):
                    await asyncio.sleep(0)
                try:
                    async with storage.write() as tx:
                        number = int(await tx.get("count") or 0)
                        await asyncio.sleep(0)
                        await tx.put("count", b"%d" % (number + 1))
                except StorageFailure as failure:
                    _another_came_first(failure)
                else:
                    counted += 1
            return counted

        async def zero(tx: Tx, entries: dict[str, bytes]) -> None:
            entries["count"] = b"0"
            await tx.put("count", b"0")

        await self._kept(zero)
        counted = sum(await asyncio.gather(*(count(self.any) for _ in range(8))))
        assert counted
        self.known = State({**self.known.entries, "count": b"%d" % counted}, self.known.timers)

    async def rotate(self) -> None:
        """All of these or none, and whoever knows one of them is to forget it."""
        value = self._value()

        async def change(tx: Tx, entries: dict[str, bytes]) -> None:
            for path in self.chance.sample(FACTS, 2):
                entries[path] = value
                await tx.put(path, value)
                await tx.invalidate("fact", path)

        await self._kept(change)

    async def schedule(self) -> None:
        key, due = self.chance.choice("xyz"), self.chance.randrange(1, 1000)
        async with self.any.write() as tx:
            await tx.at(Timer("kind", key, Millis(due)))
        self.known = State(self.known.entries, {**self.known.timers, key: due})

    def _back_up(self) -> Path:
        file = self.folder / f"backup-{len(self.backups)}-{self._count}.db"
        back_up(self.file, file, force=True, progress=silent)
        return file

    async def back_up(self) -> None:
        file = self._back_up()
        assert state_of(file) == self.known
        self.backups.append((file, self.known))

    async def back_up_under_load(self) -> None:
        """It is one of the states that there were meanwhile."""
        states = [self.known]
        making = asyncio.get_running_loop().run_in_executor(None, self._back_up)
        while not making.done():
            await self.write()
            states.append(self.known)
        file = await making
        found = state_of(file)
        assert found in states
        self.backups.append((file, found))

    def _restore(self, file: Path) -> None:
        """As `sqlite3 FILE ".restore BACKUP"`, in one step or in several."""
        with (
            closing(sqlite3.connect(file)) as one,
            closing(sqlite3.connect(self.file, timeout=60)) as other,
        ):
            one.backup(other, pages=self.chance.choice([-1, 5]), sleep=0.001)

    async def restore(self) -> None:
        if self.backups:
            file, self.known = self.chance.choice(self.backups)
            self._restore(file)

    async def restore_under_load(self) -> None:
        """While both read and write: each answer is from before or from the backup, and never the one after the other."""
        if not self.backups:
            return
        file, there = self.chance.choice(self.backups)
        await self.rotate()
        before = self.known
        restoring = asyncio.get_running_loop().run_in_executor(None, self._restore, file)
        behind: dict[bytes, bytes | None] = {}
        await asyncio.gather(
            *(self._read_until(restoring, each.storage, before, there) for each in self.both),
            *(self._write_until(restoring, each.storage, behind) for each in self.both * 3),
        )
        await restoring
        found = state_of(self.file)
        value: bytes | None = found.entries["load"]
        while value != there.entries.get("load"):
            assert value in behind, "it rests on what was there before"
            value = behind[value]
        assert found == State({**there.entries, "load": found.entries["load"]}, there.timers)
        self.known = found

    async def _read_until(
        self, restoring: asyncio.Future[None], storage: SqliteStorage, before: State, there: State
    ) -> None:
        restored = False
        while not restoring.done():
            path = self.chance.choice(KEYS + FACTS)
            value = await storage.reader().get(path)
            old, new = before.entries.get(path), there.entries.get(path)
            assert value == new if restored else value in (old, new), path
            restored = restored or value != old
            await asyncio.sleep(0)

    async def _write_until(
        self, restoring: asyncio.Future[None], storage: SqliteStorage, behind: dict[bytes, bytes | None]
    ) -> None:
        """Write what rests on what was read, and note that; the last one once all of the backup is there."""
        done = False
        while not done:
            done = restoring.done()
            value = self._value()
            try:
                async with storage.write() as tx:
                    read = await tx.get("load")
                    await asyncio.sleep(0)
                    await tx.put("load", value)
            except StorageFailure as failure:
                _another_came_first(failure)
                done = False
            else:
                behind[value] = read

    async def restore_alone(self) -> None:
        """With our own command: not while anybody has the file open, and in the place of it otherwise."""
        if not self.backups:
            return
        file, there = self.chance.choice(self.backups)
        with pytest.raises(StorageFailure, match="has it open"):
            restore(file, self.file, keep=False, progress=silent, patience=0.01)
        assert state_of(self.file) == self.known
        for each in self.both:
            await each.storage.close()
        restore(file, self.file, keep=False, progress=silent)
        self.known = there
        self.both = [Caching(self.file), Caching(self.file)]

    async def start_again(self) -> None:
        number = self.chance.randrange(2)
        await self.both[number].storage.close()
        self.both[number] = Caching(self.file)

    async def tidy(self) -> None:
        """What an operator may do with SQLite's own program: it changes no content."""
        with closing(sqlite3.connect(self.file, timeout=60)) as other:
            other.execute(
                self.chance.choice(["VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)", "PRAGMA integrity_check"])
            )

    async def close(self) -> None:
        for each in self.both:
            await each.storage.close()
