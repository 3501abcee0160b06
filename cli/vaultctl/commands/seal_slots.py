# SPDX-License-Identifier: EUPL-1.2
"""operator seal-slots: the ways into an open vault; and hsm rewrap, which is one of its steps."""

from __future__ import annotations

import time
from urllib.parse import quote

from vaultctl.errors import EXIT_OK, EXIT_REMOTE, ApiError, CommandError
from vaultctl.invocation import Doing, Invocation
from vaultctl.jsontext import as_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_PATH = "sys/seal-slots"


def list_slots(invocation: Invocation) -> int:
    """List the slots of the vault and of the server's configuration."""
    with Doing("Error listing seal slots"):
        answer = invocation.client.send("GET", _PATH).json()
    if not invocation.tabular:
        return invocation.print_answer(answer)
    from vaultctl.output import columns

    found = as_map(as_map(answer.get("data")).get("key_info"))
    head = ["Name", "Type", "Order", "Up", "Key version", "Behind", "Hardware", "Remark"]
    rows = [_row(name, as_map(info)) for name, info in found.items()]
    rows.sort(key=lambda row: (row[2] == "-", row[2].zfill(3)))
    invocation.say(columns([head, *rows]))
    return EXIT_OK


def add(invocation: Invocation) -> int:
    """Make a configured slot part of the vault."""
    return _change(invocation, "", "add", "is part of the vault now")


def verify(invocation: Invocation) -> int:
    """Have a slot open its canary and the root key."""
    return _change(invocation, "/verify", "verify", "opens this vault")


def promote(invocation: Invocation) -> int:
    """Try a slot before all others."""
    return _change(invocation, "/promote", "promote", "is tried first from now on")


def demote(invocation: Invocation) -> int:
    """Try a slot after all others."""
    return _change(invocation, "/demote", "demote", "is tried last from now on")


def remove(invocation: Invocation) -> int:
    """Take a slot from the vault."""
    name = invocation.args[0]
    if invocation.truth("dry-run"):
        return _rehearse(invocation, name, "remove")
    with Doing(f"Error removing seal slot {name}"):
        answer = invocation.client.send("DELETE", _slot(name))
        invocation.print_warnings(answer.json())
    return invocation.succeed(f"Success! Slot {name} is no longer part of the vault.")


def rewrap(invocation: Invocation) -> int:
    """Put what a slot holds under the newest version of its key, or show how far that is."""
    name = invocation.args[0]
    if invocation.truth("dry-run"):
        return _rehearse(invocation, name, "rewrap")
    method = "GET" if invocation.truth("status") else "POST"
    with Doing(f"Error rewrapping seal slot {name}"):
        answer = invocation.client.send(method, f"{_slot(name)}/rewrap").json()
    return _show(invocation, answer)


def _change(invocation: Invocation, step: str, verb: str, done: str) -> int:
    name = invocation.args[0]
    if invocation.truth("dry-run"):
        return _rehearse(invocation, name, verb)
    with Doing(f"Error: cannot {verb} seal slot {name}"):
        answer = invocation.client.send("POST", _slot(name) + step).json()
    if invocation.tabular:
        invocation.say(f"Success! Slot {name} {done}.")
    return _show(invocation, answer)


def _rehearse(invocation: Invocation, name: str, verb: str) -> int:
    """Show the slot as it is; nothing is changed."""
    with Doing(f"Error reading seal slot {name}"):
        try:
            answer = invocation.client.send("GET", _slot(name)).json()
        except ApiError as error:
            if error.status != 404:
                raise
            raise CommandError(
                f"Would not {verb} slot {name}: neither the vault nor the server's configuration has one of this name",
                EXIT_REMOTE,
            ) from None
    hindrance = _hindrance(verb, as_map(answer.get("data")))
    if hindrance:
        raise CommandError(f"Would not {verb} slot {name}: {hindrance}", EXIT_REMOTE)
    if invocation.tabular:
        invocation.say(f"Would {verb} slot {name}, which is now:")
    return _show(invocation, answer)


def _hindrance(verb: str, info: Mapping[str, object]) -> str:
    """Say what the server would refuse for; empty where it would try."""
    if verb == "add":
        return "it is part of the vault already" if info.get("stored") else ""
    if not info.get("stored"):
        return "it is configured and not part of the vault yet"
    shares = info.get("type") == "shamir" and verb in ("verify", "rewrap")
    return "it opens with people's shares, which only they can try" if shares else ""


def _show(invocation: Invocation, answer: Mapping[str, object]) -> int:
    if not invocation.tabular:
        return invocation.print_answer(answer)
    from vaultctl.output import key_values

    data = as_map(answer.get("data"))
    invocation.say(
        key_values([(key, _when(value) if key == "added" else _words(value)) for key, value in data.items()])
    )
    return EXIT_OK


def _row(name: str, info: Mapping[str, object]) -> list[str]:
    stored = bool(info.get("stored"))
    return [
        name,
        str(info.get("type") or ""),
        str(info.get("priority")) if stored else "-",
        _words(info.get("up")),
        str(info.get("key_version") or "-"),
        str(info.get("behind") or 0),
        "no: software" if info.get("software") else "-",
        str(info.get("reason") or ("-" if stored else "configured, not added yet")),
    ]


def _when(millis: object) -> str:
    """Show when a slot's record was made."""
    if not isinstance(millis, int) or not millis:
        return "at initialisation"
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(millis / 1000))


def _words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {count}" for key, count in value.items()) or "-"
    return "-" if value in ("", None) else str(value)


def _slot(name: str) -> str:
    return f"{_PATH}/{quote(name, safe='')}"
