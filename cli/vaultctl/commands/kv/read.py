# SPDX-License-Identifier: EUPL-1.2
"""kv get, kv list and kv scan."""

from __future__ import annotations

from vaultctl.commands.kv.paths import locate
from vaultctl.errors import EXIT_OK, EXIT_REMOTE, CommandError
from vaultctl.invocation import ErrorPrefix, Invocation, no_value
from vaultctl.text.json import as_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def get(invocation: Invocation) -> int:
    """Read a secret."""
    location = locate(invocation)
    path = location.path("data")
    version = invocation.number("version") or 0
    answer = fetch(invocation, path, version if location.version == 2 else 0)
    if answer is None:
        return no_value(invocation, path)
    if location.version == 1 or answer.get("wrap_info"):
        return _print_version_1(invocation, answer)
    if invocation.text("field"):
        return _print_field(invocation, answer, path)
    if not invocation.tabular:
        return invocation.print_answer(answer)
    return _print_version_2(invocation, answer, path)


def fetch(
    invocation: Invocation, path: str, version: int = 0, *, really: bool = False
) -> dict[str, object] | None:
    """The response for one version of a secret (0: the newest), or None when there is nothing at all.

    A deleted version is a 404 with its metadata: that is an answer.
    """
    query = {"version": str(version)} if version else None
    with ErrorPrefix(f"Error reading {path}"):
        response = invocation.client.send("GET", path, query=query, really=really, accept_missing=True)
    answer = response.json()
    if response.status == 404 and not answer.get("data") and not answer.get("warnings"):
        return None
    return answer


def list_keys(invocation: Invocation) -> int:
    """List the keys below a path."""
    return _listing(invocation, "list")


def scan_keys(invocation: Invocation) -> int:
    """List the keys below a path and below all of their folders."""
    return _listing(invocation, "scan")


def _listing(invocation: Invocation, verb: str) -> int:
    from vaultctl.commands.generic import print_listing

    location = locate(invocation)
    return print_listing(
        invocation, location.path("metadata"), {verb: "true"}, "listing" if verb == "list" else "scanning"
    )


def print_path(invocation: Invocation, title: str, path: str) -> None:
    """The path as a titled block."""
    from vaultctl.text.output import titled

    invocation.say(f"{titled(title, len(path))}\n{path}\n")


def print_block(invocation: Invocation, title: str, data: Mapping[str, object]) -> None:
    """A map as a titled table."""
    from vaultctl.text.output import data_rows, key_values, titled

    width = max((len(key) for key in data), default=0) + len("    Value")
    invocation.say(titled(title, width))
    if data:
        invocation.say(key_values(data_rows(data)))


def _print_version_1(invocation: Invocation, answer: dict[str, object]) -> int:
    if invocation.text("field") or not invocation.tabular or answer.get("wrap_info"):
        return invocation.print_answer(answer)
    invocation.print_warnings(answer)
    if answer.get("data") is not None:
        print_block(invocation, "Data", as_map(answer["data"]))
    return EXIT_OK


def _print_version_2(invocation: Invocation, answer: dict[str, object], path: str) -> int:
    invocation.print_warnings(answer)
    print_path(invocation, "Secret Path", path)
    data = as_map(answer.get("data"))
    if data.get("metadata"):
        print_block(invocation, "Metadata", as_map(data["metadata"]))
        invocation.say("")
    if data.get("data") is not None:
        print_block(invocation, "Data", as_map(data["data"]))
    return EXIT_OK


def _print_field(invocation: Invocation, answer: dict[str, object], path: str) -> int:
    data = as_map(answer.get("data")).get("data")
    if data is None:
        raise CommandError(f"No data found at {path}", EXIT_REMOTE)
    field = invocation.text("field")
    fields = as_map(data)
    value = fields if field == "data" else fields.get(field)
    return invocation.print_field(value, "map")
