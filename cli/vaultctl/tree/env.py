# SPDX-License-Identifier: EUPL-1.2
"""Declarations: secrets in the environment of programs, and in `.env` files."""

from __future__ import annotations

from vaultctl.flags import Flag
from vaultctl.tree.command import Command

_MOUNT = Flag("mount", "text", "Mount path; each SECRET is then a key below it.")
_WHICH = (
    _MOUNT,
    Flag("prefix", "text", "What is put before the name of each variable that a SECRET makes, such as DB_."),
    Flag("env", "pairs", "NAME=SECRET#FIELD: one field under a name of its own; may be repeated."),
)
_NAMES = (
    "Each field of a SECRET is a variable: its name in capitals, what no name can have as _. "
    "Where two secrets have a field of one name the later one counts."
)

COMMANDS = (
    Command(
        "run",
        "environment.run:run",
        "[options] [SECRET...] -- COMMAND [ARGUMENTS...]",
        (0, None, ">0"),
        "Run a program with secrets in its environment",
        flags=(
            *_WHICH,
            Flag("keep-token", "bool", "Let the program have BAO_TOKEN and VAULT_TOKEN, too."),
        ),
        details=f"{_NAMES} Nothing is written to disk or stands in an argument, and the program takes the "
        "place of this one: signals and the exit code are its own.",
        program=True,
    ),
    Command(
        "env export",
        "environment.env_files:export",
        "[options] [SECRET...]",
        (0, None, ">0"),
        "Print secrets as a `.env` file",
        output="format",
        formats=("shell",),
        flags=_WHICH,
        details=f"{_NAMES} -format=shell prints lines that a shell evaluates.",
    ),
    Command(
        "env import",
        "environment.env_files:import_file",
        "[options] SECRET FILE",
        (2, 2, "2"),
        "Write a `.env` file as a secret",
        output="field",
        flags=(
            Flag("mount", "text", "Mount path; SECRET is then a key below it."),
            Flag("cas", "int", "Write only if this is the current version; 0: only if there is none."),
            Flag("merge", "bool", "Keep the fields that the file does not have."),
        ),
        details="FILE is - for standard input. Values are taken as they stand: nothing is put in for ${NAME}.",
    ),
)
