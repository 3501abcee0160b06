# SPDX-License-Identifier: Apache-2.0
"""The command line: each command is declared here, and its function imported when it is run."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from esa_conformance import __version__
from esa_conformance.errors import EXIT_ERROR, EXIT_SAFETY, EXIT_USAGE, ConformanceError, fault_of_suite

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - it has no public name


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
    except KeyboardInterrupt:
        sys.stderr.write("stopped: by a signal\n")
        return EXIT_SAFETY
    except OSError as error:
        sys.stderr.write(f"{error.filename or 'a file'}: {error.strerror or type(error).__name__}\n")
        return EXIT_ERROR
    except Exception as error:  # noqa: BLE001 - a fault of the suite says nothing of the server
        sys.stderr.write(f"{fault_of_suite(error)}\n")
        return EXIT_ERROR


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(program, description="Judge a server by the European Secrets API.", epilog=(
        "Exit codes: 0 the claim holds, 1 it does not, 2 usage or manifest, 3 error of suite or transport, "
        "4 stopped for safety or by a signal, 5 something was left behind, 6 not all of the claim was judged."
    ))  # fmt: skip
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _asking(commands)
    _reading(commands)
    return parser


def _asking(commands: Commands) -> None:
    """The commands that have a manifest."""
    planning = commands.add_parser("plan", help="show what a run would do; the server is not asked")
    judging = commands.add_parser("run", help="judge a server")
    for command in (planning, judging):
        _with_selection(command)
        command.add_argument("--manifest", type=Path, required=True, help="what is judged, in TOML or JSON")
        command.add_argument(
            "--read-only", action="store_true", help="send GET, HEAD and LIST only, and never a body"
        )
    planning.set_defaults(function="planning:plan")
    judging.add_argument(
        "--journal", type=Path, default=Path("esa-journal.ndjson"), help="file to note in what is made"
    )
    judging.add_argument("--report", type=Path, help="file for the report in JSON")
    judging.add_argument("--html", type=Path, help="file for the report as a page")
    judging.add_argument("--junit", type=Path, help="file for the report in JUnit XML")
    judging.add_argument("--transcript", type=Path, help="file for all requests and answers, without secrets")
    judging.add_argument("--sign-key", type=Path, help="SSH key to sign the report with")
    judging.set_defaults(function="judging:judge")
    cleaning = commands.add_parser("cleanup", help="remove what a run left behind")
    cleaning.add_argument("--manifest", type=Path, required=True)
    what = cleaning.add_mutually_exclusive_group(required=True)
    what.add_argument("--journal", type=Path, help="of the run that was ended")
    what.add_argument(
        "--expired", action="store_true", help="whatever any run left and is past its end of life"
    )
    cleaning.set_defaults(function="cleaning:clean_up")


def _reading(commands: Commands) -> None:
    """The commands that ask no server."""
    listing = commands.add_parser("list", help="list the tests")
    _with_selection(listing)
    listing.set_defaults(function="catalogue:show_list")
    explaining = commands.add_parser("explain", help="show a requirement and what is asked of it")
    explaining.add_argument("id", help="such as ESA-KV-005")
    explaining.set_defaults(function="catalogue:explain")
    showing = commands.add_parser("report", help="print a report in another form")
    showing.add_argument("report", type=Path, nargs="+")
    showing.add_argument("--format", choices=("html", "junit", "yaml", "badge", "readme"), default="html")
    showing.add_argument("--reproduce", default="", help="commands that a readme shows")
    showing.set_defaults(function="reporting:show")
    comparing = commands.add_parser("diff", help="show what is otherwise in a later report")
    comparing.add_argument("old", type=Path)
    comparing.add_argument("new", type=Path)
    comparing.set_defaults(function="reporting:compare")
    signing = commands.add_parser("sign", help="sign a report with an SSH key, as FILE.sig beside it")
    signing.add_argument("report", type=Path)
    signing.add_argument(
        "--key", type=Path, required=True, help="a private key, or a public one of the agent's"
    )
    signing.set_defaults(function="reporting:sign_one")
    verifying = commands.add_parser("verify", help="check that a report is whole")
    verifying.add_argument("report", type=Path)
    verifying.add_argument(
        "--signers",
        type=Path,
        help="who may have signed it: a file of allowed signers as ssh-keygen(1) has it",
    )
    verifying.set_defaults(function="reporting:verify")


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
