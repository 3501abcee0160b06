# SPDX-License-Identifier: EUPL-1.2
"""The log reader as a process: one for a folder, found and started by whoever wants it, and killed at any moment."""

import asyncio
import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest

from tests.unit.log.reader.written import LOG, WrittenLog, record
from vault.log.format.segment import Segment
from vault.log.format.tiles import kept_subtree
from vault.log.format.tree import complete_hash, root_hash
from vault.log.reader.client import LogReader, LogReaderAway
from vault.log.reader.index.store import FILE, Index
from vault.log.reader.launch import PROGRAM, ReaderProcess
from vault.log.reader.messages import LOCK, SOCKET, Follow, Refused, Search
from vault.values.times import Nanos

Readers = Callable[..., LogReader]
_OTHER = "01234567-1-1"
_EVERY = Nanos(1 << 61)


@pytest.fixture
def readers() -> Iterator[Readers]:
    """Make clients; every process that one of them started is ended after the test."""
    started: list[ReaderProcess] = []

    def start(folder: Path) -> ReaderProcess:
        started.append(ReaderProcess(folder))
        return started[-1]

    yield lambda folder, patience=60.0: LogReader(
        folder,
        time.monotonic,
        lambda: start(folder),
        longest_pause=0.2,
        defect=list[Exception]().append,
        patience=patience,
    )
    for process in started:
        process.kill()
        process.join(60)


async def _indexed(reader: LogReader, log: str, seq: int) -> None:
    """Wait until a record is indexed, through whatever happens to the reader."""
    async with asyncio.timeout(120):
        while True:
            with suppress(LogReaderAway):
                status = await reader.status()
                if any(one.log == log and one.indexed_through >= seq for one in status.logs):
                    return
            await asyncio.sleep(0.02)


async def _everything(reader: LogReader) -> list[bytes]:
    """Return what all pages of a search have."""
    found: list[bytes] = []
    position = None
    while True:
        page = await reader.search(
            Search(begins=Nanos(0), ends=_EVERY, order="asc", limit=1000, position=position)
        )
        found += page.lines
        position = page.position
        if position is None:
            return found


async def _followed(reader: LogReader, log: str, tenant: str | None = None) -> list[bytes]:
    found: list[bytes] = []
    after = -1
    while (page := await reader.follow(Follow(log=log, after=after, limit=1000, tenant=tenant))).lines:
        found += page.lines
        after = page.after
    return found


def _pid(folder: Path) -> int:
    """The process that holds the lock of a folder, as the kernel says."""
    inode = (folder / LOCK).stat().st_ino
    for line in Path("/proc/locks").read_text().splitlines():
        fields = line.split()
        if "FLOCK" in fields and fields[-3].endswith(f":{inode}"):
            return int(fields[4])
    return 0


def test_one_reader_serves_all_workers_and_ends_when_it_is_told(tmp_path: Path, readers: Readers) -> None:
    async def scenario() -> None:
        log = WrittenLog(tmp_path)
        log.write(*[record()] * 20)
        clients = [readers(tmp_path) for _ in range(4)]
        for client in clients:
            client.begin()
        for client in clients:
            await _indexed(client, LOG, 19)
            assert await _everything(client) == log.lines
        pid = _pid(tmp_path)
        assert pid
        assert sum(client._process is not None and client._process.pid == pid for client in clients) == 1
        modes = {name: (tmp_path / name).stat().st_mode & 0o777 for name in (SOCKET, LOCK, FILE)}
        assert modes == {SOCKET: 0o600, LOCK: 0o600, FILE: 0o600}
        os.kill(pid, signal.SIGTERM)
        for client in clients:
            await client.close()

    asyncio.run(scenario())


def test_a_reader_that_is_stopped_is_replaced_by_any_who_ask_it(tmp_path: Path, readers: Readers) -> None:

    async def scenario() -> None:
        log = WrittenLog(tmp_path)
        log.write(*[record()] * 20)
        clients = [readers(tmp_path, patience=600.0), readers(tmp_path, patience=4.0)]
        clients[0].begin()
        await _indexed(clients[0], LOG, 19)
        clients[1].begin()
        await _indexed(clients[1], LOG, 19)
        stopped = _pid(tmp_path)
        os.kill(stopped, signal.SIGSTOP)
        for client in clients:
            await _indexed(client, LOG, 19)
            assert await _everything(client) == log.lines
        assert _pid(tmp_path) not in {0, stopped}
        for client in clients:
            await client.close()

    asyncio.run(scenario())


