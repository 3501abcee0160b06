# SPDX-License-Identifier: EUPL-1.2
"""kv get, kv list and kv scan."""

from __future__ import annotations

from vaultctl.commands.kv.paths import locate
from vaultctl.errors import EXIT_OK, EXIT_REMOTE, CommandError, no_value
from vaultctl.invocation import ErrorPrefix, Invocation
from vaultctl.text.json import as_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def get(invocation: Invocation) -> int:
    """Read a secret.

    1. The server says in which mount the key is, and of which KV version that is: the API path follows.
    2. The secret is read: its newest version, or the one that was asked for.
    3. It is printed: one field, the answer for programs, or tables for people.
    """
    # 1. The path.
    location = locate(invocation)
    path = location.path("data")
    # 2. The secret. A mount of KV version 1 keeps one version of each: -version says nothing there.
    number = (invocation.number("version") or 0) if location.version == 2 else 0
    answer = fetch(invocation, path, number)
    if answer is None:
        raise no_value(path)
    # 3. The output. An answer that waits behind a wrapping token looks the same for both KV versions.
    field, wrapped = invocation.text("field"), answer.get("wrap_info")
    if field and location.version == 2 and not wrapped:
        return _print_field(invocation, answer, path)
    if field or wrapped or not invocation.tabular:
        return invocation.print_answer(answer)
    return _print_tables(invocation, answer, path, location.version)


def fetch(
    invocation: Invocation, path: str, version: int = 0, *, preliminary: bool = False
) -> dict[str, object] | None:
    """The response for one version of a secret (0: the newest), or None when there is nothing at all.

    A deleted version is a 404 with its metadata: that is an answer. `preliminary` is as for `Client.send`.
    """
    query = {"version": str(version)} if version else None
    with ErrorPrefix(f"Error reading {path}"):
        response = invocation.client.send(
            "GET", path, query=query, preliminary=preliminary, accept_missing=True
        )
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


def _print_tables(invocation: Invocation, answer: dict[str, object], path: str, kv_version: int) -> int:
    """The secret; of KV version 2 its path and its metadata first."""
    invocation.print_warnings(answer)
    secret = answer.get("data")
    if kv_version == 2:
        print_path(invocation, "Secret Path", path)
        envelope = as_map(secret)
        if envelope.get("metadata"):
            print_block(invocation, "Metadata", as_map(envelope["metadata"]))
            invocation.say("")
        secret = envelope.get("data")
    if secret is not None:
        print_block(invocation, "Data", as_map(secret))
    return EXIT_OK


def _print_field(invocation: Invocation, answer: dict[str, object], path: str) -> int:
    """One field of a secret of KV version 2; `data` is all of them, as `bao` has it."""
    data = as_map(answer.get("data")).get("data")
    if data is None:
        raise CommandError(f"No data found at {path}", EXIT_REMOTE)
    field = invocation.text("field")
    fields = as_map(data)
    value = fields if field == "data" else fields.get(field)
    return invocation.print_field(value, "map")
