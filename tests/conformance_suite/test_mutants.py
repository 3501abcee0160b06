# SPDX-License-Identifier: EUPL-1.2
"""Each fault turns the tests red that it names, and each test of core is turned red by a fault."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from esa_conformance.areas import all_tests
from tests.conformance.servers import Server
from tests.conformance_suite import (
    faults_additive,
    faults_files,
    faults_general,
    faults_identity,
    faults_leases,
    faults_log,
    faults_replay,
    faults_secrets,
    faults_transit,
    faults_workloads,
)
from tests.conformance_suite.judging import NEEDS_TLS, good_server, judge, manifest_of
from tests.conformance_suite.mutants import Behind, Fault, mutated

_FAULTS = (
    *faults_general.FAULTS,
    *faults_secrets.FAULTS,
    *faults_identity.FAULTS,
    *faults_replay.FAULTS,
    *faults_log.FAULTS,
    *faults_additive.FAULTS,
    *faults_files.FAULTS,
    *faults_transit.FAULTS,
    *faults_leases.FAULTS,
    *faults_workloads.FAULTS,
)
_NOT_THERE = {"early_purge_is_refused", "witnessed_checkpoint_is_shown"}
"""Tests of features that the server behind the proxy does not have, which so cannot be broken."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A good server."""
    with good_server() as server:
        yield server


@pytest.mark.parametrize("fault", _FAULTS, ids=lambda fault: str(fault.name))
def test_a_fault_turns_the_tests_red_that_it_names(fault: Fault, server: Server, tmp_path: Path) -> None:
    with mutated(fault, server) as port:
        settle_s = (
            2.0 if set(fault.turns.values()) == {"fail"} else 20.0
        )  # what is to fail need not be waited for
        manifest = manifest_of(server, tmp_path, port=port, settle_s=settle_s)
        found = judge(manifest, tmp_path, only=tuple(fault.turns))
    assert found.outcomes() == fault.turns, found.details()


def test_a_proxy_without_fault_turns_nothing_red(server: Server, tmp_path: Path) -> None:
    with mutated(Fault("none", {}, Behind.ask), server) as port:
        found = judge(manifest_of(server, tmp_path, port=port), tmp_path)
    bad = {"fail", "flaky", "error", "skipped", "disabled"}
    assert {name for name, outcome in found.outcomes().items() if outcome in bad} == NEEDS_TLS


def test_every_test_of_core_is_turned_red_by_a_fault() -> None:
    red = {name for fault in _FAULTS for name in fault.turns}
    core = {test.id for test in all_tests() if test.core and not test.provisional}
    assert core - red == NEEDS_TLS


def test_every_test_of_a_feature_is_turned_red_or_cannot_be() -> None:
    red = {name for fault in _FAULTS for name in fault.turns}
    extended = {test.id for test in all_tests() if not test.core and not test.provisional}
    assert extended - red == _NOT_THERE


def test_names_of_faults_are_unique_and_there_are_enough() -> None:
    assert len({fault.name for fault in _FAULTS}) == len(_FAULTS) >= 40
