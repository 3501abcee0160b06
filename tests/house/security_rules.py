# SPDX-License-Identifier: EUPL-1.2
"""``python -m tests.house.security_rules``: brings ``docs/security-rules.md`` up to date.

Rules and what they say are written by hand, and so are tests that hold them; a test that is called
``test_sl_<number>_…`` is put into its rule's row by itself (``test_sl_<number>_sl_<number>_…`` into those of two).
What is open is counted.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.house.tree import ROOT, files, statements

TABLE = ROOT / "docs" / "security-rules.md"
OPEN = "open"
_ROW = re.compile(r"^\| (SL-\d{2,3}) \| (.+?) \| (.+) \|$", re.MULTILINE)
_COUNT = re.compile(r"^\d+ rules, \d+ open\.$", re.MULTILINE)
_CALLED = re.compile(r"test_((?:sl_\d{2,3}_)+)\w+")


@dataclass(frozen=True)
class Rule:
    """One row: the tests are ``file below tests/::function``."""

    name: str
    says: str
    tests: tuple[str, ...]

    def row(self) -> str:
        """The row as it is written."""
        held = "<br>".join(f"`{test}`" for test in self.tests) or OPEN
        return f"| {self.name} | {self.says} | {held} |"


def rules(text: str) -> list[Rule]:
    """The rows of a table."""
    return [
        Rule(name, says, () if held == OPEN else tuple(test.strip("`") for test in held.split("<br>")))
        for name, says, held in _ROW.findall(text)
    ]


def called() -> Iterator[tuple[str, str]]:
    """Rule and test, for every test that is called after a rule."""
    for path in files(".py"):
        name = str(path.relative_to(ROOT))
        if name.startswith("tests/") and "test_sl_" in (text := path.read_text(encoding="utf-8")):
            for function in functions(text):
                if found := _CALLED.fullmatch(function):
                    for number in re.findall(r"\d+", found[1]):
                        yield f"SL-{number}", f"{name.removeprefix('tests/')}::{function}"


def functions(text: str) -> set[str]:
    """The names of all functions in a module."""
    return {
        node.name for node in statements(text) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def updated(text: str) -> str:
    """The table with every test that is called after a rule, and the count of what is open."""
    more: dict[str, list[str]] = {}
    for rule, test in sorted(called()):
        more.setdefault(rule, []).append(test)
    now = [
        Rule(one.name, one.says, tuple(dict.fromkeys([*one.tests, *more.get(one.name, [])])))
        for one in rules(text)
    ]
    by_name = {one.name: one for one in now}
    text = _ROW.sub(lambda row: by_name[row[1]].row(), text)
    return _COUNT.sub(f"{len(now)} rules, {sum(not one.tests for one in now)} open.", text)


if __name__ == "__main__":
    TABLE.write_text(updated(TABLE.read_text(encoding="utf-8")), encoding="utf-8")
