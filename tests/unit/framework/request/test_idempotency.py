# SPDX-License-Identifier: EUPL-1.2
import pytest

from vault.framework.errors import Malformed
from vault.framework.request.conditions import Conditions
from vault.framework.request.head import Head
from vault.framework.request.idempotency import fingerprint, key_lines, read_key

KEY = b'"8e03978e"'


def test_the_lines_of_the_header_are_one() -> None:
    headers = [(b"idempotency-key", KEY), (b"host", b"h"), (b"idempotency-key", b'"b"')]
    assert key_lines(dict(reversed(headers)), headers) == KEY + b', "b"'
    assert key_lines({b"host": b"h"}, [(b"host", b"h")]) == b""
    empty = [(b"idempotency-key", b"")]
    assert key_lines(dict(empty), empty)  # it is there, and no key


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (KEY, KEY[1:-1]),
        (b' "a b"\t', b"a b"),
        (b'"\\"\\\\"', b'\\"\\\\'),
        (b'"%b"' % (b"~" * 255), b"~" * 255),
    ],
)
def test_a_key_is_a_string_of_rfc_9651(value: bytes, expected: bytes) -> None:
    assert read_key(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        *(b"", b",", b"a", b'""', b'"', b'"a', b'a"', b'"a""', b'"a\\b"', b'"a\\"', b'"\x7f"', b'"\x1f"', b'"\xe9"', b"?1"),
        *(b'"a";b=1', KEY + b", " + KEY, b'"%b"' % (b"k" * 256), b'"a"\n', b"('a')", b":YQ==:"),
    ],
)  # fmt: skip
def test_what_is_no_key_is_refused_without_being_repeated(value: bytes) -> None:
    with pytest.raises(Malformed) as refused:
        read_key(value)
    assert refused.value.message == "Idempotency-Key is no text of 1 to 255 characters in double quotes"


def test_a_fingerprint_tells_requests_and_says_nothing_without_the_key() -> None:
    post = Head(method="POST", idempotency_key=KEY)
    same = fingerprint(post, b"body")
    assert same == fingerprint(Head(method="PUT", idempotency_key=KEY), b"body")
    others = [
        fingerprint(post, b"Body"),
        fingerprint(Head(method="PATCH", idempotency_key=KEY), b"body"),
        fingerprint(Head(method="DELETE", idempotency_key=KEY), b"body"),
        fingerprint(Head(method="POST", idempotency_key=b'"other"'), b"body"),
        fingerprint(Head(method="POST", idempotency_key=KEY, conditions=Conditions(if_match=b"*")), b"body"),
        fingerprint(
            Head(method="POST", idempotency_key=KEY, conditions=Conditions(if_none_match=b"*")), b"body"
        ),
    ]
    assert len({same, *others}) == len(others) + 1
