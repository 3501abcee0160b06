# SPDX-License-Identifier: EUPL-1.2
"""plugin list, info, reload, register and deregister."""

from __future__ import annotations

from vaultctl.errors import EXIT_OK, UsageError
from vaultctl.invocation import ErrorPrefix, Invocation
from vaultctl.text.json import as_list, as_map

KINDS = {"auth": 1, "database": 2, "secret": 3}


def list_plugins(invocation: Invocation) -> int:
    """List what can be mounted, of one kind or of all."""
    from vaultctl.text.output import columns

    kind = invocation.args[0] if invocation.args else ""
    _check(kind)
    with ErrorPrefix("Error listing available plugins"):
        catalog = as_map(invocation.client.send("GET", "sys/plugins/catalog").json().get("data"))
    found = [as_map(one) for one in as_list(catalog.get("detailed"))]
    found = [one for one in found if kind in ("", one.get("type"))]
    if not invocation.tabular:
        names = {name: catalog.get(name) for name in KINDS if kind in ("", name)}
        shown = {**names, "details": [_detail(one) for one in found]}
        return invocation.print_value(dict(sorted(shown.items())))
    more = invocation.truth("detailed")
    head = ["Name", *([] if kind else ["Type"]), "Version", *(["Deprecation Status"] if more else [])]
    rows = [head]
    for one in found:
        row = [str(one.get("name")), *([] if kind else [str(one.get("type"))]), str(one.get("version") or "")]
        rows.append([*row, str(one.get("deprecation_status") or "")] if more else row)
    invocation.say(columns(rows))
    return EXIT_OK


def info(invocation: Invocation) -> int:
    """Show one plugin."""
    from vaultctl.text.output import key_values

    kind, name = _named(invocation)
    query = {"version": invocation.text("version")} if invocation.text("version") else None
    with ErrorPrefix(f"Error reading plugin named {name}"):
        answer = invocation.client.send("GET", f"sys/plugins/catalog/{kind}/{name}", query=query).json()
    found = as_map(answer.get("data"))
    shown = {
        "args": found.get("args"),
        "builtin": found.get("builtin"),
        "command": found.get("command") or "",
        "deprecation_status": found.get("deprecation_status") or "",
        "name": found.get("name"),
        "sha256": found.get("sha256") or "",
        "version": found.get("version") or "",
    }
    if invocation.text("field"):
        return invocation.print_field(shown.get(invocation.text("field")), "secret")
    if not invocation.tabular:
        return invocation.print_value(shown)
    from vaultctl.text.go import go_text

    invocation.say(
        key_values([(key, go_text([] if value is None else value)) for key, value in shown.items()])
    )
    return EXIT_OK


def reload_plugins(invocation: Invocation) -> int:
    """Reload a plugin, or what is mounted at some paths."""
    plugin, mounts = invocation.text("plugin"), invocation.texts("mounts")
    if bool(plugin) == bool(mounts):
        raise UsageError("give either -plugin or -mounts")
    body = {"plugin": plugin, "mounts": mounts or None, "scope": invocation.text("scope")}
    with ErrorPrefix("Error reloading plugin/mounts"):
        answer = invocation.client.send("PUT", "sys/plugins/reload/backend", body=body).json()
    known = as_map(answer.get("data")).get("reload_id")
    if invocation.text("scope") == "global":
        what = f"plugin: {plugin}" if plugin else f"mounts: [{' '.join(mounts)}]"
        invocation.say(f"Success! Reloading {what}, reload_id: {known}")
    else:
        invocation.say(
            f"Success! Reloaded plugin: {plugin}"
            if plugin
            else f"Success! Reloaded mounts: [{' '.join(mounts)}]"
        )
    return EXIT_OK


def register(invocation: Invocation) -> int:
    """Register a program as a plugin, on servers that take some."""
    kind, name = _named(invocation)
    body: dict[str, object] = {
        "type": KINDS[kind],
        "command": invocation.text("command") or name,
        "sha256": invocation.text("sha256"),
    }
    if invocation.texts("args"):
        body["args"] = invocation.texts("args")
    if invocation.text("version"):
        body["version"] = invocation.text("version")
    with ErrorPrefix(f"Error registering plugin {name}"):
        invocation.client.send("PUT", f"sys/plugins/catalog/{kind}/{name}", body=body)
    invocation.say(f"Success! Registered plugin: {name}")
    return EXIT_OK


def deregister(invocation: Invocation) -> int:
    """Remove a plugin that is a program."""
    kind, name = _named(invocation)
    with ErrorPrefix(f"Error deregistering plugin named {name}"):
        invocation.client.send(
            "DELETE", f"sys/plugins/catalog/{kind}/{name}", query={"version": invocation.text("version")}
        )
    invocation.say(f"Success! Deregistered plugin (if it was registered): {name}")
    return EXIT_OK


def _named(invocation: Invocation) -> tuple[str, str]:
    kind, name = invocation.args
    _check(kind)
    return kind, name


def _check(kind: str) -> None:
    if kind and kind not in KINDS:
        raise UsageError(f"a plugin is of one of these types: {', '.join(KINDS)}")


def _detail(one: object) -> dict[str, object]:
    found = as_map(one)
    return {
        key: found[key]
        for key in ("type", "name", "version", "builtin", "deprecation_status")
        if found.get(key) not in (None, "")
    }
