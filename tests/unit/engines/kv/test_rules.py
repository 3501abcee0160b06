# SPDX-License-Identifier: EUPL-1.2
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.engines.kv import custom, logic
from vault.engines.kv.model import Row, SecretResult, Version, VersionResult
from vault.framework.errors import Malformed
from vault.values.times import Nanos, Seconds

LEAF = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
)
JSON = st.recursive(
    LEAF | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)
OBJECT = st.dictionaries(st.text(max_size=3), JSON, max_size=4)


# The examples of RFC 7396, appendix A.
@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_merge_patch_does_what_the_rfc_shows(target: Any, patch: Any, result: Any) -> None:
    before = json.dumps([target, patch])
    assert logic.merge(target, patch) == result
    assert json.dumps([target, patch]) == before


@given(OBJECT, OBJECT)
def test_merging_twice_is_merging_once(target: Any, patch: Any) -> None:
    once = logic.merge(target, patch)
    assert logic.merge(once, patch) == once


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (59, "59s"),
        (60, "1m0s"),
        (3599, "59m59s"),
        (3600, "1h0m0s"),
        (5400, "1h30m0s"),
        (360000, "100h0m0s"),
        (-1, "-1s"),
        (-3661, "-1h1m1s"),
    ],
)
def test_a_duration_is_spelled_as_the_field_does(seconds: Seconds, text: str) -> None:
    assert logic.go_duration(seconds) == text


@given(st.dictionaries(st.text(max_size=4), st.text(max_size=4)))
def test_custom_metadata_is_taken_whole_or_not_at_all(fields: dict[str, str]) -> None:
    legal = all(key and value and key.isprintable() and value.isprintable() for key, value in fields.items())
    if legal:
        assert custom.checked(fields) == (fields or None)
    else:
        with pytest.raises(Malformed):
            custom.checked(fields)


def test_a_version_is_gone_from_the_moment_that_it_names() -> None:
    version = Version(1, created=Nanos(5), deleted=Nanos(10))
    assert [version.gone(Nanos(now)) for now in (9, 10, 11)] == [False, True, True]
    assert not Version(1, created=Nanos(5)).gone(Nanos(1 << 62))
    assert Version(1, created=Nanos(5), destroyed=True).gone(Nanos(0))


def test_nothing_that_holds_a_secret_shows_it() -> None:
    row = Row(Nanos(1), Nanos(1), current=1, newest=Version(1, Nanos(1)), data=b'{"p":"hunter2"}')
    result = SecretResult({"p": "hunter2"}, VersionResult("", None, "", destroyed=False, version=1))
    assert "hunter2" not in f"{row!r} {result!r}"
