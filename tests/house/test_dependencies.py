# SPDX-License-Identifier: EUPL-1.2
"""What we import is what we declare: nothing arrives by another package's grace."""

import ast
import importlib.metadata
import sys
import tomllib
from collections.abc import Iterator

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.house.tree import ROOT, files, statements

_OURS = {"vault", "hsm", "nhi", "vaultctl", "esa_conformance", "tests"}
# What may be imported where, by the extra that brings it. The command line has what every installation has.
_EXTRAS = {
    "vault": ["server", "otel", "postgres", "s3"],
    "nhi": ["server", "cel", "postgres"],
    "hsm": ["hsm"],
    "cli": [],
    "tests": ["server", "otel", "cel", "postgres", "s3", "hsm", "dev"],
}


def _third_party(folder: str) -> Iterator[tuple[str, str]]:
    for path in files(".py"):
        shown = str(path.relative_to(ROOT))
        if not shown.startswith(f"{folder}/"):
            continue
        for node in statements(path.read_text(encoding="utf-8")):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.append(node.module)
            for name in {name.split(".")[0] for name in names} - sys.stdlib_module_names - _OURS:
                yield shown, name


@pytest.mark.parametrize("folder", _EXTRAS)
def test_every_import_from_outside_is_a_declared_dependency(folder: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = list(project["dependencies"])
    for extra in _EXTRAS[folder]:
        declared += project["optional-dependencies"][extra]
    allowed = {canonicalize_name(Requirement(line).name) for line in declared}
    distributions = importlib.metadata.packages_distributions()
    undeclared = [
        f"{where}: {name}"
        for where, name in _third_party(folder)
        if not allowed & {canonicalize_name(d) for d in distributions.get(name, [])}
    ]
    assert undeclared == []


def test_no_text_names_a_package_that_a_registry_would_have_from_somebody_else() -> None:
    """`coffre` is published nowhere: who types `pip install coffre[nhi]` gets whatever has that name by then.

    With `--no-index` pip looks into a folder alone.
    """
    said = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for folder in ("cli", "hsm", "nhi", "vault", "docs")
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in {".py", ".md"}
        for line in path.read_text(encoding="utf-8").splitlines()
        if "coffre[" in line and "--no-index" not in line
    ]
    assert said == []
