# SPDX-License-Identifier: Apache-2.0
"""list, explain: what the suite asks, without asking any server."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TextIO

from esa_conformance.areas import all_tests
from esa_conformance.commands.selection import selected
from esa_conformance.errors import EXIT_HOLDS, UsageError
from esa_conformance.requirements import requirements


def show_list(arguments: argparse.Namespace, _environ: Mapping[str, str], out: TextIO, _err: TextIO) -> int:
    """One line for each test."""
    for test in selected(arguments.only, arguments.profile):
        provisional = "  provisional" if test.provisional else ""
        out.write(f"{test.requirements[0]}  {test.id}  {test.feature}  {test.cls}{provisional}\n")
    return EXIT_HOLDS


def explain(arguments: argparse.Namespace, _environ: Mapping[str, str], out: TextIO, _err: TextIO) -> int:
    """A requirement, and what its tests ask."""
    found = requirements().get(arguments.id)
    if found is None:
        raise UsageError(f"{arguments.id} is no requirement that this suite knows")
    out.write(
        f"{found.id} (revision {found.rev}; {found.profile}; {found.feature or 'core'})\n{found.text}\n"
    )
    if found.until:
        out.write(f"\nended with {found.until}\n")
    if found.untested:
        out.write(f"\nnot tested, because {found.untested}\n")
    for test in all_tests():
        if found.id in test.requirements:
            needs = f"; needs {', '.join(test.needs)}" if test.needs else ""
            out.write(f"\n{test.id} ({test.feature}, {test.cls}{needs})\n  {test.text}\n")
    return EXIT_HOLDS
