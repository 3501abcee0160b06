# SPDX-License-Identifier: Apache-2.0
"""Runs the tests one after the other and says what came of each."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Final

from esa_conformance.errors import (
    ConformanceError,
    Missed,
    NoAnswer,
    PreconditionFailed,
    SafetyStop,
    TimedOut,
    UnknownOutcome,
    Unsupported,
    fault_of_suite,
)
from esa_conformance.manifest import ExpectedFailure, Manifest
from esa_conformance.run.declare import Test
from esa_conformance.run.outcomes import GOOD, Outcome, Result
from esa_conformance.run.profiles import is_claimed
from esa_conformance.run.state import State
from esa_conformance.run.trial import Trial

_ATTEMPTS: Final = 12
"""How often a test is begun whose connections were cut.

Of a test of 30 requests through a network that cuts 2 % of them, all attempts are disturbed once in 10,000 runs.
"""


class Runner:
    """Runs tests; `allow` are the classes that may be run now."""

    def __init__(self, state: State, manifest: Manifest, allow: frozenset[str]) -> None:
        self._state = state
        self._manifest = manifest
        self._allow = allow
        self._late = 0

    def run(self, tests: Iterable[Test]) -> Iterator[Result]:
        """Run tests, each result given when it is done. After two time-outs in a row nothing more is asked.

        Raises SafetyStop.
        """
        until = time.monotonic() + self._manifest.limits.run_s
        for test in tests:
            if self._late >= 2:
                yield Result(test, Outcome.ERROR, "not run: the server answers too late", 0.0, 0, 0)
            elif time.monotonic() > until:
                yield Result(test, Outcome.ERROR, "not run: limits.run_s is over", 0.0, 0, 0)
            else:
                yield self._judged(test)

    def _judged(self, test: Test) -> Result:
        if test.cls not in self._allow:
            return Result(test, Outcome.DISABLED, f"{test.cls} tests are not allowed", 0.0, 0, 0)
        lacking = [need for need in test.needs if not self._state.has(need)]
        if lacking:
            claimed = any(is_claimed(test, profile) for profile in self._manifest.claim)
            outcome = Outcome.ERROR if claimed and test.core else Outcome.DISABLED
            return Result(test, outcome, f"not given: {', '.join(lacking)}", 0.0, 0, 0)
        self._state.current = test.id
        begun, sent = time.monotonic(), self._state.transport.count
        outcome, detail, attempts = self._attempts(test)
        seconds, requests = time.monotonic() - begun, self._state.transport.count - sent
        expected = self._manifest.expected_failures.get(test.id)
        return _with_expectation(Result(test, outcome, detail, seconds, requests, attempts), expected)

    def _attempts(self, test: Test) -> tuple[Outcome, str, int]:
        """A failure is tried once more. An attempt with a cut connection says nothing, unless it passed.

        A request that only reads is sent again after a cut; where the server had done it before, that alone can be
        what a test fails by, as where uses are counted.
        """
        failure = ""
        for attempt in range(1, _ATTEMPTS + 1):
            cuts = self._state.transport.cuts
            try:
                outcome, detail = self._attempt(test)
            except UnknownOutcome as error:
                if attempt == _ATTEMPTS:
                    return Outcome.ERROR, str(error), attempt
                continue
            disturbed = self._state.transport.cuts > cuts
            if disturbed and outcome is not Outcome.PASS and attempt < _ATTEMPTS:
                continue
            if failure:
                return (Outcome.FLAKY if outcome in GOOD else Outcome.FAIL), failure, attempt
            if outcome is not Outcome.FAIL:
                return outcome, detail, attempt
            failure = detail
        return Outcome.FAIL, failure, _ATTEMPTS

    def _attempt(self, test: Test) -> tuple[Outcome, str]:
        trial = Trial(self._state, test.feature)
        try:
            test.body(trial)
        except Missed as missed:
            found = Outcome.FAIL, f"does not hold: {missed}"
        except Unsupported as unsupported:
            found = Outcome.UNSUPPORTED, f"is not here: {unsupported}"
        except PreconditionFailed as unmet:
            found = Outcome.SKIPPED, f"did not come to it, as this does not hold: {unmet}"
        except (SafetyStop, UnknownOutcome):
            raise
        except TimedOut as late:
            self._late += 1
            return Outcome.ERROR, str(late)
        except (NoAnswer, ConformanceError) as error:
            found = Outcome.ERROR, str(error)
        except Exception as error:  # noqa: BLE001 - a fault of the suite is one test's error, and not the server's
            found = Outcome.ERROR, fault_of_suite(error)
        else:
            found = (Outcome.WARNING if trial.warnings else Outcome.PASS), "; ".join(trial.warnings)
        self._late = 0
        return found


def _with_expectation(result: Result, expected: ExpectedFailure | None) -> Result:
    if expected is None:
        return result
    if result.outcome is Outcome.FAIL:
        detail = f"{result.detail} [{expected.reason}]"
        return _changed(result, Outcome.EXPECTED_FAILURE, detail, unexpected=False)
    if result.outcome in GOOD:
        return _changed(result, result.outcome, "listed as an expected failure, and passes", unexpected=True)
    return result


def _changed(result: Result, outcome: Outcome, detail: str, *, unexpected: bool) -> Result:
    return Result(result.test, outcome, detail, result.seconds, result.requests, result.attempts, unexpected)
