# SPDX-License-Identifier: EUPL-1.2
"""Rules over every file of the repository."""

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.sizes import FILE_LINES, FUNCTION_LINES, oversize
from tests.house.tree import ROOT, files

_SPDX = "# SPDX-License-Identifier: EUPL-1.2"
_SUITE = ROOT / "api-spec" / "conformance"
_SUITES_SPDX = "# SPDX-License-Identifier: Apache-2.0"
"""The conformance suite is for everybody's servers."""
# Spelled in pieces, so that this file does not break its own rule.
_MACHINE_PATH = re.compile(r"(?<![\w.-])/(?:wo" r"rk|ro" r"ot|ho" r"me/\w+|Us" r"ers/\w+|tmp/w)/")
_REGISTRY = re.compile(
    r"(?:pypi\.or" r"g|pythonhosted\.or" r"g|docker\.i" r"o|ghcr\.i" r"o|quay\.i" r"o|npmjs\.(?:or" r"g|com)"
    r"|artifact-?regis" r"try|pkg\.de" r"v)",
    re.IGNORECASE,
)  # fmt: skip
_SUPPRESSION = re.compile(r"#\s*(?P<kind>noqa|type:\s*ignore|pragma|ruff:\s*noqa|mypy:)")
_REASONED = re.compile(
    r"#\s*(?:noqa:\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*|type:\s*ignore\[[a-z-]+(?:,\s*[a-z-]+)*\])"
    r"\s+(?:#|--?|—|:)\s*\w.{2,}"
)
_LINK = re.compile(r"\]\((?!https?:|mailto:)([^)\s]+)\)")
_TEXT = [path for path in files() if path.suffix not in {".png", ".xz", ".db", ".gz", ".der", ".pgp"}]


def _hits(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}: {found.group()}"
        for path in paths
        if pattern.search(text := path.read_text(encoding="utf-8"))
        for number, line in enumerate(text.splitlines(), 1)
        for found in pattern.finditer(line)
    ]


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    assert _hits(_MACHINE_PATH, _TEXT) == []


def test_no_file_names_a_package_or_image_registry() -> None:
    assert _hits(_REGISTRY, _TEXT) == []


def test_every_link_within_the_documents_leads_to_a_file_and_a_heading() -> None:
    broken = []
    for page in files(".md"):
        for target in _LINK.findall(page.read_text(encoding="utf-8")):
            path, _, heading = target.partition("#")
            found = (page.parent / path).resolve() if path else page
            if not found.exists() or (heading and heading not in _headings(found)):
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert broken == []


def _headings(page: Path) -> set[str]:
    """The anchors of a page's headings."""
    titles = re.findall(r"^#+ (.*)", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def test_every_python_file_begins_with_its_licence() -> None:
    lacking = [
        p
        for p in files(".py")
        if p.read_text(encoding="utf-8").splitlines()[:1]
        != [_SUITES_SPDX if p.is_relative_to(_SUITE) else _SPDX]
    ]
    assert [str(p.relative_to(ROOT)) for p in lacking] == []


def test_no_file_or_function_is_too_large() -> None:
    found = [
        line
        for path in files(".py")
        for line in oversize(path, file_lines=FILE_LINES, function_lines=FUNCTION_LINES)
    ]
    assert found == []


def test_an_oversize_file_and_function_are_found(tmp_path: Path) -> None:
    path = tmp_path / "long.py"
    path.write_text("def grown() -> None:\n" + "    pass\n" * 60, encoding="utf-8")
    assert list(oversize(path, file_lines=60, function_lines=60)) == [
        "long.py: 61 lines",
        "long.py:1: grown has 61 lines",
    ]
    assert list(oversize(path, file_lines=61, function_lines=61)) == []


def _bare_suppressions(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    if _SUPPRESSION.search(text):
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT and not _suppression_is_fine(token.string):
                yield f"{path.relative_to(ROOT)}:{token.start[0]}: {token.string}"


def test_every_suppression_names_its_rule_and_its_reason() -> None:
    assert [found for path in files(".py") for found in _bare_suppressions(path)] == []


@pytest.mark.parametrize(
    ("comment", "fine"),
    [
        ("# a remark", True),
        ("# noqa: S310 - always https to loopback", True),
        ("# type: ignore[arg-type]  # the stub lacks bytes", True),
        ("# noqa: S608 -- the table names are constants", True),
        ("# noqa: S310", False),
        ("# noqa", False),
        ("# type: ignore", False),
        ("# type: ignore[arg-type]", False),
        ("# pragma: no cover", False),
    ],
)
def test_a_suppression_is_judged_by_rule_and_reason(comment: str, fine: bool) -> None:
    assert _suppression_is_fine(comment) is fine


@pytest.mark.parametrize("name", ["utils", "helpers", "common", "misc"])
def test_no_module_is_a_drawer_for_leftovers(name: str) -> None:
    assert [p for p in files(f"/{name}.py") if "tests" not in p.parts] == []


def _suppression_is_fine(comment: str) -> bool:
    return not _SUPPRESSION.search(comment) or bool(_REASONED.search(comment))