def test_a_reader_that_was_stopped_before_anybody_asked_is_replaced(tmp_path: Path, readers: Readers) -> None:
    async def scenario() -> None:
        log = WrittenLog(tmp_path)
        log.write(*[record()] * 20)
        first = readers(tmp_path)
        first.begin()
        await _indexed(first, LOG, 19)
        os.kill(stopped := _pid(tmp_path), signal.SIGSTOP)
        await first.close()
        second = readers(tmp_path, patience=1.0)
        second.begin()
        await _indexed(second, LOG, 19)
        assert _pid(tmp_path) not in {0, stopped}
        await second.close()

    asyncio.run(scenario())


def test_a_reader_that_was_killed_is_started_again(tmp_path: Path, readers: Readers) -> None:
    async def scenario() -> None:
        log = WrittenLog(tmp_path)
        log.write(*[record()] * 20)
        client = readers(tmp_path)
        client.begin()
        await _indexed(client, LOG, 19)
        waiting = asyncio.get_running_loop().create_task(client.follow(Follow(log=LOG, after=19, wait=60)))
        await asyncio.sleep(0.1)
        first = _pid(tmp_path)
        os.kill(first, signal.SIGKILL)
        with pytest.raises(LogReaderAway):
            await waiting
        await _indexed(client, LOG, 19)
        assert _pid(tmp_path) not in {0, first}
        assert await _everything(client) == log.lines
        await client.close()

    asyncio.run(scenario())


def test_a_folder_with_a_long_path_is_served_too(tmp_path: Path, readers: Readers) -> None:
    async def scenario() -> None:
        folder = tmp_path / ("x" * 120)
        folder.mkdir()
        log = WrittenLog(folder)
        log.write(record())
        client = readers(folder)
        client.begin()
        await _indexed(client, LOG, 0)
        await client.close()

    asyncio.run(scenario())


class _Appending(threading.Thread):
    """Appends records to two logs, and begins segments, until it is told to stop."""

    def __init__(self, folder: Path, seed: int) -> None:
        super().__init__()
        self.logs = [WrittenLog(folder, LOG), WrittenLog(folder, _OTHER)]
        self._random = random.Random(seed)
        self._told = threading.Event()

    def run(self) -> None:
        while not self._told.is_set():
            log = self._random.choice(self.logs)
            records = [
                record(request__id=f"r-{log.seq + number}", tenant=f"t-{self._random.randrange(3)}")
                for number in range(self._random.randrange(1, 40))
            ]
            data = b"".join(log.line(one, after=100_000) + b"\n" for one in records)
            cut = self._random.randrange(len(data))
            log.append(data[:cut])  # a torn line is seen in between
            log.append(data[cut:])
            if self._random.random() < 0.05:
                log.next_segment()
            time.sleep(0.001)

    def stop(self) -> None:
        self._told.set()
        self.join()


def _kills(folder: Path, readers: Readers, *, times: int, seed: int) -> None:
    """Kill the reader at random moments while records come; then everything is found exactly once."""
    chance = random.Random(seed)
    appending = _Appending(folder, seed)

    async def scenario() -> None:
        client = readers(folder)
        client.begin()
        appending.start()
        try:
            for number in range(times):
                with suppress(LogReaderAway):
                    await client.status()
                await asyncio.sleep(chance.random() * 0.4)
                pid = _pid(folder)
                if pid:
                    os.kill(pid, signal.SIGKILL)
                if number % 7 == 3:
                    await asyncio.sleep(0.02)
                    if not _pid(folder):
                        Index.remove(folder)
        finally:
            appending.stop()
        for log in appending.logs:
            log.write(record())
            log.next_segment()
            await _indexed(client, log.name, log.seq - 1)
        found = await _everything(client)
        assert len(found) == len(set(found)) == sum(log.seq for log in appending.logs)
        for log in appending.logs:
            assert [line for line in found if json.loads(line)["log"] == log.name] == log.lines
            assert await _followed(client, log.name) == log.lines
            for tenant in ("t-0", "t-1", "t-2"):
                theirs = [line for line in log.lines if json.loads(line)["tenant"] == tenant]
                assert await _followed(client, log.name, tenant) == theirs
            await _all_closed(log)
        status = await client.status()
        assert [(one.damage, one.proofs) for one in status.logs] == [("", True)] * 2
        await client.close()

    asyncio.run(scenario())


async def _all_closed(log: WrittenLog) -> None:
    """Wait until every segment but the last is closed, and assert that it is whole."""
    firsts = sorted({int(path.name[:20]) for path in log.folder.glob("*.jsonl*")})
    async with asyncio.timeout(60):
        while any((log.folder / f"{first:020}.jsonl").exists() for first in firsts[:-1]):  # noqa: ASYNC110 -- of another process
            await asyncio.sleep(0.02)
    for first, end in pairwise(firsts):
        segment = Segment(log.folder, first)
        assert segment.manifest().sha256 == log.digest(first, end)
        assert [line[:-1] for line in segment.lines()] == log.lines[first:end]
    whole = firsts[-1] // 256 * 256
    assert root_hash(whole, kept_subtree(log.folder)) == root_hash(whole, _subtree(log))
    assert not [path for path in log.folder.rglob("*.new") if path.stat().st_mtime < time.time() - 60]


