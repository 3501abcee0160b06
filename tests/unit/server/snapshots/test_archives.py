# SPDX-License-Identifier: EUPL-1.2
"""Archives that are passed on: piece by piece, whole or broken off, and nothing is left of one that nobody waits for."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from vault.server.config.settings import StorageSettings
from vault.server.snapshots import archives
from vault.server.snapshots.archives import archive
from vault.storage.copies.archive import last_part
from vault.storage.protocol import StorageFailure

_MIB = 1 << 20


def _archive(program: str) -> AsyncGenerator[bytes, None]:
    storage = StorageSettings(kind="sqlite", path="/none.db")
    return archive(storage, bytes.upper, {}, [sys.executable, "-c", f"import sys, os, time\n{program}"])


async def _all(pieces: AsyncGenerator[bytes, None]) -> list[bytes]:
    assert await anext(pieces) == b"", "it has begun, and nobody got anything"
    return [piece async for piece in pieces]


def test_it_is_passed_on_with_its_sums_sealed() -> None:
    program = "sys.stdin.readline(); print('abc', end='', flush=True); sys.stderr.write('{\"sums\": \"s\"}')"
    assert b"".join(asyncio.run(_all(_archive(program)))) == b"abc" + last_part(b"S")


def test_one_that_cannot_begin_has_nothing_to_pass_on() -> None:
    async def run() -> None:
        with pytest.raises(StorageFailure, match="the disk is full"):
            await anext(_archive('sys.stderr.write(\'{"failure": "the disk is full"}\')'))

    asyncio.run(run())


@pytest.mark.parametrize(
    ("end", "told"),
    [
        ('sys.stderr.write(\'{"failure": "gone"}\')', "gone"),
        ("os.kill(os.getpid(), 9)", "ended with -9"),
        ("raise ValueError('hunter2')", "ended with 1, ValueError$"),
        ("sys.stderr.write('{}')", "said nothing"),
    ],
)
def test_one_that_breaks_off_never_looks_whole(end: str, told: str) -> None:
    async def run() -> None:
        with pytest.raises(StorageFailure, match=told):
            await _all(_archive(f"os.write(1, b'abc')\n{end}"))

    asyncio.run(run())


def test_a_client_that_is_slow_makes_the_process_wait() -> None:
    program = f'for _ in range(64): os.write(1, bytes({_MIB}))\nsys.stderr.write(\'{{"sums": "s"}}\')'

    async def run() -> int:
        pieces = _archive(program)
        await anext(pieces)
        size = 0
        async for piece in pieces:
            await asyncio.sleep(0)
            assert len(piece) <= archives._PIECE
            size += len(piece)
        return size

    assert asyncio.run(run()) == 64 * _MIB + len(last_part(b"S"))


def test_a_client_that_leaves_ends_it(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    program = f"open({str(pid)!r}, 'w').write(str(os.getpid()))\nwhile True: os.write(1, bytes({_MIB}))"

    async def run() -> None:
        pieces = _archive(program)
        await anext(pieces)
        await anext(pieces)
        await pieces.aclose()
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid.read_text()), 0)

    asyncio.run(run())


def test_one_that_does_not_end_when_it_is_told_to_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that waits for a disk or a database that does not answer."""
    monkeypatch.setattr(archives, "PATIENCE", 0.1)
    pid = tmp_path / "pid"
    program = (
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"open({str(pid)!r}, 'w').write(str(os.getpid()))\nos.write(1, b'abc')\ntime.sleep(600)"
    )

    async def run() -> None:
        pieces = _archive(program)
        await anext(pieces)
        assert await anext(pieces) == b"abc"
        async with asyncio.timeout(60):
            await pieces.aclose()
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid.read_text()), 0)

    asyncio.run(run())


def test_what_killed_ones_left_beside_the_database_is_cleared(tmp_path: Path) -> None:
    (tmp_path / "v.db.archive-x").mkdir()
    (tmp_path / "v.db.archive-x" / "backup.db").write_bytes(b"x")
    asyncio.run(archives.clear(StorageSettings(kind="sqlite", path=str(tmp_path / "v.db"))))
    assert list(tmp_path.iterdir()) == []
    asyncio.run(archives.clear(StorageSettings(kind="sqlite", path=str(tmp_path / "none" / "v.db"))))
    asyncio.run(archives.clear(StorageSettings(kind="postgresql")))


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    async def run() -> None:
        storage = StorageSettings(kind="sqlite", path="/none.db")
        with pytest.raises(StorageFailure, match="cannot be started: No such file"):
            await anext(archive(storage, bytes.upper, {}, [str(tmp_path / "none")]))

    asyncio.run(run())


def test_the_real_one_tells_why_there_is_none(tmp_path: Path) -> None:
    async def run() -> None:
        storage = StorageSettings(kind="sqlite", path=str(tmp_path / "none.db"))
        with pytest.raises(StorageFailure, match="there is no such database"):
            await anext(archive(storage, bytes.upper, {}))

    asyncio.run(run())
    assert list(tmp_path.iterdir()) == []
