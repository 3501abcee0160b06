# SPDX-License-Identifier: EUPL-1.2
"""vaultctl: the operators' command. It speaks HTTP only and imports nothing of the server.

The way of a command: `main` finds it in `tree` by its words, parses its flags, and imports the function that is named
there from `commands`. That asks the server by `http`, and prints by `text`.

Every command is a start of the program, so what not every command needs is imported where it is used. `TYPE_CHECKING` is
a constant here for the same reason: to import `typing` takes longer than to parse a command line.
"""

from __future__ import annotations

__version__ = "0.1.0"
