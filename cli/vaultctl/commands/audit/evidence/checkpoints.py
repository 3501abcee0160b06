# SPDX-License-Identifier: EUPL-1.2
"""audit checkpoints: what the log has signed of itself, to be kept elsewhere."""

from __future__ import annotations

from vaultctl.commands.audit.pages import client_of, is_log, read_page
from vaultctl.errors import EXIT_OK, UsageError
from vaultctl.invocation import ErrorPrefix
from vaultctl.text.json import compact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vaultctl.http.client import Client
    from vaultctl.invocation import Invocation


def checkpoints(invocation: Invocation) -> int:
    """Print the newest checkpoint of each log, one JSON document a line, as `verify -checkpoint` takes them."""
    logs = invocation.args
    if not all(map(is_log, logs)):
        raise UsageError("LOG is the name of a log, as `vaultctl audit status` shows it: 5f3a9c1e-0-0")
    client = client_of(invocation)
    for log in logs or sorted(read_page(client, {"limit": "1"}).through):
        note = newest_note(client, log)
        if note:
            invocation.emit(compact({"note": note, "time": _now()}))
    return EXIT_OK


def newest_note(client: Client, log: str) -> str:
    """The newest checkpoint of a log, a signed note; empty where it has none yet."""
    path = f"sys/log/checkpoints/{log}"
    with ErrorPrefix(f"Error reading {path}"):
        answer = client.send("GET", path, accept_missing=True)
    return answer.body.decode("utf-8", "replace") if answer.status != 404 else ""


def _now() -> str:
    from datetime import UTC, datetime

    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
