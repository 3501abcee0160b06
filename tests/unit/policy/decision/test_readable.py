# SPDX-License-Identifier: EUPL-1.2
"""Listings of only what the caller may read."""

import asyncio
from collections.abc import Sequence

import pytest

from tests.turns import of_others
from vault.framework.errors import Malformed
from vault.policy.decision.acl import Acl, compile_acl
from vault.policy.decision.readable import readable
from vault.policy.text.parse import parse_policy

NOW = 1_700_000_000.0


def _shown(policy: str, base: str, keys: Sequence[str]) -> list[str]:
    return asyncio.run(readable(_acl(policy), base, keys, now=NOW))


def _acl(policy: str) -> Acl:
    return compile_acl([parse_policy("p", policy)], now=NOW)


def _readable(acl: Acl, keys: Sequence[str]) -> list[str]:
    return asyncio.run(readable(acl, "s/", keys, now=NOW))


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
        (_rule("s/data/+/x/y", "read") + _rule("s/data/f/x/*", "deny"), ["f/x/", "g/x/", "g/y/"], ["g/x/"]),
        (_rule("s/data/f/+/y/z", "read"), ["f/x/", "g/x/", "f/x/y/", "f/x/z/"], ["f/x/", "f/x/y/"]),
        (_rule("s/data/f/" + "a/" * 40_000, "read") + _rule("s/data/g/x", "read"), ["f/", "g/"], ["g/"]),
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
                assert (_readable(acl, [folder]) == [folder]) is may, (first, second, folder)


def test_root_sees_everything() -> None:
    acl = compile_acl([parse_policy("root", "")], now=NOW)
    assert _readable(acl, ["a", "f/"]) == ["a", "f/"]


def _tricky(count: int) -> str:
    """Return a policy by which nothing may be read in folders that begin with `f`, as each of so many rules must be tried to find."""
    rules = "".join(_rule(f"s/+/a{number}", "read") for number in range(count))
    return rules + _rule("s/f*", "deny")


def test_others_have_turns_while_a_policy_of_many_rules_is_tried_on_many_folders() -> None:
    async def scenario() -> None:
        acl = _acl(_tricky(300))
        async with of_others() as turns:
            assert await readable(acl, "s/", [f"f{number}/" for number in range(50)], now=NOW) == []
        assert turns.count > 20

    asyncio.run(scenario())


def test_no_listing_is_narrowed_by_too_many_rules_for_too_many_folders() -> None:
    """Long paths cost more, so that fewer do here."""
    rules = "".join(_rule(f"s/+/+/a{number}", "read") for number in range(300)) + _rule("s/x*", "deny")
    base, folders = f"s/{'x' * 12_000}/", [f"f{number}/" for number in range(500)]
    with pytest.raises(Malformed, match=r"X-Vault-List-Filter: .* ask for fewer names at once, by 'limit'"):
        _shown(rules, base, folders)
    assert _shown(rules, base, folders[:2]) == []
