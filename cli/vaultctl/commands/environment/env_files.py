# SPDX-License-Identifier: EUPL-1.2
"""env export and env import: secrets as `.env` files have them."""

from __future__ import annotations

from vaultctl.body import read_file, read_stdin
from vaultctl.commands.environment.run import wanted_variables
from vaultctl.commands.kv.write import write_data
from vaultctl.errors import EXIT_OK, CommandError
from vaultctl.invocation import Invocation
from vaultctl.text.variables import dotenv_line, parse_dotenv, shell_line


def export(invocation: Invocation) -> int:
    """Print what `run` would set: as a `.env` file, for a shell, or as JSON or YAML."""
    found = wanted_variables(invocation)
    if invocation.form in ("json", "yaml"):
        return invocation.print_value(found)
    line = shell_line if invocation.form == "shell" else dotenv_line
    for name, value in sorted(found.items()):
        invocation.emit(line(name, value))
    return EXIT_OK


def import_file(invocation: Invocation) -> int:
    """Write the variables of a `.env` file as the fields of a secret."""
    path = invocation.args[1].strip()
    text = read_stdin(invocation.stdin) if path == "-" else read_file(path)
    found = parse_dotenv(text, "standard input" if path == "-" else path)
    if not found:
        raise CommandError("There is no variable in it")
    return write_data(invocation, dict(found), merge=invocation.truth("merge"))
