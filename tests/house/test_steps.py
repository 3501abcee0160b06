# SPDX-License-Identifier: EUPL-1.2
"""Where a docstring numbers the steps of a protocol, each number stands again at the line that does it."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from typing import Final

import pytest

from tests.house.tree import ROOT, files

_STEP: Final = re.compile(r"^(\d+)\. ", re.MULTILINE)
_NUMBERED: Final = re.compile(r'(?:^|""")\s*\d+\. ', re.MULTILINE)
"""What a text has that has such a docstring, and few others."""
_NAMED: Final = re.compile(r"(\d+)(?:\.? (to|and) (\d+))?\.")
_APART: Final = {"vault/seal/init_store.py": "each step is a method, or its caller's"}
"""Files whose lists say themselves where a step is done."""


def unnamed(source: str) -> Iterator[str]:
    """Return every step that a docstring numbers and no line does."""
    if not _NUMBERED.search(source):
        return
    named: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        found = _NAMED.match(token.string.removeprefix("# ")) if token.type == tokenize.COMMENT else None
        if found is not None:
            first, last = int(found[1]), int(found[3] or found[1])
            named.update(range(first, last + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            for number in _STEP.findall(ast.get_docstring(node) or ""):
                if int(number) not in named:
                    yield f"{getattr(node, 'name', 'module')}: {number}."


def test_each_step_that_is_numbered_is_named_at_its_line() -> None:
    found = {
        name: steps
        for path in files(".py")
        if (name := str(path.relative_to(ROOT))).startswith(("vault/", "nhi/", "hsm/", "cli/"))
        if (steps := list(unnamed(path.read_text(encoding="utf-8"))))
    }
    assert found.keys() - _APART.keys() == set(), found
    assert _APART.keys() - found.keys() == set()


@pytest.mark.parametrize("line", ["# 1. and 2. Both.", "# 1 to 2.", "# 1. One.\n# 2. Two."])
def test_a_step_that_is_named_is_found(line: str) -> None:
    assert list(unnamed(f'"""Does it.\n\n1. One.\n2. Two.\n"""\n{line}\n')) == []


def test_a_step_that_is_named_nowhere_is_told() -> None:
    assert list(
        unnamed('def f():\n    """Does it.\n\n    1. One.\n    2. Two.\n    """\n    g()  # 1.\n')
    ) == ["f: 2."]
