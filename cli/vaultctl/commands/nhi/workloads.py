# SPDX-License-Identifier: EUPL-1.2
"""nhi workload, register and issue: who has an identity, and what it gets."""

from __future__ import annotations

from vaultctl.body import parse_body
from vaultctl.commands.generic import print_listing
from vaultctl.commands.nhi.tokens import mount
from vaultctl.errors import UsageError, no_value
from vaultctl.invocation import ErrorPrefix, Invocation


def list_workloads(invocation: Invocation) -> int:
    """List workloads."""
    return print_listing(invocation, f"{mount(invocation)}/workloads", {"list": "true"}, "listing")


def read_workload(invocation: Invocation) -> int:
    """Show a workload."""
    path = _path(invocation, "workloads")
    with ErrorPrefix(f"Error reading {path}"):
        response = invocation.client.send("GET", path, accept_missing=True)
    if response.status == 404:
        raise no_value(path)
    return invocation.print_answer(response.json())


def write_workload(invocation: Invocation) -> int:
    """Make a workload, or change it."""
    path = _path(invocation, "workloads")
    body = {name: invocation.text(name) for name in ("owner", "ttl", "description") if invocation.text(name)}
    with ErrorPrefix(f"Error writing {path}"):
        response = invocation.client.send("PUT", path, body=body)
    return invocation.print_written(response, path)


def delete_workload(invocation: Invocation) -> int:
    """Remove a workload."""
    path = _path(invocation, "workloads")
    with ErrorPrefix(f"Error deleting {path}"):
        invocation.client.send("DELETE", path)
    return invocation.succeed(f"Success! Data deleted (if it existed) at: {path}")


_SECRET_ANSWER = ("client_id", "client_secret")


def register(invocation: Invocation) -> int:
    """Make or change a registration, and a client secret if that is wanted."""
    path = _path(invocation, "registrations")
    body: dict[str, object] = {}
    for flag, field in (("policy", "policies"), ("audience", "audiences")):
        if invocation.texts(flag):
            body[field] = invocation.texts(flag)
    for flag in ("workload", "ttl", "max-ttl"):
        if invocation.text(flag):
            body[flag.replace("-", "_")] = invocation.text(flag)
    if invocation.number("max-depth") is not None:
        body["max_depth"] = invocation.number("max-depth")
    body |= parse_body(invocation.args[1:], invocation.stdin)
    field = invocation.text("field")
    if field and not invocation.truth("secret"):
        raise UsageError("-field goes with -secret: nothing else is answered")
    # Another secret would take the place of this one, and be shown to nobody.
    if field and field not in _SECRET_ANSWER:
        raise UsageError(
            f'With -secret the answer has the fields {" and ".join(_SECRET_ANSWER)}, and no "{field}"'
        )
    with ErrorPrefix(f"Error writing {path}"):
        response = invocation.client.send("PUT", path, body=body)
    if not invocation.truth("secret"):
        if invocation.tabular:
            invocation.print_warnings(response.json())
            return invocation.succeed(f"Success! Data written to: {path}")
        return invocation.print_written(response, path)
    invocation.print_warnings(response.json())
    with ErrorPrefix(f"Error writing {path}/secret"):
        made = invocation.client.send("PUT", f"{path}/secret", body={})
    return invocation.print_answer(made.json())


def issue(invocation: Invocation) -> int:
    """Make a token for a registration."""
    path = _path(invocation, "issue")
    body: dict[str, object] = {"ttl": invocation.text("ttl")} if invocation.text("ttl") else {}
    body |= parse_body(invocation.args[1:], invocation.stdin)
    with ErrorPrefix(f"Error writing {path}"):
        answer = invocation.client.send("PUT", path, body=body).json()
    return invocation.print_answer(answer)


def _path(invocation: Invocation, folder: str) -> str:
    return f"{mount(invocation)}/{folder}/{invocation.args[0].strip('/')}"
