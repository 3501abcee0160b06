# SPDX-License-Identifier: EUPL-1.2
"""A log reader on the loop of a test, instead of a process of its own."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from vault.log.reader.client import LogReader
from vault.log.reader.folder import LogFolder
from vault.log.reader.launch import ReaderProcess
from vault.log.reader.messages import SOCKET, ReaderStatus
from vault.log.reader.service import Service, ServiceLimits

_LIMITS: Final = ServiceLimits()


async def eventually(so: Callable[[], bool]) -> None:
    """Return once it is so."""
    async with asyncio.timeout(60):
        while not so():  # noqa: ASYNC110 -- what is waited for sets no event
            await asyncio.sleep(0.01)


class NoProcess(ReaderProcess):
    """One that never is."""

    def __init__(self) -> None:
        self.pid, self.ended, self.last_words = 0, True, ""


class Served:
    """A folder that is followed, and who serves it."""

    def __init__(self, folder: Path, limits: ServiceLimits = _LIMITS) -> None:
        self.folder = LogFolder(folder, time.monotonic, gather=0.02)
        self.stopped = asyncio.Event()
        self.service = Service(self.folder, time.monotonic, self.stopped.set, limits)
        self.path = folder / SOCKET

    async def settled(self, so: Callable[[ReaderStatus], bool]) -> ReaderStatus:
        """Return how the reader is, once it is so."""
        await eventually(lambda: so(self.folder.status()))
        return self.folder.status()


@asynccontextmanager
async def following(folder: Path, limits: ServiceLimits = _LIMITS) -> AsyncIterator[Served]:
    """Follow a folder."""
    served = Served(folder, limits)
    task = asyncio.get_running_loop().create_task(served.folder.run())
    try:
        yield served
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await served.folder.close()


@asynccontextmanager
async def listening(
    folder: Path, serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
) -> AsyncIterator[None]:
    """Have a function serve the socket of a folder."""
    here = os.getcwd()
    os.chdir(folder)  # a socket's path may not be as long as one of a test
    try:
        server = await asyncio.start_unix_server(serve, SOCKET)
    finally:
        os.chdir(here)
    try:
        yield
    finally:
        server.close()


@asynccontextmanager
async def serving(folder: Path, limits: ServiceLimits = _LIMITS) -> AsyncIterator[Served]:
    """Follow a folder, and answer questions."""
    async with following(folder, limits) as served, listening(folder, served.service.serve):
        yield served


@asynccontextmanager
async def asking(folder: Path) -> AsyncIterator[LogReader]:
    """Ask the reader of a folder; none is started."""
    client = LogReader(folder, time.monotonic, NoProcess, defect=list[Exception]().append)
    client.begin()
    try:
        yield client
    finally:
        await client.close()


async def through(served: Served, log: str, seq: int) -> None:
    """Wait until a record is indexed."""
    await served.settled(
        lambda status: any(one.log == log and one.indexed_through >= seq for one in status.logs)
    )


def run(scenario: Awaitable[None]) -> None:
    """Run a scenario."""

    async def main() -> None:
        await scenario

    asyncio.run(main())
