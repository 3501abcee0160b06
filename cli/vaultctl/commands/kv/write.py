# SPDX-License-Identifier: EUPL-1.2
"""kv put and kv patch."""

from __future__ import annotations

from vaultctl.body import parse_body
from vaultctl.commands.kv.paths import Location, locate
from vaultctl.commands.kv.read import fetch, print_block, print_path
from vaultctl.errors import EXIT_OK, EXIT_REMOTE, ApiError, CommandError, no_value
from vaultctl.invocation import ErrorPrefix, Invocation
from vaultctl.text.json import as_map, sort_keys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vaultctl.http.client import Response


def put(invocation: Invocation) -> int:
    """Write a secret, replacing what is there."""
    data = parse_body(invocation.args[1:], invocation.stdin)
    if len(invocation.args) < 2:
        raise CommandError("Must supply data")
    return write_data(invocation, data)


def write_data(invocation: Invocation, data: dict[str, object], *, merge: bool = False) -> int:
    """Write a secret's data, in the place of what is there, or with `merge` among it."""
    location = locate(invocation)
    if merge:
        return _change(invocation, location, data, [])
    path = location.path("data")
    body = (
        sort_keys(data)
        if location.version == 1
        else {"data": sort_keys(data), "options": _options(invocation)}
    )
    with ErrorPrefix(f"Error writing data to {path}"):
        response = invocation.client.send("PUT", path, body=body)
    return print_write(invocation, response, path)


def patch(invocation: Invocation) -> int:
    """Change some keys of a secret and leave the others."""
    changes = parse_body(invocation.args[1:], invocation.stdin)
    removed = invocation.texts("remove-data")
    if not changes and not removed:
        raise CommandError("Must supply data")
    method = invocation.text("method")
    if method not in ("", "patch", "rw"):
        raise CommandError("Unsupported method provided to -method flag: use patch or rw", EXIT_REMOTE)
    return _change(invocation, locate(invocation), changes, removed, method)


def _change(
    invocation: Invocation,
    location: Location,
    changes: dict[str, object],
    removed: list[str],
    method: str = "",
) -> int:
    """Change some keys: by PATCH, or by reading and writing where that is wanted or PATCH is not granted."""
    if location.version == 1:
        raise CommandError("K/V engine mount must be version 2 for patch support", EXIT_REMOTE)
    if method == "rw":
        return _read_then_write(invocation, location, changes, removed)
    try:
        return _merge(invocation, location, changes, removed)
    except ApiError as error:
        if method == "patch" or error.status not in (403, 405):
            raise
    return _read_then_write(invocation, location, changes, removed)


def print_write(invocation: Invocation, response: Response, path: str) -> int:
    """The answer to a write below data/: the path and the new version's metadata."""
    answer = response.json()
    if not answer or answer.get("wrap_info") or invocation.text("field") or not invocation.tabular:
        return invocation.print_written(response, path)
    invocation.print_warnings(answer)
    print_path(invocation, "Secret Path", path)
    print_block(invocation, "Metadata", as_map(answer.get("data")))
    return EXIT_OK


def _merge(invocation: Invocation, location: Location, changes: dict[str, object], removed: list[str]) -> int:
    path = location.path("data")
    data = {**changes, **dict.fromkeys(removed)}
    with ErrorPrefix(f"Error writing data to {path}"):
        response = invocation.client.send(
            "PATCH", path, merge=True, body={"data": sort_keys(data), "options": _options(invocation)}
        )
    return print_write(invocation, response, path)


def _read_then_write(
    invocation: Invocation, location: Location, changes: dict[str, object], removed: list[str]
) -> int:
    path = location.path("data")
    answer = fetch(invocation, path, preliminary=True)
    if answer is None:
        raise no_value(path)
    current = as_map(answer.get("data"))
    if current.get("data") is None:
        raise CommandError(f"No data found at {path}; patch only works on existing data", EXIT_REMOTE)
    data = {key: value for key, value in {**as_map(current["data"]), **changes}.items() if key not in removed}
    version = as_map(current.get("metadata")).get("version")
    with ErrorPrefix(f"Error writing data to {path}"):
        response = invocation.client.send(
            "PUT", path, body={"data": sort_keys(data), "options": {"cas": version}}
        )
    return print_write(invocation, response, path)


def _options(invocation: Invocation) -> dict[str, object]:
    cas = invocation.number("cas")
    return {"cas": cas} if cas is not None and cas > -1 else {}
