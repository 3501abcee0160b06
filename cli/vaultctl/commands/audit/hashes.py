# SPDX-License-Identifier: EUPL-1.2
"""audit hash: what stands for a value in records."""

from __future__ import annotations

from vaultctl.commands.audit.pages import client_of
from vaultctl.errors import EXIT_OK, UsageError
from vaultctl.invocation import ErrorPrefix
from vaultctl.text.json import as_list, as_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vaultctl.invocation import Invocation


def hash_value(invocation: Invocation) -> int:
    """Print the hashes of a value, under each key that there is or was; it comes from standard input or the terminal."""
    body = {"input": _value(invocation)}
    with ErrorPrefix("Error writing sys/log/hash"):
        answer = client_of(invocation).send("PUT", "sys/log/hash", body=body).json()
    found = as_map(answer.get("data"))
    if not invocation.tabular:
        return invocation.print_value(found)
    for one in as_list(found.get("hashes")):
        invocation.say(str(one))
    return EXIT_OK


def _value(invocation: Invocation) -> str:
    """The value. UsageError for one that is an argument, as others on this machine see those."""
    if not invocation.args:
        from vaultctl.prompt import ask_hidden

        return ask_hidden(invocation, "Value")
    if invocation.args[0] != "-":
        raise UsageError(
            "a value is no argument, which others would see: give -, and the value on standard input"
        )
    from vaultctl.body import read_stdin

    return read_stdin(invocation.stdin).removesuffix("\n")
