# SPDX-License-Identifier: EUPL-1.2
"""The socket answers what is asked, refuses what is over a limit, and lets nobody wait for another."""

import asyncio
import json
import os
import random
import re
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import pytest

from tests.unit.log.reader.serving import Served, eventually, run, serving, through
from tests.unit.log.reader.written import BEGAN, LOG, SECOND, WrittenLog, record
from vault.log.reader.messages import LARGEST_QUESTION, SOCKET, VERSION
from vault.log.reader.service import ServiceLimits

_EVERY = {"type": "search", "begins": 0, "ends": 1 << 61}


class _Talk:
    """A connection, with what comes in pieces put together: records are in their answer as JSON."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.number = 0
        self.pieces: dict[int, list[bytes]] = {}

    async def __aenter__(self) -> Self:
        opened = os.open(self._folder, os.O_RDONLY)
        try:
            self.reader, self.writer = await asyncio.open_unix_connection(f"/proc/self/fd/{opened}/{SOCKET}")
        finally:
            os.close(opened)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()

    def say(self, body: bytes) -> None:
        self.writer.write(len(body).to_bytes(4, "big") + body)

    def ask(self, **members: Any) -> int:
        self.number += 1
        self.say(json.dumps({"number": self.number, "ask": members}).encode())
        return self.number

    async def heard(self) -> dict[str, Any]:
        async with asyncio.timeout(20):
            while (body := await self._frame())[:1] == b"P":
                number = int.from_bytes(body[1:9], "big")
                self.pieces.setdefault(number, []).append(body[9:])
        found: dict[str, Any] = json.loads(body)
        answer = found.get("answer")
        if answer and ("after" in answer or "complete" in answer):
            lines = b"".join(self.pieces.pop(found["number"], [])).split(b"\n")
            answer["records"] = [json.loads(line) for line in lines if line]
        return found

    async def _frame(self) -> bytes:
        length = int.from_bytes(await self.reader.readexactly(4), "big")
        return await self.reader.readexactly(length)

    async def answer(self, **members: Any) -> dict[str, Any]:
        number = self.ask(**members)
        found = await self.heard()
        assert found["number"] == number
        return found

    async def ended(self) -> bool:
        async with asyncio.timeout(20):
            return not await self.reader.read(1)


def _play(
    folder: Path,
    scenario: Callable[[Served, _Talk], Coroutine[Any, Any, None]],
    count: int = 20,
    limits: ServiceLimits = ServiceLimits(),  # noqa: B008 -- it is frozen
) -> None:
    """Play a scenario with a folder of some records."""

    async def main() -> None:
        log = WrittenLog(folder)
        log.write(*[record(tenant=f"t-{number % 2}") for number in range(count)])
        log.sign()
        async with serving(folder, limits) as served, _Talk(folder) as talk:
            await through(served, LOG, count - 1)
            assert await talk.heard() == {"version": VERSION}
            await scenario(served, talk)

    run(main())


def test_each_question_has_its_answer(tmp_path: Path) -> None:
    async def scenario(_: Served, talk: _Talk) -> None:
        found = (await talk.answer(**_EVERY, limit=3))["answer"]
        assert [line["seq"] for line in found["records"]] == [19, 18, 17]
        assert (found["complete"], found["position"]["seq"]) == (True, 17)
        found = (await talk.answer(type="follow", log=LOG, after=17))["answer"]
        assert [line["seq"] for line in found["records"]] == [18, 19]
        assert (await talk.answer(type="record", log=LOG, seq=5))["answer"]["records"][0]["seq"] == 5
        assert (await talk.answer(type="proof", log=LOG, seq=5))["answer"]["text"].startswith(
            "c2sp.org/tlog-proof@v1\n"
        )
        assert len((await talk.answer(type="consistency", log=LOG, old=4, new=8))["answer"]["hashes"]) == 1
        assert (await talk.answer(type="tile", log=LOG, path="tile/0/000.p/20"))["answer"]["size"] == 640
        assert (await talk.answer(type="checkpoint", log=LOG))["answer"]["text"]
        assert (await talk.answer(type="segments", log=LOG))["answer"]["segments"] == [
            {"first": 0, "closed": False, "last": -1, "sha256": "", "root": "", "checkpoint": "", "size": 0, "begins": "",
             "ends": ""}
        ]  # fmt: skip
        assert (await talk.answer(type="segment", log=LOG, first=0))["refusal"]["kind"] == "missing"
        found = (await talk.answer(type="count", begins=0, ends=1 << 61, buckets=2))["answer"]
        assert found == {"counts": [{}, {"success": 20}], "done": None, "damaged": {}}
        assert (await talk.answer(type="status"))["answer"]["logs"][0]["indexed_through"] == 19
        assert (await talk.answer(type="record", log="none", seq=5))["refusal"]["kind"] == "missing"

    _play(tmp_path, scenario)


@pytest.mark.parametrize(
    ("ask", "wakes"),
    [
        ({"type": "status"}, False),
        ({"type": "beat"}, False),
        ({"type": "follow", "log": LOG, "after": 17}, True),
        ({"type": "checkpoint", "log": LOG}, True),
        ({"type": "record", "log": LOG, "seq": 5}, True),
        ({**_EVERY, "limit": 3}, True),
    ],
    ids=lambda ask: ask["type"] if isinstance(ask, dict) else "",
)
def test_a_question_about_records_has_newer_ones_looked_for(
    tmp_path: Path, ask: dict[str, Any], wakes: bool
) -> None:
    async def scenario(served: Served, talk: _Talk) -> None:
        before = served.folder._asked_at
        assert "answer" in await talk.answer(**ask)
        assert (served.folder._asked_at > before) is wakes

    _play(tmp_path, scenario)


def test_answers_come_in_any_order(tmp_path: Path) -> None:
    async def scenario(_: Served, talk: _Talk) -> None:
        waiting = talk.ask(type="follow", log=LOG, after=19, wait=4)
        quick = [talk.ask(**_EVERY) for _ in range(5)]
        assert {(await talk.heard())["number"] for _ in quick} == set(quick)
        assert (await talk.heard())["number"] == waiting

    _play(tmp_path, scenario)


def test_what_is_malformed_is_told_and_the_connection_stays(tmp_path: Path) -> None:
    async def scenario(_: Served, talk: _Talk) -> None:
        for members in (
            {"type": "none"},
            {"type": "search"},
            {**_EVERY, "limit": 1001},
            {**_EVERY, "filters": {"x": ["y"]}},
        ):
            refusal = (await talk.answer(**members))["refusal"]
            assert (refusal["kind"], "`" in refusal["text"]) == ("malformed", False)
        assert (await talk.answer(type="status"))["answer"]["logs"]

    _play(tmp_path, scenario)


@pytest.mark.parametrize(
    "said",
    [
        (LARGEST_QUESTION + 1).to_bytes(4, "big"),
        b"\xff\xff\xff\xff",
        b"\0\0\0\0",
        b"\0\0\0\2{}",
        b"\0\0\0\4\xff\xfe\xfd\xfc",
        b"\0\0\0\x12" + b'{"number":"\xff\xfe\xfd"}'.ljust(18),
        (60_000).to_bytes(4, "big") + b"[" * 60_000,
        b"\0\0\0\x0f" + b'{"number":true}',
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_no_question_ends_its_connection_and_no_other(tmp_path: Path, said: bytes) -> None:
    async def scenario(served: Served, talk: _Talk) -> None:
        async with _Talk(tmp_path) as hostile:
            await hostile.heard()
            hostile.writer.write(said)
            assert await hostile.ended()
        assert (await talk.answer(type="status"))["answer"]["logs"]
        assert served.service.connections == 1

    _play(tmp_path, scenario)


def test_a_frame_that_does_not_end_ends_its_connection(tmp_path: Path) -> None:
    async def scenario(_: Served, talk: _Talk) -> None:
        await asyncio.sleep(0.2)
        assert (await talk.answer(type="status"))["answer"]["logs"]  # a frame may come as late as it likes
        for part in (b"\0\0", b"\0\0\0\x20{"):
            async with _Talk(tmp_path) as slow:
                await slow.heard()
                slow.writer.write(part)
                assert await slow.ended()

    _play(tmp_path, scenario, limits=ServiceLimits(frame_seconds=0.1))


def test_no_more_questions_of_one_connection_are_taken_than_may_wait(tmp_path: Path) -> None:
    async def scenario(_: Served, talk: _Talk) -> None:
        for __ in range(5):
            talk.ask(type="follow", log=LOG, after=19, wait=60)
        await asyncio.sleep(0)
        assert (await talk.answer(type="status"))["refusal"]["kind"] == "busy"

    _play(tmp_path, scenario, limits=ServiceLimits(in_flight=5))


def test_a_tail_that_is_cancelled_leaves_its_place_and_has_no_answer(tmp_path: Path) -> None:
    async def scenario(served: Served, talk: _Talk) -> None:
        left, kept = (talk.ask(type="follow", log=LOG, after=19, wait=2) for _ in range(2))
        await eventually(lambda: len(served.folder._waiting.get(LOG, ())) == 2)
        talk.ask(type="cancel", tail=left)
        await eventually(lambda: len(served.folder._waiting.get(LOG, ())) == 1)
        again = talk.ask(type="follow", log=LOG, after=19, wait=2)
        assert [(await talk.heard())["number"] for _ in range(2)] == [kept, again]
        refusal = (await talk.answer(type="cancel", tail=left))["refusal"]
        assert refusal["kind"] == "missing"

    _play(tmp_path, scenario, limits=ServiceLimits(tails=2))


def test_tails_keep_no_other_question_out(tmp_path: Path) -> None:
    async def scenario(_: Served, talk: _Talk) -> None:
        for __ in range(2):
            talk.ask(type="follow", log=LOG, after=19, wait=60)
        late = await talk.answer(type="follow", log=LOG, after=19, wait=60)
        assert late["refusal"]["text"] == "too many wait for records; ask again later"
        assert (await talk.answer(type="status"))["answer"]["logs"]

    _play(tmp_path, scenario, limits=ServiceLimits(tails=2))


def test_no_more_connections_are_taken_than_there_may_be(tmp_path: Path) -> None:
    async def scenario(_: Served, talk: _Talk) -> None:
        async with _Talk(tmp_path) as late:
            assert await late.ended()
        assert (await talk.answer(type="status"))["answer"]["logs"]

    _play(tmp_path, scenario, limits=ServiceLimits(connections=1))


def test_who_goes_away_leaves_nothing_behind(tmp_path: Path) -> None:
    async def scenario(served: Served, talk: _Talk) -> None:
        async with _Talk(tmp_path) as gone:
            await gone.heard()
            for _ in range(50):
                gone.ask(type="follow", log=LOG, after=19, wait=60)
            await eventually(lambda: bool(served.folder._waiting))
        await eventually(lambda: served.service.connections == 1 and not served.folder._waiting)
        assert (await talk.answer(type="status"))["answer"]["logs"]

    _play(tmp_path, scenario)


def test_a_slow_search_keeps_no_other_question_waiting(tmp_path: Path) -> None:
    """More searches than there may be at once are under way; others get their answers between their slices."""

    async def scenario(_: Served, talk: _Talk) -> None:
        async with _Talk(tmp_path) as slow:
            await slow.heard()
            for __ in range(16):
                slow.ask(
                    **{**_EVERY, "limit": 1000, "filters": {"request_id": ["r-1"], "actor": ["none", "e-1"]}}
                )
            for __ in range(5):
                assert (await talk.answer(type="follow", log=LOG, after=17))["answer"]["records"]
            assert (await talk.answer(type="record", log=LOG, seq=4000))["answer"]["records"][0][
                "seq"
            ] == 4000
            assert (await slow.heard())["answer"]["records"]

    _play(tmp_path, scenario, count=5000)


def test_a_damaged_index_is_made_anew_and_the_question_can_be_asked_again(tmp_path: Path) -> None:
    async def scenario(served: Served, talk: _Talk) -> None:
        served.folder._index._db.execute("UPDATE part SET packed = X'00'")
        refusals = 0
        while True:
            found = await talk.answer(**_EVERY, filters={"actor": ["e-1"]}, limit=1000)
            if "answer" in found and found["answer"] and len(found["answer"]["records"]) == 1000:
                break
            refusals += found.get("refusal") is not None
            await asyncio.sleep(0.02)
        assert refusals == 1
        assert served.folder.rebuilds == 1

    _play(tmp_path, scenario, count=5000)


def test_whoever_asks_may_let_it_end(tmp_path: Path) -> None:
    async def scenario(served: Served, talk: _Talk) -> None:
        await talk.answer(type="stop")
        assert served.stopped.is_set()

    _play(tmp_path, scenario)


def test_what_fails_unexpectedly_is_an_answer_without_what_it_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(served: Served, talk: _Talk) -> None:
        def broken() -> None:
            raise ValueError("a secret")

        monkeypatch.setattr(served.folder, "status", broken)
        refusal = (await talk.answer(type="status"))["refusal"]
        assert refusal == {"kind": "failed", "text": "the log reader failed with ValueError", "first": -1}

    _play(tmp_path, scenario)


def _answers(folder: Path, others: Callable[[int], list[dict[str, Any]]]) -> list[object]:
    """All that tenant `mine` can be told of a folder, where others have records between its own.

    Without the hashes of records before: these are those of others, or of records that have their hashes.
    """
    found: list[object] = []

    async def main() -> None:
        log = WrittenLog(folder)
        for number in range(60):
            mine = record(
                tenant="mine",
                request__id=f"m-{number}",
                outcome="denied" if number % 7 == 0 else "success",
                resource={"id": f"kv/mine/{number % 5}", "type": "kv.secret"},
            )
            log.write(mine, after=100_000_000)
            log.write(*others(number), after=0)
            if number % 20 == 19:
                log.next_segment()
        log.sign()
        async with serving(folder) as served, _Talk(folder) as talk:
            await through(served, LOG, log.seq - 1)
            await eventually(lambda: [*served.folder.logs[LOG].segments.values()].count(True) == 3)
            await talk.heard()
            found.extend([_without_hashes(await talk.answer(**asked)) for asked in _questions()])

    run(main())
    return found


def _questions() -> Iterator[dict[str, Any]]:
    """What a tenant may ask, also for what others may have."""
    every = {**_EVERY, "tenants": ["mine"]}
    for order in ("asc", "desc"):
        for limit in (1, 7, 1000):
            yield {**every, "order": order, "limit": limit}
    for filters in (
        {"resource": ["kv/*"]}, {"resource": ["kv/theirs/*"]}, {"request_id": ["t-1", "m-1"]}, {"actor": ["e-1", "e-2"]},
        {"outcome": ["failed"]}, {"event": ["*"]}, {"address": ["10.9.9.9"]}, {"credential": ["theirs"]}, {"policy": ["theirs"]},
    ):  # fmt: skip
        yield {**every, "filters": filters, "limit": 1000}
        yield {
            "type": "count",
            "begins": _FROM,
            "ends": _TO,
            "buckets": 9,
            "tenants": ["mine"],
            "filters": filters,
        }
    for after in (-1, 10, 58, 59, 1000):
        yield {"type": "follow", "log": LOG, "after": after, "limit": 1000, "tenant": "mine"}
    for seq in (0, 1, 2, 3, 40, 100, 179):
        yield {"type": "record", "log": LOG, "seq": seq, "tenants": ["mine"]}
    yield {"type": "proof", "log": LOG, "seq": 1, "tenants": ["mine"]}


_FROM, _TO = BEGAN, BEGAN + 30 * SECOND


def _without_hashes(answer: dict[str, Any]) -> dict[str, Any]:
    if "text" in (answer.get("answer") or {}):
        del answer["answer"]["text"]  # a proof has hashes of others, as it must
    found: dict[str, Any] = json.loads(re.sub(r'prev_hash": "[^"]*"', 'prev_hash": ""', json.dumps(answer)))
    return found


def test_nothing_that_others_have_changes_what_a_tenant_is_told(tmp_path: Path) -> None:
    """The same question to two logs, in which others did different things at the same times, has the same answers."""

    def quiet(number: int) -> list[dict[str, Any]]:
        return [record(tenant="theirs", request__id="x", resource={"id": "y", "type": "z"})] * (
            1 + number % 2
        )

    def busy(number: int) -> list[dict[str, Any]]:
        one = record(
            tenant="theirs" if number % 3 else "third",
            request__id=f"t-{number}",
            outcome="failed",
            actor={"id": "e-2"},
            client__address="10.9.9.9",
            resource={"id": f"kv/theirs/{number}", "type": "kv.secret"},
            credential={"accessor": "theirs", "blocks": ["m-1"]},
            policy={"grant": [{"policy": "theirs", "rule": "kv/*"}]},
        )
        return [one] * (1 + number % 2)

    answers = []
    for name, others in (("quiet", quiet), ("busy", busy)):
        folder = tmp_path / name
        folder.mkdir()
        answers.append(_answers(folder, others))
    assert len(answers[0]) > 30
    assert answers[0] == answers[1]


@pytest.mark.parametrize("count", [1, 3])
def test_but_for_numbers_in_the_log_others_are_as_if_they_were_not(tmp_path: Path, count: int) -> None:
    """Beside a log that nobody else has a record in, answers differ by the numbers of records in it, and their hashes."""
    told = []
    for name, others in (("alone", 0), ("with others", count)):
        folder = tmp_path / name
        folder.mkdir()
        records = [record(tenant="theirs")] * others
        answers = _answers(folder, lambda _, records=records: records)  # type: ignore[misc]  # as it is now
        told.append([_without_numbers(answer) for answer in answers[: -len(_BY_NUMBER)]])
    assert told[0] == told[1]


_BY_NUMBER = ("record",) * 7 + ("proof",)
"""The last questions, which ask by a number in the log."""


def _without_numbers(answer: object) -> str:
    return re.sub(r'"seq": -?\d+', "", json.dumps(answer))


def test_noise_ends_nothing_but_its_connection(tmp_path: Path) -> None:
    """Random bytes, and questions in which something is random, as frames of the right length and of others."""
    chance = random.Random(7)
    whole = json.dumps(
        {"number": 1, "ask": {**_EVERY, "filters": {"event": ["a"]}, "tenants": ["x"]}}
    ).encode()

    def noise() -> bytes:
        body = bytearray(whole if chance.random() < 0.7 else chance.randbytes(chance.randrange(1, 300)))
        for _ in range(chance.randrange(1, 6)):
            body[chance.randrange(len(body))] = chance.randrange(256)
        length = len(body) if chance.random() < 0.8 else chance.randrange(1 << 24)
        return length.to_bytes(4, "big") + bytes(body)

    async def scenario(served: Served, talk: _Talk) -> None:
        for _ in range(150):
            async with _Talk(tmp_path) as hostile:
                await hostile.heard()
                for _ in range(chance.randrange(1, 4)):
                    hostile.writer.write(noise())
                hostile.writer.write_eof()
                with suppress(OSError):
                    async with asyncio.timeout(20):
                        await hostile.reader.read(-1)
        assert (await talk.answer(**_EVERY, limit=1))["answer"]["records"]
        await eventually(lambda: served.service.connections == 1)
        assert served.folder.rebuilds == 0

    _play(tmp_path, scenario)
