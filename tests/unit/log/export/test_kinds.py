# SPDX-License-Identifier: EUPL-1.2
"""Which values have a place of their own in another form, and that they come back as they were."""

from typing import Any

import pytest
from hypothesis import given

from tests.unit.log.export.records import VALUES
from vault.log.export.kinds import (
    ADDRESS,
    JSON_TEXT,
    NANOS,
    NUMBER,
    RULES,
    TEXT,
    TEXTS,
    TIME,
    Kind,
    nanoseconds,
)

KINDS = {
    "address": ADDRESS, "rules": RULES, "JSON text": JSON_TEXT, "nanoseconds": NANOS, "number": NUMBER,
    "text": TEXT, "texts": TEXTS, "time": TIME,
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@given(VALUES)
def test_whatever_is_written_comes_back(kind: Kind, value: Any) -> None:
    written = kind.there(value)
    assert written is None or kind.back(written) == value


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("address", "192.0.2.1"), ("address", "2001:db8::1"), ("address", "fe80::1%eth0"),
        ("rules", [{"policy": "p"}, {"policy": "q", "rule": "r"}]), ("rules", [{"policy": "p"}, {"$omitted": 3}]), ("JSON text", {}), ("number", -1), ("number", 0),
        ("nanoseconds", "1970-01-01T00:00:00.000000000Z"), ("time", "2026-11-29T12:00:00.123456789Z"),
        ("text", ""), ("texts", []), ("texts", ["a"]),
    ],
)  # fmt: skip
def test_a_value_of_a_kind_is_written(kind: str, value: Any) -> None:
    written = KINDS[kind].there(value)
    assert written is not None
    assert KINDS[kind].back(written) == value


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("address", "vault.example"), ("address", ""), ("address", "fe80::1%" + "x" * 40), ("address", 1),
        ("rules", []), ("rules", [{"policy": 1}]), ("rules", [{"rule": "r"}]), ("rules", [{"policy": "p", "more": "m"}]),
        ("rules", {"policy": "p"}), ("rules", [{"$omitted": 3}, {"policy": "p"}]), ("rules", [{"policy": "p"}, {"$omitted": "3"}]), ("JSON text", []), ("number", True), ("number", "1"), ("text", 1),
        ("text", None), ("texts", ["a", 1]), ("texts", "a"),
        *[
            (kind, text)
            for kind in ("nanoseconds", "time")
            for text in (
                "2026-11-29T12:00:00Z", "2026-11-29T12:00:00.123456Z", "2026-11-29 12:00:00.123456789Z",
                "2026-W48-6T12:00:00.000000000Z", "2026-11-31T12:00:00.000000000Z", "2026-11-29T12:00:60.000000000Z",
                "1969-12-31T23:59:59.000000000Z", "2555-01-01T00:00:00.000000000Z", "\uff12026-11-29T12:00:00.123456789Z", 7,
            )
        ],
    ],
)  # fmt: skip
def test_a_value_of_another_kind_is_not(kind: str, value: Any) -> None:
    assert KINDS[kind].there(value) is None


def test_a_time_is_in_nanoseconds_since_the_epoch() -> None:
    assert nanoseconds("2026-11-29T12:00:00.123456789Z") == 1_795_953_600_123_456_789
    assert NANOS.there("2026-11-29T12:00:00.123456789Z") == "1795953600123456789"
