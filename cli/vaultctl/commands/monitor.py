# SPDX-License-Identifier: EUPL-1.2
"""monitor, and version-history: what a server says of itself."""

from __future__ import annotations

from vaultctl.errors import EXIT_LOCAL, EXIT_OK, UsageError
from vaultctl.invocation import ErrorPrefix, Invocation
from vaultctl.text.json import as_list, as_map

_LEVELS = ("trace", "debug", "info", "warn", "error")


def monitor(invocation: Invocation) -> int:
    """Print the server's log as it is written, until interrupted."""
    level = invocation.text("log-level", "info").lower()
    if level not in _LEVELS:
        raise UsageError(f"-log-level is one of {', '.join(_LEVELS)}")
    query: dict[str, str | list[str]] = {
        "log_level": level,
        "log_format": invocation.text("log-format", "standard"),
    }
    with ErrorPrefix("Error starting monitor", EXIT_LOCAL):
        try:
            for text in invocation.client.follow("sys/monitor", query):
                invocation.emit(text, "")
                invocation.stdout.flush()
        except KeyboardInterrupt:
            return EXIT_OK
    return EXIT_OK


def version_history(invocation: Invocation) -> int:
    """List the versions that the server has run."""
    with ErrorPrefix("Error listing version history"):
        answer = invocation.client.send("GET", "sys/version-history", query={"list": "true"}).json()
    if not invocation.tabular:
        return invocation.print_answer(answer)
    data = as_map(answer.get("data"))
    rows = [("Version", "Installation Time", "Commit Date")]
    for name in as_list(data.get("keys")):
        info = as_map(as_map(data.get("key_info")).get(str(name)))
        rows.append((str(name), str(info.get("timestamp_installed")), str(info.get("commit_date"))))
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    rows.insert(1, tuple("-" * len(cell) for cell in rows[0]))  # type: ignore[arg-type]  # three cells again
    for first, second, third in rows:
        invocation.say(f"{first:<{widths[0]}}  {second:<{widths[1]}}  {third}")
    return EXIT_OK
