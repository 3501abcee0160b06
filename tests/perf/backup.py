# SPDX-License-Identifier: EUPL-1.2
"""What a backup costs while a server writes: `python -m tests.perf.backup`, a few minutes.

A process writes to the storage as a server does, so many transactions a second. The state after each is known: every
entry says which transaction wrote it. So a copy is compared entry by entry with the one commit that it claims to be.
First the way that the documents gave before (SQLite's backup interface, 100 pages at a time, as `sqlite3 .backup`), which
is cut off after a minute; then `vaultctl operator snapshot save`, and its restore.
"""

import argparse
import asyncio
import contextlib
import hashlib
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from vault.storage.copies.backup import back_up
from vault.storage.copies.restore import restore
from vault.storage.sqlite.storage import SqliteStorage

_VALUE: Final = 4_000
"""Bytes of each value; with its path and the page's head that is one page."""
_HEAD: Final = "head"
_AT_ONCE: Final = 2_000
"""Entries of one transaction when the database is made."""


def value(slot: int, number: int) -> bytes:
    """Return what transaction `number` writes to a slot."""
    return hashlib.shake_128(b"%d %d" % (slot, number)).digest(_VALUE)


def expected(slots: int, number: int) -> Iterator[tuple[str, bytes]]:
    """Return every entry after transaction `number`; transaction 0 filled all slots."""
    yield _HEAD, b"%d" % number
    for slot in range(slots):
        last = number - (number - slot) % slots
        yield f"slot/{slot}", value(slot, max(last, 0))


async def fill(file: Path, slots: int) -> None:
    """Make the database."""
    storage = SqliteStorage.open(file)
    for begin in range(0, slots, _AT_ONCE):
        async with storage.write() as tx:
            for slot in range(begin, min(slots, begin + _AT_ONCE)):
                await tx.put(f"slot/{slot}", value(slot, 0))
    async with storage.write() as tx:
        await tx.put(_HEAD, b"0")
    await storage.close()


async def write(file: Path, slots: int, rate: float, most: float) -> None:
    """Write so many transactions a second, for `most` seconds at most."""
    storage = SqliteStorage.open(file)

    async def one() -> None:
        async with storage.write() as tx:
            number = int(await tx.get(_HEAD) or b"0") + 1
            await tx.put(_HEAD, b"%d" % number)
            await tx.put(f"slot/{number % slots}", value(number % slots, number))

    begin = time.monotonic()
    tasks: set[asyncio.Task[None]] = set()
    for count in range(int(rate * most)):
        await asyncio.sleep(max(0.0, begin + count / rate - time.monotonic()))
        task = asyncio.create_task(one())
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        if count == 0:
            await task
            os.write(1, b"ready\n")
    await asyncio.gather(*tasks)
    await storage.close()


@contextmanager
def writing(file: Path, slots: int, rate: float, most: float) -> Iterator[None]:
    """Let another process write meanwhile."""
    command = [
        sys.executable,
        "-m",
        "tests.perf.backup",
        "--write",
        str(file),
        str(slots),
        str(rate),
        str(most),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        try:
            yield
        finally:
            child.kill()


def head(file: Path) -> int:
    """Return the number of the last transaction."""
    with closing(sqlite3.connect(file)) as connection:
        return int(connection.execute("SELECT value FROM entry WHERE path=?", (_HEAD,)).fetchone()[0])


def differences(file: Path, slots: int) -> int:
    """Return how many entries are not those of the one commit that the copy says it is."""
    with closing(sqlite3.connect(file)) as connection:
        found = dict(connection.execute("SELECT path, value FROM entry"))
    number = int(found[_HEAD])
    wanted = dict(expected(slots, number))
    return sum(found.get(path) != wanted.get(path) for path in found.keys() | wanted.keys())


class _CutOff(Exception):
    pass


def old_way(file: Path, destination: Path, most: float) -> str:
    """Back up as `sqlite3 .backup` does; return how far it came."""
    begin = time.monotonic()
    anew, least = 0, sys.maxsize

    def step(_status: int, left: int, _pages: int) -> None:
        nonlocal anew, least
        if left > least:
            anew += 1
        least = left
        if time.monotonic() - begin > most:
            raise _CutOff

    with (
        closing(sqlite3.connect(file)) as source,
        closing(sqlite3.connect(destination)) as target,
        contextlib.suppress(_CutOff),
    ):
        source.backup(target, pages=100, progress=step, sleep=0.25)
        return f"ended after {time.monotonic() - begin:.1f} s, began anew {anew} times"
    return f"not ended after {most:.0f} s, began anew {anew} times"


def measure(folder: Path, megabytes: int, rate: float, most: float) -> Iterator[str]:
    """Measure both ways, and say each thing as it is known."""
    slots = megabytes * 1_000_000 // 4_096
    file, made = folder / "vault.db", folder / "made.db"
    asyncio.run(fill(file, slots))
    yield f"database: {file.stat().st_size / 1e6:.0f} MB, {slots + 1} entries; {rate:g} writes a second wanted"
    with writing(file, slots, rate, 2 * most):
        before = head(file)
        yield "backup interface, 100 pages at a time: " + old_way(file, folder / "old.db", most)
        yield f"  {(head(file) - before) / most:.1f} writes a second meanwhile"
    (folder / "old.db").unlink()
    with writing(file, slots, rate, 2 * most):
        for _ in range(3):
            before, begin = head(file), time.monotonic()
            back_up(file, made, force=True, progress=lambda _what, _done: None)
            seconds, after = time.monotonic() - begin, head(file)
            yield (
                f"vaultctl operator snapshot save, verified: {seconds:.1f} s, {made.stat().st_size / 1e6:.0f} MB,"
                f" commit {head(made)} of {before} to {after} ({(after - before) / seconds:.1f} writes a second),"
                f" {differences(made, slots)} entries differ"
            )
    begin = time.monotonic()
    restore(made, file, keep=True, progress=lambda _what, _done: None)
    yield f"vaultctl operator snapshot restore: {time.monotonic() - begin:.1f} s, {differences(file, slots)} entries differ"


def main() -> None:
    """Measure, or write where this is the process that does."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=400)
    parser.add_argument("--rate", type=float, default=50.0, help="writes a second")
    parser.add_argument("--seconds", type=float, default=60.0, help="after which the old way is cut off")
    parser.add_argument("--folder", type=Path, help="where the files are made; default: a temporary folder")
    parser.add_argument("--write", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.write:
        file, slots, rate, most = given.write
        asyncio.run(write(Path(file), int(slots), float(rate), float(most)))
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        for line in measure(Path(folder), given.megabytes, given.rate, given.seconds):
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
