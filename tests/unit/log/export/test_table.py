# SPDX-License-Identifier: EUPL-1.2
"""A table leads there and back, and what it has no place for is the rest."""

import pytest

from vault.log.export.kinds import NUMBER, TEXT
from vault.log.export.table import Json, Row, Table

TABLE = Table(
    (
        Row(("a",), ("x", "a"), TEXT),
        Row(("o", "b"), ("x", "b"), TEXT),
        Row(("o", "c"), ("c",), NUMBER),
        Row(("z",), ("x", "a"), TEXT),
    )
)


@pytest.mark.parametrize(
    ("record", "document", "rest"),
    [
        ({"a": "1"}, {"x": {"a": "1"}}, {}),
        ({"a": 1}, {}, {"a": 1}),
        ({"o": {"b": "1", "c": 2}}, {"x": {"b": "1"}, "c": 2}, {}),
        ({"o": {"b": "1", "c": "2", "d": 3}}, {"x": {"b": "1"}}, {"o": {"c": "2", "d": 3}}),
        ({"o": {}}, {}, {"o": {}}),
        ({"o": "1"}, {}, {"o": "1"}),
        ({"o.b": "1", "unknown": None}, {}, {"o.b": "1", "unknown": None}),
        ({"a": "1", "z": "2"}, {"x": {"a": "1"}}, {"z": "2"}),
    ],
)
def test_members_go_to_their_places_and_the_rest_stays(record: Json, document: Json, rest: Json) -> None:
    made: Json = {}
    assert (TABLE.move(record, made), made) == (rest, document)


def test_a_record_is_taken_back_from_its_places_and_the_rest() -> None:
    rows = Table(TABLE.rows[:3])
    record = {"a": "1", "o": {"b": "2", "c": "no number", "d": None}, "more": [1]}
    made: Json = {"x": {"said": "before"}}
    rest = rows.move(record, made)
    assert made == {"x": {"said": "before", "a": "1", "b": "2"}}
    assert rows.take_back(made, rest) == record
