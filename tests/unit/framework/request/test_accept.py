# SPDX-License-Identifier: EUPL-1.2
from collections.abc import Callable

import pytest

from tests.growth import excess
from vault.framework.request.accept import LONGEST, accept_lines, prefers

LINES = "application/x-ndjson"


def test_several_lines_are_one_list() -> None:
    headers = [(b"accept", b"text/html"), (b"host", b"h"), (b"accept", b"application/x-ndjson")]
    assert accept_lines(dict(reversed(headers)), headers) == b"text/html, application/x-ndjson"
    assert accept_lines(dict(headers[:2]), headers[:2]) == b"text/html"
    assert accept_lines({b"host": b"h"}, headers[1:2]) == b""
    twice = [(b"host", b"h"), (b"host", b"i")]
    assert accept_lines(dict(twice), twice) == b""


@pytest.mark.parametrize(
    ("accept", "preferred"),
    [
        (b"application/x-ndjson", True),
        (b"Application/X-NDJSON; charset=utf-8", True),
        (b"application/json;q=0.5, application/x-ndjson;q=0.5", True),
        (b"*/*;q=0.1, application/json;q=0.2, application/x-ndjson;q=0.2", True),
        (b"application/x-ndjson;q=2", True),
        (b"application/x-ndjson;q=nan, */*", True),
        (b'application/x-ndjson;a="q=0, b;q=0";q=0.1', True),
        (b'application/json;a=", application/x-ndjson', False),
        (b'application/json;a="x, application/x-ndjson, y"', False),
        (b'text/html;a="\\", application/x-ndjson, "', False),
        (b"application/x-ndjson;q=0", False),
        (b"application/x-ndjson;q=0.000, application/json", False),
        (b"application/json, application/x-ndjson;q=0.999", False),
        (b"application/x-ndjson;q=0.9, application/*", False),
        (b"application/x-ndjsonx", False),
        (b"x/application/x-ndjson", False),
        (b"text/plain;a=application/x-ndjson", False),
        (b"*/*", False),
        (b"", False),
        (b"application/x-ndjson," + LONGEST * b" ", False),
    ],
)
def test_a_form_is_preferred_by_its_whole_name_and_weight(accept: bytes, preferred: bool) -> None:
    assert prefers(accept, LINES) is preferred


@pytest.mark.parametrize("part", [b",", b'"', b'"\\', b'a;"', b";q=", b"\\", b" ", b'"",'])
def test_reading_costs_as_much_as_there_is(part: bytes) -> None:
    def work(size: int) -> Callable[[], object]:
        accept = LINES.encode() + b"," + part * size
        return lambda: prefers(accept, LINES, longest=1 << 30)

    assert excess(work, 50_000, 5.0) == ""
