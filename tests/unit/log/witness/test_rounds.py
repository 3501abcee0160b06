# SPDX-License-Identifier: EUPL-1.2
"""All witnesses of a log, asked in rounds; what they cosign is stored, and told."""

import asyncio
import io
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.clocks import SECOND, MovedClock
from tests.unit.log.format.signing import ed25519
from tests.unit.log.witness.answering import Answering, Network, Reader
from tests.unit.log.witness.grown import ORIGIN, GrownLog
from vault.framework.clock import Clock
from vault.framework.telemetry.log import Log
from vault.log.format.checkpoint import open_checkpoint
from vault.log.format.segment import COSIGNED, SEGMENT, Segment
from vault.log.witness.client import Witness, WitnessReply
from vault.log.witness.newest import SignedNow
from vault.log.witness.rounds import Witnesses

LOG = GrownLog()
AWAY = WitnessReply(500, b"")


class Site:
    """A log with witnesses, of which `size` records are signed."""

    def __init__(self, folder: Path, answering: Sequence[Answering], quorum: int) -> None:
        self.folder = folder / "0123abcd-0-1"
        self.folder.mkdir(exist_ok=True)
        self.clock = MovedClock(1_790_000_000 * SECOND)
        self.told = io.StringIO()
        self.size = -1
        self.segment = 0
        network, reader = Network(*answering), Reader()
        self.rounds = Witnesses(
            self.folder,
            [Witness(one.settings, "0123abcd-0-1", network, reader, pause=0) for one in answering],
            self.newest,
            quorum=quorum,
            interval=0.01,
            clock=self.clock,
            log=Log(stream=self.told, clock=Clock()),
        )

    def newest(self) -> SignedNow | None:
        if self.size < 0:
            return None
        return SignedNow(checkpoint=LOG.checkpoint(self.size), note=LOG.note(self.size), segment=self.segment)

    def ask(self, size: int) -> None:
        """One round about so many records."""
        self.size = size
        asyncio.run(self.rounds.ask())

    def stored(self, segment: int = 0) -> list[tuple[int, int]]:
        """Of each line that is stored, how many records and how many signatures it has; all are verified."""
        found = []
        path = Segment(self.folder, segment).path(COSIGNED)
        for line in path.read_text().splitlines() if path.exists() else ():
            note = json.loads(line)["note"].encode()
            keys = [ed25519(ORIGIN).verifier, *(one.settings.key for one in self.rounds._witnesses)]
            opened = open_checkpoint(note, keys)
            found.append((opened.checkpoint.size, len(opened.signatures)))
        return found

    @property
    def met(self) -> int:
        state = self.rounds.state()
        assert state is not None
        return state.records


async def until(so: Callable[[], bool]) -> None:
    """Let others work until something is so."""
    while not so():  # noqa: ASYNC110 -- what is waited for is on the disk, or in a text, and has no event
        await asyncio.sleep(0.01)


@pytest.fixture
def answering(tmp_path: Path) -> Iterator[list[Answering]]:
    """Three witnesses."""
    made = [Answering(tmp_path, number) for number in (7, 8, 9)]
    yield made
    for one in made:
        one.close()


def test_a_checkpoint_is_stored_with_what_all_witnesses_say(
    tmp_path: Path, answering: list[Answering]
) -> None:
    site = Site(tmp_path, answering, 2)
    for size in (5, 9):
        site.ask(size)
    assert site.stored() == [(5, 4), (9, 4)]
    state = site.rounds.state()
    assert state is not None
    assert (state.quorum, state.records, [one.records for one in state.witnesses]) == (2, 9, [9, 9, 9])
    assert [(one.name, one.time, one.trouble) for one in state.witnesses] == [
        (f"w{number}", 1_790_000_000, "") for number in (7, 8, 9)
    ]
    assert site.told.getvalue() == ""


def test_the_newest_that_meets_the_quorum_is_shown_with_its_age(
    tmp_path: Path, answering: list[Answering]
) -> None:
    site = Site(tmp_path, answering, 2)
    site.ask(5)
    answering[0].lie = answering[1].lie = lambda _: AWAY
    site.clock.sleep(40)
    site.ask(9)
    state = site.rounds.state()
    assert state is not None
    assert (state.records, int(state.age), [one.records for one in state.witnesses]) == (5, 40, [5, 5, 9])
    assert open_checkpoint(state.note.encode(), [ed25519(ORIGIN).verifier]).checkpoint == LOG.checkpoint(5)
    assert state.time.startswith("2026-09-21T")


