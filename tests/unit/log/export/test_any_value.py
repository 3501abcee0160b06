# SPDX-License-Identifier: EUPL-1.2
"""Values with their types come back as they were, and none has more levels than readers of protocol buffers take."""

from typing import Any

import pytest
from google.protobuf.json_format import Parse
from hypothesis import given
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from tests.unit.log.export.records import VALUES, nested
from vault.log.export.any_value import DEEPEST, any_value, attribute, plain, plain_object
from vault.log.format.canonical import encode_record


@given(VALUES)
def test_a_value_comes_back_and_is_one_of_the_official_definition(value: Any) -> None:
    made = any_value(value)
    assert plain(made) == value
    Parse(encode_record(made), AnyValue())


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("x", {"stringValue": "x"}),
        (7, {"intValue": "7"}),
        (True, {"boolValue": True}),
        (None, {}),
        ([1, None], {"arrayValue": {"values": [{"intValue": "1"}, {}]}}),
        ({"a": "b"}, {"kvlistValue": {"values": [{"key": "a", "value": {"stringValue": "b"}}]}}),
    ],
)
def test_each_type_has_its_own_member(value: Any, expected: object) -> None:
    assert any_value(value) == expected
    assert attribute("name", value) == {"key": "name", "value": expected}


@pytest.mark.parametrize(("levels", "typed"), [(DEEPEST, True), (DEEPEST + 1, False), (100, False)])
def test_what_is_too_deep_is_a_text_that_is_json(levels: int, typed: bool) -> None:
    made = any_value(nested(levels))
    assert ("kvlistValue" in made) is typed
    assert plain_object(made) == nested(levels)
    Parse(encode_record(made), AnyValue())


@pytest.mark.parametrize("value", [{"doubleValue": 1.5}, {"stringValue": "a", "intValue": "1"}])
def test_a_type_that_is_never_written_is_refused(value: Any) -> None:
    with pytest.raises(ValueError):
        plain(value)


def test_what_json_has_not_is_refused() -> None:
    with pytest.raises(TypeError):
        any_value([1.5])
