# SPDX-License-Identifier: Apache-2.0
"""From outcomes of tests to features, profiles and the exit code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from esa_conformance.errors import EXIT_DOES_NOT, EXIT_ERROR, EXIT_HOLDS, EXIT_PARTIAL
from esa_conformance.requirements import profiles, requirements
from esa_conformance.run.declare import CORE, Test
from esa_conformance.run.outcomes import GOOD, Outcome, Result

_LACKS: Final = {True: "there", False: "claimed"}
_NAMED: Final = 6
"""Tests or requirements that are named before the rest is a number."""


@dataclass(frozen=True)
class Feature:
    """One feature: told by the server or its manifest, inferred from what it does, and claimed where both agree.

    `inferred` is None where no test of it ran, or not all did and those were good. Of a server that tells no feature
    at all, what is inferred is claimed.
    """

    name: str
    told: bool
    inferred: bool | None
    claimed: bool


@dataclass(frozen=True)
class Profile:
    """One profile: `core` counts the tests of its core and of the features that it always has.

    `result` is failure, success, or partial: not all was judged, nothing passed, or a provisional test found a MUST missed.
    """

    name: str
    result: str
    core: Counter[Outcome]
    supported: tuple[str, ...]
    unsupported: tuple[str, ...]
    broken: tuple[str, ...]
    """Features that were told or belong to it, and do not hold."""
    provisional: int
    reasons: tuple[str, ...]
    not_counted: tuple[str, ...]
    """Tests of its core that count for nothing, whatever came of them, and why."""
    unproven: bool = False
    """Something that belongs to it was not judged, or nothing of it passes, whatever came of the rest."""


def is_claimed(test: Test, profile: str) -> bool:
    """Whether a test counts for a profile: that of the requirement that it is for.

    Who only uses secrets is no administrator, so kv-consume asks nothing for which one is needed. Such tests count for
    identity, which nobody claims without kv-consume.
    """
    own = requirements()[test.requirements[0]].profile
    if own == "kv-consume" and "admin" in test.needs:
        own = "identity"
    return own == profile


def features(results: Iterable[Result], told: frozenset[str]) -> list[Feature]:
    """Every feature that has a test, or was told."""
    by_name: dict[str, list[Result]] = {name: [] for name in told}
    for result in judged_or_needed(list(results)):
        if not result.test.core and not result.test.provisional:
            by_name.setdefault(result.test.feature, []).append(result)
    made = []
    for name, of in sorted(by_name.items()):
        inferred = _inferred([result.outcome for result in of])
        made.append(Feature(name, name in told, inferred, bool(inferred) and (name in told or not told)))
    return made


def judged_or_needed(results: Sequence[Result]) -> list[Result]:
    """Results without those that were not judged for want of evidence of which a requirement needs one kind, and has another."""
    judged: dict[tuple[str, str], set[str]] = {}
    for result in results:
        if result.outcome is not Outcome.DISABLED and not result.test.provisional:
            judged.setdefault((result.test.requirements[0], result.test.feature), set()).add(
                result.test.evidence
            )

    def needed(test: Test) -> bool:
        wanted = requirements()[test.requirements[0]].evidence
        others = judged.get((test.requirements[0], test.feature), set()) - {test.evidence}
        return not (test.evidence in wanted and others & {*wanted})

    return [result for result in results if result.outcome is not Outcome.DISABLED or needed(result.test)]


def _inferred(outcomes: Sequence[Outcome]) -> bool | None:
    ran = [outcome for outcome in outcomes if outcome is not Outcome.DISABLED]
    if any(outcome not in GOOD for outcome in ran):
        return False
    return True if ran and len(ran) == len(outcomes) else None


def profile(name: str, results: Iterable[Result], found: Sequence[Feature]) -> Profile:
    """What came of a profile. A feature that was told and does not hold is a failure of it."""
    results = list(results)
    of = [result for result in judged_or_needed(results) if is_claimed(result.test, name)]
    always = {CORE, *profiles()[name].claims}
    core = [result for result in of if result.test.feature in always and not result.test.provisional]
    counts = Counter(result.outcome for result in core)
    names = {result.test.feature for result in of if not result.test.core}
    broken = [
        feature.name
        for feature in found
        if feature.name in names and feature.told and feature.inferred is False
    ]
    claimed = {feature.name for feature in found if feature.claimed}
    lacking = [feature for feature in profiles()[name].claims if feature not in claimed]
    absent = {feature.name for feature in found if feature.inferred is False}
    not_judged = _not_judged(name, results)
    reasons = [
        *_grouped((result.test.id, _told(result)) for result in core if result.outcome not in GOOD),
        *(f"{feature}: told, and does not hold" for feature in broken),
        *(
            f"{feature}: belongs to the profile, and is not {_LACKS[feature in absent]}"
            for feature in lacking
        ),
        *(
            f"{result.test.id}: a MUST is missed, though the test is provisional"
            for result in of
            if _missed(result)
        ),
        *(["no test of its core passes"] if not counts.keys() & GOOD else []),
        *_grouped((requirement, _no_test(requirement)) for requirement in not_judged),
    ]
    missing = [*broken, *(feature for feature in lacking if feature in absent)]
    failed = bool(set(counts) - GOOD - {Outcome.DISABLED}) or bool(missing)
    return Profile(
        name,
        "failure" if failed else "partial" if reasons else "success",
        counts,
        tuple(feature.name for feature in found if feature.name in names and feature.claimed),
        tuple(feature.name for feature in found if feature.name in names and not feature.claimed),
        tuple(missing),
        sum(result.test.provisional for result in of),
        tuple(reasons),
        tuple(_grouped(_set_aside(name, results, of, always))),
        bool(counts[Outcome.DISABLED] or not_judged or set(lacking) - absent or not counts.keys() & GOOD),
    )


def _set_aside(
    name: str, results: Sequence[Result], of: Sequence[Result], always: set[str]
) -> Iterable[tuple[str, str]]:
    """Tests that do not count for a profile, and why; `of` are those that may."""
    counting = {result.test.id for result in of}
    for result in results:
        if result.test.feature not in always or not is_claimed(result.test, name):
            continue
        if result.test.provisional:
            yield result.test.id, "provisional"
        elif result.test.id not in counting:
            yield result.test.id, f"{_told(result)}, and its requirement was judged by another"


def _told(result: Result) -> str:
    return f"{result.outcome}, {result.detail}" if result.detail else str(result.outcome)


def _no_test(requirement: str) -> str:
    untested = requirements()[requirement].untested
    return f"no test of it counts here{f', as {untested}' if untested else ''}"


def _grouped(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Names with the same reason told together, a few of them by name."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in pairs:
        by_reason.setdefault(reason, []).append(name)
    return [
        f"{', '.join(names[:_NAMED])}{f' and {len(names) - _NAMED} more' if len(names) > _NAMED else ''}: {reason}"
        for reason, names in by_reason.items()
    ]


def _missed(result: Result) -> bool:
    """Whether a provisional test found a MUST missed: that ends no claim, and is no success either."""
    known = requirements()[result.test.requirements[0]]
    must = known.level == "MUST" or known.must_with == result.test.feature
    return result.test.provisional and result.outcome is Outcome.FAIL and must


def _not_judged(name: str, results: Sequence[Result]) -> list[str]:
    """Requirements of a profile's core of which no test that counts is among the results."""
    judged = {
        result.test.requirements[0] for result in results if result.test.core and not result.test.provisional
    }
    return [requirement for requirement in profiles()[name].core if requirement not in judged]


def exit_code(results: Sequence[Result], claimed: Sequence[Profile]) -> int:
    """The exit code of a run by the profiles of its claim.

    A failure that was expected does not count here. What was not judged proves nothing: it is no failure, and no success.
    """
    if any(result.outcome is Outcome.ERROR for result in results):
        return EXIT_ERROR
    if any(result.unexpected for result in results):
        return EXIT_DOES_NOT
    not_counted = GOOD | {Outcome.EXPECTED_FAILURE, Outcome.DISABLED}
    if any(set(one.core) - not_counted or one.broken for one in claimed):
        return EXIT_DOES_NOT
    return EXIT_PARTIAL if any(one.unproven for one in claimed) else EXIT_HOLDS
