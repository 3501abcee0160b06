# SPDX-License-Identifier: Apache-2.0
"""The tests, by area of the specification, in the order in which they run."""

from __future__ import annotations

from esa_conformance.areas import (
    credentials,
    crypto,
    errors,
    features,
    general,
    kv,
    leases,
    leaving,
    log,
    namespaces,
    numbers,
    paging,
    policies,
    repetition,
    replay,
    sealing,
    secrecy,
    transit,
    workloads,
    wrapping,
)
from esa_conformance.run.declare import Test


def all_tests() -> tuple[Test, ...]:
    """Every test of the suite."""
    areas = (
        general, errors, secrecy, *kv.AREAS, features, paging, numbers, repetition, leaving,
        policies, credentials, replay, wrapping, namespaces, *log.AREAS, crypto, transit, leases, workloads, sealing,
    )  # fmt: skip
    return tuple(test for area in areas for test in area.TESTS)
