# SPDX-License-Identifier: EUPL-1.2
"""A process that writes to a storage file, for tests that kill it, starve it or race it.

`python -m tests.storage.child write FILE TAG` writes pairs with several writers until it is killed and
prints each key once it is durable. `fill FILE` writes until the file may not grow, and then goes on.
`count FILE TIMES` increments one counter so many times. `rounds FILE ROUNDS [PRAGMA]` opens, writes and closes so
often, with a journal that is short, so that each round has what a server has in days; a pragma of its own comes last.
`copies FILE` backs up, writes, and restores.
"""

from __future__ import annotations

import asyncio
import os
import resource
import sys
from pathlib import Path

from vault.storage.copies.backup import back_up
from vault.storage.copies.restore import restore
from vault.storage.protocol import LONG, StorageFailure
from vault.storage.sqlite import database
from vault.storage.sqlite.storage import SqliteStorage

WRITERS = 8


def say(line: str) -> None:
    """Print a line in one piece and at once: what the parent reads was said whole."""
    os.write(1, f"{line}\n".encode())


async def write_pair(storage: SqliteStorage, name: str, *, invalidate: bool) -> None:
    """Write two entries that belong together, and perhaps make something untrue."""
    async with storage.write() as tx:
        await tx.put(f"{name}/left", content(name))
        await asyncio.sleep(0)
        await tx.put(f"{name}/right", content(name))
        if invalidate:
            await tx.invalidate("pair", name)


async def write(file: Path, tag: str) -> None:
    """Write pairs for ever; every fifth invalidates."""
    storage = SqliteStorage.open(file)

    async def one(writer: int) -> None:
        number = 0
        while True:
            name = f"{tag}-{writer}-{number}"
            revokes = number % 5 == 0
            await write_pair(storage, name, invalidate=revokes)
            say(f"{'revoked' if revokes else 'wrote'} {name}")
            number += 1

    say("ready")
    await asyncio.gather(*(one(writer) for writer in range(WRITERS)))


async def fill(file: Path) -> None:
    """Run into a full disk with concurrent writers, show that reads go on, and recover when there is room."""
    storage = SqliteStorage.open(file)
    await write_pair(storage, "first", invalidate=True)
    most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (os.stat(f"{file}-wal").st_size + (64 << 10), most[1]))

    async def one(writer: int) -> str:
        for number in range(10_000):
            name = f"{writer}-{number}"
            try:
                await write_pair(storage, name, invalidate=False)
            except StorageFailure as failure:
                return str(failure)
            say(f"wrote {name}")
        return "never full"

    for message in set(await asyncio.gather(*(one(writer) for writer in range(WRITERS)))):
        say(f"failure {message}")
    if await storage.reader().get("first/left") == b"first" * 20:
        say("readable")
    resource.setrlimit(resource.RLIMIT_FSIZE, most)
    await write_pair(storage, "recovered", invalidate=True)
    say("wrote recovered")
    await storage.close()


async def count(file: Path, times: int) -> None:
    """Increment the counter with a few concurrent writers."""
    storage = SqliteStorage.open(file, patience=120)

    async def one() -> None:
        for _ in range(times // WRITERS):
            async with storage.write() as tx:
                value = int(await tx.get("counter") or b"0")
                await asyncio.sleep(0)
                await tx.put("counter", str(value + 1).encode())

    await asyncio.gather(*(one() for _ in range(WRITERS)))
    await storage.close()


def content(name: str) -> bytes:
    """Return what belongs to a name: some bytes, some pages, or so much that a thread writes it."""
    return name.encode() * (LONG // 4 if name.endswith("-11") else 600 if name.endswith("7") else 20)


async def rounds(file: Path, times: int, *pragmas: str) -> None:
    """Write with a few writers, round by round, and say what is durable; every fifth transaction invalidates."""
    short = ("PRAGMA wal_autocheckpoint=60", "PRAGMA journal_size_limit=65536")
    vars(database)["_PRAGMAS"] += (*short, *pragmas)
    for turn in range(times):
        storage = SqliteStorage.open(file)

        async def one(writer: int, storage: SqliteStorage = storage, turn: int = turn) -> None:
            for number in range(turn * 20, turn * 20 + 20):
                name = f"{writer}-{number}"
                async with storage.write() as tx:
                    for side in ("left", "right"):
                        await tx.put(f"{name}/{side}", content(name))
                        await tx.put(f"last-{writer}/{side}", b"%d" % number)
                    if number % 5 == 0:
                        await tx.invalidate("pair", name)
                reader = storage.reader()
                await reader.get(f"{name}/left")
                say(f"wrote {writer} {number} {reader.epoch}")

        await asyncio.gather(*(one(writer) for writer in range(WRITERS)))
        await storage.close()


async def state(file: Path, what: str) -> None:
    """Have a hundred entries say the same, in one transaction: a few hundred pages."""
    storage = SqliteStorage.open(file)
    async with storage.write() as tx:
        for number in range(100):
            await tx.put(f"entry/{number}", what.encode() * 2000)
    await storage.close()
    say(what)


def copies(file: Path) -> None:
    """Back up one state, write another one, and restore the first; say what is done."""
    backup = file.with_name("b.db")
    asyncio.run(state(file, "old"))
    back_up(file, backup, force=False, progress=lambda _what, _done: None)
    say("backed up")
    asyncio.run(state(file, "new"))
    say("restoring")
    restore(backup, file, keep=True, progress=lambda _what, _done: None)
    say("restored")


def main(verb: str, file: str, *rest: str) -> None:
    """Do what the command line asks."""
    if verb == "write":
        asyncio.run(write(Path(file), rest[0]))
    elif verb == "fill":
        asyncio.run(fill(Path(file)))
    elif verb == "copies":
        copies(Path(file))
    elif verb == "rounds":
        asyncio.run(rounds(Path(file), int(rest[0]), *rest[1:]))
    else:
        asyncio.run(count(Path(file), int(rest[0])))


if __name__ == "__main__":
    main(*sys.argv[1:])
