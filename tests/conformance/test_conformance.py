# SPDX-License-Identifier: EUPL-1.2
"""Every recorded scenario gets the same answers from the subject as from OpenBao 2.7.2."""

from collections import Counter

import pytest

from tests.conformance.divergences import declared
from tests.conformance.play import Pair
from tests.conformance.scenario import Scenario
from tests.conformance.scenarios import SCENARIOS

# One process plays it all, once: whichever test of all outcomes comes first waits for every scenario.
pytestmark = [pytest.mark.xdist_group("conformance"), pytest.mark.timeout(900)]

MOST_DIVERGENCES = 29
"""A new one takes the place of one that goes, or is worth raising this: five came with limits on strangers (DV-09, DV-98),
with help that tells no token (DV-10), and with names and revocation lists that cannot be exchanged (DV-96, DV-97)."""
MINIMUM_REQUESTS = 5_000


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.key)
def test_the_subject_answers_like_the_reference(pair: Pair, scenario: Scenario) -> None:
    problems = pair.outcome(scenario).problems
    assert not problems, "\n\n" + "\n\n".join(problems)


def test_the_suite_holds_enough_requests() -> None:
    assert sum(len(scenario.steps) for scenario in SCENARIOS) >= MINIMUM_REQUESTS


def test_scenario_names_are_unique() -> None:
    assert [key for key, times in Counter(one.key for one in SCENARIOS).items() if times > 1] == []


def test_every_area_has_error_cases(pair: Pair) -> None:
    errors: Counter[str] = Counter({scenario.area: 0 for scenario in SCENARIOS})
    for scenario in SCENARIOS:
        errors[scenario.area] += sum(status >= 400 for status in pair.outcome(scenario).statuses)
    assert [area for area, count in errors.items() if not count] == []


def test_times_carry_nanoseconds(pair: Pair) -> None:
    digits = [n for scenario in SCENARIOS for n in pair.outcome(scenario).fractions]
    assert digits
    assert sum(n > 6 for n in digits) > 0.9 * len(digits)


def test_divergences_are_listed_exactly_when_used() -> None:
    listed = declared()
    used = {step.divergence for scenario in SCENARIOS for step in scenario.steps if step.divergence}
    assert sorted(listed) == sorted(used)
    assert len(listed) <= MOST_DIVERGENCES
