# SPDX-License-Identifier: EUPL-1.2
"""audit segments: the files of the log, listed, or copied so that they can be verified elsewhere."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path

from vaultctl.commands.audit.download import LogDownload
from vaultctl.commands.audit.pages import client_of, is_log
from vaultctl.commands.audit.upkeep.status import read_status
from vaultctl.commands.audit.words import text_of
from vaultctl.errors import EXIT_OK, EXIT_REMOTE, CommandError, UsageError
from vaultctl.invocation import ErrorPrefix
from vaultctl.text.json import as_list, as_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from vaultctl.http.client import Client
    from vaultctl.invocation import Invocation

_SEGMENTS = "sys/log/segments"


def segments(invocation: Invocation) -> int:
    """List the segments of one log or of all; with -download copy them."""
    client = client_of(invocation)
    logs = [_checked(log) for log in invocation.args] or _all_logs(client)
    found = {log: _listed(client, log) for log in logs}
    folder = invocation.text("download")
    if folder:
        return _copy(invocation, client, found, Path(folder))
    if not invocation.tabular:
        return invocation.print_value(
            {"logs": {log: {"segments": entries} for log, entries in found.items()}}
        )
    from vaultctl.text.output import columns

    heads = ("Log", "First", "Last", "Bytes", "From", "To", "SHA-256")
    rows = [_row(log, entry) for log, entries in found.items() for entry in entries]
    invocation.say(columns([heads, *rows]) if rows else "There are no segments.")
    return EXIT_OK


def _checked(log: str) -> str:
    if not is_log(log):
        raise UsageError("LOG is the name of a log, as `vaultctl audit status` shows it: 5f3a9c1e-0-0")
    return log


def _all_logs(client: Client) -> list[str]:
    """The logs that the server lists. CommandError for what is no name of one: folders are called so."""
    logs = [text_of(as_map(one), "log") for one in as_list(read_status(client).get("logs"))]
    if not all(map(is_log, logs)):
        raise CommandError("the server lists a log by a name that no log has", EXIT_REMOTE)
    return logs


def _listed(client: Client, log: str) -> list[dict[str, object]]:
    path = f"{_SEGMENTS}/{log}"
    with ErrorPrefix(f"Error reading {path}"):
        answer = client.send("GET", path).json()
    return [as_map(one) for one in as_list(as_map(answer.get("data")).get("segments"))]


def _row(log: str, entry: Mapping[str, object]) -> tuple[str, ...]:
    if not entry.get("closed"):
        return (log, text_of(entry, "first"), "open", "", "", "", "")
    times = (f"{text_of(entry, name)[:19]}Z" if entry.get(name) else "" for name in ("begins", "ends"))
    return (
        log, text_of(entry, "first"), text_of(entry, "last"), text_of(entry, "size"), *times, text_of(entry, "sha256"),
    )  # fmt: skip


def _copy(
    invocation: Invocation, client: Client, found: Mapping[str, list[dict[str, object]]], folder: Path
) -> int:
    """Copy logs to a folder that `verify` takes, and say what was copied."""
    done: list[dict[str, object]] = []
    try:
        for log, entries in found.items():
            copy = LogDownload(client, folder, log)
            ends = [copy.first_of(entry) for entry in entries[1:]]
            for entry, end in zip_longest(entries, ends):
                copy.take(entry, end)
            done.append({"log": log, "segments": len(entries), "records": copy.records})
    except OSError as failure:
        raise CommandError(f"cannot write {failure.filename}: {failure.strerror}") from None
    if not invocation.tabular:
        return invocation.print_value({"folder": str(folder), "logs": done})
    for one in done:
        invocation.say(f"{one['log']}: {one['records']} records")
    invocation.say(
        f"Verify it, with a checkpoint that was kept elsewhere: vaultctl audit verify -key=… {folder}"
    )
    return EXIT_OK