def test_what_comes_later_is_stored_beside_what_came_first(
    tmp_path: Path, answering: list[Answering]
) -> None:
    site = Site(tmp_path, answering, 2)
    answering[0].lie = answering[1].lie = lambda _: AWAY
    site.ask(5)
    assert (site.stored(), site.met) == ([(5, 2)], -1)
    answering[0].lie = lambda honest: honest
    site.ask(5)
    assert (site.stored(), site.met) == ([(5, 2), (5, 3)], 5)
    answering[1].lie = lambda honest: honest
    site.ask(5)
    site.ask(5)
    assert site.stored() == [(5, 2), (5, 3), (5, 4)]
    assert len(answering[2].olds) == 1


def test_a_failure_is_told_once_and_its_end_too(tmp_path: Path, answering: list[Answering]) -> None:
    site = Site(tmp_path, answering[:1], 1)
    answering[0].lie = lambda _: AWAY
    for size in (1, 2, 3):
        site.ask(size)
    lines = site.told.getvalue().splitlines()
    assert len(lines) == 1
    assert "[WARN]" in lines[0]
    assert "a witness does not cosign the log's checkpoints: " in lines[0]
    assert 'reason="it answers with status 500"' in lines[0]
    assert "witness=w7" in lines[0]
    answering[0].lie = lambda _: WitnessReply(422, b"")
    site.ask(4)
    answering[0].lie = lambda honest: honest
    site.ask(5)
    levels = [line.split()[1] for line in site.told.getvalue().splitlines()]
    assert levels == ["[WARN]", "[ERROR]", "[INFO]"]


def test_nothing_is_asked_before_something_is_signed(tmp_path: Path, answering: list[Answering]) -> None:
    site = Site(tmp_path, answering, 1)
    site.ask(-1)
    assert [one.olds for one in answering] == [[], [], []]


def test_without_witnesses_there_is_nothing_to_tell(tmp_path: Path) -> None:
    site = Site(tmp_path, [], 1)
    assert site.rounds.state() is None

    async def started() -> int:
        site.rounds.start()
        return len(asyncio.all_tasks())

    assert asyncio.run(started()) == 1


def test_a_start_goes_on_where_the_last_process_ended(tmp_path: Path, answering: list[Answering]) -> None:
    first = Site(tmp_path, answering, 2)
    Segment(first.folder, 0).path(SEGMENT).touch()
    first.ask(5)
    second = Site(tmp_path, answering, 2)
    asyncio.run(second.rounds.resume())
    assert second.met == 5
    second.ask(9)
    assert [one.olds for one in answering] == [[0, 5]] * 3
    assert second.stored() == [(5, 4), (9, 4)]


def test_what_was_signed_last_is_witnessed_before_anything_new_is_signed(
    tmp_path: Path, answering: list[Answering]
) -> None:
    site = Site(tmp_path, answering, 2)
    Segment(site.folder, 3).path(SEGMENT).touch()
    said = {"time": "2026-11-28T09:00:00.000000000Z", "note": LOG.note(7).decode()}
    Segment(site.folder, 3).path(".checkpoints").write_text(json.dumps(said) + "\n")
    asyncio.run(site.rounds.resume())
    site.ask(-1)
    assert site.stored(3) == [(7, 4)]


def test_what_a_crash_has_left_of_a_line_spoils_no_other(tmp_path: Path, answering: list[Answering]) -> None:
    site = Site(tmp_path, answering, 2)
    path = Segment(site.folder, 0).path(COSIGNED)
    path.write_text('{"time":"2026')
    site.ask(5)
    torn, whole = path.read_text().splitlines()
    assert torn == '{"time":"2026'
    path.write_text(whole + "\n")
    assert site.stored() == [(5, 4)]


def test_rounds_go_on_by_themselves_also_where_the_disk_fails(
    tmp_path: Path, answering: list[Answering]
) -> None:
    site = Site(tmp_path, answering, 2)
    blocked = Segment(site.folder, 0).path(COSIGNED)
    blocked.mkdir()

    async def scenario() -> None:
        site.size = 5
        site.rounds.start()
        await until(lambda: "could not be written" in site.told.getvalue())
        blocked.rmdir()
        await until(lambda: site.met == 5)
        site.size = 9
        await until(lambda: site.met == 9)
        await site.rounds.stop()

    asyncio.run(scenario())
    assert site.stored() == [(5, 4), (9, 4)]
