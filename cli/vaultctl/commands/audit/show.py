# SPDX-License-Identifier: EUPL-1.2
"""audit show: one record, explained, and whether it can be proven."""

from __future__ import annotations

from vaultctl.commands.audit.explained import explained
from vaultctl.commands.audit.names import EntityNames
from vaultctl.commands.audit.pages import (
    LARGEST_PAGE,
    RECORDS,
    client_of,
    place_of,
    place_text,
    read_line,
    read_page,
    record_of,
)
from vaultctl.commands.audit.words import no_names, superseded_of, text_of
from vaultctl.errors import EXIT_OK, ApiError, CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from vaultctl.http.client import Client
    from vaultctl.invocation import Invocation


def show(invocation: Invocation) -> int:
    """Show one record: whole to programs, explained to people."""
    place = place_of(invocation.args[0])
    client = client_of(invocation)
    record = record_of(read_line(client, place))
    if not invocation.tabular:
        return invocation.print_value(record)
    from vaultctl.text.output import columns

    rows = explained(record, EntityNames(client) if invocation.truth("names") else no_names)
    later = _superseding(client, record)
    if later:
        rows.append(
            ("Superseded", f"by {later}: the commit failed, and what is said here did not come about")
        )
    invocation.say(columns([("Key", "Value"), *rows, ("Proof", _proof_state(client, place))]))
    return EXIT_OK


def _superseding(client: Client, record: Mapping[str, object]) -> str:
    """The later record of the same request that takes the place of an outcome; the empty string where a search finds none."""
    if record.get("phase") != "outcome":
        return ""
    asked: dict[str, str | list[str]] = {
        "request_id": text_of(record, "request.id"),
        "from": text_of(record, "observed_timestamp"),
        "order": "asc",
        "limit": str(LARGEST_PAGE),
    }
    try:
        found = [record_of(line) for line in read_page(client, asked).lines]
    except CommandError:
        return ""
    return next((place_text(one) for one in found if superseded_of(one) == place_text(record)), "")


def _proof_state(client: Client, place: tuple[str, int]) -> str:
    """Whether a checkpoint covers the record: what the server says, which nobody has verified here."""
    try:
        answer = client.send("GET", f"{RECORDS}/{place[0]}/{place[1]}/proof", accept_missing=True)
    except ApiError as refusal:
        return f"the server gives none: {'; '.join(refusal.errors) or refusal.status}"
    if answer.status == 404:
        later = answer.header("Retry-After")
        return "none yet: a checkpoint of the next second will cover it" if later else "none"
    _, _, checkpoint = answer.body.decode("utf-8", "replace").partition("\n\n")
    size = [*checkpoint.split("\n"), "", ""][1]
    return f"under the checkpoint of {size} records; `vaultctl audit prove` takes it along and verifies it"
