# SPDX-License-Identifier: EUPL-1.2
"""One witness, as a log asks it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.log.format.signing import cosignature
from tests.unit.log.witness.answering import NOW, Answering, Network, Reader
from tests.unit.log.witness.grown import OTHERS, GrownLog
from vault.log.witness.client import NoProof, Witness, WitnessReply
from vault.log.witness.newest import SignedNow
from vault.log.witness.submission import LARGEST_ANSWER

LOG = GrownLog()
NAME = "0123abcd-0-1"


@pytest.fixture
def answering(tmp_path: Path) -> Iterator[Answering]:
    made = Answering(tmp_path)
    yield made
    made.close()


def now(size: int, log: GrownLog = LOG) -> SignedNow:
    """A checkpoint that was just signed."""
    return SignedNow(checkpoint=log.checkpoint(size), note=log.note(size), segment=0)


def asking(answering: Answering, reader: Reader | None = None) -> Witness:
    """Our side of a witness."""
    return Witness(answering.settings, NAME, Network(answering), reader or Reader(), pause=0)


def records(one: Witness) -> int:
    """How many records the newest cosignature covers."""
    return -1 if one.cosigned is None else one.cosigned.records


def test_a_log_that_grows_is_cosigned_each_time(answering: Answering) -> None:
    reader = Reader()
    one = asking(answering, reader)
    for size in (3, 9, 9, 40):
        asyncio.run(one.ask(now(size)))
        assert (records(one), one.trouble) == (size, "")
        line = one.line(size)
        assert line is not None
        assert answering.key.verifier.verify(LOG.checkpoint(size).text().encode(), line.value) == NOW
    assert answering.olds == [0, 3, 9, 9]
    assert reader.asked == [(NAME, 3, 9), (NAME, 9, 40)]
    assert one.line(9) is None


def test_what_the_witness_has_seen_before_is_learnt_from_it(answering: Answering) -> None:
    asyncio.run(asking(answering).ask(now(9)))
    fresh = asking(answering)
    asyncio.run(fresh.ask(now(20)))
    assert (records(fresh), answering.olds) == (20, [0, 0, 9])


def test_a_proof_that_the_reader_has_not_yet_is_waited_for(answering: Answering) -> None:
    one = asking(answering, Reader(has=7))
    asyncio.run(one.ask(now(5)))
    asyncio.run(one.ask(now(9)))
    assert records(one) == 9


def test_a_reader_that_is_far_behind_or_has_no_proof_is_told(answering: Answering) -> None:
    class Refusing(Reader):
        async def consistency(self, log: str, old: int, new: int) -> list[bytes]:
            raise NoProof("hashes of the tree are lost")

    for reader, words in (
        (Reader(has=6), "the log reader is too far behind"),
        (Refusing(), "hashes of the tree are lost"),
    ):
        one = asking(answering, reader)
        asyncio.run(one.ask(now(5)))
        asyncio.run(one.ask(now(20)))
        assert (records(one), one.trouble.startswith(words)) == (5, True)


def test_a_witness_that_does_not_answer_changes_nothing_but_what_is_said_of_it(answering: Answering) -> None:
    one = asking(answering)
    asyncio.run(one.ask(now(5)))
    gone = Witness(answering.settings, NAME, Network(), Reader())
    assert one.cosigned is not None
    gone.resume(one.cosigned)
    asyncio.run(gone.ask(now(9)))
    assert (records(gone), gone.trouble, gone.conflict) == (5, "connection refused", False)


GOOD = cosignature(LOG.checkpoint(5).text(), "w.example/7", 7).line().encode() + b"\n"
STRANGER = cosignature(LOG.checkpoint(9).text(), "w.example/8", 8).line().encode() + b"\n"
LIES = {
    "of another checkpoint": (WitnessReply(200, GOOD), "its cosignature is not valid", False),
    "of another key": (WitnessReply(200, STRANGER), "its answer has no cosignature of its key", False),
    "nothing": (WitnessReply(200, b""), "its answer is no line with a signature", False),
    "endless": (WitnessReply(200, GOOD * 1000), f"its answer has more than {LARGEST_ANSWER} bytes", False),
    "words": (WitnessReply(201, GOOD), "it answers with status 201", False),
    "unknown": (WitnessReply(404, b""), "it does not know the log", False),
    "forbidden": (WitnessReply(403, b""), "it does not know the key that signs the log", False),
    "no size": (WitnessReply(409, b"x"), "it tells no size", False),
    "too far": (WitnessReply(409, b"10\n"), "it has seen 10 records of this log, which has 9", True),
    "always smaller": (WitnessReply(409, b"2\n"), "it tells another size each time", False),
    "always the same": (WitnessReply(409, b"5\n"), "it tells another size each time", False),
    "refused": (WitnessReply(422, b""), "it does not believe that the log only grew since it saw it last", True),
}  # fmt: skip


@pytest.mark.parametrize("which", LIES)
def test_a_witness_that_lies_changes_nothing_but_what_is_said_of_it(answering: Answering, which: str) -> None:
    lie, words, conflict = LIES[which]
    one = asking(answering)
    asyncio.run(one.ask(now(5)))
    answering.lie = lambda _: lie
    asyncio.run(one.ask(now(9)))
    assert (records(one), one.trouble, one.conflict) == (5, words, conflict)
    assert one.line(9) is None
    answering.lie = lambda honest: honest
    asyncio.run(one.ask(now(20)))
    assert (records(one), one.trouble, one.conflict) == (20, "", False)


def test_the_second_of_two_logs_with_one_key_is_refused(answering: Answering) -> None:
    other = GrownLog(OTHERS)
    asyncio.run(asking(answering).ask(now(12)))
    for size, words in ((20, "does not believe"), (9, "has seen 12 records"), (12, "does not believe")):
        second = asking(answering, Reader(leaves=OTHERS))
        asyncio.run(second.ask(now(size, other)))
        assert (records(second), words in second.trouble, second.conflict) == (-1, True, True)
