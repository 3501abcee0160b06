# SPDX-License-Identifier: EUPL-1.2
"""Members of schemas are named by their paths, with references followed, and their kinds said in words."""

from pathlib import Path
from typing import Any

import pytest

from tests.api_spec.members import meaning_of, members, schema, type_of


def test_members_of_lists_and_of_free_names_are_found() -> None:
    inner = {"properties": {"b": {"type": "string"}}, "required": ["b"]}
    of = {
        "properties": {
            "a": {"items": inner},
            "c": {"additionalProperties": inner},
            "d": {"additionalProperties": False},
        }
    }
    assert [(path, needed) for path, _, needed in members(of)] == [
        ("a", False), ("a[].b", True), ("c", False), ("c.*.b", True), ("d", False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("each", "words"),
    [
        ({}, "string"),
        ({"type": "integer", "minimum": 1, "maximum": 9}, "integer from 1 to 9"),
        ({"type": ["string", "null"]}, "string or null"),
        ({"type": "string", "format": "uri", "pattern": "^a"}, "uri string, of a form"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "string or null"),
        ({"const": 1}, "integer"),
        ({"enum": [True]}, "boolean"),
    ],
)
def test_a_kind_is_said_in_words(each: dict[str, Any], words: str) -> None:
    assert type_of(each) == words


@pytest.mark.parametrize(
    ("each", "words"),
    [
        ({"description": "A."}, "A."),
        ({"description": "A.", "enum": ["x", "y"]}, "A. One of `x`, `y`."),
        ({"const": "x"}, "Always `x`."),
        ({}, ""),
    ],
)
def test_a_meaning_has_the_values_where_these_are_few(each: dict[str, Any], words: str) -> None:
    assert meaning_of(each) == words


def test_what_a_schema_refers_to_stands_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "x.json").write_text(
        '{"$defs": {"h": {"type": "string"}}, "properties": {"a": {"items": {"$ref": "#/$defs/h", "description": "A."}}}}'
    )
    assert schema("x", tmp_path) == {"properties": {"a": {"items": {"type": "string", "description": "A."}}}}
