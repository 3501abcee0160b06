# SPDX-License-Identifier: EUPL-1.2
"""The engine of `docs/engines.md`, put together from the page's blocks."""

import ast
import re
from collections.abc import Mapping

from tests.house.tree import ROOT

PAGE = (ROOT / "docs" / "engines.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"^`(\w+\.py)`(?:, in `(\w+)`)?\n\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def modules() -> Mapping[str, str]:
    """The files of the engine, by name.

    A block goes to the end of its file, or of the class that is named above it.
    """
    made = {"__init__.py": '# SPDX-License-Identifier: EUPL-1.2\n"""Vouchers: an example of an engine."""\n'}
    for name, owner, block in _BLOCK.findall(PAGE):
        before = made.get(name, "").splitlines(keepends=True)
        end = _end(before, owner) if owner else len(before)
        space = "" if not before else "\n" if block.startswith(" ") else "\n\n"
        made[name] = "".join([*before[:end], space, block, *before[end:]])
    return made


def examples(section: str) -> list[str]:
    """The blocks of a section that are no part of the engine."""
    text = PAGE.partition(f"\n## {section}")[2].partition("\n## ")[0]
    return re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def _end(lines: list[str], owner: str) -> int:
    """The number of the last line of a class."""
    for node in ast.parse("".join(lines)).body:
        if isinstance(node, ast.ClassDef) and node.name == owner:
            assert node.end_lineno is not None
            return node.end_lineno
    raise AssertionError(f"the page has no class {owner} yet")
