# SPDX-License-Identifier: EUPL-1.2
"""What the log reader costs, and how soon it answers: `python -m tests.perf.log.reader [--records 10000000]`.

It writes two logs of made-up requests, lets a reader index and close them, and asks it as a server does. Two minutes with
10**5 records, half an hour and 20 GB with 10**7. Processor time is told by thread, as closing goes on beside indexing,
and beside it what known work takes at the same time (SHA-256 of a record's size): on a busy machine both are dearer.
"""

import argparse
import asyncio
import os
import random
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

from tests.perf.log.records import BEGAN, DAY, Population, write_logs
from vault.log.format.note_key import Verifier
from vault.log.format.proof import check_proof, parse_proof
from vault.log.format.tree import leaf_hash
from vault.log.reader.client import LogReader, LogReaderAway
from vault.log.reader.index.store import FILE
from vault.log.reader.launch import ReaderProcess
from vault.log.reader.messages import Count, Filters, Follow, Proof, Record, Search
from vault.log.writer import LogLimits
from vault.values.times import Nanos

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_HOUR: Final = DAY // 24


def _processor(pid: int) -> dict[str, float]:
    """The seconds of processor time of a process: of its loop, and of the thread that closes segments."""
    found = {"loop": 0.0, "closing": 0.0}
    for task in Path(f"/proc/{pid}/task").iterdir():
        fields = (task / "stat").read_text().rpartition(")")[2].split()
        found["loop" if int(task.name) == pid else "closing"] += (int(fields[11]) + int(fields[12])) / _TICKS
    return found


def _known_work() -> float:
    """Microseconds that SHA-256 of 1,150 bytes takes now."""
    data = bytes(1150)
    began = time.process_time()
    for _ in range(50_000):
        sha256(data).digest()
    return (time.process_time() - began) / 50_000 * 1e6


