# SPDX-License-Identifier: EUPL-1.2
"""``python -m tests.conformance``: plays the scenarios, prints counts per area and every difference."""

import argparse
import json
import random
import sys
import time
from collections import Counter

from tests.conformance.nodes import KINDS
from tests.conformance.play import Outcome, Pair
from tests.conformance.scenarios import SCENARIOS
from tests.conformance.servers import NotStartedError


def main() -> int:
    """Runs the command; exit status 1 on any difference or when nothing was selected, 2 without a server."""
    options = _options()
    chosen = [one for one in SCENARIOS if not options.only or options.only in one.key]
    if not KINDS[options.server].opens_as_one:
        chosen = [one for one in chosen if not one.fresh]
    if options.shuffle is not None:
        random.Random(options.shuffle).shuffle(chosen)
    pair = Pair(options.server, options.against)
    started = time.monotonic()
    try:
        outcomes = [_show(pair.outcome(scenario), options) for scenario in chosen]
    except NotStartedError as error:
        print(error, file=sys.stderr)
        return 2
    finally:
        pair.stop()
    _summary(outcomes)
    print(f"{time.monotonic() - started:.1f} s, {options.server} against {options.against}")
    return 1 if not outcomes or any(outcome.problems for outcome in outcomes) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("--server", choices=sorted(KINDS), default="coffre", help="the subject")
    parser.add_argument("--against", choices=sorted(KINDS), default="openbao", help="the reference")
    parser.add_argument("--only", default="", metavar="NAME", help="scenarios whose name contains NAME")
    parser.add_argument("--shuffle", type=int, metavar="SEED", help="in another order: each stands alone")
    parser.add_argument("-v", "--verbose", action="store_true", help="print every scenario and its statuses")
    parser.add_argument("--answers", action="store_true", help="print what the reference answers")
    return parser.parse_args()


def _show(outcome: Outcome, options: argparse.Namespace) -> Outcome:
    if options.answers:
        for step, answer in zip(outcome.scenario.steps, outcome.answers, strict=True):
            print(f"{step.title()}  {json.dumps(step.body, default=repr)[:200]}\n    {json.dumps(answer)}")
    if options.verbose:
        print(f"{outcome.scenario.key}: {' '.join(str(status) for status in outcome.statuses)}")
    for problem in outcome.problems:
        print(f"\n{outcome.scenario.key}, {problem}", flush=True)
    return outcome


def _summary(outcomes: list[Outcome]) -> None:
    steps: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    bad: Counter[str] = Counter()
    for outcome in outcomes:
        area = outcome.scenario.area
        steps[area] += len(outcome.statuses)
        errors[area] += sum(status >= 400 for status in outcome.statuses)
        bad[area] += len(outcome.problems)
    print(f"\n{'area':<16}{'requests':>9}{'errors':>8}{'differ':>8}")
    for area in sorted(steps):
        print(f"{area:<16}{steps[area]:>9}{errors[area]:>8}{bad[area]:>8}")
    print(f"{'total':<16}{steps.total():>9}{errors.total():>8}{bad.total():>8}")


if __name__ == "__main__":
    sys.exit(main())
