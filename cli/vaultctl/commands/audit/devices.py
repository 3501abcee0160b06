# SPDX-License-Identifier: EUPL-1.2
"""audit list, enable and disable."""

from __future__ import annotations

from vaultctl.errors import EXIT_OK, EXIT_REMOTE, UsageError
from vaultctl.invocation import ErrorPrefix, Invocation
from vaultctl.text.json import as_map

_KEYS = {"type": "", "description": "", "options": None, "local": False, "path": ""}


def list_devices(invocation: Invocation) -> int:
    """List the audit devices; exit code 2 when there is none and the output is a table."""
    from vaultctl.text.output import columns

    with ErrorPrefix("Error listing audits"):
        answer = invocation.client.send("GET", "sys/audit").json()
    devices = as_map(answer.get("data"))
    if not invocation.tabular:
        return invocation.print_value(
            {
                path: {key: as_map(devices[path]).get(key, default) for key, default in _KEYS.items()}
                for path in sorted(devices)
            }
        )
    if not devices:
        invocation.say("No audit devices are enabled.")
        return EXIT_REMOTE
    detailed = invocation.truth("detailed")
    rows = [("Path", "Type", "Description", *(("Replication", "Options") if detailed else ()))]
    for path in sorted(devices):
        device = as_map(devices[path])
        options = " ".join(f"{key}={value}" for key, value in sorted(as_map(device.get("options")).items()))
        more = ("local" if device.get("local") else "replicated", options) if detailed else ()
        rows.append((path, str(device.get("type") or ""), str(device.get("description") or ""), *more))
    invocation.say(columns(rows))
    return EXIT_OK


def enable(invocation: Invocation) -> int:
    """Create an audit device, on servers that take them from the API."""
    kind, *pairs = invocation.args
    options = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise UsageError("options are given as key=value")
        options[name] = value
    path = (invocation.text("path") or kind).strip(" /")
    body = {
        "type": kind,
        "description": invocation.text("description"),
        "options": dict(sorted(options.items())),
        "local": invocation.truth("local"),
    }
    with ErrorPrefix("Error enabling audit device"):
        invocation.client.send("PUT", f"sys/audit/{path}", body=body)
    invocation.say(f"Success! Enabled the {kind} audit device at: {path}/")
    return EXIT_OK


def disable(invocation: Invocation) -> int:
    """Remove an audit device that the API created."""
    path = invocation.args[0].strip(" /")
    with ErrorPrefix("Error disabling audit device"):
        invocation.client.send("DELETE", f"sys/audit/{path}")
    invocation.say(f"Success! Disabled audit device (if it was enabled) at: {path}/")
    return EXIT_OK
