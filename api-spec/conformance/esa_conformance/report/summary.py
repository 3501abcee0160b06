# SPDX-License-Identifier: Apache-2.0
"""What a report says of a profile, in words: how it is claimed, which tests counted, and why the others did not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from esa_conformance.requirements import profiles, with_needed


def in_order(report: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The profiles of a report: those of its claim first."""
    return sorted(report["profiles"], key=lambda one: claimed(report, one["name"]) == "not claimed")


def claimed(report: Mapping[str, Any], name: str) -> str:
    """Whether a profile is claimed, by its name or with one that needs it."""
    if name in report["claim"]:
        return "claimed"
    by = [one for one in report["claim"] if name in _needed(one)]
    return f"claimed with {by[0]}" if by else "not claimed"


def counted(one: Mapping[str, Any]) -> str:
    """How many tests of a profile's core counted, and with which outcomes."""
    counts = {outcome: number for outcome, number in one["core"].items() if number}
    judged = sum(number for outcome, number in counts.items() if outcome != "disabled")
    told = ", ".join(f"{number} {outcome}" for outcome, number in counts.items())
    if not counts:
        return "no test of its core was run"
    return f"{judged} {'test' if judged == 1 else 'tests'} of its core counted: {told}"


def notes(report: Mapping[str, Any], one: Mapping[str, Any]) -> Iterator[str]:
    """Why the result is not success, what it stands on that is none, and which tests did not count."""
    results = {other["name"]: other["result"] for other in report["profiles"]}
    for need in _needed(one["name"]):
        result = results.get(need, "not run")
        if result != "success":
            yield f"needs {need}, which is {result}: no claim to {one['name']} holds without it"
    yield from one["reasons"]
    for group in one["not_counted"]:
        yield f"did not count: {group}"


def _needed(name: str) -> list[str]:
    """The profiles that a claim to one claims with it; none for a name that nobody knows."""
    return [need for need in with_needed((name,)) if need != name] if name in profiles() else []
