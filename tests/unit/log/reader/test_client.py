# SPDX-License-Identifier: EUPL-1.2
"""The server's side: it has one reader running, asks it, and says by one error that it does not answer."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from tests.unit.log.reader.serving import NoProcess, asking, eventually, listening, run, serving, through
from tests.unit.log.reader.written import LOG, WrittenLog, record
from vault.log.reader import client, messages
from vault.log.reader.client import LogReader, LogReaderAway
from vault.log.reader.launch import ReaderProcess, Start
from vault.log.reader.messages import Hello, framed
from vault.values.times import Nanos

_EVERY = messages.Search(begins=Nanos(0), ends=Nanos(1 << 61))


def _written(folder: Path) -> WrittenLog:
    log = WrittenLog(folder)
    log.write(*[record()] * 5)
    log.sign()
    return log


def _impatient(folder: Path, start: Start, hung: list[None], patience: float) -> LogReader:
    """A client that waits for a sign of life for so many seconds, and notes each reader that gave none."""
    return LogReader(
        folder,
        time.monotonic,
        start,
        defect=list[Exception]().append,
        hung=lambda: hung.append(None),
        longest_pause=0.05,
        patience=patience,
    )


def test_everything_can_be_asked(tmp_path: Path) -> None:
    async def scenario() -> None:
        log = _written(tmp_path)
        async with serving(tmp_path) as served, asking(tmp_path) as reader:
            await through(served, LOG, 4)
            assert (await reader.search(_EVERY)).lines == log.lines[::-1]
            assert (await reader.follow(messages.Follow(log=LOG, after=1))).after == 4
            assert (await reader.record(messages.Record(log=LOG, seq=2))).content == log.lines[2]
            assert (await reader.proof(messages.Proof(log=LOG, seq=2))).text
            assert (await reader.consistency(messages.Consistency(log=LOG, old=1, new=5))).hashes
            assert (await reader.tile(messages.ReadTile(log=LOG, path="tile/0/000.p/5"))).size == 160
            assert (await reader.checkpoint(messages.NewestCheckpoint(log=LOG))).text
            assert (await reader.segments(messages.ListSegments(log=LOG))).segments[0].first == 0
            with pytest.raises(messages.Refused):
                await reader.segment(messages.ReadSegment(log=LOG, first=0))
            ask = messages.Count(begins=Nanos(0), ends=Nanos(1 << 61), buckets=1)
            assert (await reader.count(ask)).counts == ({"success": 5},)
            assert (await reader.status()).logs[0].log == LOG
            assert reader.connected

    run(scenario())


def test_all_segments_are_asked_for_by_pages(tmp_path: Path) -> None:
    async def scenario() -> None:
        log = _written(tmp_path)
        for _ in range(4):
            log.next_segment()
            log.write(record())
        async with serving(tmp_path) as served, asking(tmp_path) as reader:
            await through(served, LOG, 8)
            for limit in (1, 2, 3, 500):
                listed = await reader.all_segments(LOG, limit)
                assert [one.first for one in listed] == [0, 5, 6, 7, 8]

    run(scenario())


def test_answers_reach_who_asked(tmp_path: Path) -> None:
    async def scenario() -> None:
        log = _written(tmp_path)
        async with serving(tmp_path) as served, asking(tmp_path) as reader:
            await through(served, LOG, 4)
            waiting = asyncio.get_running_loop().create_task(
                reader.follow(messages.Follow(log=LOG, after=4, wait=0.3))
            )
            asks = [reader.record(messages.Record(log=LOG, seq=number % 5)) for number in range(50)]
            assert [line.content for line in await asyncio.gather(*asks)] == log.lines * 10
            assert (await waiting).lines == []

    run(scenario())


def test_a_question_that_is_too_large_is_refused_and_ends_nobody_elses(tmp_path: Path) -> None:
    long = ("\1" * messages.LONGEST_VALUE,) * messages.MOST_VALUES
    large = messages.Search(begins=Nanos(0), ends=Nanos(1 << 61), filters={"actor": long, "resource": long})

    async def scenario() -> None:
        log = _written(tmp_path)
        async with serving(tmp_path) as served, asking(tmp_path) as reader:
            await through(served, LOG, 4)
            waiting = asyncio.get_running_loop().create_task(
                reader.follow(messages.Follow(log=LOG, after=4, wait=60))
            )
            for _ in range(3):
                with pytest.raises(messages.Refused, match="give fewer or shorter values") as refused:
                    await reader.search(large)
                assert refused.value.refusal.kind == "malformed"
                assert (await reader.search(_EVERY)).count == 5
            log.write(record())
            assert (await waiting).count == 1

    run(scenario())


def test_a_question_of_the_largest_size_is_answered(tmp_path: Path) -> None:
    ends = _EVERY.ends
    values = tuple(f"{number:08192}" for number in range(messages.MOST_VALUES))

    def asked(more: int) -> messages.Search:
        filters: messages.Filters = {"actor": values, "rule": values[:27], "policy": ("x" * more,)}
        return messages.Search(begins=Nanos(0), ends=ends, filters=filters)

    first = len(framed(messages.Question(1, asked(1)))) - 5
    fits = messages.LARGEST_QUESTION - first

    async def scenario() -> None:
        _written(tmp_path)
        async with serving(tmp_path) as served, asking(tmp_path) as reader:
            await through(served, LOG, 4)
            assert (await reader.search(asked(fits))).count == 0
            with pytest.raises(messages.Refused, match="too large"):
                await reader.search(asked(fits + 1))

    run(scenario())


def test_who_waits_no_more_keeps_nobody_from_asking(tmp_path: Path) -> None:
    async def scenario() -> None:
        _written(tmp_path)
        async with serving(tmp_path) as served, asking(tmp_path) as reader:
            await through(served, LOG, 4)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await reader.follow(messages.Follow(log=LOG, after=4, wait=60))
            assert (await reader.status()).logs
            assert reader._line is not None
            assert reader._line._waiting == {}
            assert not served.folder._waiting  # and takes no place of a tail

    run(scenario())


def test_a_reader_that_is_not_there_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "CONNECTED_SECONDS", 0.2)

    async def scenario() -> None:
        for folder in (tmp_path, tmp_path / "none"):
            async with asking(folder) as reader:
                with pytest.raises(LogReaderAway, match="the log reader does not answer"):
                    await reader.status()
                assert not reader.connected
                assert reader.starts

    run(scenario())


def test_a_reader_that_goes_away_is_told_at_once_and_found_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        _written(tmp_path)
        async with asking(tmp_path) as reader:
            async with serving(tmp_path) as served:
                await through(served, LOG, 4)
                waiting = asyncio.get_running_loop().create_task(
                    reader.follow(messages.Follow(log=LOG, after=4, wait=60))
                )
                await eventually(lambda: bool(served.folder._waiting))
                assert reader._line is not None
                reader._line._writer.transport.abort()
                began = time.monotonic()
                with pytest.raises(LogReaderAway):
                    await waiting
                assert time.monotonic() - began < 5
            await eventually(lambda: not reader.connected)
            async with serving(tmp_path) as served:
                await through(served, LOG, 4)
                assert (await reader.status()).logs

    run(scenario())


def test_readers_are_started_ever_more_slowly_while_that_does_not_help(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with asking(tmp_path) as reader:
            await asyncio.sleep(1)
            assert 2 <= reader.starts <= 6

    run(scenario())


def test_no_other_is_started_while_one_runs(tmp_path: Path) -> None:
    class Running(NoProcess):
        def __init__(self) -> None:
            super().__init__()
            self.ended = False

    async def scenario() -> None:
        reader = LogReader(tmp_path, time.monotonic, Running, defect=list[Exception]().append)
        reader.begin()
        await asyncio.sleep(0.5)
        assert reader.starts == 1
        await reader.close()

    run(scenario())


@pytest.mark.parametrize("said", [framed(Hello("another")), b"\0\0\0\2{}", b"\xff\xff\xff\xff", b""])
def test_one_that_speaks_otherwise_is_not_asked_and_told_to_end(tmp_path: Path, said: bytes) -> None:
    heard: list[bytes] = []

    async def stranger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        if said:
            heard.append(await reader.read(1000))
        writer.close()

    async def scenario() -> None:
        async with listening(tmp_path, stranger), asking(tmp_path) as reader:
            await eventually(lambda: reader.starts > 1)
            assert not reader.connected
        if b"another" in said:
            assert b'"stop"' in heard[0]

    run(scenario())


def test_an_answer_that_makes_no_sense_is_no_answer(tmp_path: Path) -> None:
    async def liar(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(framed(Hello(messages.VERSION)))
        await reader.read(1000)
        writer.write(framed(messages.Answer(1, msgspec.Raw(b'{"text":1}'))))
        await reader.read(1000)
        writer.close()

    async def scenario() -> None:
        async with listening(tmp_path, liar), asking(tmp_path) as reader:
            with pytest.raises(LogReaderAway):
                await reader.checkpoint(messages.NewestCheckpoint(log=LOG))

    run(scenario())


def _liar_with_pieces(
    number: int, frames: int
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """A reader that sends so many large pieces of one answer, and then the answer."""

    async def liar(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(framed(Hello(messages.VERSION)))
        await reader.read(1000)
        body = b"P" + number.to_bytes(8, "big") + bytes(1 << 20)
        with suppress(OSError):
            for _ in range(frames):
                writer.write(len(body).to_bytes(4, "big") + body)
                await writer.drain()
            writer.write(framed(messages.Answer(1, msgspec.Raw(b'{"size":7}'))))
            await reader.read(1000)
        writer.close()

    return liar


def test_no_answer_has_more_pieces_than_the_largest(tmp_path: Path) -> None:
    async def scenario() -> None:
        for frames in (16, 17):
            async with listening(tmp_path, _liar_with_pieces(1, frames)), asking(tmp_path) as reader:
                ask = reader.tile(messages.ReadTile(log=LOG, path="tile/0/000"))
                if frames == 17:
                    with pytest.raises(LogReaderAway):
                        await ask
                else:
                    assert len((await ask).content) == messages.LARGEST_ANSWER

    run(scenario())


def test_pieces_of_a_question_that_nobody_asked_are_not_kept(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with listening(tmp_path, _liar_with_pieces(77, 40)), asking(tmp_path) as reader:
            assert (await reader.tile(messages.ReadTile(log=LOG, path="tile/0/000"))).content == b""

    run(scenario())


def test_one_that_never_listens_is_ended(tmp_path: Path) -> None:
    class Stopped(NoProcess):
        def __init__(self) -> None:
            super().__init__()
            self.ended = False

        def kill(self) -> None:
            self.ended = True

    hung: list[None] = []

    async def scenario() -> None:
        reader = _impatient(tmp_path, Stopped, hung, 0.2)
        reader.begin()
        await eventually(lambda: reader.starts > 2)
        await reader.close()
        assert len(hung) >= 2

    run(scenario())


def test_one_that_was_heard_a_moment_ago_is_not_ended_where_the_next_try_fails(tmp_path: Path) -> None:
    """It was started long ago: since then it has been heard all the time, and it may be about to end, or find its place taken."""
    ended: list[None] = []
    times = [0.0]
    asked: list[None] = []

    class Running(NoProcess):
        def __init__(self) -> None:
            super().__init__()
            self.ended = False

        def kill(self) -> None:
            ended.append(None)

    def now() -> float:
        asked.append(None)
        return times[0]

    async def scenario() -> None:
        reader = LogReader(
            tmp_path, now, Running, defect=list[Exception]().append, longest_pause=0.05, patience=60
        )
        reader.begin()
        await eventually(lambda: reader.starts == 1)
        async with serving(tmp_path):
            await eventually(lambda: reader.connected)
            times[0] = 1000
            assert reader._line is not None
            reader._line._writer.transport.abort()
            (tmp_path / messages.SOCKET).unlink()
            await eventually(lambda: not reader.connected)
            known = len(asked)
            await eventually(lambda: len(asked) > known + 5)
            assert not ended
            times[0] = 1061
            await eventually(lambda: bool(ended))
            await reader.close()

    run(scenario())


def test_one_that_has_no_place_for_another_connection_is_left_alone(tmp_path: Path) -> None:
    ended: list[None] = []

    class Full(NoProcess):
        def __init__(self) -> None:
            super().__init__()
            self.ended = False

        def kill(self) -> None:
            ended.append(None)

    async def full(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async def scenario() -> None:
        reader = _impatient(tmp_path, Full, [], 0.5)
        async with listening(tmp_path, full):
            reader.begin()
            await asyncio.sleep(1.5)
            await reader.close()

    run(scenario())
    assert not ended


def test_who_closes_while_it_connects_leaves_no_connection_open(tmp_path: Path) -> None:
    came, left = asyncio.Event(), asyncio.Event()

    async def silent(connection: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.set()
        await connection.read()
        left.set()
        writer.close()

    async def scenario() -> None:
        reader = _impatient(tmp_path, NoProcess, [], 60)
        async with listening(tmp_path, silent), asyncio.timeout(60):
            reader.begin()
            await came.wait()
            await reader.close()
            await left.wait()

    run(scenario())


@pytest.mark.parametrize("said", [b"", framed(Hello(messages.VERSION))], ids=["at all", "after its name"])
def test_one_that_says_nothing_is_left_and_this_process_is_not_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr(client, "CONNECTED_SECONDS", 0.1)
    hung: list[None] = []
    beats: list[bytes] = []

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        while sent := await reader.read(1000):
            beats.append(sent)
        writer.close()

    async def scenario() -> None:
        reader = _impatient(tmp_path, NoProcess, hung, 0.3)
        async with listening(tmp_path, silent):
            reader.begin()
            await eventually(lambda: len(hung) > 1)
            await reader.close()
        if said:
            assert all(sent.count(b'"beat"') == 1 for sent in beats)  # one at a time, whatever becomes of it

    run(scenario())


def test_one_that_answers_each_beat_is_kept(tmp_path: Path) -> None:
    hung: list[None] = []

    async def scenario() -> None:
        _written(tmp_path)
        async with serving(tmp_path):
            reader = LogReader(
                tmp_path,
                time.monotonic,
                NoProcess,
                defect=list[Exception]().append,
                hung=lambda: hung.append(None),
                patience=6,
            )
            reader.begin()
            await eventually(lambda: reader.connected)
            line = reader._line
            await asyncio.sleep(1.2)  # two beats
            assert (await reader.status()).logs and reader._line is line and line is not None
            assert line._frames >= 3  # its name, an answer to a beat and one to what was asked
            await reader.close()

    run(scenario())
    assert not hung


def test_nothing_is_started_before_it_begins(tmp_path: Path) -> None:
    async def scenario() -> None:
        reader = LogReader(tmp_path, time.monotonic, NoProcess, defect=list[Exception]().append)
        await asyncio.sleep(0.1)
        assert reader.starts == 0
        await reader.close()

    run(scenario())


def test_the_process_is_that_of_the_package() -> None:
    assert ReaderProcess.__init__.__defaults__ is not None
    assert ReaderProcess.__init__.__defaults__[0][1:] == ("-I", "-m", "vault.log.reader")
