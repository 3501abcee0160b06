# SPDX-License-Identifier: EUPL-1.2
"""operator seal-slots: the ways into an open vault; and hsm rewrap, which is one of its steps."""

from __future__ import annotations

import time
from urllib.parse import quote

from vaultctl.errors import EXIT_OK, EXIT_REMOTE, ApiError, CommandError, UsageError
from vaultctl.invocation import ErrorPrefix, Invocation
from vaultctl.text.json import as_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_PATH = "sys/seal-slots"


def list_slots(invocation: Invocation) -> int:
    """List the slots of the vault and of the server's configuration."""
    with ErrorPrefix("Error listing seal slots"):
        answer = invocation.client.send("GET", _PATH).json()
    if not invocation.tabular:
        return invocation.print_answer(answer)
    from vaultctl.text.output import columns

    found = as_map(as_map(answer.get("data")).get("key_info"))
    head = ["Name", "Type", "Order", "Up", "Key version", "Behind", "Hardware", "Remark"]
    rows = [_row(name, as_map(info)) for name, info in found.items()]
    rows.sort(key=lambda row: (row[2] == "-", row[2].zfill(3)))
    invocation.say(columns([head, *rows]))
    invocation.print_warnings(answer)
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
    said = {"abandon": "true"} if invocation.truth("abandon") else {}
    if invocation.truth("dry-run"):
        answer = _dry_run(invocation, "DELETE", _slot(name), "remove", f"slot {name}", query=said)
        invocation.print_warnings(answer)
        return _shown(invocation, name, "remove")
    with ErrorPrefix(f"Error removing seal slot {name}"):
        reply = invocation.client.send("DELETE", _slot(name), query=said)
        invocation.print_warnings(reply.json())
    return invocation.succeed(f"Success! Slot {name} is no longer part of the vault.")


def rewrap(invocation: Invocation) -> int:
    """Put what a slot holds under the newest version of its key, or show how far that is."""
    name = invocation.args[0]
    path = f"{_slot(name)}/rewrap"
    if invocation.truth("dry-run"):
        _dry_run(invocation, "POST", path, "rewrap", f"slot {name}")
        return _shown(invocation, name, "rewrap")
    method = "GET" if invocation.truth("status") else "POST"
    with ErrorPrefix(f"Error rewrapping seal slot {name}"):
        answer = invocation.client.send(method, path).json()
    invocation.print_warnings(answer)
    return _show(invocation, answer)


def rotate_root(invocation: Invocation) -> int:
    """Replace the root key under all slots."""
    for flag, given in (("drop", bool(invocation.texts("drop"))), ("abandon", invocation.truth("abandon"))):
        if given and not invocation.truth("no-links"):
            raise UsageError(
                f"-{flag}: without -no-links no slot is dropped; give -no-links as well, or leave out -{flag}"
            )
    body = {
        "no_links": invocation.truth("no-links"),
        "drop": invocation.texts("drop"),
        "abandon": invocation.truth("abandon"),
        "dry_run": invocation.truth("dry-run"),
    }
    if invocation.truth("dry-run"):
        with ErrorPrefix("Error reading seal slots"):
            invocation.client.send("GET", _PATH)  # a server without them has no dry run: it would do it
        answer = _dry_run(invocation, "POST", "sys/rotate/root", "replace", "the root key", body)
        invocation.print_warnings(answer)
        return invocation.succeed("Would replace the root key.")
    with ErrorPrefix("Error rotating the root key"):
        reply = invocation.client.send("POST", "sys/rotate/root", body=body)
        invocation.print_warnings(reply.json())
    return invocation.succeed("Success! There is another root key.")


def _change(invocation: Invocation, step: str, verb: str, done: str) -> int:
    name = invocation.args[0]
    path = _slot(name) + step
    if invocation.truth("dry-run"):
        _dry_run(invocation, "POST", path, verb, f"slot {name}")
        return _shown(invocation, name, verb)
    with ErrorPrefix(f"Error: cannot {verb} seal slot {name}"):
        answer = invocation.client.send("POST", path).json()
    invocation.print_warnings(answer)
    if invocation.tabular:
        invocation.say(f"Success! Slot {name} {done}.")
    return _show(invocation, answer)


def _dry_run(
    invocation: Invocation,
    method: str,
    path: str,
    verb: str,
    what: str,
    body: Mapping[str, object] | None = None,
    query: Mapping[str, str] | None = None,
) -> Mapping[str, object]:
    """Have the server say what it would refuse, in the words in which it would; nothing is changed."""
    asked = {**(query or {}), "dry_run": "true"} if method == "DELETE" else None
    sent = None if asked else body or {"dry_run": True}
    with ErrorPrefix(f"Error asking what would be done to {what}"):
        try:
            return invocation.client.send(method, path, query=asked, body=sent).json()
        except ApiError as error:
            if error.status not in (400, 500):
                raise
            raise CommandError(f"Would not {verb} {what}: {'; '.join(error.errors)}", EXIT_REMOTE) from None


def _shown(invocation: Invocation, name: str, verb: str) -> int:
    """Show the slot as it is; the one for shares is nowhere until it is added."""
    with ErrorPrefix(f"Error reading seal slot {name}"):
        try:
            answer = invocation.client.send("GET", _slot(name)).json()
        except ApiError as error:
            if error.status != 404:
                raise
            return invocation.succeed(f"Would {verb} slot {name}.")
    if invocation.tabular:
        invocation.say(f"Would {verb} slot {name}, which is now:")
    return _show(invocation, answer)


def _show(invocation: Invocation, answer: Mapping[str, object]) -> int:
    if not invocation.tabular:
        return invocation.print_answer(answer)
    from vaultctl.text.output import key_values

    data = as_map(answer.get("data"))
    shown = {**data, "added": _when(data["added"]) if data["stored"] else ""} if "added" in data else data
    invocation.say(key_values([(key, _words(value)) for key, value in shown.items()]))
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
        _remark(name, info),
    ]


def _remark(name: str, info: Mapping[str, object]) -> str:
    """Say what is wrong with a slot, and what only it can give, which has to be ended one way or the other."""
    said = str(
        info.get("reason")
        or info.get("remark")
        or ("-" if info.get("stored") else "configured, not added yet")
    )
    if info.get("stuck"):
        said += (
            f"; wrapped values that only it can give: {info['stuck']}; repair it, or have them deleted for good: "
            f"vaultctl operator seal-slots remove -abandon {name}"
        )
    return said


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
