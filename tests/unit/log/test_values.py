# SPDX-License-Identifier: EUPL-1.2
"""What is said of an answer as it is, is what would be said of each of its values."""

from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vault.engines.kv.model import VersionResult
from vault.framework import schema
from vault.log.values import OmittedValues, ValueHasher

_TIME = "2026-11-30T19:30:00.123456789Z"
_HASHER = ValueHasher("k1", bytes(32))
_encode = msgspec.json.Encoder(order="sorted").encode


class Told(msgspec.Struct, rename={"kind": "type"}, omit_defaults=True):
    """An answer."""

    kind: Any
    count: Any = 0
    more: Any = None


_VALUES = st.one_of(
    st.text(max_size=30),
    st.sampled_from(["", _TIME, _TIME[:-1], 1 << 53, -(1 << 53), (1 << 53) - 1, 1.5, "hunter2"]),
    st.integers(),
    st.booleans(),
    st.none(),
    st.lists(st.text(max_size=3), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


@given(_VALUES, _VALUES, _VALUES)
@example(_TIME, 3, False)
@example("", (1 << 53) - 1, None)
@example(_TIME, "hunter2", None)
@example(_TIME, 1 << 53, None)
def test_what_is_shown_as_it_is_is_what_would_be_said(kind: object, count: object, more: object) -> None:
    told = Told(kind, count, more)
    said = _HASHER.answer(told, schema.to_plain(told), own=False)
    plain = [each for each in (kind, count, more) if type(each) is not str]
    same = said == schema.to_plain(told) and not any(isinstance(each, list | dict | float) for each in plain)
    assert _HASHER.shows(told) is same
    if same:
        assert _encode(told) == _encode(said)


def test_an_answer_to_a_write_is_shown_unless_a_client_chose_something_in_it() -> None:
    written = VersionResult(
        created_time=_TIME, custom_metadata=None, deletion_time="", destroyed=False, version=3
    )
    assert _HASHER.shows(written)
    assert not _HASHER.shows(msgspec.structs.replace(written, custom_metadata={"owner": "ann"}))
    assert not OmittedValues().shows(written)


@pytest.mark.parametrize("data", [None, {}, {"a": 1}, [1], "x", 7, Told("hunter2")])
def test_what_is_no_type_of_ours_is_looked_at(data: object) -> None:
    assert not _HASHER.shows(data)
