# SPDX-License-Identifier: EUPL-1.2
"""Which attributes the classes of OCSF have: all that each group has are in the table that leads back."""

from typing import Any

import pytest

from vault.log.export.ocsf_classes import API, AUTHENTICATION, BASE, GROUPS, LIFECYCLE, ROLES, SESSION, USERS
from vault.log.export.ocsf_rows import ALL, table_of
from vault.log.export.table import Row


@pytest.mark.parametrize(
    ("kinds", "absent"),
    [
        ([API], set()),
        ([GROUPS, ROLES, USERS], {"api", "trace"}),
        ([AUTHENTICATION, SESSION], {"api", "resources", "trace"}),
        ([BASE, LIFECYCLE], {"actor", "api", "http_request", "http_response", "resources", "src_endpoint", "trace"}),
    ],
)  # fmt: skip
def test_a_class_has_the_attributes_that_ocsf_gives_it(kinds: Any, absent: set[str]) -> None:
    there = {row.target[0] for row in ALL.rows}
    for kind in kinds:
        assert {row.target[0] for row in table_of(kind).rows} == there - absent
        assert {*table_of(kind).rows} <= {*ALL.rows}


@pytest.mark.parametrize(
    ("member", "value", "written"),
    [
        (("policy", "grant"), [{"policy": "p"}], [{"decision": "allow", "policy": {"name": "p"}}]),
        (
            ("policy", "grant"),
            [{"policy": "p", "rule": "r/*"}],
            [{"decision": "allow", "policy": {"name": "p", "data": {"rule": "r/*"}}}],
        ),
        (
            ("policy", "by"),
            [{"policy": "p", "rule": "r/*"}, {"$omitted": 3}],
            [
                {"decision": "deny", "policy": {"name": "p", "data": {"rule": "r/*"}}},
                {"decision": "deny", "policy": {"type": "omitted", "data": {"$omitted": 3}}},
            ],
        ),
        (("resource", "version"), 4, "4"),
        *[
            (("http.request.method",), name, name)
            for name in ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
        ],
    ],
)
def test_a_value_is_written_as_ocsf_has_it_and_comes_back(member: Any, value: Any, written: Any) -> None:
    kind = _row(member).kind
    assert kind.there(value) == written
    assert kind.back(written) == value


@pytest.mark.parametrize(
    ("member", "value"),
    [
        (("policy", "grant"), []),
        (("policy", "by"), 1),
        (("resource", "version"), "4"),
        (("http.request.method",), "LIST"),
    ],
)
def test_what_ocsf_has_no_word_for_stays_in_the_rest(member: Any, value: Any) -> None:
    assert _row(member).kind.there(value) is None


def test_a_refusal_is_not_read_as_a_grant_nor_a_grant_as_a_refusal() -> None:
    decided = [{"policy": "p", "rule": "r/*"}]
    grant, refusal = _row(("policy", "grant")).kind, _row(("policy", "by")).kind
    assert grant.back(refusal.there(decided)) is None
    assert refusal.back(grant.there(decided)) is None


def _row(member: tuple[str, ...]) -> Row:
    (found,) = [row for row in ALL.rows if row.member == member]
    return found
