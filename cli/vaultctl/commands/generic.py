# SPDX-License-Identifier: EUPL-1.2
"""read, write, patch, delete, list and scan on any path."""

from __future__ import annotations

from vaultctl.body import parse_body, parse_query
from vaultctl.errors import EXIT_OK, EXIT_REMOTE, CommandError, no_value
from vaultctl.invocation import ErrorPrefix, Invocation
from vaultctl.text.json import as_map, sort_keys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_ENVELOPE = frozenset({"auth", "data", "request_id", "warnings", "wrap_info"})


def read(invocation: Invocation) -> int:
    """Read a path; further key=value arguments become query parameters."""
    path = invocation.args[0].strip(" /")
    query: dict[str, str | list[str]] = dict(parse_query(invocation.args[1:]))
    if invocation.form == "raw":
        with ErrorPrefix(f"Error reading: {path}"):
            body = invocation.client.send("GET", path, query=query).body
        invocation.emit(body.decode("utf-8", "replace"))
        return EXIT_OK
    with ErrorPrefix(f"Error reading {path}"):
        response = invocation.client.send("GET", path, query=query, accept_missing=True)
    answer = response.json()
    if response.status == 404 and not answer.get("data") and not answer.get("warnings"):
        raise no_value(path)
    return invocation.print_answer(_enveloped(answer))


def write(invocation: Invocation) -> int:
    """Write to a path."""
    return _write(invocation, "PUT")


def patch(invocation: Invocation) -> int:
    """Merge data into a path."""
    return _write(invocation, "PATCH")


def delete(invocation: Invocation) -> int:
    """Delete a path; further key=value arguments become query parameters."""
    path = invocation.args[0].strip(" /")
    query: dict[str, str | list[str]] = dict(parse_query(invocation.args[1:]))
    with ErrorPrefix(f"Error deleting {path}"):
        response = invocation.client.send("DELETE", path, query=query)
    answer = response.json()
    if answer:
        return invocation.print_answer(answer)
    return invocation.succeed(f"Success! Data deleted (if it existed) at: {path}")


def list_path(invocation: Invocation) -> int:
    """List what is below a path."""
    return print_listing(invocation, invocation.args[0].strip(" /"), _page(invocation, "list"), "listing")


def scan_path(invocation: Invocation) -> int:
    """List what is below a path, and below all of that."""
    return print_listing(invocation, invocation.args[0].strip(" /"), _page(invocation, "scan"), "scanning")


def print_listing(invocation: Invocation, path: str, query: Mapping[str, str | list[str]], doing: str) -> int:
    """Send a listing request and print its keys."""
    with ErrorPrefix(f"Error {doing} {path}"):
        response = invocation.client.send("GET", path, query=query, accept_missing=True)
    answer = response.json()
    data = as_map(answer.get("data"))
    keys = data.get("keys")
    if not invocation.tabular:
        if not data and not answer.get("wrap_info"):
            invocation.say("{}")  # programs get a document, and the exit code of a path without a value
            return EXIT_REMOTE
        if answer.get("wrap_info") or keys is None or invocation.truth("detailed"):
            return invocation.print_answer(answer)
        return invocation.print_value(keys)
    if not answer or (response.status == 404 and not data and not answer.get("warnings")):
        raise no_value(path)
    invocation.print_warnings(answer)
    if answer.get("wrap_info"):
        return invocation.print_answer(answer)
    if answer.get("data") is None:
        return EXIT_OK
    if not isinstance(keys, list):
        raise CommandError(f"No entries found at {path}", EXIT_REMOTE)
    if keys:
        _print_keys(invocation, sorted(str(key) for key in keys), as_map(data.get("key_info")))
    return EXIT_OK


def _print_keys(invocation: Invocation, keys: list[str], info: dict[str, object]) -> None:
    from vaultctl.text.go import go_text
    from vaultctl.text.output import columns

    names = (
        sorted({name for key in keys for name in as_map(info.get(key))})
        if invocation.truth("detailed")
        else []
    )
    rows = [["Keys", *names]]
    for key in keys:
        details = as_map(info.get(key))
        cells = [go_text(details[name]) if name in details else "" for name in names]
        rows.append([key, *cells] if details else [key])
    invocation.say(columns(rows))


def _page(invocation: Invocation, verb: str) -> dict[str, str | list[str]]:
    query: dict[str, str | list[str]] = {verb: "true"}
    if invocation.text("after"):
        query["after"] = invocation.text("after")
    limit = invocation.number("limit")
    if limit is not None and limit > 0:
        query["limit"] = str(limit)
    return query


def _write(invocation: Invocation, method: str) -> int:
    path = invocation.args[0].strip(" /")
    if len(invocation.args) < 2 and not (invocation.truth("force") or invocation.truth("f")):
        raise CommandError("Must supply data or use -force")
    body = sort_keys(parse_body(invocation.args[1:], invocation.stdin)) if invocation.args[1:] else None
    with ErrorPrefix(f"Error writing data to {path}"):
        response = invocation.client.send(method, path, body=body, merge=method == "PATCH")
    return invocation.print_written(response, path)


def _enveloped(answer: dict[str, object]) -> dict[str, object]:
    """Some sys paths answer without the envelope: then the whole body is the data."""
    return answer if _ENVELOPE & answer.keys() else {"data": answer}
