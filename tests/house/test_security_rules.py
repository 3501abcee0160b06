# SPDX-License-Identifier: EUPL-1.2
"""The table of security rules names tests that exist, and every rule that anything cites; what is open says so."""

import re

import pytest

from tests.house.security_rules import TABLE, functions, rules, updated
from tests.house.tree import ROOT, files

_NAMED = re.compile(r"`([a-z0-9_/]+\.py)::(test_\w+)`")
_LONE = re.compile(r"`(test_\w+)`")
_PATH = re.compile(r"`((?:vault|hsm|nhi|cli|tests|docs|api-spec)/[\w./-]+\.(?:py|md|json|txt|lock))`")
_CITED = re.compile(r"\bSL-\d{2,3}\b")


def _text() -> str:
    return TABLE.read_text(encoding="utf-8")


def test_the_table_is_up_to_date() -> None:
    assert _text() == updated(_text()), "run: python -m tests.house.security_rules"


@pytest.mark.parametrize("document", [TABLE.name, "logins.md", "hsm.md"])
def test_every_test_that_is_named_exists(document: str) -> None:
    named = set(_NAMED.findall((TABLE.parent / document).read_text(encoding="utf-8")))
    assert named
    missing = [
        f"{name}::{function}"
        for name, function in named
        if function not in functions((ROOT / "tests" / name).read_text(encoding="utf-8"))
    ]
    assert missing == []


def test_every_test_and_file_that_a_document_names_exists() -> None:
    known = {
        name
        for path in files(".py")
        if "tests" in path.parts
        for name in (path.stem, *functions(path.read_text(encoding="utf-8")))
    }
    texts = {path.relative_to(ROOT): path.read_text(encoding="utf-8") for path in files(".md")}
    tests = {
        f"{page}: {name}" for page, text in texts.items() for name in _LONE.findall(text) if name not in known
    }
    paths = {
        f"{page}: {path}"
        for page, text in texts.items()
        for path in _PATH.findall(text)
        if not (ROOT / path).exists()
    }
    assert sorted(tests | paths) == []


def test_rules_are_in_order_and_each_comes_once() -> None:
    numbers = [int(rule.name.removeprefix("SL-")) for rule in rules(_text())]
    assert numbers == sorted(set(numbers))
    assert len(numbers) > 80


def test_every_rule_that_is_cited_is_listed() -> None:
    listed = {rule.name for rule in rules(_text())}
    cited = {
        f"{path.relative_to(ROOT)}: {rule}"
        for path in [*files(".py"), *files(".md")]
        for rule in _CITED.findall(path.read_text(encoding="utf-8"))
        if rule not in listed
    }
    assert sorted(cited) == []


def test_tests_are_put_into_their_rows_and_what_is_left_is_open() -> None:
    nobodys = f"SL-{999}"
    text = f"2 rules, 0 open.\n| SL-06 | a | open |\n| {nobodys} | b | open |\n"
    found = rules(updated(text))
    assert all("::test_sl_06_" in test for test in found[0].tests) and found[0].tests
    assert found[1].tests == ()
    assert updated(text).startswith("2 rules, 1 open.\n")
