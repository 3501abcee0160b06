# SPDX-License-Identifier: Apache-2.0
"""What is otherwise in one report than in another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

_GOOD: Final = frozenset({"pass", "warning"})
_BAD: Final = frozenset({"fail", "flaky", "error", "expected-failure"})
_NOT_RUN: Final = frozenset({"disabled", "skipped"})
_SLOWER: Final = 3
_LEAST_MS: Final = 200
"""What takes less is not called slower."""


@dataclass(frozen=True)
class Change:
    """One difference; `worse` ones are those that a release must not have."""

    kind: str
    what: str
    worse: bool = False


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """Every difference, tests first."""
    return [*_tests(old, new), *_features(old, new)]


def _tests(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    before = {test["id"]: test for test in old["tests"]}
    after = {test["id"]: test for test in new["tests"]}
    for name, one in before.items():
        if name not in after:
            yield Change("no longer run", name, worse=True)
            continue
        two = after[name]
        change = _outcomes(one["outcome"], two["outcome"])
        if change:
            yield Change(
                change,
                f"{name}: {one['outcome']}, then {two['outcome']}",
                change in {"regressed", "no longer run"},
            )
        if one["rev"] != two["rev"]:
            yield Change(
                "requirement changed", f"{one['requirements'][0]}: revision {one['rev']}, then {two['rev']}"
            )
        if two["ms"] > max(_LEAST_MS, _SLOWER * one["ms"]):
            yield Change("slower", f"{name}: {one['ms']} ms, then {two['ms']} ms")
    for name in after:
        if name not in before:
            yield Change("newly run", f"{name}: {after[name]['outcome']}")


def _outcomes(old: str, new: str) -> str:
    """What a change of outcome is called; empty where it is none that counts."""
    if new in _NOT_RUN and old not in _NOT_RUN:
        return "no longer run"
    if old in _NOT_RUN and new not in _NOT_RUN:
        return "newly run"
    if new in _BAD and old not in _BAD:
        return "regressed"
    if old in _BAD and new in _GOOD:
        return "mended"
    if "unsupported" in {old, new} and old != new:
        return "now supported" if old == "unsupported" else "no longer supported"
    return ""


def _features(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for name in sorted(old["features"].keys() | new["features"].keys()):
        one, two = (bool(each["features"].get(name, {}).get("claimed")) for each in (old, new))
        if one != two:
            yield Change("feature " + ("gained" if two else "lost"), name, worse=one)
