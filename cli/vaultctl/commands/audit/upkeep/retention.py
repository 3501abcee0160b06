# SPDX-License-Identifier: EUPL-1.2
"""audit purge, audit holds: what of the log goes, and what stays whatever its age."""

from __future__ import annotations

from vaultctl.commands.audit.pages import client_of
from vaultctl.commands.audit.words import text_of
from vaultctl.errors import EXIT_OK, EXIT_REMOTE, ApiError, UsageError
from vaultctl.flags import parse_moment
from vaultctl.invocation import ErrorPrefix
from vaultctl.text.json import as_list, as_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from vaultctl.http.client import Client
    from vaultctl.invocation import Invocation

_PURGE, _HOLDS = "sys/log/purge", "sys/log/holds"


def purge(invocation: Invocation) -> int:
    """Have the server purge the oldest segments of its logs; exit code 2 where a hold kept it from going on."""
    if not invocation.text("before"):
        raise UsageError("-before is missing: say up to when to purge, such as -before=2026-01-01")
    body = {"before": parse_moment(invocation.text("before"), "before")}
    with ErrorPrefix(f"Error writing {_PURGE}"):
        found = as_map(client_of(invocation).send("PUT", _PURGE, body=body).json().get("data"))
    held = [as_map(one) for one in as_list(found.get("held"))]
    if invocation.tabular:
        _tell(invocation, [as_map(one) for one in as_list(found.get("purged"))], held)
    else:
        invocation.print_value(found)
    return EXIT_REMOTE if held else EXIT_OK


def _tell(invocation: Invocation, purged: list[dict[str, object]], held: list[dict[str, object]]) -> None:
    from vaultctl.text.output import columns

    rows = [tuple(text_of(one, name) for name in ("log", "first", "last", "segments")) for one in purged]
    invocation.say(
        columns([("Log", "First", "Last", "Segments"), *rows])
        if rows
        else f"Nothing was purged{'' if held else ': no closed segment is so old'}."
    )
    for one in held:
        names = ", ".join(str(name) for name in as_list(one.get("holds")))
        invocation.warn(
            f"WARNING! {text_of(one, 'log')}: kept from record {text_of(one, 'first')} on by hold {names}"
        )


def list_holds(invocation: Invocation) -> int:
    """List the holds; exit code 2 when there is none and the output is a table."""
    from vaultctl.text.output import columns

    with ErrorPrefix(f"Error listing {_HOLDS}"):
        found = _holds(client_of(invocation))
    if not invocation.tabular:
        return invocation.print_value(found)
    if not found:
        invocation.say("There are no holds.")
        return EXIT_REMOTE
    rows = [_row(name, as_map(found[name])) for name in sorted(found)]
    invocation.say(columns([("Name", "From", "To", "Made", "Reason"), *rows]))
    return EXIT_OK


def _holds(client: Client) -> dict[str, object]:
    try:
        answer = client.send("GET", _HOLDS, query={"list": "true"}).json()
    except ApiError as refusal:
        if refusal.status != 404 or refusal.errors:  # with words, it keeps no log
            raise
        return {}
    return as_map(as_map(answer.get("data")).get("key_info"))


def _row(name: str, hold: Mapping[str, object]) -> tuple[str, ...]:
    return (
        name,
        text_of(hold, "from") or "the first record",
        text_of(hold, "to") or "all that come",
        text_of(hold, "made"),
        text_of(hold, "reason"),
    )


def place(invocation: Invocation) -> int:
    """Keep the records of a time, or all, whatever their age."""
    name = invocation.args[0]
    body: dict[str, object] = {
        bound: parse_moment(invocation.text(bound), bound)
        for bound in ("from", "to")
        if invocation.text(bound)
    }
    if invocation.text("reason"):
        body["reason"] = invocation.text("reason")
    with ErrorPrefix(f"Error writing {_HOLDS}/{name}"):
        client_of(invocation).send("PUT", f"{_HOLDS}/{name}", body=body)
    invocation.say(f"Success! Placed the hold: {name}")
    return EXIT_OK


def lift(invocation: Invocation) -> int:
    """End a hold: what it kept is purged by its age again."""
    name = invocation.args[0]
    with ErrorPrefix(f"Error deleting {_HOLDS}/{name}"):
        client_of(invocation).send("DELETE", f"{_HOLDS}/{name}")
    invocation.say(f"Success! Lifted the hold (if it was there): {name}")
    return EXIT_OK
