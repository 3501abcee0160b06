# SPDX-License-Identifier: EUPL-1.2
"""kv metadata get, put, patch and delete."""

from __future__ import annotations

from vaultctl.commands.kv.paths import locate
from vaultctl.commands.kv.read import fetch, print_block, print_path
from vaultctl.errors import EXIT_OK, CommandError, no_value
from vaultctl.invocation import ErrorPrefix, Invocation
from vaultctl.text.go import duration_text
from vaultctl.text.json import as_map


def get(invocation: Invocation) -> int:
    """Show a key's settings and versions."""
    path = _path(invocation)
    answer = fetch(invocation, path)
    if answer is not None and answer.get("wrap_info"):
        return invocation.print_answer(answer)
    data = as_map(answer.get("data")) if answer is not None else {}
    if answer is None or not data:
        if answer is not None:
            invocation.print_warnings(answer)
        raise no_value(path)
    if not invocation.tabular:
        return invocation.print_answer(answer)
    print_path(invocation, "Metadata Path", path)
    versions = as_map(data.get("versions"))
    print_block(invocation, "Metadata", {key: value for key, value in data.items() if key != "versions"})
    for number in sorted(versions, key=lambda text: int(text) if text.isdigit() else 0):
        invocation.say("")
        print_block(invocation, f"Version {number}", as_map(versions[number]))
    return EXIT_OK


def put(invocation: Invocation) -> int:
    """Set a key's settings; creates the key without data when it does not exist."""
    path = _path(invocation)
    body = _settings(invocation)
    if invocation.pairs("custom-metadata"):
        body["custom_metadata"] = dict(sorted(invocation.pairs("custom-metadata").items()))
    return _write(invocation, "PUT", path, body)


def patch(invocation: Invocation) -> int:
    """Change some of a key's settings and leave the others."""
    path = _path(invocation)
    body = _settings(invocation)
    custom: dict[str, object] = {
        **invocation.pairs("custom-metadata"),
        **dict.fromkeys(invocation.texts("remove-custom-metadata")),
    }
    body["custom_metadata"] = {key: custom[key] for key in sorted(custom)}
    return _write(invocation, "PATCH", path, body)


def delete(invocation: Invocation) -> int:
    """Delete a key with all its versions."""
    path = _path(invocation)
    with ErrorPrefix(f"Error deleting {path}"):
        answer = invocation.client.send("DELETE", path).json()
    invocation.print_warnings(answer)
    return invocation.succeed(f"Success! Data deleted (if it existed) at: {path}")


def _path(invocation: Invocation) -> str:
    location = locate(invocation)
    if location.version == 1:
        raise CommandError("Metadata not supported on KV Version 1")
    return location.path("metadata")


def _settings(invocation: Invocation) -> dict[str, object]:
    body: dict[str, object] = {}
    if "cas-required" in invocation.flags:
        body["cas_required"] = invocation.truth("cas-required")
    after = invocation.number("delete-version-after")
    if after is not None and after >= 0:
        body["delete_version_after"] = duration_text(after)
    versions = invocation.number("max-versions")
    if versions is not None and versions >= 0:
        body["max_versions"] = versions
    return body


def _write(invocation: Invocation, method: str, path: str, body: dict[str, object]) -> int:
    ordered = {key: body[key] for key in sorted(body)}
    with ErrorPrefix(f"Error writing data to {path}"):
        response = invocation.client.send(method, path, body=ordered, merge=method == "PATCH")
    return invocation.print_written(response, path)
