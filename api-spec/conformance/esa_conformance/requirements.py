# SPDX-License-Identifier: Apache-2.0
"""The requirements and profiles, as they were generated from their single source into this package."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any


@dataclass(frozen=True)
class Requirement:
    """One numbered requirement; `feature` is empty for core. With the feature `must_with` a SHOULD is a MUST.

    `until` is the version with which it ended, `untested` why no test judges it; empty where neither is so.
    """

    id: str
    rev: int
    text: str
    level: str
    profile: str
    feature: str
    must_with: str
    cls: str
    evidence: tuple[str, ...]
    compat: str
    until: str
    untested: str


@dataclass(frozen=True)
class ProfileText:
    """One profile: its title, the profiles that a claim to it claims too, the features that it always has, and its core.

    A `reserved` one has no requirements yet, and is claimed by nobody.
    """

    name: str
    title: str
    needs: tuple[str, ...]
    claims: tuple[str, ...]
    core: tuple[str, ...]
    reserved: bool


@cache
def requirements() -> Mapping[str, Requirement]:
    """Every requirement by its id."""
    return {one["id"]: _requirement(one) for one in _read()["requirements"]}


@cache
def profiles() -> Mapping[str, ProfileText]:
    """Every profile by its name, in the order of reports."""
    return {
        one["name"]: ProfileText(
            one["name"],
            one["title"],
            tuple(one["needs"]),
            tuple(one.get("claims", ())),
            tuple(one["core"]),
            bool(one.get("reserved")),
        )
        for one in _read()["profiles"]
    }


@cache
def feature_profiles() -> Mapping[str, str]:
    """By name of a registered feature the profile that it belongs to."""
    return {one["name"]: one["profile"] for one in _read()["features"]}


@cache
def problem_statuses() -> Mapping[str, tuple[int, ...]]:
    """By name of a registered problem the statuses that it comes with."""
    return {one["name"]: tuple(one["status"]) for one in _read()["problems"]}


@cache
def suite_strengths() -> Mapping[str, str]:
    """By name of a registered algorithm whether it withstands quantum computers: none, hybrid or pq."""
    return {one["name"]: one["pq"] for one in _read()["suites"]}


def with_needed(names: tuple[str, ...]) -> tuple[str, ...]:
    """Profiles and all that a claim to them claims too, in the order of reports."""
    found = set(names)
    while more := {need for name in found for need in profiles()[name].needs} - found:
        found |= more
    return tuple(name for name in profiles() if name in found)


@cache
def _read() -> Any:  # noqa: ANN401 - of our own file
    text = resources.files("esa_conformance").joinpath("requirements.json").read_text(encoding="utf-8")
    return json.loads(text)


def _requirement(members: Mapping[str, Any]) -> Requirement:
    return Requirement(
        id=members["id"],
        rev=members["rev"],
        text=members["text"],
        level=members["level"],
        profile=members["profile"],
        feature=members["feature"] or "",
        must_with=members["must_with"] or "",
        cls=members["class"],
        evidence=tuple(members["evidence"]),
        compat=members["compat"] or "",
        until=members["until"] or "",
        untested=members["untested"] or "",
    )
