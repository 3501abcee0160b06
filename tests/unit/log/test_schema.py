# SPDX-License-Identifier: EUPL-1.2
"""The published schema is what records are."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from tests.routes.driver import TARGETS, Application
from tests.unit.log.folders import records
from vault.log.schema import RECORD_SCHEMA


@pytest.fixture(scope="module")
def left() -> Iterator[list[Any]]:
    """The records that a request of every route leaves."""
    with Application() as application:
        for target in TARGETS:
            body: object = {} if target.bodied else None
            for token in ("root", "wrong"):
                application.request(target.method, target.path(), body, token=token)
        yield records(application.history)


def test_the_record_of_every_route_is_of_the_schema(left: list[Any]) -> None:
    validator = jsonschema_rs.Draft202012Validator(dict(RECORD_SCHEMA))
    assert len(left) > len(TARGETS)
    for record in left:
        assert [str(error) for error in validator.iter_errors(record)] == [], json.dumps(record)


def test_records_have_no_member_that_the_schema_does_not_name(left: list[Any]) -> None:
    assert {name for record in left for name in record} <= RECORD_SCHEMA["properties"].keys()


@pytest.mark.parametrize(
    ("member", "value"),
    [("seq", "1"), ("outcome", "maybe"), ("prev_hash", "x"), ("timestamp", "2026"), ("log", "n1")],
)
def test_what_is_no_record_is_refused(left: list[Any], member: str, value: str) -> None:
    assert not jsonschema_rs.is_valid(dict(RECORD_SCHEMA), {**left[-1], member: value})
