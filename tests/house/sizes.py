# SPDX-License-Identifier: EUPL-1.2
"""The size limits: a Python file of over 500 lines or a function of over 60 fails; soft limits are listed.

Run as `python -m tests.house.sizes`; exit status 1 when a limit is broken.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.house.tree import ROOT, files, statements

FILE_LINES, FUNCTION_LINES = 500, 60
SOFT_FILE_LINES, SOFT_FUNCTION_LINES = 300, 40


def oversize(path: Path, *, file_lines: int, function_lines: int) -> Iterator[str]:
    """Name the file if it is longer than `file_lines`, and each of its functions over `function_lines`.

    A function's decorators and docstring count: they are read with it.
    """
    text = path.read_text(encoding="utf-8")
    lines = len(text.splitlines())
    if lines > file_lines:
        yield f"{_shown(path)}: {lines} lines"
    for node in statements(text):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            length = (node.end_lineno or first) - first + 1
            if length > function_lines:
                yield f"{_shown(path)}:{first}: {node.name} has {length} lines"


def main() -> int:
    """Print what breaks a limit and, after it, what is over a soft one."""
    paths = files(".py")
    broken = _all(paths, FILE_LINES, FUNCTION_LINES)
    soft = [found for found in _all(paths, SOFT_FILE_LINES, SOFT_FUNCTION_LINES) if found not in broken]
    for found in soft:
        print("large:", found)
    for found in broken:
        print("too large:", found)
    return 1 if broken else 0


def _all(paths: list[Path], file_lines: int, function_lines: int) -> list[str]:
    return [
        found
        for path in paths
        for found in oversize(path, file_lines=file_lines, function_lines=function_lines)
    ]


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name


if __name__ == "__main__":
    raise SystemExit(main())
