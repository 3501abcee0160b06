# SPDX-License-Identifier: Apache-2.0
"""Which tests a command line means, and their lines for people."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatch

from esa_conformance.areas import all_tests
from esa_conformance.errors import UsageError
from esa_conformance.requirements import profiles as known_profiles
from esa_conformance.run.declare import Test
from esa_conformance.run.profiles import is_claimed


def selected(only: Sequence[str], profiles: Sequence[str]) -> list[Test]:
    """Tests whose id or requirement one of `only` matches, and which count for one of `profiles`; empty means all.

    Raises UsageError where there is none.
    """
    for name in profiles:
        if name not in known_profiles():
            raise UsageError(f"--profile: {name} is none of {', '.join(known_profiles())}")
    found = [
        test
        for test in all_tests()
        if (not only or any(fnmatch(name, one) for one in only for name in (test.id, *test.requirements)))
        and (not profiles or any(is_claimed(test, profile) for profile in profiles))
    ]
    if not found:
        raise UsageError("no test is meant by --only and --profile")
    return found
