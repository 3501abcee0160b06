# SPDX-License-Identifier: EUPL-1.2
"""kv delete, undelete, destroy, rollback and enable-versioning."""

from __future__ import annotations

from vaultctl.commands.kv.paths import locate
from vaultctl.commands.kv.read import fetch
from vaultctl.commands.secrets import send_tuning
from vaultctl.errors import EXIT_REMOTE, CommandError
from vaultctl.invocation import ErrorPrefix, Invocation
from vaultctl.text.json import as_map, sort_keys


def delete(invocation: Invocation) -> int:
    """Delete the newest version, or those of -versions. They can be undeleted."""
    location = locate(invocation)
    path = location.path("data")
    versions = _version_list(invocation)
    with ErrorPrefix(f"Error deleting {path}"):
        if versions and location.version == 2:
            response = invocation.client.send("PUT", location.path("delete"), body={"versions": versions})
        else:
            response = invocation.client.send("DELETE", path)
    answer = response.json()
    if answer:
        return invocation.print_answer(answer)
    return invocation.succeed(f"Success! Data deleted (if it existed) at: {path}")


def undelete(invocation: Invocation) -> int:
    """Bring deleted versions back."""
    return _on_versions(invocation, "undelete")


def destroy(invocation: Invocation) -> int:
    """Remove versions for ever."""
    return _on_versions(invocation, "destroy")


def rollback(invocation: Invocation) -> int:
    """Write an old version's data as the newest version."""
    version = invocation.number("version")
    if version is None:
        raise CommandError("Version flag must be specified")
    if version <= 0:
        raise CommandError("-version must be greater than 0")
    location = locate(invocation)
    if location.version == 1:
        raise CommandError("K/V engine mount must be version 2 for rollback support", EXIT_REMOTE)
    path = location.path("data")
    newest = fetch(invocation, path)
    old = fetch(invocation, path, version) if newest is not None else None
    if newest is None or old is None:
        raise CommandError(f"No value found at {path}", EXIT_REMOTE)
    data = as_map(old.get("data")).get("data")
    metadata = as_map(as_map(old.get("data")).get("metadata"))
    if data is None:
        state = "destroyed" if metadata.get("destroyed") and not metadata.get("deletion_time") else "deleted"
        raise CommandError(f"Cannot roll back to a version that has been {state}", EXIT_REMOTE)
    current = as_map(as_map(newest.get("data")).get("metadata")).get("version")
    with ErrorPrefix(f"Error writing data to {path}"):
        response = invocation.client.send(
            "PUT", path, body={"data": sort_keys(data), "options": {"cas": current}}
        )
    return invocation.print_written(response, path)


def enable_versioning(invocation: Invocation) -> int:
    """Upgrade a version 1 mount to version 2."""
    return send_tuning(invocation, invocation.args[0], {"options": {"version": "2"}})


def _on_versions(invocation: Invocation, kind: str) -> int:
    versions = _version_list(invocation)
    if not versions:
        raise CommandError(
            f'No versions provided, use the "-versions" flag to specify the version to {kind}.'
        )
    location = locate(invocation)
    if location.version == 1:
        raise CommandError(f"{kind.capitalize()} not supported on KV Version 1")
    path = location.path(kind)
    with ErrorPrefix(f"Error writing data to {path}"):
        response = invocation.client.send("PUT", path, body={"versions": versions})
    return invocation.print_written(response, path)


def _version_list(invocation: Invocation) -> list[str]:
    return [text.strip() for text in invocation.texts("versions") if text.strip()]
