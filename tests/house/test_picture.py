# SPDX-License-Identifier: EUPL-1.2
"""The picture of the house in `ARCHITECTURE.md` is what the imports are."""

from collections.abc import Mapping
from typing import Final

from tests.house import report
from tests.house.tree import ROOT

_EMPTY: Final = frozenset({"nhi.auth", "vault", "vault.engines"})
"""Folders whose only modules are drawn by themselves, or that have none."""


def _lines() -> dict[str, int]:
    """The number of the line on which each name of the picture stands."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    picture = text.partition("## The house\n")[2].partition("```text\n")[2].partition("```")[0]
    found: dict[str, int] = {}
    for number, line in enumerate(picture.splitlines()):
        for name in line.strip().split("   ")[0].split("  "):
            if name and not name.startswith("-"):
                assert name not in found, name
                found[name] = number
    return found


def _drawn(module: str, lines: Mapping[str, int]) -> str:
    """What of the picture a module is in: itself, or its folder."""
    return module if module in lines else module.rpartition(".")[0]


def climbing(arrows: Mapping[str, set[str]], lines: Mapping[str, int]) -> list[str]:
    """The imports that go up."""
    return sorted(
        f"{module} -> {target}"
        for module, targets in arrows.items()
        for target in targets
        if lines[_drawn(target, lines)] < lines[_drawn(module, lines)]
    )


def test_each_folder_is_drawn_once_and_nothing_else() -> None:
    lines = _lines()
    modules = [module.name for module in report.modules(ROOT) if module.path.name != "__init__.py"]
    assert sorted({_drawn(name, lines) for name in modules} - lines.keys() - _EMPTY) == []
    assert sorted(lines.keys() - {_drawn(name, lines) for name in modules} - {"nhi", "hsm"}) == []


def test_no_import_climbs() -> None:
    arrows = report.imports([module for module in report.modules(ROOT) if module.name not in _EMPTY])
    assert climbing(arrows, _lines()) == []


def test_an_import_that_climbs_is_found() -> None:
    assert climbing({"a.x": {"b.y"}, "b.y": {"a.z"}}, {"a": 0, "b": 1}) == ["b.y -> a.z"]
