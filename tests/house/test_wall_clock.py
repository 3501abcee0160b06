# SPDX-License-Identifier: EUPL-1.2
"""An interval is measured by a clock that nobody sets: whoever reads the wall clock is listed with the reason."""

import ast
import functools
from collections.abc import Iterator

import pytest

from tests.house.tree import ROOT, files
from tests.house.wall_clock import WALL_CLOCK

_OURS = ("vault/", "hsm/", "nhi/", "cli/")
_READINGS = {"millis", "nanos"}
"""Methods of `Clock` that read the wall clock."""
_MACHINE = {"time": {"time", "time_ns"}, "datetime": {"now", "utcnow", "today"}, "date": {"today"}}
"""What asks the machine for it."""
_HOME = ("vault/framework/clock.py",)


def readings(source: str) -> Iterator[tuple[str, str]]:
    """Return every reading of the wall clock in a file, as the function that it is in and what is written there.

    Handing on a method that reads it is a reading, and so is the moment of a request, `call.now`.
    """

    def walk(node: ast.AST, function: str) -> Iterator[tuple[str, str]]:
        for child in ast.iter_child_nodes(node):
            named = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            within = child.name if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else function
            if isinstance(child, ast.ImportFrom) and child.module == "time":
                for alias in child.names:
                    if alias.name in _MACHINE["time"]:
                        yield within, alias.name
            if isinstance(child, ast.Attribute) and _reads(child):
                yield within, ast.unparse(child)
            yield from walk(child, within if named else function)

    yield from walk(ast.parse(source), "")


def _reads(node: ast.Attribute) -> bool:
    if node.attr in _READINGS:
        return True
    if node.attr != "now" and not any(node.attr in asked for asked in _MACHINE.values()):
        return False
    holder = ast.unparse(node.value).rpartition(".")[2]
    if node.attr in _MACHINE.get(holder, ()):
        return True
    return node.attr == "now" and isinstance(node.ctx, ast.Load) and holder != "self"


@functools.cache
def _found() -> dict[tuple[str, str], str]:
    found = {}
    for path in files(".py"):
        name = str(path.relative_to(ROOT))
        if name.startswith(_OURS) and not name.startswith(_HOME):
            for function, text in readings(path.read_text(encoding="utf-8")):
                found[name, function] = text
    return found


def _listed() -> list[tuple[str, str]]:
    return [
        (name, function)
        for places in WALL_CLOCK.values()
        for name, functions in places.items()
        for function in functions.split()
    ]


def test_whoever_reads_the_wall_clock_is_listed_with_the_reason() -> None:
    listed = set(_listed())
    found = _found()
    assert len(found) > 100
    new = [f"{name}: {function}: {text}" for (name, function), text in found.items()]
    assert [line for line, place in zip(new, found, strict=True) if place not in listed] == [], (
        "a point in time that is stored or shown: add it to tests/house/wall_clock.py; "
        "an interval: measure it with Clock.monotonic, or with Ages where it began with a stored point"
    )


def test_nothing_is_listed_that_reads_no_wall_clock_and_nothing_twice() -> None:
    listed, found = _listed(), _found()
    assert [place for place in listed if place not in found] == []
    assert sorted(listed) == sorted(set(listed))


@pytest.mark.parametrize(
    "line",
    [
        "if clock.millis() - self._last > 5: pass",
        "Breaker(now=clock.nanos)",
        "age = call.now - known",
        "import time; time.time()",
        "from time import time_ns",
        "import datetime; datetime.datetime.now()",
        "Gate(now=time.time)",
    ],
)
def test_every_way_to_read_it_is_seen(line: str) -> None:
    assert [function for function, _ in readings(f"def one():\n    {line}")] == ["one"]


@pytest.mark.parametrize(
    "line",
    ["clock.monotonic()", "self._ages.of(row.failed)", "time.monotonic()", "login.now = 1", "self.now()"],
)
def test_what_reads_none_is_left_alone(line: str) -> None:
    assert list(readings(f"def one():\n    {line}")) == []
