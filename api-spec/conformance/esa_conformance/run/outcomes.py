# SPDX-License-Identifier: Apache-2.0
"""What can come of a test."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from esa_conformance.run.declare import Test


class Outcome(StrEnum):
    """In the order in which reports count them."""

    PASS = "pass"  # noqa: S105 - a word
    WARNING = "warning"
    FAIL = "fail"
    EXPECTED_FAILURE = "expected-failure"
    UNSUPPORTED = "unsupported"
    DISABLED = "disabled"
    SKIPPED = "skipped"
    FLAKY = "flaky"
    ERROR = "error"


GOOD: Final = frozenset({Outcome.PASS, Outcome.WARNING})
"""All that lets a claim stand."""


@dataclass(frozen=True)
class Result:
    """What came of one test: `detail` says why, `seconds` and `requests` are those of all attempts."""

    test: Test
    outcome: Outcome
    detail: str
    seconds: float
    requests: int
    attempts: int
    unexpected: bool = False
    """It was listed as an expected failure and passes."""