class Bench:
    """One reader of one folder."""

    def __init__(self, folder: Path, population: Population, count: int, seed: int) -> None:
        self.folder, self.population, self.count = folder, population, count
        self.random = random.Random(seed)
        self.process: ReaderProcess | None = None
        self.reader = LogReader(folder, time.monotonic, self._start, defect=list[Exception]().append)

    def _start(self) -> ReaderProcess:
        self.process = ReaderProcess(self.folder)
        return self.process

    async def index(self) -> None:
        """Wait until everything is indexed and closed, and tell what it took."""
        before, began = _known_work(), time.monotonic()
        self.reader.begin()
        while self.process is None or not self.reader.connected:  # noqa: ASYNC110 -- of another process
            await asyncio.sleep(0.01)
        loaded = _processor(self.process.pid)["loop"]
        while True:
            with suppress(LogReaderAway):
                status = await self.reader.status()
                if sum(log.indexed_through + 1 for log in status.logs) == self.count:
                    break
            await asyncio.sleep(0.2)
        took = time.monotonic() - began
        used = _processor(self.process.pid)["loop"] - loaded
        print(f"index             {used / self.count * 1e6:8.2f} µs a record ({took:.0f} s in all)")
        print(f"  known work      {before:8.2f} µs, then {_known_work():.2f}: SHA-256 of 1,150 bytes")
        while [*self.folder.rglob("*.jsonl")][2:]:  # noqa: ASYNC110 -- of another process
            await asyncio.sleep(0.2)
        closed = _processor(self.process.pid)["closing"]
        print(f"close             {closed / self.count * 1e6:8.2f} µs a record, in a thread")
        index, ahead = (self.folder / FILE).stat().st_size, (self.folder / f"{FILE}-wal").stat().st_size
        print(
            f"index size        {index / self.count:8.1f} bytes a record, and {ahead >> 20} MiB written ahead"
        )
        for kind in (".jsonl.gz", ".jsonl"):
            size = sum(path.stat().st_size for path in self.folder.rglob(f"*{kind}"))
            print(f"{kind:17} {size / self.count:8.1f} bytes a record")

    async def search(self) -> None:
        """Time searches of each kind."""
        callers, secrets = self.population.callers, self.population.secrets
        chance = self.random.random

        def caller() -> str:
            return callers[int(len(callers) * chance() ** 3)].actor

        def secret() -> str:
            return secrets[int(len(secrets) * chance() ** 3)].id

        kept = self.population.kept
        await self._timed("a resource, in an hour", lambda: self._searched({"resource": (secret(),)}, _HOUR))
        await self._timed("a resource, in a day", lambda: self._searched({"resource": (secret(),)}))
        await self._timed(
            "resources of a team", lambda: self._searched({"resource": (f"kv/team-{int(200 * chance())}/*",)})
        )
        await self._timed("an actor", lambda: self._searched({"actor": (caller(),)}))
        await self._timed("denied, in an hour", lambda: self._searched({"outcome": ("denied",)}, _HOUR))
        await self._timed("denied", lambda: self._searched({"outcome": ("denied",)}))
        await self._timed(
            "a request id", lambda: self._searched({"request_id": (self.random.choice(kept)[0],)})
        )
        await self._timed(
            "one that is not there", lambda: self._searched({"request_id": (f"none-{chance()}",)})
        )
        await self._timed(
            "an actor and a common event",
            lambda: self._searched({"actor": (caller(),), "event": ("esa.kv.*",)}),
        )
        await self._timed(
            "an actor and denied", lambda: self._searched({"actor": (caller(),), "outcome": ("denied",)})
        )
        await self._timed("everything", lambda: self._searched({}))
        await self._timed(
            "everything of a tenant", lambda: self._searched({}, tenants=(f"t-{1 + 2 * int(20 * chance())}",))
        )
        await self._timed("a picture of a day", self._counted, times=20)

    async def _searched(
        self, filters: Filters, length: int = DAY, tenants: tuple[str, ...] | None = None
    ) -> int:
        begins = BEGAN + int((DAY - length) * self.random.random())
        page = await self.reader.search(
            Search(
                filters=filters, begins=Nanos(begins), ends=Nanos(begins + length), limit=100, tenants=tenants
            )
        )
        assert page.complete
        return len(page.lines)

    async def _counted(self) -> int:
        counted = await self.reader.count(Count(begins=Nanos(BEGAN), ends=Nanos(BEGAN + DAY), buckets=200))
        return sum(sum(one.values()) for one in counted.counts)

    async def _timed(self, name: str, ask: Callable[[], Awaitable[int]], times: int = 200) -> None:
        took, found = [], 0
        for _ in range(times):
            began = time.perf_counter()
            found += await ask()
            took.append((time.perf_counter() - began) * 1000)
        took.sort()
        print(
            f"{name:28} p50 {took[times // 2]:8.2f} ms   p99 {took[-1 - times // 100]:8.2f} ms   {found / times:8.1f} records"
        )

    async def follow(self) -> None:
        """Read both logs to their ends."""
        began, count = time.perf_counter(), 0
        for log in (await self.reader.status()).logs:
            after = -1
            while (page := await self.reader.follow(Follow(log=log.log, after=after, limit=1000))).lines:
                count, after = count + len(page.lines), page.after
                if time.perf_counter() - began > 20:
                    break
        print(f"follow            {count / (time.perf_counter() - began):8.0f} records a second")

    async def prove(self, verifiers: Mapping[str, Verifier]) -> None:
        """Time proofs, and verify them."""
        took = []
        for _ in range(200):
            log = self.random.choice([*verifiers])
            seq = self.random.randrange(self.count // 2)
            began = time.perf_counter()
            text = (await self.reader.proof(Proof(log=log, seq=seq))).text
            took.append((time.perf_counter() - began) * 1000)
            line = (await self.reader.record(Record(log=log, seq=seq))).content
            check_proof(parse_proof(text.encode()), leaf_hash(line), verifiers[log].name, [verifiers[log]])
        took.sort()
        print(f"{'a proof':28} p50 {took[100]:8.2f} ms   p99 {took[-2]:8.2f} ms")


async def measure(bench: Bench, verifiers: Mapping[str, Verifier]) -> None:
    """Index, and ask."""
    try:
        await bench.index()
        await bench.search()
        await bench.follow()
        await bench.prove(verifiers)
    finally:
        await bench.reader.close()
        if bench.process is not None and bench.process.pid:
            os.kill(bench.process.pid, 15)


def main() -> None:
    """Measure what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", help="where it is written; a temporary folder otherwise")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        population, count = Population(options.seed), options.records
        limits = LogLimits(segment_bytes=min(64 << 20, 200 * count))
        verifiers = {
            one.name.rpartition("/")[2]: one for one in write_logs(Path(folder), population, count, limits)
        }
        size = sum(path.stat().st_size for path in Path(folder).rglob("*.jsonl"))
        print(f"{count} records of {size / count:.0f} bytes")
        asyncio.run(measure(Bench(Path(folder), population, count, options.seed), verifiers))


if __name__ == "__main__":
    main()
