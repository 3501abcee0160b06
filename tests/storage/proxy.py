# SPDX-License-Identifier: EUPL-1.2
"""What lies between a node and its PostgreSQL, and fails: it lets through, freezes, or cuts at the worst moment."""

import asyncio
import shutil
import tempfile
import threading
from collections.abc import AsyncIterator, Generator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Literal, Self

Moment = Literal["", "request", "answer", "before", "COMMIT"]
Way = Literal["there", "back"]
_SOCKET = ".s.PGSQL.5432"
_PATIENCE = 60


class Proxy:
    """A Unix socket in a directory of its own that leads to another one.

    `cut` is what is lost of the next commit: its request, or its answer after it was done. Then both sides are closed, and
    where that is `alone`, nobody gets there any more. "before" keeps it from going on, with all that comes after it. Of a heavy batch, those are of what is
    written; "COMMIT" loses the answer to what then commits it.
    """

    def __init__(self, target: str) -> None:
        self.target = target
        self.folder = tempfile.mkdtemp(prefix="px-")
        self.cut: Moment = ""
        self.alone = False
        self.cuts = self.commits = 0
        self._flows: dict[Way, asyncio.Event] = {"there": asyncio.Event(), "back": asyncio.Event()}
        self.thaw()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    @classmethod
    @asynccontextmanager
    async def open(cls, target: str) -> AsyncIterator[Self]:
        proxy = cls(target)
        server = await asyncio.start_unix_server(proxy._accept, str(Path(proxy.folder) / _SOCKET))
        try:
            yield proxy
        finally:
            server.close()
            proxy.thaw()
            proxy.break_all()
            if proxy._tasks:
                await asyncio.wait(proxy._tasks)
            shutil.rmtree(proxy.folder)

    def freeze(self, *ways: Way) -> None:
        """Let nothing through, one way or both, and close nothing."""
        for way in ways or self._flows:
            self._flows[way].clear()

    def thaw(self) -> None:
        """Let everything through again, what waited too."""
        for flow in self._flows.values():
            flow.set()

    def hold(self) -> None:
        """Keep a commit from going on, now that it has come."""
        self.cut = ""
        self.cuts += 1
        self.freeze("there")

    def break_all(self) -> None:
        """Break every connection that there is."""
        for writer in [*self._writers]:
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self.flow("there")
        if not self.target:
            writer.transport.abort()
            return
        try:
            there = await asyncio.open_unix_connection(str(Path(self.target) / _SOCKET))
        except OSError:
            writer.transport.abort()
            return
        pair = _Pair(self, (reader, writer), there)
        self._writers |= {writer, there[1]}
        for flow in (pair.ask(), pair.answer()):
            task = asyncio.get_running_loop().create_task(flow)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def flow(self, way: Way) -> None:
        """Wait while it is frozen."""
        await self._flows[way].wait()


class _Pair:
    """Both directions of one connection."""

    def __init__(
        self,
        proxy: Proxy,
        here: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        there: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self._proxy = proxy
        self._here, self._there = here, there
        self._commits = self._turn = False
        self._committing = False

    async def ask(self) -> None:
        with suppress(ConnectionError):
            while data := await self._here[0].read(1 << 16):
                await self._proxy.flow("there")
                committing = self._is_commit(data)
                self._proxy.commits += committing
                if committing and self._proxy.cut:
                    if self._proxy.cut == "before":
                        self._proxy.hold()
                        await self._proxy.flow("there")
                    elif self._proxy.cut == "request":
                        self._break()
                        return
                    else:
                        self._committing = True
                self._there[1].write(data)
        self._there[1].close()

    def _is_commit(self, data: bytes) -> bool:
        """Whether this commits: a batch that is bound, of which only the preparation says what it is; in the turn, COMMIT."""
        if self._proxy.cut == "COMMIT":
            return data[:1] + data[5:11] == b"QCOMMIT"
        self._turn = self._turn or b"take_turn" in data
        if self._turn:
            return data[:1] + data[5:11] == b"QCOMMIT"
        self._commits = self._commits or b"commit_batch" in data
        return self._commits and data[:1] == b"B"

    async def answer(self) -> None:
        with suppress(ConnectionError):
            while data := await self._there[0].read(1 << 16):
                await self._proxy.flow("back")
                if self._committing:
                    self._break()
                    return
                self._here[1].write(data)
        self._here[1].close()

    def _break(self) -> None:
        self._proxy.cut = ""
        if self._proxy.alone:
            self._proxy.target = ""
        self._proxy.cuts += 1
        for writer in (self._here[1], self._there[1]):
            writer.transport.abort()


@contextmanager
def proxied(target: str) -> Generator[tuple[Proxy, asyncio.AbstractEventLoop]]:
    """Open one for servers that are processes, with the loop of a thread of its own."""

    async def serve(ready: Future[Proxy]) -> None:
        async with Proxy.open(target) as proxy:
            ready.set_result(proxy)
            await ended.wait()

    ready: Future[Proxy] = Future()
    ended = asyncio.Event()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(ready),), daemon=True)
    thread.start()
    try:
        yield ready.result(_PATIENCE), loop
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()
