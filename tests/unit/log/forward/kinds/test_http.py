# SPDX-License-Identifier: EUPL-1.2
"""What is posted, and what each answer means."""

from pathlib import Path
from typing import Any

import pytest

from tests.clocks import SECOND, MovedClock
from tests.unit.log.forward.kinds.test_syslog import made
from vault.log.forward.batch import Batch, Place
from vault.log.forward.kinds.http import HttpSender
from vault.log.forward.kinds.otlp import rejected
from vault.log.forward.transport.address import parse_address
from vault.log.forward.transport.exchange import Answer, Receiver
from vault.log.forward.transport.failure import BatchTooLarge, SendFailure
from vault.log.forward.transport.stream import Deadline, TlsFiles

BATCH = Batch("0123abcd-0-1", (made(), made()), Place(0, 0, 18))
NOW = 1_796_040_000


class Canned(Receiver):
    """A receiver that gives one answer."""

    def __init__(self, status: int, headers: dict[bytes, bytes] | None = None, body: bytes = b"") -> None:
        super().__init__(parse_address("http://127.0.0.1:1/"), TlsFiles())
        self.answer = Answer(status, headers or {}, body)
        self.posted: list[Any] = []

    def post(self, headers: Any, body: bytes, deadline: Deadline) -> Answer:
        self.posted.append((headers, body))
        return self.answer


def sender(receiver: Receiver, **more: Any) -> HttpSender:
    return HttpSender(
        receiver,
        "application/x-ndjson",
        lambda batch: batch.ndjson,
        clock=MovedClock(NOW * SECOND),
        **more,
    )


def send(status: int, batch: Batch = BATCH, **headers: str) -> None:
    given = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    sender(Canned(status, given)).send(batch, Deadline(lambda: 0.0, 1))


def test_a_request_says_which_records_it_has() -> None:
    receiver = Canned(204)
    sender(receiver).send(BATCH, Deadline(lambda: 0.0, 1))
    headers, body = receiver.posted[0]
    assert headers == {
        "Content-Type": "application/x-ndjson",
        "Idempotency-Key": '"0123abcd-0-1/17-17"',
        "Log-Records": 'log="0123abcd-0-1", first=17, last=17',
    }
    assert body == b'{"seq":17}\n{"seq":17}\n'


@pytest.mark.parametrize("status", [200, 202, 204])
def test_an_answer_of_2xx_accepts(status: int) -> None:
    send(status)


@pytest.mark.parametrize(
    ("status", "lasting", "words"),
    [
        (301, True, "redirects"),
        (400, True, "refuses the records"),
        (401, True, "refuses the token"),
        (404, True, "nothing at this address"),
        (408, False, "in time"),
        (429, False, "left alone"),
        (500, False, "fails"),
        (503, False, "left alone"),
        (507, False, "full"),
    ],
)
def test_any_other_answer_says_whether_somebody_has_to_mend_it(
    status: int, lasting: bool, words: str
) -> None:
    with pytest.raises(SendFailure, match=words) as failure:
        send(status)
    assert failure.value.lasting is lasting


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        ("100000", 300),
        ("", 0),
        ("soon", 0),
        ("-1", 0),
        ("99999999999999", 0),
        ("Mon, 30 Nov 2026 12:00:20 GMT", 20),
        ("Mon, 30 Nov 2026 11:00:00 GMT", 0),
        ("Mon, 30 Nov 2099 11:00:00 GMT", 300),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_respected(status: int, value: str, seconds: float) -> None:
    with pytest.raises(SendFailure) as failure:
        send(status, retry_after=value)
    assert failure.value.wait == pytest.approx(seconds, abs=0.1)


def test_a_batch_that_is_too_large_may_be_halved_and_a_record_may_not() -> None:
    with pytest.raises(BatchTooLarge):
        send(413)
    with pytest.raises(SendFailure, match="too large") as failure:
        send(413, Batch("0123abcd-0-1", (made(),), Place(0, 0, 18)))
    assert failure.value.lasting


def test_the_token_is_read_for_each_request(tmp_path: Path) -> None:
    file = tmp_path / "token"
    receiver = Canned(200)
    made = sender(receiver, token_file=str(file))
    for token in ("s.first", "s.second"):
        file.write_text(token + "\n")
        made.send(BATCH, Deadline(lambda: 0.0, 1))
    assert [headers["Authorization"] for headers, _ in receiver.posted] == [
        "Bearer s.first",
        "Bearer s.second",
    ]


@pytest.mark.parametrize("content", [None, b"", b"two words", b"a\r\nX: y", "é".encode()])
def test_a_file_without_a_token_is_told_without_its_content(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    receiver = Canned(200)
    with pytest.raises(SendFailure, match="the file with the token") as failure:
        sender(receiver, token_file=str(file)).send(BATCH, Deadline(lambda: 0.0, 1))
    assert failure.value.lasting
    assert "words" not in str(failure.value)
    assert receiver.posted == []


@pytest.mark.parametrize(
    ("answer", "count"),
    [
        (b'{"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"no"}}', 2),
        (b'{"partialSuccess":{"rejectedLogRecords":3}}', 3),
        (b'{"partialSuccess":{}}', 0),
        (b"{}", 0),
        (b"no JSON", 0),
        (b'{"partialSuccess":{"rejectedLogRecords":"-4"}}', 0),
    ],
)
def test_records_that_a_receiver_of_otlp_will_not_have_are_counted(answer: bytes, count: int) -> None:
    made = sender(Canned(200, body=answer), refused=rejected)
    made.send(BATCH, Deadline(lambda: 0.0, 1))
    assert made.refused == count
