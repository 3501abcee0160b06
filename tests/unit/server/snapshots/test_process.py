# SPDX-License-Identifier: EUPL-1.2
"""The process that makes a backup: what it is told and given, how it ends, and what is told of one that does not do its work."""

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from vault.server.config.settings import StorageSettings
from vault.server.config.snapshots.settings import SnapshotSettings
from vault.server.snapshots import process
from vault.server.snapshots.messages import Outcome, Task
from vault.server.snapshots.process import BackupProcess
from vault.values.times import Millis

SECRET = "AKIA-hunter2"


def _task(folder: Path) -> Task:
    snapshot = SnapshotSettings(kind="directory", name="n", path=str(folder))
    storage = StorageSettings(kind="sqlite", path=str(folder / "none.db"))
    return Task(storage=storage, snapshot=snapshot, begun=Millis(1_700_000_000_000))


def _outcome(folder: Path, program: str, environment: Mapping[str, str] | None = None) -> Outcome:
    async def run() -> Outcome:
        line = [sys.executable, "-c", program]
        return await BackupProcess(_task(folder), environment or {}, line).outcome()

    return asyncio.run(run())


def test_it_is_told_its_task_and_says_what_became_of_it(tmp_path: Path) -> None:
    program = (
        "import sys, json; task = json.loads(sys.stdin.readline());"
        "print(json.dumps({'name': task['snapshot']['name'], 'size': task['begun']}))"
    )
    assert _outcome(tmp_path, program) == Outcome(name="n", size=1_700_000_000_000)


def test_it_gets_what_it_is_for_and_no_more_of_the_environment(tmp_path: Path) -> None:
    program = (
        "import os, json; print(json.dumps({'failure': ' '.join(sorted(set(os.environ) - {'LC_CTYPE'}))}))"
    )
    environment = {"AWS_SECRET_ACCESS_KEY": SECRET, "BAO_TOKEN": "x", "PATH": "/bin", "TMPDIR": "/tmp"}
    assert _outcome(tmp_path, program, environment).failure == "AWS_SECRET_ACCESS_KEY TMPDIR"


@pytest.mark.parametrize(
    ("program", "told"),
    [
        ("raise ValueError('hunter2')", "ended with 1, ValueError"),
        ("import os; os.kill(os.getpid(), 9)", "ended with -9"),
        ("print('hunter2')", "ended with 0"),
        ("", "ended with 0"),
    ],
)
def test_one_that_does_not_do_its_work_is_told_without_its_words(
    tmp_path: Path, program: str, told: str
) -> None:
    failure = _outcome(tmp_path, program).failure
    assert failure == f"the process that makes a backup {told}"


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    async def run() -> Outcome:
        return await BackupProcess(_task(tmp_path), {}, [str(tmp_path / "none")]).outcome()

    assert "cannot be started: No such file" in asyncio.run(run()).failure


def test_who_waits_no_more_ends_it(tmp_path: Path) -> None:
    mark = tmp_path / "ended"
    program = (
        "import signal, sys, pathlib, time\n"
        f"signal.signal(signal.SIGTERM, lambda *_: (pathlib.Path({str(mark)!r}).touch(), sys.exit(0)))\n"
        f"pathlib.Path({str(tmp_path / 'begun')!r}).touch()\n"
        "time.sleep(600)"
    )

    async def run() -> None:
        started = await _given_up(tmp_path, program)
        await _gone(started.pid)

    asyncio.run(run())
    assert mark.exists()


async def _given_up(folder: Path, program: str) -> BackupProcess:
    """Return a process for which nobody waits any more; the program says by a file that it has begun."""
    started = BackupProcess(_task(folder), {}, [sys.executable, "-c", program])
    waiting = asyncio.ensure_future(started.outcome())
    async with asyncio.timeout(60):
        while not (folder / "begun").exists():  # noqa: ASYNC110 -- another process sets no event
            await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    return started


async def _gone(pid: int) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return
            await asyncio.sleep(0.01)


def test_who_gives_up_does_not_wait_for_one_that_does_not_end_and_it_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that sends to object storage that does not answer, while the vault seals."""
    monkeypatch.setattr(process, "FAREWELL", 0.01)
    program = (
        "import signal, pathlib, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"pathlib.Path({str(tmp_path / 'begun')!r}).touch()\ntime.sleep(600)"
    )

    async def run() -> None:
        started = await _given_up(tmp_path, program)
        os.kill(started.pid, 0)
        await _gone(started.pid)

    asyncio.run(run())


def test_the_real_one_tells_why_there_is_no_backup(tmp_path: Path) -> None:
    async def run() -> Outcome:
        return await BackupProcess(_task(tmp_path), {}).outcome()

    assert "there is no such database" in asyncio.run(run()).failure
    assert list(tmp_path.iterdir()) == []


def test_it_ends_when_its_server_is_gone(tmp_path: Path) -> None:
    """The server's end of standard input closes with the server: the real program ends then, whatever it does."""
    fifo = tmp_path / "slow.db"
    os.mkfifo(fifo)
    storage = StorageSettings(kind="sqlite", path=str(tmp_path / "none.db"))
    snapshot = SnapshotSettings(kind="directory", name="n", path=str(tmp_path), recipients_file=str(fifo))
    task = Task(storage=storage, snapshot=snapshot, begun=Millis(1_700_000_000_000))

    async def run() -> None:
        process = BackupProcess(task, {})
        async with asyncio.timeout(60):
            while process._child is None:  # noqa: ASYNC110 -- a thread sets no event
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.5)  # it reads the pipe, which nobody writes to
        assert process._child.stdin is not None
        process._child.stdin.close()
        async with asyncio.timeout(60):
            assert "ended with" in (await process.outcome()).failure

    asyncio.run(run())
