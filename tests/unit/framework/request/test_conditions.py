# SPDX-License-Identifier: EUPL-1.2
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.framework.errors import Malformed, PreconditionFailed
from vault.framework.request.conditions import (
    _TAG,
    Conditions,
    EntityTags,
    conditions_of,
    entity_tags,
    refuse_unheeded,
)

A, B = b'"v1.0.a"', b'"v2.0.a"'
PIECES = st.sampled_from([b'"', b"W/", b"w/", b",", b" ", b"\t", b"*", A, B, b"a", b"\xff", b"\\", b"\0"])


def _read(value: bytes) -> EntityTags:
    return entity_tags("If-Match", value)


def test_a_head_without_conditions_has_none_and_lines_of_one_are_a_list() -> None:
    headers = [(b"if-match", A), (b"host", b"h"), (b"if-match", B)]
    found = conditions_of(dict(reversed(headers)), headers)
    assert found is not None and (found.if_match, found.if_none_match) == (A + b", " + B, None)
    headers = [(b"if-none-match", b"*")]
    found = conditions_of(dict(headers), headers)
    assert found is not None and (found.if_match, found.if_none_match) == (None, b"*")
    assert conditions_of({b"host": b"h"}, [(b"host", b"h")]) is None
    assert Conditions().if_match is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (A, EntityTags(strong=(A,))),
        (b" " + A + b"\t", EntityTags(strong=(A,))),
        (b"W/" + A, EntityTags(weak=(A,))),
        (A + b"," + B, EntityTags(strong=(A, B))),
        (b", ,W/" + A + b" ,, " + B + b" , ", EntityTags(strong=(B,), weak=(A,))),
        (b'"", "W/", "a,b", "\xe9\x80"', EntityTags(strong=(b'""', b'"W/"', b'"a,b"', b'"\xe9\x80"'))),
        (b"*", EntityTags(anything=True)),
        (b" *\t", EntityTags(anything=True)),
    ],
)
def test_a_list_of_tags_is_read_as_rfc_9110_has_it(value: bytes, expected: EntityTags) -> None:
    assert _read(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        *(b"", b" ", b",", b"a", b'"', b'"a', b'a"', b"W/", b"W/a", b'w/"a"', b'W/ "a"', b"**", b"*,*", b"*, " + A),
        *(A + b", *", A + B, A + b" " + B, A + b";" + B, b"'a'", b'"a b"', b'"a\tb"', b'"\x7f"', b'"\0"'),
    ],
)  # fmt: skip
def test_what_is_no_list_is_refused_without_being_repeated(value: bytes) -> None:
    with pytest.raises(Malformed) as refused:
        _read(value)
    assert refused.value.message == "If-Match is no list of entity tags"


def test_a_weak_tag_is_never_strongly_the_same() -> None:
    found = _read(A + b", W/" + B)
    assert [found.strongly(A), found.strongly(B), found.strongly(b'"x"')] == [True, False, False]
    assert [found.weakly(A), found.weakly(B), found.weakly(b'"x"')] == [True, True, False]


def test_there_are_limits_before_anything_is_read() -> None:
    assert len(_read(b",".join([b'"a"'] * 64)).strong) == 64
    with pytest.raises(Malformed, match="more than 64 entity tags"):
        _read(b",".join([b'"a"'] * 65))
    longest = b'"%b"' % (b"a" * 4094)
    assert _read(longest).strong == (longest,)
    with pytest.raises(Malformed, match="more than 4096 bytes"):
        _read(b'"%b"' % (b"a" * 4095))


@given(st.one_of(st.binary(max_size=200), st.lists(PIECES, max_size=60).map(b"".join)))
def test_whatever_comes_is_read_or_refused(value: bytes) -> None:
    try:
        found = _read(value)
    except Malformed:
        return
    tags = [*found.strong, *found.weak]
    assert found.anything is (not tags)
    assert all(tag[:1] == tag[-1:] == b'"' and tag in value and b'"' not in tag[1:-1] for tag in tags)


@pytest.mark.parametrize("repeated", [b" ", b"\t,", b"W/", b'"a', b'"', b'"a" ', b'W/"a" \t', b"*", b"\xff"])
@pytest.mark.parametrize("begin", [b"", b'"', b'W/"', b'"a" '])
def test_finding_a_tag_takes_no_longer_than_what_is_left_is_long(begin: bytes, repeated: bytes) -> None:
    value = begin + repeated * (2_000_000 // len(repeated)) + b"\0"
    began = time.process_time()
    _TAG.match(value)
    assert time.process_time() - began < 1  # in the square of the length it would be hours


def test_what_has_no_tag_meets_no_condition_but_that_of_another_tag() -> None:
    refuse_unheeded(Conditions(None, A))
    for asked in (Conditions(A), Conditions(b"*"), Conditions(A, A), Conditions(None, b"*")):
        with pytest.raises(PreconditionFailed):
            refuse_unheeded(asked)
    for asked in (Conditions(b"x"), Conditions(None, b"x"), Conditions(b"*", b"x")):
        with pytest.raises(Malformed):
            refuse_unheeded(asked)
