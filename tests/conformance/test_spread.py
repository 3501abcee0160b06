# SPDX-License-Identifier: EUPL-1.2
"""Servers of several processes answer as OpenBao does too, whichever of them a request reaches."""

from collections.abc import Iterator, Sequence

import pytest

from tests.conformance.play import Pair
from tests.conformance.scenario import Scenario
from tests.conformance.scenarios import SCENARIOS

ALL_LEAD = ("GET sys/leader", "GET sys/ha-status", "GET sys/health", "POST sys/step-down")
"""What says that several servers may serve (ADR 0034), where the reference is one that is alone.

Who steps down has to have sudo, as in OpenBao where it is one of several.
"""
pytestmark = [pytest.mark.xdist_group("conformance-spread"), pytest.mark.timeout(900)]


def is_of_one_node(scenario: Scenario) -> bool:
    """Whether it is about what each node has for itself (`docs/scale.md`).

    That is being open, its namespaces too, what limits of rate count, sign-ins, lockouts of unknown names, the log's level.
    """
    alone = ("sys/quotas/rate-limit/", "/oidc/callback", "/unseal", "sys/loggers")
    return scenario.fresh or any(
        step.divergence == "DV-41" or any(part in step.path for part in alone) for step in scenario.steps
    )


def sample() -> list[Scenario]:
    """The shortest of each area, and what is asked before anything is read: what browsers may, and how often clients."""
    shortest: dict[str, Scenario] = {}
    for scenario in sorted(SCENARIOS, key=lambda one: len(one.steps)):
        if not scenario.fresh:
            shortest.setdefault(scenario.area, scenario)
    early = ("sys/config/cors", "sys/quotas/rate-limit/")
    more = [one for one in SCENARIOS if any(step.path.startswith(early) for step in one.steps)]
    return [*shortest.values(), *(one for one in more if one not in shortest.values())]


@pytest.fixture(scope="session")
def workers() -> Iterator[Pair]:
    """OpenBao, and our server with two workers."""
    servers = Pair("coffre-workers")
    yield servers
    servers.stop()


def problems(servers: Pair, scenarios: Sequence[Scenario], but: Sequence[str] = ()) -> str:
    """What differs, other than in requests that begin as in `but` says."""
    found = (problem for one in scenarios for problem in servers.outcome(one).problems)
    return "\n\n".join(each for each in found if not each.partition(": ")[2].startswith(tuple(but)))


@pytest.mark.parametrize("scenario", sample(), ids=lambda scenario: scenario.key)
def test_two_workers_answer_like_the_reference(workers: Pair, scenario: Scenario) -> None:
    assert problems(workers, [scenario]) == ""


@pytest.mark.soak
def test_two_workers_answer_like_the_reference_to_everything(workers: Pair) -> None:
    assert problems(workers, SCENARIOS) == ""


@pytest.mark.soak
def test_a_memory_answers_like_the_reference_to_everything() -> None:
    servers = Pair("coffre-memory")
    try:
        assert problems(servers, SCENARIOS) == ""
    finally:
        servers.stop()


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["coffre-postgres", "coffre-nodes"])
def test_nodes_answer_like_the_reference(kind: str) -> None:
    """One to everything, and two of two workers each, asked in turn, to what is not of one node."""
    servers = Pair(kind)
    together = [one for one in SCENARIOS if not is_of_one_node(one)]
    try:
        scenarios = together if kind == "coffre-nodes" else SCENARIOS
        assert problems(servers, scenarios, but=ALL_LEAD) == ""
    finally:
        servers.stop()
