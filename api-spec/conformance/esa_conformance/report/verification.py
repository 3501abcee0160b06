# SPDX-License-Identifier: Apache-2.0
"""Whether a report is one: by its schema and its digest of the suite, and that its totals are those of its tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final

from esa_conformance import SPEC, __version__
from esa_conformance.areas import all_tests
from esa_conformance.decoding import json_of
from esa_conformance.errors import TooDeep, UsageError
from esa_conformance.report.document import SCHEMA, judged, profile_member, suite_sha256
from esa_conformance.report.schema import report_schema
from esa_conformance.requirements import profiles, with_needed
from esa_conformance.run.outcomes import Outcome, Result
from esa_conformance.run.profiles import features, is_claimed

_MEMBERS: Final[Mapping[str, type]] = {
    "schema": str, "spec": str, "suite": dict, "run": dict, "implementation": dict, "target": dict, "claim": list,
    "features": dict, "profiles": list, "tests": list, "cleanup": dict, "config": dict,
}  # fmt: skip
_MOST_BYTES: Final = 16 << 20
"""Bytes of a report that are read: those of this suite have a hundredth."""
_MOST_TOLD: Final = 20
"""Faults by the schema that are told."""
_OF_TEST: Final[Mapping[str, type | tuple[type, ...]]] = {
    "id": str, "requirements": list, "rev": int, "feature": str, "class": str, "outcome": str, "provisional": bool,
    "unexpected": bool, "evidence": str, "attempts": int, "ms": int, "requests": int, "detail": (str, type(None)),
}  # fmt: skip


def read_report(path: Path) -> dict[str, Any]:
    """Read a report whose members are of the right types. Raises UsageError for what is none, or is larger than any."""
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES + 1)
        if len(text) > _MOST_BYTES:
            raise UsageError(f"the report is larger than {_MOST_BYTES} bytes")
        found = json_of(text)
    except OSError as error:
        raise UsageError(f"the report cannot be read: {error.strerror}") from None
    except (ValueError, TooDeep):
        raise UsageError("the report is not well-formed JSON, or nested too deep") from None
    faults = list(_shape(found))
    if faults:
        raise UsageError(f"this is no report: {faults[0]}")
    return dict(found)


def faults(report: Mapping[str, Any]) -> Iterator[str]:
    """What does not fit in a report that was read."""
    if report["suite"].get("version") != __version__:
        yield f"suite.version: made by another suite than {__version__}, which alone can verify it"
        return
    if report["suite"].get("sha256") != suite_sha256():
        yield "suite.sha256: the suite that made it is not this one"
    of_schema = list(islice(report_schema().faults(report), _MOST_TOLD))
    if of_schema:
        yield from of_schema
        return
    tests = {test.id: test for test in all_tests()}
    seen = {test["id"] for test in report["tests"]}
    if len(seen) != len(report["tests"]):
        yield "tests: one stands there twice"
    results = []
    for one in report["tests"]:
        test = tests.get(one["id"])
        if (
            test is None
            or list(test.requirements) != one["requirements"]
            or test.provisional != one["provisional"]
        ):
            yield f"tests: {one['id']} is not a test of this suite as it stands there"
            continue
        outcome = Outcome(one["outcome"])
        results.append(
            Result(
                test,
                outcome,
                one["detail"] or "",
                one["ms"] / 1000,
                one["requests"],
                one["attempts"],
                one["unexpected"],
            )
        )
    yield from _totals(report, results)
    claimed = with_needed(tuple(report["claim"]))
    lacking = [
        test.id
        for test in tests.values()
        if test.id not in seen and any(is_claimed(test, one) for one in claimed)
    ]
    for name in lacking:
        yield f"tests: {name} belongs to the claim and was not run"


def _totals(report: Mapping[str, Any], results: list[Result]) -> Iterator[str]:
    told = frozenset(name for name, one in report["features"].items() if one["told"])
    found = features(results, told)
    for one in found:
        stands = report["features"].get(one.name)
        if stands != {"told": one.told, "inferred": one.inferred, "claimed": one.claimed}:
            yield f"features.{one.name}: not what the tests say"
    by_name = {one["name"]: one for one in report["profiles"]}
    made = {one.name: profile_member(one) for one in judged(results, told, tuple(report["claim"]))}
    for name in dict.fromkeys([*made, *by_name]):
        if by_name.get(name) != made.get(name):
            yield f"profiles.{name}: not what the tests say"


def _shape(found: object) -> Iterator[str]:
    if not isinstance(found, dict):
        yield "it is not an object"
        return
    for name, kind in _MEMBERS.items():
        if not isinstance(found.get(name), kind):
            yield f"{name} is missing or of another type"
            return
    if found["schema"] != SCHEMA or found["spec"] != SPEC:
        yield "schema or spec is another"
    for test in found["tests"]:
        for name, of in _OF_TEST.items():
            if not isinstance(test, dict) or name not in test or not isinstance(test[name], of):
                yield f"tests: {name} is missing or of another type"
                return
        if test["outcome"] not in set(Outcome):
            yield f"tests: {test['id']} has no outcome that there is"
    unknown = sorted(set(map(str, found["claim"])) - profiles().keys())
    if unknown:
        yield f"claim: {unknown[0]} is no profile"
    for name, listed in (("claim", found["claim"]), ("profiles", [_name(one) for one in found["profiles"]])):
        if len(set(map(str, listed))) != len(listed):
            yield f"{name}: one stands there twice"


def _name(one: object) -> object:
    return one.get("name") if isinstance(one, dict) else one
