# SPDX-License-Identifier: EUPL-1.2
"""How a witness is asked: what is answered to which request, and what strangers can't do to it."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.unit.log.format.signing import ed25519
from tests.unit.log.witness.grown import ORIGIN, SERVER, GrownLog
from vault.log.witness.server.key_file import WitnessKey
from vault.log.witness.server.listening import HttpLimits, WitnessListener
from vault.log.witness.server.memory import name_of, open_memory
from vault.log.witness.server.verdict import KnownLogs, Witness
from vault.log.witness.submission import LARGEST, PATH

pytestmark = pytest.mark.loopback
KEY = WitnessKey("w.example/1", b"\x07" * 32)
LOG = GrownLog()
PATIENT = HttpLimits(request=60.0, idle=60.0)


class Asking:
    """Somebody who asks a witness on a port."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._writers: list[asyncio.StreamWriter] = []

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._writers.append(writer)
        return reader, writer

    async def close(self) -> None:
        """Leave."""
        for writer in self._writers:
            writer.close()
        for writer in self._writers:
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def send(self, raw: bytes) -> bytes:
        """All that comes back on one connection."""
        reader, writer = await self.connect()
        writer.write(raw)
        writer.write_eof()
        return await reader.read()

    async def post(self, body: bytes) -> bytes:
        return await self.send(posted(body))


def posted(body: bytes, *, length: int | None = None, path: str = PATH, method: str = "POST") -> bytes:
    """A request."""
    size = len(body) if length is None else length
    return f"{method} {path} HTTP/1.1\r\nHost: w\r\nContent-Length: {size}\r\n\r\n".encode() + body


def play(
    folder: Path, scenario: Callable[[Asking], Awaitable[None]], limits: HttpLimits = PATIENT
) -> list[str]:
    """Run a scenario with a witness that listens; what it told."""
    told: list[str] = []

    async def whole() -> None:
        memory = open_memory(folder / "memory", KEY.verifier, fresh=True)
        witness = Witness(KEY, KnownLogs([ed25519(SERVER).verifier]), memory, lambda: 1_790_000_000)
        listening = WitnessListener(witness, told.append, limits)
        asking = Asking(await listening.start("127.0.0.1", 0))
        try:
            await scenario(asking)
        finally:
            await asking.close()
            await listening.stop()
            memory.close()

    asyncio.run(whole())
    return told


def status(answer: bytes) -> int:
    """The status of the first answer."""
    return int(answer.split(b" ", 2)[1])


def test_a_submission_is_answered_and_what_was_seen_is_shown(tmp_path: Path) -> None:
    async def scenario(asking: Asking) -> None:
        assert status(await asking.post(LOG.body(0, 5))) == 200
        shown = await asking.send(posted(b"", path=f"/{name_of(ORIGIN)}/checkpoint", method="GET"))
        assert (status(shown), LOG.checkpoint(5).text().encode() in shown) == (200, True)

    assert play(tmp_path, scenario) == [f"{ORIGIN}: cosigned 5 records"]


def test_a_conflict_has_the_content_type_of_sizes(tmp_path: Path) -> None:
    async def scenario(asking: Asking) -> None:
        await asking.post(LOG.body(0, 5))
        answer = await asking.post(LOG.body(0, 9))
        head, _, body = answer.partition(b"\r\n\r\n")
        assert (status(answer), body) == (409, b"5\n")
        assert b"content-type: text/x.tlog.size\r\n" in head.lower() + b"\r\n"

    play(tmp_path, scenario)


def test_several_requests_come_on_one_connection_also_together(tmp_path: Path) -> None:
    async def scenario(asking: Asking) -> None:
        answers = await asking.send(posted(LOG.body(0, 5)) + posted(LOG.body(5, 9)) + posted(LOG.body(9, 9)))
        assert answers.count(b"HTTP/1.1 200") == 3
        reader, writer = await asking.connect()
        for size in (12, 20):
            writer.write(posted(LOG.body(size - 3 if size == 12 else 12, size)))
            assert status(await reader.readuntil(b"\r\n\r\n")) == 200
            await reader.readline()

    play(tmp_path, scenario)


def test_of_submissions_at_one_time_one_view_comes_out(tmp_path: Path) -> None:
    async def scenario(asking: Asking) -> None:
        answers = await asyncio.gather(*(asking.post(LOG.body(0, size)) for size in range(1, 33)))
        assert sorted(map(status, answers)) == [200] + [409] * 31
        sizes = {answer.rpartition(b"\r\n\r\n")[2] for answer in answers if status(answer) == 409}
        assert len(sizes) == 1

    assert len(play(tmp_path, scenario)) == 1


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (posted(b"", path="/", method="GET"), 404),
        (posted(b"", path="/add-checkpoint/"), 404),
        (posted(b"", path=f"/{'0' * 64}/checkpoint", method="GET"), 404),
        (posted(b"", path=f"/{'0' * 63}/checkpoint", method="GET"), 404),
        (posted(b"", path=f"/{'é' * 64}/checkpoint", method="GET"), 400),
        (posted(b"", method="GET"), 405),
        (posted(b"", path=f"/{name_of(ORIGIN)}/checkpoint"), 405),
        (posted(b"x" * 100), 400),
        (posted(b"", length=LARGEST + 1), 413),
        (b"nothing of the kind\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: w\r\nX: " + b"x" * 20_000, 431),
        (b"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (
            b"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nTransfer-Encoding: chunked\r\n\r\n"
            + b"%x\r\n" % (LARGEST + 1)
            + b"x" * (LARGEST + 1)
            + b"\r\n0\r\n\r\n",
            413,
        ),
    ],
)
def test_what_is_no_submission_is_refused(tmp_path: Path, raw: bytes, expected: int) -> None:
    async def scenario(asking: Asking) -> None:
        reader, writer = await asking.connect()
        writer.write(raw)
        assert status(await reader.readuntil(b"\r\n\r\n")) == expected

    assert play(tmp_path, scenario) == []


def test_who_sends_too_slowly_is_left_and_others_are_answered_meanwhile(tmp_path: Path) -> None:
    async def scenario(asking: Asking) -> None:
        slow = [await asking.connect() for _ in range(3)]
        slow[0][1].write(posted(b"x", length=100))
        slow[1][1].write(b"POST /add-ch")
        assert status(await asking.post(LOG.body(0, 5))) == 200
        assert [await reader.read() for reader, _ in slow] == [b"", b"", b""]

    play(tmp_path, scenario, HttpLimits(request=0.3, idle=0.3))


def test_more_connections_than_there_may_be_are_not_served(tmp_path: Path) -> None:
    async def scenario(asking: Asking) -> None:
        held = [await asking.connect() for _ in range(3)]
        for reader, writer in held:
            writer.write(posted(b"x"))
            assert status(await reader.readuntil(b"\r\n\r\n")) == 400
        reader, _ = await asking.connect()
        assert await reader.read() == b""

    play(tmp_path, scenario, HttpLimits(request=60.0, idle=60.0, connections=3))


def test_what_cannot_be_kept_is_told_and_answered_without_the_reason(tmp_path: Path) -> None:
    async def scenario(asking: Asking) -> None:
        (tmp_path / "memory" / f"{name_of(ORIGIN)}.checkpoint.new").mkdir()
        answer = await asking.post(LOG.body(0, 5))
        assert (status(answer), b"directory" in answer) == (500, False)

    assert play(tmp_path, scenario) == [
        "a checkpoint could not be kept, and was not cosigned: Is a directory"
    ]
