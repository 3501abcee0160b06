# SPDX-License-Identifier: EUPL-1.2
"""The command line: each command is declared here, and its function imported when it is run."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from esa_conformance import __version__
from esa_conformance.errors import EXIT_USAGE, ConformanceError


def main(argv: Sequence[str], *, program: str = "esa-conformance") -> int:
    """Run a command line and return its exit code."""
    try:
        arguments = _parser(program).parse_args(list(argv))
    except SystemExit as end:  # argparse has said why; 2 is usage here too
        return end.code if isinstance(end.code, int) else EXIT_USAGE
    module, _, name = arguments.function.partition(":")
    function = getattr(importlib.import_module(f"esa_conformance.commands.{module}"), name)
    try:
        return int(function(arguments, os.environ, sys.stdout, sys.stderr))
    except ConformanceError as error:
        sys.stdout.flush()
        sys.stderr.write(f"{error}\n")
        return error.code


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(program, description="Judge a server by the European Secrets API.", epilog=(
        "Exit codes: 0 the claim holds, 1 it does not, 2 usage or manifest, 3 error of suite or transport, "
        "4 stopped for safety, 5 something was left behind."
    ))  # fmt: skip
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    judging = commands.add_parser("run", help="judge a server")
    _with_selection(judging)
    judging.add_argument("--manifest", type=Path, required=True, help="what is judged, in TOML or JSON")
    judging.add_argument(
        "--read-only", action="store_true", help="send GET, HEAD and LIST only, and never a body"
    )
    judging.add_argument(
        "--journal", type=Path, default=Path("esa-journal.ndjson"), help="file to note in what is made"
    )
    judging.add_argument("--report", type=Path, help="file for the report in JSON")
    judging.set_defaults(function="judging:judge")
    listing = commands.add_parser("list", help="list the tests")
    _with_selection(listing)
    listing.set_defaults(function="catalogue:show_list")
    explaining = commands.add_parser("explain", help="show a requirement and what is asked of it")
    explaining.add_argument("id", help="such as ESA-KV-005")
    explaining.set_defaults(function="catalogue:explain")
    return parser


def _with_selection(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--profile", action="append", default=[], help="only tests that count for it; may be repeated"
    )
    command.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="PATTERN",
        help="only tests or requirements such as 'ESA-KV-*'; may be repeated",
    )
