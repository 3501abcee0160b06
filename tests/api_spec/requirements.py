# SPDX-License-Identifier: EUPL-1.2
"""The requirements and registries of the specification, as `api-spec/` has them: read, and nothing changed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from tests.house.tree import ROOT

FOLDER: Final = ROOT / "api-spec"
SPEC: Final = "1.0"
"""The version of the specification."""
AREAS: Final = (
    "GEN",
    "ERR",
    "KV",
    "POL",
    "AUT",
    "WRP",
    "NSP",
    "LOG",
    "LSE",
    "NHI",
    "HSM",
    "TRN",
    "CRY",
    "POR",
)
"""What requirements are about, in the order of the text."""
CLASSES: Final = ("read-only", "mutating", "disruptive")
EVIDENCE: Final = ("http", "artefact", "device", "host", "statement")
_KEYS: Final = {"class": "kind"}
"""Members whose names Python has for itself."""


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """One requirement; `api-spec/README.md` says what each member means."""

    id: str
    rev: int
    since: str
    level: str
    profile: str
    binding: str
    kind: str
    evidence: list[str]
    text: str
    rationale: str
    feature: str | None = None
    must_with: str | None = None
    servers: int = 1
    compat: str | None = None
    until: str | None = None
    untested: str | None = None

    @property
    def area(self) -> str:
        """What it is about, as `KV`."""
        return self.id.split("-")[1]


def requirements(folder: Path = FOLDER) -> list[Requirement]:
    """All of them, areas in the order of the text; TypeError for a member that is unknown or lacking."""
    return [
        Requirement(**{_KEYS.get(key, key): value for key, value in each.items()})
        for area in AREAS
        for each in read(folder / "requirements" / f"ESA-{area}.yaml")
    ]


def registry(name: str, folder: Path = FOLDER) -> Any:
    """A registry by its name, as it is written."""
    return read(folder / "registry" / f"{name}.yaml")


def read(path: Path) -> Any:
    """What a file in YAML says."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))
