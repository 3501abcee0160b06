# SPDX-License-Identifier: EUPL-1.2
"""The table of security rules names tests that exist, and every rule that anything cites; what is open says so."""

import ast
import re

from tests.house.tree import ROOT, files

TABLE = ROOT / "docs" / "security-rules.md"
_ROW = re.compile(r"^\| (SL-\d{2,3}) \| (.+?) \| (.+) \|$", re.MULTILINE)
_CITED = re.compile(r"\bSL-\d{2,3}\b")
_NAMED = re.compile(r"test_sl_(\d{2,3})_\w+")
OPEN = "open"


def rows() -> list[tuple[str, str, list[str]]]:
    """Rule, what it says, and the tests that hold it; none for an open one."""
    found = []
    for rule, says, held in _ROW.findall(TABLE.read_text(encoding="utf-8")):
        tests = [] if held == OPEN else [one.strip("`") for one in held.split("<br>")]
        found.append((rule, says, tests))
    return found


def _tests_of(name: str) -> set[str]:
    tree = ast.parse((ROOT / "tests" / name).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_test_that_is_named_exists() -> None:
    named = [one for _, _, tests in rows() for one in tests]
    assert named
    missing = [one for one in named if one.partition("::")[2] not in _tests_of(one.partition("::")[0])]
    assert missing == []


def test_rules_are_in_order_and_each_comes_once() -> None:
    numbers = [int(rule.removeprefix("SL-")) for rule, _, _ in rows()]
    assert numbers == sorted(set(numbers))
    assert len(numbers) > 80


def test_what_is_open_is_counted() -> None:
    found = rows()
    count = sum(not tests for _, _, tests in found)
    assert f"\n{len(found)} rules, {count} open.\n" in TABLE.read_text(encoding="utf-8")


def test_every_rule_that_is_cited_is_listed() -> None:
    listed = {rule for rule, _, _ in rows()}
    cited = {
        f"{path.relative_to(ROOT)}: {rule}"
        for path in [*files(".py"), *files(".md")]
        for rule in _CITED.findall(path.read_text(encoding="utf-8"))
        if rule not in listed
    }
    assert sorted(cited) == []


def test_a_test_that_is_called_after_a_rule_is_named_in_its_row() -> None:
    named = {(rule, one.partition("::")[2]) for rule, _, tests in rows() for one in tests}
    called = {
        (f"SL-{found[1]}", found[0])
        for path in files(".py")
        for found in _NAMED.finditer(path.read_text(encoding="utf-8"))
        if "tests/house" not in str(path) and f"def {found[0]}" in path.read_text(encoding="utf-8")
    }
    assert sorted(called - named) == []
