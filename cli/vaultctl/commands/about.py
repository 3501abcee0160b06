# SPDX-License-Identifier: EUPL-1.2
"""path-help, and version: what the server says of a path, and this command of itself."""

from __future__ import annotations

from vaultctl.errors import EXIT_OK
from vaultctl.invocation import ErrorPrefix, Invocation


def path_help(invocation: Invocation) -> int:
    """Print the server's help on a path."""
    from vaultctl.text.json import compact, sort_keys

    path = invocation.args[0].strip(" /")
    with ErrorPrefix("Error retrieving help"):
        answer = invocation.client.send("GET", path, query={"help": "1"}).json()
    if invocation.form == "json":
        invocation.emit(compact(sort_keys(answer.get("openapi"))))
        return EXIT_OK
    invocation.say(str(answer.get("help") or "").rstrip("\n"))
    return EXIT_OK


def version(invocation: Invocation) -> int:
    """Print the version of this command."""
    from vaultctl import __version__

    invocation.say(f"vaultctl v{__version__}")
    return EXIT_OK
