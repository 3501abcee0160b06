# SPDX-License-Identifier: EUPL-1.2
"""policy list, read, write, delete, fmt and explain."""

from __future__ import annotations

import json
from collections.abc import Mapping

from vaultctl.body import read_file, read_stdin
from vaultctl.errors import EXIT_OK, EXIT_REMOTE, CommandError
from vaultctl.invocation import ErrorPrefix, Invocation
from vaultctl.text.json import as_list, as_map
from vaultctl.text.terminal import on_one_line


def list_names(invocation: Invocation) -> int:
    """List the policies' names."""
    with ErrorPrefix("Error listing policies"):
        answer = invocation.client.send("GET", "sys/policies/acl", query={"list": "true"}).json()
    names = as_list(as_map(answer.get("data")).get("keys"))
    if not invocation.tabular:
        return invocation.print_value(names)
    for name in names:
        invocation.say(on_one_line(str(name)))
    return EXIT_OK


def read(invocation: Invocation) -> int:
    """Print a policy's text."""
    name = _name(invocation)
    with ErrorPrefix(f"Error reading policy named {name}"):
        response = invocation.client.send("GET", f"sys/policies/acl/{name}", accept_missing=True)
    if response.status == 404:
        raise CommandError(f"No policy named: {name}", EXIT_REMOTE)
    text = as_map(response.json().get("data")).get("policy")
    if not invocation.tabular:
        return invocation.print_value({"policy": text})
    invocation.emit(str(text or "").strip())
    return EXIT_OK


def write(invocation: Invocation) -> int:
    """Upload a policy from a file, or from standard input."""
    name, path = _name(invocation), invocation.args[1].strip()
    try:
        text = read_stdin(invocation.stdin) if path == "-" else read_file(path)
    except CommandError as error:
        raise CommandError(f"Error opening policy file: {error}", EXIT_REMOTE) from None
    with ErrorPrefix("Error uploading policy"):
        invocation.client.send("PUT", f"sys/policies/acl/{name}", body={"policy": text})
    invocation.say(f"Success! Uploaded policy: {name}")
    return EXIT_OK


def delete(invocation: Invocation) -> int:
    """Delete a policy."""
    name = _name(invocation)
    with ErrorPrefix(f"Error deleting {name}"):
        invocation.client.send("DELETE", f"sys/policies/acl/{name}")
    invocation.say(f"Success! Deleted policy: {name}")
    return EXIT_OK


def fmt(invocation: Invocation) -> int:
    """Format a policy file in place."""
    import os

    from vaultctl.text.hcl import format_hcl

    path = os.path.expanduser(invocation.args[0].strip())
    try:
        text = read_file(path)
    except CommandError as error:
        raise CommandError(f"Error reading source file: {error}") from None
    formatted = format_hcl(text)
    try:
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(formatted)
    except OSError as err:
        raise CommandError(f"Error writing file {path}: {err.strerror}") from None
    invocation.say(f"Success! Formatted policy: {path}")
    return EXIT_OK


def explain(invocation: Invocation) -> int:
    """Show which rule of which policy decides on a path, and what to add where it refuses."""
    body: dict[str, object] = {"path": invocation.args[0].strip()}
    for flag, field in (("capability", "capabilities"), ("policy", "policies")):
        if invocation.texts(flag):
            body[field] = invocation.texts(flag)
    if invocation.text("accessor"):
        body["accessor"] = invocation.text("accessor")
    with ErrorPrefix("Error explaining"):
        answer = invocation.client.send("POST", "sys/internal/policies/explain", body=body).json()
    found = as_map(answer.get("data"))
    if not invocation.tabular:
        return invocation.print_value(found)
    absent = [
        str(one.get("name")) for one in map(as_map, as_list(found.get("policies"))) if not one.get("found")
    ]
    if absent:
        invocation.say(f"No policy of this name counts: {', '.join(absent)}")
    if not found.get("path"):
        invocation.say("Everything is refused: the path is outside the namespace of the policies.")
    for verdict in map(as_map, as_list(found.get("verdicts"))):
        _say_verdict(invocation, verdict)
    return EXIT_OK


def _say_verdict(invocation: Invocation, verdict: Mapping[str, object]) -> None:
    said = "allowed" if verdict.get("allowed") else f"refused, missing: {verdict.get('missing')}"
    invocation.say(f"{verdict.get('capability')} {verdict.get('path')}: {said}")
    if verdict.get("rule"):
        invocation.say(f'  decided by path "{verdict.get("rule")}"')
    for share in map(as_map, as_list(verdict.get("grants"))):
        words = ", ".join(map(str, as_list(share.get("capabilities")))) or "nothing"
        invocation.say(f"  policy {share.get('policy')}: {words}")
    for name, value in as_map(verdict.get("constraints")).items():
        invocation.say(f"  constraint {name} = {json.dumps(value, ensure_ascii=False)}")
    grant = str(verdict.get("grant") or "")
    if grant:
        invocation.say("  this rule would allow it:")
        for line in grant.splitlines():
            invocation.say(f"    {line}")


def _name(invocation: Invocation) -> str:
    return invocation.args[0].strip().lower()
