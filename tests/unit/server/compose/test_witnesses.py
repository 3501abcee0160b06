# SPDX-License-Identifier: EUPL-1.2
"""How witnesses are asked over HTTP, and what those that lie come to."""

import asyncio
from collections.abc import Callable

import pytest

from tests.unit.log.format.signing import cosignature, witness
from tests.unit.log.witness.answering import Reader
from tests.unit.log.witness.grown import GrownLog
from tests.unit.outbound.service import Service, service
from vault.log.format.tree import encode_hash
from vault.log.reader.client import LogReader, LogReaderAway
from vault.log.reader.messages import Consistency, Hashes, Refused
from vault.log.witness.client import NoProof, Witness, WitnessSettings
from vault.log.witness.newest import SignedNow
from vault.log.witness.submission import LARGEST_ANSWER
from vault.outbound.fetch import Fetcher
from vault.outbound.places import Places
from vault.server.compose.witnesses import OutboundPost, ReaderProofs

pytestmark = pytest.mark.loopback
LOG = GrownLog()
TEXT = LOG.checkpoint(9).text()
GOOD = cosignature(TEXT, "w.example/7", 7).line().encode() + b"\n"


def asked(
    setting: Callable[[Service], None], *, allowed: str = "127.0.0.0/8", seconds: float = 60.0
) -> tuple[Witness, Service]:
    """Ask a service that does as a test says about a checkpoint of nine records."""

    async def scenario() -> tuple[Witness, Service]:
        async with service() as one:
            setting(one)
            fetcher = Fetcher(Places([allowed]), lambda _: ["127.0.0.1"])
            url = f"http://service.test:{one.port}/prefix/"
            settings = WitnessSettings(name="w", url=url, key=witness("w.example/7", 7)[0])
            made = Witness(settings, "0123abcd-0-1", OutboundPost(fetcher, seconds), Reader(), pause=0)
            await made.ask(SignedNow(checkpoint=LOG.checkpoint(9), note=LOG.note(9), segment=0))
            return made, one

    return asyncio.run(scenario())


def test_a_submission_is_posted_below_the_prefix() -> None:
    def setting(one: Service) -> None:
        one.body = GOOD

    made, one = asked(setting)
    assert made.line(9) is not None
    head, _, body = one.seen[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /prefix/add-checkpoint HTTP/1.1\r\n")
    assert body == LOG.body(0, 9)


def _redirects(one: Service) -> None:
    one.status, one.head = "307 Temporary Redirect", "Location: /elsewhere\r\n"


def _never_ends(one: Service) -> None:
    async def behave(writer: asyncio.StreamWriter, head: bytes) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"%x\r\n%b\r\n" % (len(GOOD), GOOD))
            await writer.drain()

    one.behave = behave


def _says_nothing(one: Service) -> None:
    async def behave(writer: asyncio.StreamWriter, head: bytes) -> None:
        await asyncio.sleep(60)

    one.behave = behave


def _is_no_server(one: Service) -> None:
    async def behave(writer: asyncio.StreamWriter, head: bytes) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")

    one.behave = behave


@pytest.mark.parametrize(
    ("setting", "words", "seconds"),
    [
        (_redirects, "it redirects elsewhere, which is not followed", 60.0),
        (_never_ends, f"the answer is larger than {LARGEST_ANSWER} bytes", 60.0),
        (_says_nothing, "no answer within 0.2 s", 0.2),
        (_is_no_server, "the answer is no HTTP", 60.0),
    ],
)
def test_a_witness_that_is_none_changes_nothing_but_what_is_said_of_it(
    setting: Callable[[Service], None], words: str, seconds: float
) -> None:
    made, one = asked(setting, seconds=seconds)
    assert (made.line(9), made.cosigned, made.trouble, made.conflict) == (None, None, words, False)
    assert len(one.seen) == 1


def test_an_address_that_nobody_allowed_is_not_asked() -> None:
    made, one = asked(lambda _: None, allowed="10.0.0.0/8")
    assert made.trouble == "it is this machine itself, which `outbound_allow` does not name"
    assert one.seen == []


class FakeReader(LogReader):
    """A log reader that answers as a test says."""

    def __init__(self, answer: Hashes | Exception) -> None:
        self._answer = answer
        self.asked: list[Consistency] = []

    async def consistency(self, ask: Consistency) -> Hashes:
        self.asked.append(ask)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def test_proofs_are_those_of_the_log_reader() -> None:
    reader = FakeReader(Hashes((encode_hash(b"h" * 32),)))
    assert asyncio.run(ReaderProofs(reader).consistency("0123abcd-0-1", 5, 9)) == [b"h" * 32]
    assert reader.asked == [Consistency(log="0123abcd-0-1", old=5, new=9)]


@pytest.mark.parametrize(
    ("answer", "later"),
    [
        (LogReaderAway(), True),
        (Refused("uncovered", "not yet"), True),
        (Refused("rebuilding", "not yet"), True),
        (Refused("damaged", "lost"), False),
        (Hashes(("x",)), False),
    ],
)
def test_a_proof_that_the_log_reader_has_not_yet_is_told_from_one_that_it_never_has(
    answer: Hashes | Exception, later: bool
) -> None:
    with pytest.raises(NoProof) as refused:
        asyncio.run(ReaderProofs(FakeReader(answer)).consistency("0123abcd-0-1", 5, 9))
    assert refused.value.later is later
