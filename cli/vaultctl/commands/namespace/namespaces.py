# SPDX-License-Identifier: EUPL-1.2
"""namespace create, lookup, list, scan, patch, delete, lock and unlock."""

from __future__ import annotations

from vaultctl.errors import EXIT_OK, EXIT_REMOTE, CommandError, UsageError
from vaultctl.invocation import ErrorPrefix, Invocation
from vaultctl.text.json import as_map

_PATH = "sys/namespaces"
_LOCKED = """
Namespace is now locked. Please securely store the unlock key printed above.
You must supply the unlock key to re-enable access to the namespace.
If the unlock key is lost, sudo capability is required to unlock the namespace without it."""


def create(invocation: Invocation) -> int:
    """Make a namespace."""
    from vaultctl.commands.namespace import seal

    body: dict[str, object] = {"custom_metadata": invocation.pairs("custom-metadata")}
    body |= seal.wanted(invocation)
    with ErrorPrefix("Error creating namespace"):
        answer = invocation.client.send("POST", f"{_PATH}/{_name(invocation)}", body=body).json()
    if invocation.tabular and not answer.get("wrap_info"):
        answer = {**answer, "data": seal.print_shares(invocation, as_map(answer.get("data")))}
    return _show(invocation, answer)


def lookup(invocation: Invocation) -> int:
    """Show a namespace."""
    with ErrorPrefix("Error looking up namespace"):
        response = invocation.client.send("GET", f"{_PATH}/{_name(invocation)}", accept_missing=True)
    if response.status == 404:
        raise CommandError("Namespace not found", EXIT_REMOTE)
    return _show(invocation, response.json())


def list_names(invocation: Invocation) -> int:
    """List the namespaces in this one."""
    return _listing(invocation, "list", "Error listing namespaces")


def scan(invocation: Invocation) -> int:
    """List the namespaces in this one, and in all of those."""
    return _listing(invocation, "scan", "Error scanning namespaces")


def patch(invocation: Invocation) -> int:
    """Change a namespace's metadata."""
    changes: dict[str, object] = {**invocation.pairs("custom-metadata")}
    changes.update(dict.fromkeys(invocation.texts("remove-custom-metadata")))
    if not changes:
        raise UsageError("Must supply at least one of -custom-metadata or -remove-custom-metadata")
    with ErrorPrefix("Error patching namespace"):
        answer = invocation.client.send(
            "PATCH", f"{_PATH}/{_name(invocation)}", body={"custom_metadata": changes}, merge=True
        ).json()
    return _show(invocation, answer)


def delete(invocation: Invocation) -> int:
    """Remove a namespace with everything in it."""
    name = _name(invocation)
    with ErrorPrefix("Error deleting namespace"):
        answer = invocation.client.send("DELETE", f"{_PATH}/{name}").json()
    if as_map(answer.get("data")).get("status"):
        invocation.say(f"Success! Namespace deletion scheduled: {name}/")
    else:
        invocation.warn("Requested namespace does not exist")
    return EXIT_OK


def lock(invocation: Invocation) -> int:
    """Close a namespace's API."""
    with ErrorPrefix("Error locking namespace"):
        answer = invocation.client.send("PUT", f"{_PATH}/api-lock/lock{_inner(invocation)}", body=None).json()
    key = as_map(answer.get("data")).get("unlock_key")
    if not invocation.tabular:
        return invocation.print_value({"unlock_key": key})
    invocation.say(f"Unlock Key: {key}")
    invocation.say(_LOCKED)
    return EXIT_OK


def unlock(invocation: Invocation) -> int:
    """Open a namespace's API again."""
    key = invocation.text("unlock-key")
    with ErrorPrefix("Error unlocking namespace"):
        answer = invocation.client.send(
            "PUT", f"{_PATH}/api-lock/unlock{_inner(invocation)}", body={"unlock_key": key}
        ).json()
    warnings = answer.get("warnings")
    if not isinstance(warnings, list):
        invocation.say("Namespace unlocked successfully!")
        return EXIT_OK
    for warning in warnings:
        invocation.warn(str(warning))
    return EXIT_OK


def _listing(invocation: Invocation, verb: str, doing: str) -> int:
    with ErrorPrefix(doing):
        response = invocation.client.send("GET", _PATH, query={verb: "true"}, accept_missing=True)
    data = as_map(response.json().get("data"))
    keys = data.get("keys")
    names = sorted(str(key) for key in keys) if isinstance(keys, list) else []
    info = as_map(data.get("key_info"))
    if not names:
        if not invocation.tabular:
            invocation.say("{}")
            return EXIT_REMOTE
        raise CommandError("No namespaces found", EXIT_REMOTE)
    if not invocation.tabular:
        return invocation.print_value(info if invocation.truth("detailed") else names)
    _print_names(invocation, names, info)
    return EXIT_OK


def _print_names(invocation: Invocation, names: list[str], info: dict[str, object]) -> None:
    from vaultctl.text.go import go_text
    from vaultctl.text.output import columns

    details = {name: as_map(info.get(name)) for name in names} if invocation.truth("detailed") else {}
    heads = sorted({head for shown in details.values() for head in shown})
    rows = [["Keys", *heads]]
    rows += [[name, *(go_text(details[name].get(head)) for head in heads)] for name in names]
    invocation.say(columns(rows))


def _show(invocation: Invocation, answer: dict[str, object]) -> int:
    if not invocation.tabular and not invocation.text("field") and not answer.get("wrap_info"):
        return invocation.print_value(answer.get("data"))
    return invocation.print_answer(answer)


def _name(invocation: Invocation) -> str:
    return invocation.args[0].strip().strip("/")


def _inner(invocation: Invocation) -> str:
    """The rest of the path for a namespace that is named; nothing for the one that the flags name."""
    return f"/{_name(invocation)}" if invocation.args else ""
