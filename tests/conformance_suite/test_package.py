# SPDX-License-Identifier: EUPL-1.2
"""What holds of the suite's own code: it stands alone, it reads no prose, and tests and requirements know each other."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import esa_conformance
from esa_conformance.areas import all_tests
from esa_conformance.requirements import profiles, requirements

_PACKAGE = Path(esa_conformance.__file__).parent
_SOURCES = sorted(_PACKAGE.rglob("*.py"))
_PROSE = {"errors", "warnings", "detail", "title", "message", "reason"}
"""Members of answers that are written for people."""


def _imports(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


def _prose(source: str) -> Iterator[str]:
    """Members of answers that a test looks into and that are prose."""
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in {"member", "get"}
        ):
            texts = [one.value for one in node.args if isinstance(one, ast.Constant)]
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            texts = [node.slice.value]
        else:
            continue
        yield from (str(text) for text in texts if text in _PROSE)


def test_nothing_but_the_standard_library_is_needed() -> None:
    assert len(_SOURCES) > 30
    found = {name for path in _SOURCES for name in _imports(path.read_text(encoding="utf-8"))}
    assert found - sys.stdlib_module_names == {"esa_conformance"}


def test_no_test_reads_prose() -> None:
    found = {
        f"{path.name}: {text}"
        for folder in ("areas", "binding", "run")
        for path in sorted((_PACKAGE / folder).rglob("*.py"))
        for text in _prose(path.read_text(encoding="utf-8"))
    }
    assert found == set()


@pytest.mark.parametrize(
    "line",
    [
        "reply.answer.member('errors')",
        "body['detail']",
        "problem.get('title')",
        "a.member('data', 'warnings')",
    ],
)
def test_prose_that_is_read_is_found(line: str) -> None:
    assert list(_prose(line))


def test_ids_of_tests_are_unique_and_each_says_what_it_asks() -> None:
    tests = all_tests()
    assert len({test.id for test in tests}) == len(tests) > 60
    assert [test.id for test in tests if not test.text.endswith(".") or "\n" in test.text] == []


def test_every_requirement_has_a_test_or_a_reason_and_every_test_a_requirement() -> None:
    known = requirements()
    tested = {name for test in all_tests() for name in test.requirements}
    assert sorted(tested - known.keys()) == []
    without = {name for name, one in known.items() if one.untested}
    assert sorted(known.keys() - tested) == sorted(without)


def test_a_requirement_of_core_without_a_test_that_counts_is_known() -> None:
    counts = {test.requirements[0] for test in all_tests() if test.core and not test.provisional}
    without = {name for name, one in requirements().items() if one.untested}
    core = {name for one in profiles().values() for name in one.core}
    assert core - counts - without == {"ESA-CRY-001", "ESA-LSE-005"}  # not two code bases hold them


def test_a_test_of_a_feature_is_of_a_requirement_of_it() -> None:
    known = requirements()
    wrong = [
        test.id
        for test in all_tests()
        if (feature := known[test.requirements[0]].feature) and feature != test.feature
    ]
    assert wrong == []


def test_the_page_says_what_is_claimed_with_files_of_records_alone() -> None:
    page = (Path(__file__).parents[2] / "docs" / "conformance.md").read_text(encoding="utf-8")
    lacking = set()
    by_http = {
        (test.requirements[0], test.feature)
        for test in all_tests()
        if test.evidence == "http" and not test.provisional
    }
    for test in all_tests():
        profile = requirements()[test.requirements[0]].profile
        other = (test.requirements[0], test.feature) in by_http
        if "records" in test.needs and not test.provisional and not other:
            always = test.core or profile == "log" or test.feature in profiles()[profile].claims
            lacking.add(profile if always else test.feature)
    named = re.search(r"To claim (.*), hand over files of records", page)
    assert named is not None
    assert set(re.findall(r"`([^`]+)`", named[1])) == lacking


def test_a_server_is_sealed_only_where_the_journal_knows_it() -> None:
    """Who seals it in another way leaves it sealed where a connection is cut, or the run killed."""
    areas = sorted((_PACKAGE / "areas").rglob("*.py"))
    assert [path.name for path in areas if 'sys/seal"' in path.read_text(encoding="utf-8")] == []
    assert any("t.sealed()" in path.read_text(encoding="utf-8") for path in areas)


def test_profiles_of_requirements_are_registered() -> None:
    assert {one.profile for one in requirements().values()} <= profiles().keys()


def test_what_changes_something_is_not_called_read_only() -> None:
    """Read-only tests may use nothing that a trial makes."""
    makes = {
        "secret",
        "secret_below",
        "policy",
        "caller",
        "have_token",
        "mount",
        "leases",
        "limited",
        "auth",
        "new_namespace",
    }
    for test in all_tests():
        if test.cls == "read-only":
            assert not makes & set(test.body.__code__.co_names), test.id
