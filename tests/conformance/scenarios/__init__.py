# SPDX-License-Identifier: EUPL-1.2
"""All recorded scenarios, one module for each area; the ones that need fresh servers come last."""

import importlib
import pkgutil

from tests.conformance.scenario import Scenario


def _collect() -> tuple[Scenario, ...]:
    found: list[Scenario] = []
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda entry: entry.name):
        found.extend(importlib.import_module(f"{__name__}.{module.name}").SCENARIOS)
    return tuple(sorted(found, key=lambda scenario: scenario.fresh))


SCENARIOS = _collect()
"""Every scenario, in playing order."""
