# SPDX-License-Identifier: EUPL-1.2
"""The operations of each profile, from its OpenAPI document; those that all have, and those that none has."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from tests.api_spec.requirements import FOLDER, registry

ALL = "all"
"""Stands for what is in the document of every profile."""
NONE = "none"
"""Stands for what is in the document of no profile."""
_Operations = Mapping[tuple[str, str], str]
"""By path and method, what it does."""


@cache
def profiles() -> list[str]:
    """Those with a document, in the order of the registry."""
    return [each["name"] for each in registry("profiles") if _document(each["name"]).exists()]


@cache
def operations(name: str) -> _Operations:
    """Those of a profile and no more than of it, or of `ALL`, or of `NONE`."""
    documents = {each: _read(_document(each)) for each in profiles()}
    general = set.intersection(*(set(each) for each in documents.values()))
    if name == ALL:
        return {key: text for key, text in documents[profiles()[0]].items() if key in general}
    if name == NONE:
        known = {key for each in documents.values() for key in each}
        return {key: text for key, text in _read(FOLDER / "openapi.json").items() if key not in known}
    return {key: text for key, text in documents[name].items() if key not in general}


def _document(profile: str) -> Path:
    return FOLDER / "openapi" / f"{profile}.json"


def _read(path: Path) -> _Operations:
    paths: Mapping[str, Mapping[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["paths"]
    return {
        (place, method.upper()): operation["summary"]
        for place, item in paths.items()
        for method, operation in item.items()
    }
