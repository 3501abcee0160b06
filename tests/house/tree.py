# SPDX-License-Identifier: EUPL-1.2
"""The files of this repository: what git tracks or would track, so that a check sees a file before its commit."""

import ast
import functools
import gc
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]


def files(suffix: str = "") -> list[Path]:
    """Tracked and new, not ignored, existing files whose names end with `suffix`, in order."""
    return [path for path in _files() if str(path).endswith(suffix)]


@functools.cache
def _files() -> tuple[Path, ...]:
    """All of them: no test makes one, and asking git for them takes longer than most rules."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    names = (name for name in listing.split("\0") if name)
    return tuple(sorted(path for path in (ROOT / name for name in names) if path.is_file()))


@functools.cache
def nodes(source: str) -> tuple[ast.AST, ...]:
    """Every node of a text in Python, the module first: parsed once, however many rules look at it."""
    gc.disable()  # nothing of it is garbage, which is looked for the more often the more there is
    try:
        found = tuple(ast.walk(ast.parse(source)))
    finally:
        gc.enable()
    gc.freeze()
    return found


def statements(source: str) -> Iterator[ast.AST]:
    """Every statement of a text in Python, and what is like one: without expressions, which are most of it."""
    waiting: list[ast.AST] = [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        yield node
        for part in ("body", "orelse", "finalbody", "handlers", "cases"):
            waiting += getattr(node, part, ())


@functools.cache
def spelled(node: ast.AST) -> str:
    """A part of such a text, as it would be written."""
    return ast.unparse(node)
