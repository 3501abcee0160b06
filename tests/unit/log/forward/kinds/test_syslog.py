# SPDX-License-Identifier: EUPL-1.2
"""Records as syslog messages, read by the grammar of RFC 5424."""

import json
from datetime import UTC, datetime

import msgspec
import pytest

from tests.log.devices.receivers import frames as split
from tests.log.devices.rfc5424 import parse
from vault.log.forward.batch import Batch, Head, Place, Record
from vault.log.forward.kinds.syslog import frames, message

HEAD = Head(
    log="0123abcd-0-1",
    seq=17,
    prev_hash="",
    observed_timestamp="2026-11-28T09:00:01.999999999Z",
    timestamp="2026-11-28T09:00:00.123456789Z",
    event_name="esa.kv.read",
    outcome="success",
)


def made(text: str = '{"seq":17}', **changed: str) -> Record:
    return Record(text.encode(), msgspec.structs.replace(HEAD, **changed))


def test_a_message_says_who_when_what_and_which_record() -> None:
    found = parse(message(made(), "vault-1.example"))
    assert (found.facility, found.severity) == (13, 6)
    assert found.time == datetime(2026, 11, 28, 9, 0, 0, 123456, UTC)
    assert (found.host, found.application, found.process, found.id) == (
        "vault-1.example", "coffre", "0123abcd-0-1", "esa.kv.read",
    )  # fmt: skip
    assert found.data == {"coffre@32473": {"log": "0123abcd-0-1", "seq": "17"}}
    assert json.loads(found.text) == {"seq": 17}


@pytest.mark.parametrize(("outcome", "severity"), [("denied", 4), ("failed", 3), ("success", 6), ("", 6)])
def test_the_severity_is_that_of_the_outcome(outcome: str, severity: int) -> None:
    assert parse(message(made(outcome=outcome), "h")).severity == severity


@pytest.mark.parametrize("text", ['{"id":"kv/équipe"}', '{"a":"]\\"\\n"}', '{"a":"\u2028"}'])
def test_any_line_is_the_text(text: str) -> None:
    assert parse(message(made(text), "h")).text == text.encode()


@pytest.mark.parametrize("host", ["", "väult", "a b", "x" * 300, "a\nb"])
@pytest.mark.parametrize("event", ["", "esa." + "x" * 60, "esa.\u00e9 ]"])
def test_whatever_a_name_is_the_message_is_one(host: str, event: str) -> None:
    found = parse(message(made(event_name=event), host))
    assert 0 < len(found.host) <= 255
    assert 0 < len(found.id) <= 32


def test_a_time_that_is_none_is_left_out() -> None:
    assert parse(message(made(timestamp="yesterday"), "h")).time is None
    assert parse(message(made(timestamp=""), "h")).time == datetime(2026, 11, 28, 9, 0, 1, 999999, UTC)


def test_messages_come_after_their_lengths_in_bytes() -> None:
    records = tuple(made(text) for text in ('{"a":"é"}', "{}", '{"a":"1 2 3"}'))
    batch = Batch("0123abcd-0-1", records, Place(0, 0, 20))
    assert [parse(each).text for each in split(frames(batch, "h"))] == [record.line for record in records]


@pytest.mark.parametrize(
    "message",
    [
        b"<192>1 - h a p i -",
        b"<110>2 - h a p i -",
        b"<110>1 2026-11-28T09:00:00.1234567Z h a p i -",
        b"<110>1 - h h a p i -",
        b'<110>1 - h a p i [a@1 b="]"]',
        b'<110>1 - h a p i [log b="c"]',
        b"<110>1 - h a p i - \xef\xbb\xbf\xff",
        "<110>1 - h\u00e9 a p i -".encode(),
    ],
)
def test_the_reader_of_these_tests_is_strict(message: bytes) -> None:
    with pytest.raises(ValueError):
        parse(message)
