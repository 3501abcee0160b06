# SPDX-License-Identifier: EUPL-1.2
"""The lock files: everything that pyproject.toml asks for, in one version, each file by its hash."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.house.tree import ROOT

_LOCKS = {
    "requirements.lock": ["server", "postgres"],
    "requirements-dev.lock": ["server", "postgres", "hsm", "dev"],
}
_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)")


def _pins(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    found = (match for line in lines if (match := _PIN.match(line)))
    return {canonicalize_name(match["name"]): match["version"] for match in found}


@pytest.mark.parametrize("lock", _LOCKS)
def test_a_lock_file_has_every_declared_dependency_in_a_fitting_version(lock: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = [*project["dependencies"]]
    for extra in _LOCKS[lock]:
        declared += project["optional-dependencies"][extra]
    pins = _pins(lock)
    wanted = [Requirement(line) for line in declared if not line.startswith("coffre[")]
    unmet = [str(r) for r in wanted if not r.specifier.contains(pins.get(canonicalize_name(r.name), "0"))]
    assert unmet == []


@pytest.mark.parametrize("lock", [*_LOCKS, "requirements-build.lock"])
def test_every_line_of_a_lock_file_is_a_pin_or_a_hash(lock: str) -> None:
    lines = (ROOT / lock).read_text(encoding="utf-8").splitlines()
    strange = [line for line in lines if not _PIN.match(line) and not line.startswith("    --hash=sha256:")]
    assert strange == []
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        assert not _PIN.match(line) or following.startswith("    --hash="), f"{line} has no hash"


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-build.lock"])
def test_what_is_tested_is_what_is_installed(lock: str) -> None:
    tested = _pins("requirements-dev.lock")
    differing = {name for name, version in _pins(lock).items() if tested.get(name, version) != version}
    assert differing == set()
