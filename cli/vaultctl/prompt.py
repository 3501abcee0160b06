# SPDX-License-Identifier: EUPL-1.2
"""Asking for secrets without showing them, so that they need not be on the command line."""

from __future__ import annotations

from vaultctl.errors import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vaultctl.invocation import Invocation


def check_terminal(invocation: Invocation, what: str, instead: str = "-") -> None:
    """Refuse, as `ask_hidden` does, where nobody can be asked for the secret; `instead` is what standard input gives it by."""
    if invocation.truth("non-interactive"):
        raise CommandError(f"{what} is needed, but -non-interactive forbids asking for it")
    if not invocation.stdin.isatty():
        raise CommandError(
            f"{what} is needed, but standard input is not a terminal: give {instead} to read it from there"
        )


def ask_hidden(invocation: Invocation, what: str, instead: str = "-") -> str:
    """The secret, typed on the terminal without echo. CommandError when there is no terminal, or its input is closed."""
    check_terminal(invocation, what, instead)
    import getpass

    invocation.stdout.flush()
    try:
        return getpass.getpass(f"{what} (will be hidden): ", stream=invocation.stderr).strip()
    except EOFError:
        invocation.stderr.write("\n")
        raise CommandError(f"{what} is needed, and none was typed") from None


def from_stdin(invocation: Invocation) -> str:
    """The first line of standard input, white space trimmed."""
    return invocation.stdin.readline().strip()
