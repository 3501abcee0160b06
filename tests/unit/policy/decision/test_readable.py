# SPDX-License-Identifier: EUPL-1.2
"""Listings of only what the caller may read."""

from collections.abc import Sequence

import pytest

from vault.policy.decision.acl import compile_acl
from vault.policy.decision.readable import readable
from vault.policy.text.parse import parse_policy

NOW = 1_700_000_000.0


def _shown(policy: str, base: str, keys: Sequence[str]) -> list[str]:
    return readable(compile_acl([parse_policy("p", policy)], now=NOW), base, keys, now=NOW)


def _rule(path: str, *capabilities: str) -> str:
    words = ", ".join(f'"{word}"' for word in capabilities)
    return f'path "{path}" {{ capabilities = [{words}] }}\n'


@pytest.mark.parametrize(
    ("rules", "keys", "shown"),
    [
        (_rule("s/data/a", "read"), ["a", "ab", "b"], ["a"]),
        (_rule("s/data/a", "update", "list"), ["a"], []),
        (_rule("s/data/*", "read"), ["a", "f/"], ["a", "f/"]),
        (_rule("s/data/*", "read") + _rule("s/data/a", "deny"), ["a", "b"], ["b"]),
        (_rule("s/data/*", "read") + _rule("s/data/f/*", "deny"), ["f/", "g/"], ["g/"]),
        (
            _rule("s/data/*", "read") + _rule("s/data/f/*", "deny") + _rule("s/data/f/x/y", "read"),
            ["f/", "g/"],
            ["f/", "g/"],
        ),
        (_rule("s/data/f/x", "read"), ["f/", "f", "fo/", "x/"], ["f/"]),
        (_rule("s/data/f*", "read"), ["f", "fo", "fo/", "g/"], ["f", "fo", "fo/"]),
        (_rule("s/data/f/", "list"), ["f/"], []),
        (_rule("s/data/+/x", "read"), ["f/", "f", "x"], ["f/"]),
        (_rule("s/data/+/x", "read") + _rule("s/data/f/x", "deny"), ["f/", "g/"], ["g/"]),
        (_rule("s/+/f/+/y", "read"), ["f/", "g/"], ["f/"]),
        (_rule("s/data/+", "read"), ["a", "f/"], ["a"]),
        (_rule("+/data/f/*", "read"), ["f/", "g/"], ["f/"]),
        (
            _rule("s/data/team-*", "read") + _rule("s/data/team-b/*", "deny"),
            ["team-a/", "team-b/"],
            ["team-a/"],
        ),
        (_rule("t/*", "read"), ["a", "f/"], []),
    ],
)
def test_a_name_is_shown_when_it_or_something_in_it_may_be_read(
    rules: str, keys: Sequence[str], shown: Sequence[str]
) -> None:
    assert _shown(rules, "s/data/", keys) == shown


def test_a_folder_is_shown_exactly_when_a_path_in_it_is_allowed() -> None:
    """Every pair of a few rules, against every path of three segments of a small alphabet."""
    alphabet = ("a", "b", "~")
    paths = ["s", "s/*", "s/a", "s/a/*", "s/a/b", "s/+/b", "s/+", "+/a/*", "s/a*", "s/+/b*", "s/b/+"]
    inside = [f"{x}/{y}" for x in alphabet for y in alphabet] + list(alphabet)
    for first in paths:
        for second in paths:
            rules = _rule(first, "read") + (_rule(second, "deny") if second != first else "")
            acl = compile_acl([parse_policy("p", rules)], now=NOW)
            for folder in ("a/", "b/"):
                may = any(acl.check("read", f"s/{folder}{path}", now=NOW).allowed for path in inside)
                assert (readable(acl, "s/", [folder], now=NOW) == [folder]) is may, (first, second, folder)


def test_root_sees_everything() -> None:
    acl = compile_acl([parse_policy("root", "")], now=NOW)
    assert readable(acl, "s/", ["a", "f/"], now=NOW) == ["a", "f/"]
