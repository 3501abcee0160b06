# SPDX-License-Identifier: EUPL-1.2
"""policy list, read, write, delete and fmt."""

from __future__ import annotations

from vaultctl.body import read_file, read_stdin
from vaultctl.errors import EXIT_OK, EXIT_REMOTE, CommandError
from vaultctl.invocation import Doing, Invocation
from vaultctl.jsontext import as_list, as_map


def list_names(invocation: Invocation) -> int:
    """List the policies' names."""
    with Doing("Error listing policies"):
        answer = invocation.client.send("GET", "sys/policies/acl", query={"list": "true"}).json()
    names = as_list(as_map(answer.get("data")).get("keys"))
    if not invocation.tabular:
        return invocation.print_value(names)
    for name in names:
        invocation.say(str(name))
    return EXIT_OK


def read(invocation: Invocation) -> int:
    """Print a policy's text."""
    name = _name(invocation)
    with Doing(f"Error reading policy named {name}"):
        response = invocation.client.send("GET", f"sys/policies/acl/{name}", accept_missing=True)
    if response.status == 404:
        raise CommandError(f"No policy named: {name}", EXIT_REMOTE)
    text = as_map(response.json().get("data")).get("policy")
    if not invocation.tabular:
        return invocation.print_value({"policy": text})
    invocation.say(str(text or "").strip())
    return EXIT_OK


def write(invocation: Invocation) -> int:
    """Upload a policy from a file, or from standard input."""
    name, path = _name(invocation), invocation.args[1].strip()
    try:
        text = read_stdin(invocation.stdin) if path == "-" else read_file(path)
    except CommandError as error:
        raise CommandError(f"Error opening policy file: {error}", EXIT_REMOTE) from None
    with Doing("Error uploading policy"):
        invocation.client.send("PUT", f"sys/policies/acl/{name}", body={"policy": text})
    invocation.say(f"Success! Uploaded policy: {name}")
    return EXIT_OK


def delete(invocation: Invocation) -> int:
    """Delete a policy."""
    name = _name(invocation)
    with Doing(f"Error deleting {name}"):
        invocation.client.send("DELETE", f"sys/policies/acl/{name}")
    invocation.say(f"Success! Deleted policy: {name}")
    return EXIT_OK


def fmt(invocation: Invocation) -> int:
    """Format a policy file in place."""
    import os

    from vaultctl.hclformat import format_hcl

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


def _name(invocation: Invocation) -> str:
    return invocation.args[0].strip().lower()
