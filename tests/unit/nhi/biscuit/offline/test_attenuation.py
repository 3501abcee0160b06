# SPDX-License-Identifier: EUPL-1.2
"""Blocks that take nothing away are told, however they say it, and blocks that take something away never are."""

from datetime import UTC, datetime

import pytest
from biscuit_auth import DataLogError
from hypothesis import example, given
from hypothesis import strategies as st

from nhi.biscuit.offline.attenuation import NO_OP, attenuations
from nhi.biscuit.offline.guard import Term
from nhi.biscuit.offline.noop_checks import always_holds
from tests.unit.nhi.biscuit.tokens import checked, lets, mint, narrowed

REQUESTS: tuple[dict[str, Term], ...] = (
    {},
    {"operation": "delete", "resource": "sys/mounts", "method": "DELETE"},
    {"operation": "list", "resource": "", "time": datetime(2029, 12, 31, tzinfo=UTC)},
)
ALL = '{"create", "read", "update", "delete", "list", "patch", "scan"}'
READS = 'check if operation($o), {"list", "read"}.contains($o);'
BELOW = 'check if resource($r), $r.starts_with("secret/data/app/");'
PATH = 'check if resource("secret/data/app/db");'


def _odd(*sources: str) -> bool:
    """Whether the last of these blocks is said to take nothing away."""
    return NO_OP in attenuations(checked(narrowed(mint(), *sources)).blocks)[-1].anomalies


@pytest.mark.parametrize(
    "source",
    [
        "",
        "mine(1);",
        "check if true;",
        "check if 1 == 1;",
        "check if 1 === 1;",
        "check if !false;",
        "check if (1 < 2);",
        'check if "a" != "b";',
        "check if 2026-01-01T00:00:00Z >= 2025-01-01T00:00:00Z;",
        "check if operation($o);",
        "check if time($t);",
        "check if time($t), $t == $t;",
        "check if resource($r), ($r) === $r;",
        "check if operation($o), true;",
        "check if operation($o), 1 < 2;",
        "check if time($t), resource($r), method($m);",
        "check all operation($o), $o == $o;",
        'check if workload("w1");',
        "check if workload($w), policy($p);",
        "check if mine(1); mine(1);",
        "check if mine($x), $x == $x; mine({1});",
        "check if operation($o) trusting previous;",
        'check if resource("a") or true;',
        'check if resource("a") or time($t);',
        "reject if false;",
        "reject if operation($o), 1 == 2;",
        'reject if nothing("a");',
        'check if resource($r), $r.starts_with("");',
        'check if resource("a") or resource($r), $r.starts_with("");',
        f"check if operation($o), {ALL}.contains($o);",
    ],
)
def test_a_block_that_takes_nothing_away_is_told_however_it_says_so(source: str) -> None:
    assert _odd(source)
    verified = checked(narrowed(mint(), source))
    assert all(lets(verified, **changes) for changes in REQUESTS)


@pytest.mark.parametrize(
    ("before", "source"),
    [
        (PATH, 'check if resource($r), $r == "secret/data/app/db";'),
        (PATH, BELOW),
        (PATH, f'{PATH[:-1]} or resource($r), $r.starts_with("sys/");'),
        (f'{PATH[:-1]} or resource($r), $r.starts_with("secret/data/app/x/");', BELOW),
        (READS, 'check if operation($o), {"list", "read", "scan"}.contains($o);'),
        ("check if time($t), $t > 2026-01-01T00:00:00Z;", "check if time($t), $t > 2026-01-01T00:00:00Z;"),
    ],
)
def test_what_an_earlier_block_demands_already_takes_nothing_away(before: str, source: str) -> None:
    assert _odd(before, source)
    assert not _odd(source)


@pytest.mark.parametrize(
    "sources",
    [
        ["check if false;"],
        ["check if 1 == 2;"],
        ['check if operation("read");'],
        ["check if operation($o), resource($o);"],
        ["check if operation($o, $p);"],
        ["check if operation($o), 1 == 2;"],
        ["check if operation($o), $o !== $o;"],
        ["check if operation($o), $o < $o;"],
        ["check if client_ip4($i);"],
        ["check if client_nets($n), $n == $n;"],
        ['check if workload("w2");'],
        ["check if workload($w), operation($w);"],
        ["check if mine(2); mine(1);"],
        ["check if workload($w) trusting previous;", "check if mine(1);"],
        ['check if resource("a"), true;'],
        ['check if resource("a") or false;'],
        ['check if 1 < "a" or time($t);'],
        ["reject if true;"],
        ["reject if operation($o);"],
        ["reject if nothing($x) or operation($o);"],
        [PATH, f'{PATH[:-1]}, operation("read");'],
        [f'{PATH[:-1]} or operation("read");', PATH],
        ["check if mine($x), $x > 1; mine(2);", "check if mine($x), $x > 1; mine(1);"],
    ],
)
def test_a_block_that_takes_something_away_is_never_said_to_take_nothing(sources: list[str]) -> None:
    assert not _odd(*sources)


_TERMS = st.sampled_from(
    [
        "1",
        "2",
        '"w1"',
        '"read"',
        "true",
        "false",
        "null",
        "[1]",
        "{1}",
        "hex:00",
        "2026-01-01T00:00:00Z",
        "$a",
        "$b",
    ]
)
_ATOMS = st.one_of(
    st.sampled_from(
        ["time", "operation", "resource", "method", "audience_srv", "workload", "mine", "nobody"]
    ).flatmap(lambda name: _TERMS.map(lambda term: f"{name}({term})")),
    st.tuples(_TERMS, st.sampled_from(["<", ">", "<=", ">=", "==", "!=", "===", "!=="]), _TERMS).map(
        " ".join
    ),
    st.tuples(
        st.sampled_from(["!", "!!", "!(", "("]), st.sampled_from(["true", "false", "1 == 1", "$a === $b"])
    ).map(lambda pair: f"{pair[0]}{pair[1]}{')' * pair[0].count('(')}"),
)
_QUERIES = st.tuples(
    st.lists(_ATOMS, min_size=1, max_size=3).map(", ".join),
    st.sampled_from(["", "", " trusting previous", " trusting authority"]),
).map("".join)
_CHECKS = st.tuples(
    st.sampled_from(["check if ", "check all ", "reject if "]),
    st.lists(_QUERIES, min_size=1, max_size=2).map(" or ".join),
).map("".join)


@example('check if 1 < "a" or time($t)', "")
@given(_CHECKS, st.sampled_from(["", "mine(1);", 'mine("read"); mine(null);', "mine([1]); mine({1});"]))
def test_what_is_said_to_take_nothing_away_the_library_lets_through(check: str, facts: str) -> None:
    try:
        raw = narrowed(mint(), f"{facts} {check};")
    except DataLogError:
        return
    verified = checked(raw)
    authority, block = verified.blocks
    if always_holds(block.checks[0], block, authority):
        assert all(lets(verified, **changes) for changes in REQUESTS)