def _subtree(log: WrittenLog) -> Callable[[int, int], bytes]:
    leaves = log.leaves
    return lambda level, index: complete_hash(leaves[index << level : (index + 1) << level])


def test_a_reader_is_killed_at_random_moments_and_nothing_is_lost_or_doubled(
    tmp_path: Path, readers: Readers
) -> None:
    _kills(tmp_path, readers, times=8, seed=int.from_bytes(os.urandom(4), "big"))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10))
def test_a_reader_is_killed_two_hundred_times(tmp_path: Path, readers: Readers, seed: int) -> None:
    _kills(tmp_path, readers, times=20, seed=seed)


@pytest.mark.parametrize("spoil", ["delete", "cut", "noise", "noise in the middle"])
def test_an_index_that_was_spoiled_is_made_anew(tmp_path: Path, readers: Readers, spoil: str) -> None:
    async def scenario() -> None:
        log = WrittenLog(tmp_path)
        for number in range(3000):
            log.write(record(request__id=f"r-{number}", actor={"id": f"e-{number % 50}"}))
            if number % 1000 == 999:
                log.next_segment()
        client = readers(tmp_path)
        client.begin()
        await _indexed(client, LOG, 2999)
        await _all_closed(log)
        await client.close()
        os.kill(_pid(tmp_path), signal.SIGTERM)
        while _pid(tmp_path):  # noqa: ASYNC110 -- of another process
            await asyncio.sleep(0.01)
        _spoil(tmp_path / FILE, spoil)
        client = readers(tmp_path)
        client.begin()
        await _indexed(client, LOG, 2999)
        async with asyncio.timeout(60):
            while True:
                with suppress(Refused):  # the index is made anew
                    found = [await _of_actor(client, f"e-{number}") for number in range(50)]
                    if sum(map(len, found)) == 3000:
                        break
                await asyncio.sleep(0.02)
        assert sorted(line for lines in found for line in lines) == sorted(log.lines)
        await client.close()

    asyncio.run(scenario())


async def _of_actor(client: LogReader, actor: str) -> list[bytes]:
    """Return what a search has; whatever that is, it is the actor's and complete to where it says."""
    page = await client.search(Search(begins=Nanos(0), ends=_EVERY, limit=1000, filters={"actor": (actor,)}))
    lines = page.lines
    assert all(json.loads(line)["actor"]["id"] == actor for line in lines)
    through = page.indexed_through.get(LOG, -1)
    number = int(actor.removeprefix("e-"))
    assert len(lines) == len(range(number, through + 1, 50))
    return lines


def _spoil(path: Path, how: str) -> None:
    if how == "delete":
        path.unlink()
        return
    content = bytearray(path.read_bytes())
    chance = random.Random(1)
    if how == "cut":
        content = content[: len(content) // 2]
    elif how == "noise":
        content = bytearray(chance.randbytes(len(content)))
    else:
        for _ in range(200):
            content[chance.randrange(4096, len(content))] ^= 0xFF
    path.write_bytes(content)


def test_it_ends_by_itself_when_nobody_is_connected(tmp_path: Path) -> None:
    program = [
        *PROGRAM[:2],
        "-c",
        "from vault.log.reader import __main__ as m; m.LINGER_SECONDS = 1.0; m.main([m.sys.argv[1]])",
    ]
    process = subprocess.Popen([*program, str(tmp_path)])
    assert process.wait(60) == 0
    assert not (tmp_path / SOCKET).exists()


def test_a_second_one_leaves_the_folder_to_the_first(tmp_path: Path) -> None:
    held = os.open(tmp_path / LOCK, os.O_RDWR | os.O_CREAT)
    fcntl.flock(held, fcntl.LOCK_EX)
    process = subprocess.run([*PROGRAM, str(tmp_path)], check=False, capture_output=True, timeout=60)
    assert (process.returncode, process.stderr) == (3, b"")
    os.close(held)


def test_a_command_without_a_folder_is_told_how_it_is_used() -> None:
    process = subprocess.run(PROGRAM, check=False, capture_output=True, timeout=60)
    assert (process.returncode, process.stderr) == (2, b"usage: python -I -m vault.log.reader FOLDER\n")
    assert sys.executable == PROGRAM[0]
